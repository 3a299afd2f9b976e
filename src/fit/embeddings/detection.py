"""Finds faces in pictures with MTCNN (facenet-pytorch, whose package holds the weights), and embeds them.

Detection runs in the processes that decode, on processors, one picture at a time. So a face's box depends neither on
the batch nor on the device, and a picture leaves its process as a few small crops.
"""

from abc import abstractmethod
from collections.abc import Callable
from functools import cache, partial
from typing import Any

import numpy as np
import torch
from facenet_pytorch import MTCNN
from PIL import Image

from fit.embeddings.faces import Face, FaceEmbedder, clip, scaled_down


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
    small = scaled_down(picture, side)
    # MTCNN has no scale to search such a picture at, and fails.
    if min(small.size) < min_face_size:
        return []
    with torch.inference_mode():
        boxes, probabilities, landmarks = _detector(min_face_size).detect(small, landmarks=True)
    if boxes is None:
        return []
    scale = np.array(picture.size) / small.size
    found = []
    for box, probability, points in zip(boxes, probabilities, landmarks, strict=True):
        # A box has edges, between pixels; a landmark is the middle of one.
        edges = tuple(float(edge) for edge in box * np.tile(scale, 2))
        of_picture = ((points + 0.5) * scale - 0.5).astype(np.float32)
        if clip(edges, picture.size) and np.ptp(of_picture, axis=0).max() > 1e-3:
            found.append(Face(edges, float(probability), of_picture))
    return found


def cut_out_faces(
    picture: Image.Image, cut: Callable[[Image.Image, Face], np.ndarray], side: int, min_face_size: int
) -> list[Face]:
    """Return the faces in a picture, as find_faces does, with the crops that `cut` makes of them."""
    return [
        Face(face.box, face.probability, face.landmarks, cut(picture, face))
        for face in find_faces(picture, side, min_face_size)
    ]


class MTCNNEmbedder(FaceEmbedder):
    """One vector per face, of those that MTCNN finds."""

    @abstractmethod
    def cut(self) -> Callable[[Image.Image, Face], np.ndarray]:
        """Return a function, which can be pickled, from an RGB image and a Face in it to its crop: uint8 [H, W, 3]."""

    @property
    def prepare(self) -> Callable[[Image.Image], Any]:
        return partial(
            cut_out_faces, cut=self.cut(), side=self._faces.detection_side, min_face_size=self._faces.min_face_size
        )
