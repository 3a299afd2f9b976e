"""What an embedder does."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

from fit.embeddings.settings import EmbedderSettings, FaceSettings
from fit.errors import ModelError


@dataclass(frozen=True)
class Embedding:
    """A face in an image, or an image as a whole. Of an image as a whole only the vector is known."""

    vector: np.ndarray
    """Unit vector [D], float32."""
    box: tuple[float, ...] | None = None
    """Left, top, right and bottom of the face, in pixels of the whole image."""
    probability: float | None = None
    """How sure the detector is that this is a face, 0 to 1; None where it gives no probability."""
    landmarks: np.ndarray | None = None
    """[5, 2], x and y in pixels: left eye, right eye, nose, left and right corner of the mouth, as the viewer sees
    them. None where these are not what is found."""


class Embedder(ABC):
    """Turns images into unit vectors in two steps: `prepare` in processes that decode, `embed` where the model is."""

    def __init__(self, settings: EmbedderSettings, faces: FaceSettings):
        """Load what `settings` name. An embedder of whole images does not look at `faces`.

        Raises:
            fit.errors.ModelError: it can't be loaded.
        """
        self._settings = settings

    @property
    @abstractmethod
    def prepare(self) -> Callable[[Image.Image], Any]:
        """The function from an RGB image to what `embed` takes of it.

        It is pickled and sent to processes without a GPU, so it holds neither weights nor anything on a device.
        """

    @abstractmethod
    def embed(self, prepared: Sequence[Any]) -> list[list[Embedding]]:
        """Return every face in each of N prepared images, or each image as a whole: N lists.

        The vectors of an image don't depend on the others of its batch, beyond rounding (1e-4).
        """

    def embed_texts(self, texts: Sequence[str]) -> np.ndarray:
        """Return unit vectors [N, D] of N `texts`, in the space of the images.

        Raises:
            fit.errors.ModelError: this embedder reads no text.
        """
        raise ModelError(
            f"{type(self).__name__} has no text tower; name an openclip model as the art filter's embedder"
        )
