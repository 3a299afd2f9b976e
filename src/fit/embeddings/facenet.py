"""Faces: found with MTCNN, embedded with InceptionResnetV1 (facenet-pytorch)."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from facenet_pytorch import InceptionResnetV1
from facenet_pytorch.models.inception_resnet_v1 import get_torch_home
from PIL import Image

from fit.embeddings.detection import MTCNNEmbedder
from fit.embeddings.faces import Face, clip
from fit.embeddings.loading import device, load_exactly, may_download, number_format, read_tensors, unit_vectors
from fit.embeddings.settings import EmbedderSettings, FaceSettings
from fit.errors import ModelError

PRETRAINED = {"vggface2": "20180402-114759-vggface2.pt", "casia-webface": "20180408-102900-casia-webface.pt"}
"""Name of a published set of weights -> its file among the releases of facenet-pytorch, and in the library's cache."""
RELEASES = "https://github.com/timesler/facenet-pytorch/releases/tag/v2.2.9"
SIDE = 160
"""Of the crops that the network was trained on, in pixels."""


class FaceNet(MTCNNEmbedder):
    """One vector per face."""

    def __init__(self, settings: EmbedderSettings, faces: FaceSettings):
        """Load `settings.model`: the name of a published set of weights, or a file with the network's state dict.

        A published set is read from where the library keeps it (checkpoints/ in torch's cache, which TORCH_HOME
        moves); it is fetched if it is not there and `settings` allow it.

        Raises:
            ModelError: it is neither, there is no such file, or it does not fit the network.
        """
        super().__init__(settings, faces)
        self._device, self._dtype = device(), number_format(settings)
        path = _locate(settings)
        with torch.device("meta"):
            network = InceptionResnetV1()
        load_exactly(network, _read(path), path)
        self._network = network.eval().to(self._device, self._dtype)

    def cut(self) -> Callable[[Image.Image, Face], np.ndarray]:
        return cut_out

    @torch.inference_mode()
    def recognise(self, crops: np.ndarray) -> np.ndarray:
        pixels = torch.from_numpy(crops).to(self._device).permute(0, 3, 1, 2)
        standardised = ((pixels.float() - 127.5) / 128).to(self._dtype)
        return unit_vectors(self._network(standardised))


def cut_out(picture: Image.Image, face: Face) -> np.ndarray:
    """Return the crop of a face, uint8 [160, 160, 3]: its box within the picture, scaled as facenet-pytorch does it."""
    box = clip(face.box, picture.size)
    assert box is not None  # find_faces leaves out faces beyond the picture
    return np.asarray(picture.crop(box).resize((SIDE, SIDE), Image.Resampling.BILINEAR))


def _locate(settings: EmbedderSettings) -> Path:
    """Return the file of the weights; a published set is fetched if it has to be, and may be."""
    model = settings.model
    if model not in PRETRAINED:
        if not Path(model).is_file():
            raise ModelError(
                f"{model}: neither a file nor one of {', '.join(PRETRAINED)}; fix the embedder's `model` in "
                f"config.yaml (embedders.NAME.model). The published weights are files of {RELEASES}"
            )
        return Path(model)
    path = Path(get_torch_home(), "checkpoints", PRETRAINED[model])
    if path.is_file():
        return path
    where = (
        f"get {PRETRAINED[model]} from {RELEASES} and put it there, or give its path as the embedder's `model` in "
        "config.yaml (embedders.NAME.model)"
    )
    if not may_download(settings):
        raise ModelError(
            f"{path}: the weights {model!r} are not on this machine; {where}, or let them be fetched "
            "(embedders.NAME.download: true, and HF_HUB_OFFLINE not set)"
        )
    try:
        InceptionResnetV1(pretrained=model)  # leaves them in its cache
    except (OSError, RuntimeError) as error:  # no network, a broken answer
        raise ModelError(f"{path}: the weights {model!r} can't be fetched ({error}); {where}") from error
    return path


def _read(path: Path) -> dict[str, torch.Tensor]:
    """Return the tensors of the network in a file, without those of the classifier that it was trained with."""
    state = read_tensors(path)
    if not isinstance(state, dict) or not all(isinstance(value, torch.Tensor) for value in state.values()):
        raise ModelError(
            f"{path}: expected a state dict of InceptionResnetV1 (names and tensors), found {type(state).__name__}; "
            f"save `network.state_dict()`, or get a file of {RELEASES}"
        )
    return {name: value for name, value in state.items() if not name.startswith("logits.")}
