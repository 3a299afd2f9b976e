"""What an embedder does."""

from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np

from fit.errors import ModelError


@dataclass(frozen=True)
class Found:
    """A face in an image, or an image as a whole."""

    vector: np.ndarray
    """Unit vector [D], float32."""
    box: tuple[float, ...] | None = None
    """Left, top, right and bottom of the face, in pixels; None for a whole image."""


class Embedder(ABC):
    """Turns images into unit vectors."""

    @abstractmethod
    def embed_images(self, pictures):
        """Vectors of `pictures`, a list of RGB PIL images.

        Returns:
            A list of lists of Found, one list a picture: every face in it, or the picture itself.
        """

    def embed_texts(self, texts):
        """Unit vectors [N, D] of N `texts`, in the space of the images.

        Raises:
            fit.errors.ModelError: this embedder reads no text.
        """
        raise ModelError(
            f"{type(self).__name__} has no text tower; name an openclip model as the art filter's embedder"
        )
