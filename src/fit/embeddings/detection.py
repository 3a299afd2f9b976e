"""Finds faces in pictures with MTCNN (facenet-pytorch, whose package holds the weights), and embeds them.

Detection runs in the processes that decode, on processors, one picture at a time. So a face's box depends neither on
the batch nor on the device, and a picture leaves its process as a few small crops.
"""

from abc import abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, partial
from typing import Any

import numpy as np
import torch
from facenet_pytorch import MTCNN
from PIL import Image

from fit.embeddings.base import Embedder, Embedding
from fit.embeddings.settings import EmbedderSettings, FaceSettings

CROPS_AT_ONCE = 64
"""Faces that a recognition network gets at a time: a picture of a crowd may hold hundreds."""


@dataclass(frozen=True)
class Face:
    """A face in a picture; see fit.embeddings.base.Embedding."""

    box: tuple[float, ...]
    probability: float
    landmarks: np.ndarray
    crop: np.ndarray | None = None
    """uint8 [H, W, 3], RGB: what the recognition network gets of it."""


@cache
def _detector(min_face_size: int) -> MTCNN:
    return MTCNN(keep_all=True, min_face_size=min_face_size)


def find_faces(picture: Image.Image, side: int = 1280, min_face_size: int = 20) -> list[Face]:
    """Return the faces in an RGB image, the largest first, without crops.

    Args:
        picture: RGB.
        side: longest side, in pixels, of the picture that is searched; a larger `picture` is scaled down for it.
        min_face_size: side, in pixels of the picture that is searched, of the smallest faces that are found.

    Returns:
        Faces whose box has an area within the picture; boxes and landmarks, in pixels of `picture`, may reach beyond.
    """
    longest = max(picture.size)
    small = picture
    if longest > side:
        width, height = (max(1, round(length * side / longest)) for length in picture.size)
        small = picture.resize((width, height), Image.Resampling.BILINEAR, reducing_gap=2.0)
    # MTCNN has no scale to search such a picture at, and fails.
    if min(small.size) < min_face_size:
        return []
    with torch.inference_mode():
        boxes, probabilities, landmarks = _detector(min_face_size).detect(small, landmarks=True)
    if boxes is None:
        return []
    scale = np.array(picture.size) / small.size
    found = [
        # A box has edges, between pixels; a landmark is the middle of one.
        Face(
            tuple(float(edge) for edge in box * np.tile(scale, 2)),
            float(probability),
            ((points + 0.5) * scale - 0.5).astype(np.float32),
        )
        for box, probability, points in zip(boxes, probabilities, landmarks, strict=True)
    ]
    return [face for face in found if clip(face.box, picture.size) and np.ptp(face.landmarks, axis=0).max() > 1e-3]


def clip(box: Sequence[float], size: tuple[int, int]) -> tuple[int, int, int, int] | None:
    """Return `box` within a picture of `size` (width, height), in whole pixels: left, top, right, bottom.

    None if no pixel is in it.
    """
    left, top = (int(max(edge, 0)) for edge in box[:2])
    right, bottom = (int(min(edge, length)) for edge, length in zip(box[2:], size, strict=True))
    return (left, top, right, bottom) if left < right and top < bottom else None


def cut_out_faces(
    picture: Image.Image, cut: Callable[[Image.Image, Face], np.ndarray], side: int, min_face_size: int
) -> list[Face]:
    """Return the faces in a picture, as find_faces does, with the crops that `cut` makes of them."""
    return [
        Face(face.box, face.probability, face.landmarks, cut(picture, face))
        for face in find_faces(picture, side, min_face_size)
    ]


class FaceEmbedder(Embedder):
    """One vector per face."""

    def __init__(self, settings: EmbedderSettings, faces: FaceSettings):
        """Take how faces are detected from `faces`."""
        super().__init__(settings, faces)
        self._faces = faces

    @abstractmethod
    def cut(self) -> Callable[[Image.Image, Face], np.ndarray]:
        """Return a function, which can be pickled, from an RGB image and a Face in it to its crop: uint8 [H, W, 3]."""

    @abstractmethod
    def recognise(self, crops: np.ndarray) -> np.ndarray:
        """Return vectors [N, D] (float32, of any length) of `crops`, uint8 [N, H, W, 3], N up to CROPS_AT_ONCE."""

    @property
    def prepare(self) -> Callable[[Image.Image], Any]:
        return partial(
            cut_out_faces, cut=self.cut(), side=self._faces.detection_side, min_face_size=self._faces.min_face_size
        )

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
