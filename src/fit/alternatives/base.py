"""What an alternative score is."""

from abc import ABC, abstractmethod
from dataclasses import dataclass

from fit.scores.evidence import Evidence
from fit.scores.settings import TargetSettings


@dataclass(frozen=True)
class Value:
    """A value of a score."""

    prompt: str | None
    """None where it is of all prompts."""
    value: float | None
    """None where it cannot be computed: there is no usable picture, no target, or the prompt's vector is not known."""
    images: int
    """How many pictures could be used."""


class Score(ABC):
    """A way to say how closely the pictures of a concept resemble it."""

    name: str
    """Its name in the registry."""
    label: str
    """Its name in figures, where more is always more alike."""
    is_more_alike_when_larger: bool = True
    needs_prompts: bool = False
    """Whether it compares pictures with their prompts, which provided pictures lack, by a `prompt_embedder`."""

    @abstractmethod
    def values(self, evidence: Evidence, targets: TargetSettings) -> list[Value]:
        """Return the values of a concept, for each prompt or for all of them together."""

    def remedy(self, unknown: list[str]) -> str:
        """Return the end of the message that no concept has a value, which says what to do.

        Args:
            unknown: prompts without a value.
        """
        return ""
