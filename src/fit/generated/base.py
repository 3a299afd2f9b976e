"""What a generator does."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from fit.errors import ConfigError
from fit.generated.settings import ChangeSettings, PipelineSettings


@dataclass(frozen=True)
class GeneratedImage:
    """A picture, or the reason why there is none."""

    status: str
    """ "ok"; "nan", where numbers left the range of their format; "black" or "constant", where all pixels are alike;
    "blocked", where the pipeline's safety checker took it away."""
    pixels: np.ndarray | None = None
    """[H, W, 3], uint8; None unless ok."""

    @classmethod
    def judged(cls, pixels: np.ndarray, finite: bool = True) -> "GeneratedImage":
        """Return the image of `pixels` [H, W, 3] (uint8) with its status.

        Args:
            pixels: of the picture.
            finite: whether the numbers that became pixels were all finite.
        """
        if not finite:
            return cls("nan")
        first = pixels[0, 0]
        if (pixels == first).all():
            return cls("constant" if first.any() else "black")
        return cls("ok", pixels)


class Generator(ABC):
    """Turns prompts and seeds into pictures. It is made without its model, which `load` loads."""

    takes_conditionings: bool = False
    """Whether what `generate` is given as prompts may also be fit.generated.conditioning.Conditioning."""

    def __init__(self, settings: PipelineSettings):
        """Note what to load; nothing is loaded yet.

        Raises:
            fit.errors.ModelError: there is no such model.
        """
        self._settings = settings

    def change(self, changes: ChangeSettings) -> None:
        """Note what to change in the model once it is loaded: components, a LoRA, the safety checker.

        Raises:
            ConfigError: this kind of generator can't be changed so.
            fit.errors.ModelError: what the changes name is not there.
        """
        raise ConfigError(
            f"the generator {type(self).__name__} takes no `components`, no `lora` and no `safety_checker`; take them "
            "out, or use `backend: diffusers`"
        )

    @property
    @abstractmethod
    def identity(self) -> dict[str, Any]:
        """All that a picture depends on besides prompt and seed, a JSON value; known before the model is loaded."""

    @abstractmethod
    def load(self) -> None:
        """Load the model, unless it is loaded.

        Raises:
            fit.errors.ModelError: it can't be loaded.
        """

    @abstractmethod
    def generate(self, prompts: Sequence[str], seeds: Sequence[int]) -> list[GeneratedImage]:
        """Return one picture per prompt and seed; load the model first where it is not loaded.

        A picture depends on its own prompt and seed only, not on the batch that it is made in, beyond rounding.

        Args:
            prompts: N strings.
            seeds: N integers.

        Raises:
            fit.errors.ModelError: the model can't be loaded, one picture alone is too much for the memory, or the
                model fails with these settings.
        """

    @property
    @abstractmethod
    def provenance(self) -> dict[str, Any]:
        """What made the pictures: model, revision, weights, scheduler, number format, versions and device.

        It is known once the model is loaded.
        """
