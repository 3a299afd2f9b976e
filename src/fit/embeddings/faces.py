"""What embedders of faces share, however faces are found: the face, its crop, and one vector for each."""

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

from fit.embeddings.base import Embedder, Embedding
from fit.embeddings.settings import EmbedderSettings, FaceSettings

CROPS_AT_ONCE = 64
"""Faces that a recognition network gets at a time: a picture of a crowd may hold hundreds."""


@dataclass(frozen=True)
class Face:
    """A face in a picture; see fit.embeddings.base.Embedding."""

    box: tuple[float, ...]
    probability: float | None
    landmarks: np.ndarray | None
    crop: np.ndarray | None = None
    """uint8 [H, W, 3], RGB: what the recognition network gets of it."""


def clip(box: Sequence[float], size: tuple[int, int]) -> tuple[int, int, int, int] | None:
    """Return `box` within a picture of `size` (width, height), in whole pixels: left, top, right, bottom.

    None if no pixel is in it.
    """
    left, top = (int(max(edge, 0)) for edge in box[:2])
    right, bottom = (int(min(edge, length)) for edge, length in zip(box[2:], size, strict=True))
    return (left, top, right, bottom) if left < right and top < bottom else None


def scaled_down(picture: Image.Image, side: int) -> Image.Image:
    """Return `picture`, scaled down to the longest side `side`, in pixels, where it is larger."""
    longest = max(picture.size)
    if longest <= side:
        return picture
    width, height = (max(1, round(length * side / longest)) for length in picture.size)
    return picture.resize((width, height), Image.Resampling.BILINEAR, reducing_gap=2.0)


class FaceEmbedder(Embedder):
    """One vector per face. `prepare` returns the faces of a picture with their crops: a list of Face."""

    def __init__(self, settings: EmbedderSettings, faces: FaceSettings):
        """Take how faces are detected from `faces`."""
        super().__init__(settings, faces)
        self._faces = faces

    @abstractmethod
    def recognise(self, crops: np.ndarray) -> np.ndarray:
        """Return vectors [N, D] (float32, of any length) of `crops`, uint8 [N, H, W, 3], N up to CROPS_AT_ONCE."""

    def embed(self, prepared: Sequence[Any]) -> list[list[Embedding]]:
        crops = [face.crop for of_image in prepared for face in of_image]
        vectors: list[np.ndarray] = []
        for start in range(0, len(crops), CROPS_AT_ONCE):
            part = self.recognise(np.stack(crops[start : start + CROPS_AT_ONCE]))
            with np.errstate(invalid="ignore"):  # fit.embeddings.run reports it, with the picture's name
                vectors += list(part / np.maximum(np.linalg.norm(part, axis=1, keepdims=True), 1e-12))
        vector = iter(vectors)
        return [
            [Embedding(next(vector), face.box, face.probability, face.landmarks) for face in of_image]
            for of_image in prepared
        ]
