"""Prompts of the words that go with a concept, without its name (He et al. 2024, "Fantastic Copyrighted Beasts and How
(Not) to Generate Them", arXiv 2406.14526)."""

from fit.attacks.base import Attack, Subject, Trial, against
from fit.attacks.settings import PromptingSettings


class Indirect(Attack):
    """The first few associated words, each number of them against each kind of negative prompt."""

    lacks = "no word goes with it often enough (`least_captions`)"

    def trials(self, subject: Subject, settings: PromptingSettings) -> list[Trial]:
        # More words than there are would be the same prompt again.
        sizes = dict.fromkeys(min(size, len(subject.words)) for size in settings.top_words if subject.words)
        return [
            Trial(f"{size} words, without {kind}", asked)
            for size in sizes
            for kind, asked in against(", ".join(subject.words[:size]), subject, settings)
        ]
