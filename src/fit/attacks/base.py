"""What an attack is: what it asks a model for, to see how closely the pictures resemble a concept."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from fit.attacks.settings import PromptingSettings
from fit.concepts.sheet import Concept
from fit.generated.conditioning import Conditioning


@dataclass(frozen=True, kw_only=True)
class Subject:
    """A concept that is attacked, and what an attacker knows of it."""

    concept: Concept
    prompts: tuple[str, ...] = ()
    """Of the domain, with the concept's name filled in."""
    words: tuple[str, ...] = ()
    """That go with it, the most associated first (fit.attacks.words); none if nobody looked, or none was found."""
    descriptions: tuple[str, ...] = ()
    """Of a user's table; none of them has the name."""
    prefix: str = ""
    """A file of token embeddings (fit.attacks.prefix); "": none."""
    digest: str = ""
    """Of the file's contents."""


@dataclass(frozen=True)
class Trial:
    """One thing that a model is asked for."""

    setting: str
    """Which of the attack's settings it belongs to; a setting may have several trials, whose scores are averaged."""
    asked: Conditioning


class Attack(ABC):
    """An attack. Its settings are tried one by one; the best of them is what the attack achieves."""

    lacks: ClassVar[str] = "nothing to ask for"
    """Why it may have no trial."""

    @abstractmethod
    def trials(self, subject: Subject, settings: PromptingSettings) -> list[Trial]:
        """Return what the model is asked for; nothing where the subject lacks what the attack needs."""


def against(asked: str, subject: Subject, settings: PromptingSettings) -> Sequence[tuple[str, Conditioning]]:
    """Return a prompt against each kind of negative prompt of the settings: (what it is against, conditioning).

    Kinds that come to the same negative prompt, as where no word is known, are tried once.
    """
    name, words = subject.concept.name, list(subject.words[: settings.negative_words])
    texts = {"none": [], "name": [name], "words": words, "both": [name, *words]}
    found: dict[str, str] = {}
    for kind in settings.negatives:
        found.setdefault(", ".join(texts[kind]), kind)
    return [(kind, Conditioning(asked, text or None)) for text, kind in found.items()]
