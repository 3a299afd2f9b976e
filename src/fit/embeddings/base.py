"""What an embedder does."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from fit.errors import ModelError


@dataclass(frozen=True)
class EmbedderSettings:
    """What a backend loads, and how: an embedder's settings in config.yaml, but for how many images make a batch."""

    model: str
    """Name, hub id, folder or file: the backend says which."""
    dtype: Literal["auto", "float32", "float16", "bfloat16"] = "auto"
    """Number format of weights and activations; auto: float16 on a GPU, float32 elsewhere."""
    download: bool = False
    """Whether weights that are not on this machine may be fetched. HF_HUB_OFFLINE=1 forbids it too."""
    detection_side: int = 1280
    """Faces: longest side, in pixels, of the picture that they are searched in; larger ones are scaled down to it."""
    min_face_size: int = 20
    """Faces: side, in pixels of that picture, of the smallest that are found."""
    pixel_mean: float | None = None
    """arcface: what is subtracted from pixels of 0 to 255; None: as the model's file tells (see there)."""
    pixel_std: float | None = None
    """arcface: what they are divided by then; None: as the model's file tells."""
    channels: Literal["rgb", "bgr"] = "rgb"
    """arcface: order of the colours."""


@dataclass(frozen=True)
class Embedding:
    """A face in an image, or an image as a whole; of an image as a whole nothing but the vector is known."""

    vector: np.ndarray
    """Unit vector [D], float32."""
    box: tuple[float, ...] | None = None
    """Left, top, right and bottom of the face, in pixels of the whole image."""
    probability: float | None = None
    """How sure the detector is that this is a face, 0 to 1."""
    landmarks: np.ndarray | None = None
    """[5, 2], x and y in pixels: left eye, right eye, nose, left and right corner of the mouth (as one sees it)."""


class Embedder(ABC):
    """Turns images into unit vectors in two steps: `prepare` in processes that decode, `embed` where the model is.

    A backend is made with Weights and raises fit.errors.ModelError when they can't be loaded.
    """

    @property
    @abstractmethod
    def prepare(self):
        """A function from an RGB PIL image to what `embed` takes of it.

        It is pickled and sent to processes without a GPU, so it holds neither weights nor anything on a device.
        """

    @abstractmethod
    def embed(self, prepared: list[Any]) -> list[list[Embedding]]:
        """Every face in each of N prepared images, or each image as a whole: N lists of Found.

        The vectors of an image don't depend on the others of its batch, beyond rounding (1e-4).
        """

    def embed_texts(self, texts):
        """Unit vectors [N, D] of N `texts`, in the space of the images.

        Raises:
            fit.errors.ModelError: this embedder reads no text.
        """
        raise ModelError(
            f"{type(self).__name__} has no text tower; name an openclip model as the art filter's embedder"
        )
