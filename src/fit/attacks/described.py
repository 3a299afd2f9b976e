"""Descriptions of a concept that do not name it, as somebody wrote them."""

from fit.attacks.base import Attack, Subject, Trial, against
from fit.attacks.settings import PromptingSettings


class Described(Attack):
    """Each description of a user's table, against each kind of negative prompt."""

    lacks = "the table of descriptions has none of it"

    def trials(self, subject: Subject, settings: PromptingSettings) -> list[Trial]:
        return [
            Trial(f"description {number}, without {kind}", asked)
            for number, text in enumerate(subject.descriptions, 1)
            for kind, asked in against(text, subject, settings)
        ]
