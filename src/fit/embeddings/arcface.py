"""Embeds faces, found with MTCNN and aligned on five landmarks, with an ONNX model as InsightFace publishes them."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import onnxruntime
import torch
from onnxruntime.capi import onnxruntime_pybind11_state as raised
from PIL import Image

from fit.embeddings.alignment import align
from fit.embeddings.detection import MTCNNEmbedder
from fit.embeddings.faces import Face
from fit.embeddings.loading import brief
from fit.embeddings.settings import EmbedderSettings, FaceSettings
from fit.errors import ModelError
from fit.io.shown import number_of

PUBLISHED = (
    "InsightFace's model zoo (https://github.com/deepinsight/insightface/tree/master/model_zoo) publishes such files: "
    "glintr100.onnx in the pack antelopev2, w600k_r50.onnx in buffalo_l"
)
FIRST_NODES = 8
"""InsightFace looks at as many nodes for a normalisation within the model."""

LARGEST_BATCH = 1024
"""Faces of a batch that a file may insist on: 150 kB each, and the last batch is filled up to it."""

_RAISED = [kind for kind in vars(raised).values() if isinstance(kind, type) and issubclass(kind, Exception)]
UNLOADABLE: tuple[type[Exception], ...] = (*_RAISED, UnicodeDecodeError)
"""What onnxruntime raises, which has no base but Exception, where a file is not a model that it can run; the last where
names in it are not UTF-8."""
UNRUNNABLE: tuple[type[Exception], ...] = (*_RAISED, TypeError, ValueError)
"""As UNLOADABLE, where it can't be run; the last two where an output is not a tensor of numbers."""


class ArcFace(MTCNNEmbedder):
    """One vector per face."""

    def __init__(self, settings: EmbedderSettings, faces: FaceSettings):
        """Load `settings.model`: a file with an ONNX network from aligned faces to vectors.

        Its input is float [N, 3, 112, 112] or [N, 3, 112, 96], N fixed or not. The file keeps its own number format.
        Pixels are scaled by `faces.pixel_mean` and `faces.pixel_std`: one number, or one for each channel in the order
        in which the network gets them (`faces.channels`). Where these are None: not at all (0 and 1)
        if the network subtracts and multiplies (or divides) among its first eight nodes, else by 127.5 and 127.5;
        which is InsightFace's rule.

        Raises:
            ModelError: there is no such file, it is not an ONNX model, or it has other inputs or outputs; or there are
                neither one nor three numbers for the channels.
        """
        super().__init__(settings, faces)
        path = settings.model
        if not Path(path).is_file():
            raise ModelError(
                f"{path}: there is no such file; `embedders.NAME.model` in config.yaml is the path of an ONNX "
                f"recognition model. {PUBLISHED}"
            )
        if settings.dtype not in ("auto", "float32"):
            raise ModelError(
                f"{path}: an ONNX file says its number format itself; leave out the embedder's `dtype` "
                f"({settings.dtype!r} in config.yaml)"
            )
        self._path, self._session = path, _open(path)
        self._input, self._format, self._batch, self._size = _expected_input(self._session, path)
        scaled_inside = None in (faces.pixel_mean, faces.pixel_std) and normalises_itself(path)
        mean, std = (0.0, 1.0) if scaled_inside else (127.5, 127.5)
        self._mean = _per_channel(mean if faces.pixel_mean is None else faces.pixel_mean, "pixel_mean")
        self._std = _per_channel(std if faces.pixel_std is None else faces.pixel_std, "pixel_std")
        self._order = slice(None, None, -1 if faces.channels == "bgr" else 1)
        width, height = self._size
        try:
            found = self.recognise(np.zeros((1, height, width, 3), np.uint8))
        except (MemoryError, torch.OutOfMemoryError) as error:
            raise ModelError(
                f"{path}: the memory is not enough for one batch of this model ({brief(error)})"
            ) from error
        if found.ndim != 2 or len(found) != 1 or not found.shape[1]:
            raise ModelError(
                f"{path}: expected a vector per face, an output [N, D], found {list(found.shape)} for one face; "
                f"this is not a recognition model. {PUBLISHED}"
            )

    def cut(self) -> Callable[[Image.Image, Face], np.ndarray]:
        return partial(cut_out, size=self._size)

    def recognise(self, crops: np.ndarray) -> np.ndarray:
        scaled = (np.asarray(crops, np.float32)[..., self._order] - self._mean) / self._std
        batch = np.ascontiguousarray(scaled.transpose(0, 3, 1, 2).astype(self._format))
        if self._batch is None:
            return self._run(batch)
        parts = [batch[start : start + self._batch] for start in range(0, len(batch), self._batch)]
        # The last part is filled up to the size that the model insists on.
        whole = [np.concatenate([part, np.repeat(part[:1], self._batch - len(part), 0)]) for part in parts]
        return np.concatenate([self._run(full)[: len(part)] for part, full in zip(parts, whole, strict=True)])

    def _run(self, batch: np.ndarray) -> np.ndarray:
        try:
            return np.asarray(self._session.run(None, {self._input: batch})[0], np.float32)
        except UNRUNNABLE as error:
            if "allocate memory" in str(error):
                raise torch.OutOfMemoryError(str(error)) from error
            raise ModelError(
                f"{self._path}: onnxruntime can't run this model on aligned faces ({brief(error)}). {PUBLISHED}"
            ) from error


def cut_out(picture: Image.Image, face: Face, size: tuple[int, int]) -> np.ndarray:
    """Return the crop of a face for a network that takes `size` (width, height) pixels: uint8 [height, width, 3]."""
    assert face.landmarks is not None  # MTCNN finds them
    return align(picture, face.landmarks, size)


def _per_channel(numbers: float | tuple[float, ...], name: str) -> np.ndarray:
    """Return the setting `name`, one number or one for each channel, as float32 [1] or [3].

    Raises:
        ModelError: there are more or fewer.
    """
    found = np.atleast_1d(np.asarray(numbers, np.float32))
    if len(found) not in (1, 3):
        raise ModelError(
            f"the embedder's `{name}` has {len(found)} numbers; give one, or three: one for each channel, in the order "
            "that `channels` says"
        )
    return found


def _open(path: str) -> onnxruntime.InferenceSession:
    """Return an ONNX session on the GPU where onnxruntime has one, else on as many processors as torch may use."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # idle threads leave their processor
    options.log_severity_level = 3
    wanted = ("CUDAExecutionProvider", "CPUExecutionProvider")
    there = onnxruntime.get_available_providers()
    try:
        return onnxruntime.InferenceSession(path, options, providers=[name for name in wanted if name in there])
    except UNLOADABLE as error:
        raise ModelError(
            f"{path}: onnxruntime can't load this as an ONNX model ({brief(error)}). {PUBLISHED}"
        ) from error


def _expected_input(
    session: onnxruntime.InferenceSession, path: str
) -> tuple[str, type[np.float32] | type[np.float16], int | None, tuple[int, int]]:
    """Return (name, number format, fixed batch or None, (width, height)) of what the model takes.

    Raises:
        ModelError: it does not take faces.
    """
    try:
        inputs = [f"{node.name}: {node.type} {node.shape}" for node in session.get_inputs()]
    except UnicodeDecodeError as error:
        raise ModelError(f"{path}: the names of its inputs are not text ({error}). {PUBLISHED}") from error
    problem = ModelError(
        f"{path}: expected one input of float [N, 3, 112, 112] or [N, 3, 112, 96], aligned faces; "
        f"found {'; '.join(inputs)}. {PUBLISHED}"
    )
    if len(inputs) != 1:
        raise problem
    (node,) = session.get_inputs()
    formats: dict[str, type[np.float32] | type[np.float16]] = {
        "tensor(float)": np.float32,
        "tensor(float16)": np.float16,
    }
    if node.type not in formats or len(node.shape) != 4:
        raise problem
    batch, channels, height, width = node.shape
    # A name, or None, means a length that the model leaves open.
    height, width = (112 if not isinstance(length, int) else length for length in (height, width))
    if channels != 3 or height != 112 or width not in (112, 96):
        raise problem
    if not isinstance(batch, int):
        return node.name, formats[node.type], None, (width, height)
    if not 1 <= batch <= LARGEST_BATCH:
        raise ModelError(
            f"{path}: it takes {number_of(batch, 'face')} at a time, and 1 to {LARGEST_BATCH} can be given; export the "
            f"model with a batch size that is left open, or a smaller one. {PUBLISHED}"
        )
    return node.name, formats[node.type], batch, (width, height)


def normalises_itself(path: str | Path) -> bool:
    """Whether the ONNX network in a file subtracts and multiplies (or divides) among its first nodes.

    Raises:
        ModelError: its nodes can't be read.
    """
    import onnx  # here, because most settings of pixels need no look into the file
    from google.protobuf.message import DecodeError

    try:
        graph = onnx.load(str(path), load_external_data=False).graph
        operators = [node.op_type for node in graph.node[:FIRST_NODES]]
    except (DecodeError, OSError, UnicodeDecodeError) as error:
        raise ModelError(
            f"{path}: the first operators of this ONNX model can't be read ({brief(error)}), which tell how pixels are "
            "scaled; give the embedder's `pixel_mean` and `pixel_std`, or get the file again"
        ) from error
    return "Sub" in operators and ("Mul" in operators or "Div" in operators)
