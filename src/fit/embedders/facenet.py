"""Faces: found with MTCNN, embedded with InceptionResnetV1 (facenet-pytorch)."""

from pathlib import Path

import torch
from facenet_pytorch import MTCNN, InceptionResnetV1

from fit.embedders.base import Embedder, Found
from fit.errors import ModelError

PRETRAINED = ("vggface2", "casia-webface")


def _as_it_is(picture):
    return picture


class FaceNet(Embedder):
    """One vector per face."""

    def __init__(self, weights):
        """Load `weights.model`: the name of a pretrained set, or a file with the network's state dict.

        Raises:
            ModelError: it is neither.
        """
        model = weights.model
        self._device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        if model in PRETRAINED:
            network = InceptionResnetV1(pretrained=model)
        elif Path(model).is_file():
            network = InceptionResnetV1()
            weights = torch.load(model, map_location="cpu", weights_only=True)
            network.load_state_dict({k: v for k, v in weights.items() if not k.startswith("logits.")}, strict=False)
        else:
            raise ModelError(f"{model}: neither a file nor one of {', '.join(PRETRAINED)}; mend the embedder's `model`")
        self._network = network.eval().to(self._device)
        self._detector = MTCNN(keep_all=True, device=self._device)

    @property
    def prepare(self):
        return _as_it_is

    @torch.inference_mode()
    def embed(self, prepared):
        found: list[list[Found]] = []
        # Pictures differ in size, which MTCNN's batches don't allow.
        for picture in prepared:
            boxes, _ = self._detector.detect(picture)
            if boxes is None:
                found.append([])
                continue
            crops = self._detector.extract(picture, boxes, save_path=None).to(self._device)
            vectors = self._network(crops).float().cpu().numpy()
            found.append([Found(v, (*map(float, box),)) for v, box in zip(vectors, boxes, strict=True)])
        return found
