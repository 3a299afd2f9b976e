"""What a generator does."""

from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class GeneratedImage:
    """A picture, or the reason why there is none."""

    status: str
    """ "ok"; "nan", where numbers ran out of their format; "black" or "constant", where all pixels are alike."""
    pixels: np.ndarray | None = None
    """[H, W, 3], uint8; None unless ok."""

    @classmethod
    def judged(cls, pixels, finite=True):
        """What `pixels` [H, W, 3] (uint8) are, and whether the numbers behind them were all finite."""
        if not finite:
            return cls("nan")
        first = pixels[0, 0]
        if (pixels == first).all():
            return cls("constant" if first.any() else "black")
        return cls("ok", pixels)


class Generator(ABC):
    """Turns prompts and seeds into pictures. Made without its model, which `load` loads."""

    @property
    @abstractmethod
    def identity(self):
        """All that a picture depends on besides prompt and seed, a JSON value; known before the model is loaded."""

    @abstractmethod
    def load(self):
        """Load the model, unless it is loaded.

        Raises:
            fit.errors.ModelError: it can't be loaded.
        """

    @abstractmethod
    def generate(self, prompts, seeds):
        """One picture per prompt and seed; loads the model where that has not been done.

        Args:
            prompts, seeds: lists of N strings and N integers. A picture depends on its own prompt and seed only,
                not on the batch that it is made in, beyond rounding.

        Returns:
            A list of N Made.

        Raises:
            fit.errors.ModelError: the model can't be loaded, one picture alone is too much for the memory, or the
                model fails with these settings.
        """

    @property
    @abstractmethod
    def provenance(self):
        """What made the pictures: a dict of model, revision, weights, scheduler, number format, versions and device.
        Known once the model is loaded."""
