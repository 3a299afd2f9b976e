"""Any vision model of transformers (DINOv2, ViT, the image towers of CLIP and SigLIP ...), by hub id or by folder."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from PIL import Image
from transformers import AutoConfig, AutoImageProcessor, AutoModel

from fit.embeddings.base import Embedder, Embedding
from fit.embeddings.loading import FAILURES, device, hub_as_allowed, number_format, refusal, unit_vectors
from fit.embeddings.settings import EmbedderSettings, FaceSettings
from fit.errors import ModelError

FORMS = "a folder that save_pretrained wrote or hf-hub:ID, of a vision model with safetensors"


@dataclass(frozen=True)
class _Preparation:
    """The model's own image processor, for one image."""

    processor: Any

    def __call__(self, picture: Image.Image) -> torch.Tensor:
        return self.processor(images=picture, return_tensors="pt")["pixel_values"][0]


class Transformers(Embedder):
    """One vector per image: the model's pooled output, or its class token where the checkpoint has no pooler."""

    def __init__(self, settings: EmbedderSettings, faces: FaceSettings):
        """Load `settings.model`: a folder (with or without "local-dir:"), or a hub id (with or without "hf-hub:").

        Of a model with several towers, only the image tower is loaded. Code that comes with a model is never run, and
        pickles are not read.

        Raises:
            ModelError: it can't be loaded, or the checkpoint lacks weights of the network.
        """
        super().__init__(settings, faces)
        self._device, self._format = device(), number_format(settings)
        place, revision = _place(settings.model)
        safely = {"trust_remote_code": False, "revision": revision}
        try:
            with hub_as_allowed(settings):
                self._preparation = _Preparation(AutoImageProcessor.from_pretrained(place, **safely))
                config = AutoConfig.from_pretrained(place, **safely)
                network, report = AutoModel.from_pretrained(
                    place,
                    config=getattr(config, "vision_config", config),
                    dtype=self._format,
                    use_safetensors=True,
                    output_loading_info=True,
                    **safely,
                )
        except FAILURES as error:
            raise refusal(settings, "transformers", error, FORMS) from error
        self._network = network.eval().to(self._device)
        # A classifier's checkpoint has no pooler, and transformers adds one of random numbers.
        missing = [name for name in report["missing_keys"] if "pooler" not in name]
        self._has_pooler = len(missing) == len(report["missing_keys"])
        if missing:
            raise ModelError(
                f"{settings.model}: the checkpoint lacks {len(missing)} weights of {type(network).__name__}, such as "
                f"{min(missing)}; give {FORMS}"
            )

    @property
    def prepare(self) -> Callable[[Image.Image], Any]:
        return self._preparation

    @torch.inference_mode()
    def embed(self, prepared: Sequence[Any]) -> list[list[Embedding]]:
        output = self._network(pixel_values=torch.stack(prepared).to(self._device, self._format))
        pooled = output.get("pooler_output") if self._has_pooler else None
        # Convolutional networks pool to [N, D, 1, 1].
        features = output.last_hidden_state[:, 0] if pooled is None else pooled.flatten(1)
        return [[Embedding(vector)] for vector in unit_vectors(features)]


def _place(model: str) -> tuple[str, str | None]:
    """Return (folder or hub id, revision or None) that `model` names."""
    if not model.startswith("hf-hub:"):
        return model.removeprefix("local-dir:"), None
    repository, _, revision = model.removeprefix("hf-hub:").partition("@")
    return repository, revision or None
