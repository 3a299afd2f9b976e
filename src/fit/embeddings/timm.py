"""Any image model of timm, by hub id or by folder."""

from collections.abc import Callable, Sequence
from typing import Any

import timm
import torch
from PIL import Image
from timm.data import create_transform, resolve_data_config

from fit.embeddings.base import Embedder, Embedding
from fit.embeddings.loading import FAILURES, device, hub_as_allowed, number_format, refusal, unit_vectors
from fit.embeddings.settings import EmbedderSettings, FaceSettings

FORMS = "hf-hub:timm/NAME, or local-dir:FOLDER with config.json and model.safetensors"


class Timm(Embedder):
    """One vector per image: what the model's classifier takes."""

    def __init__(self, settings: EmbedderSettings, faces: FaceSettings):
        """Load `settings.model`: "hf-hub:ID" or "local-dir:FOLDER".

        Raises:
            ModelError: timm can't load it.
        """
        super().__init__(settings, faces)
        self._device, self._format = device(), number_format(settings)
        try:
            with hub_as_allowed(settings):
                # With its classifier, which is removed afterwards: timm checks only weights that it does not adapt.
                network = timm.create_model(settings.model, pretrained=True)
        except FAILURES as error:
            raise refusal(settings, "timm", error, FORMS) from error
        network.reset_classifier(0)
        self._preparation = create_transform(**resolve_data_config({}, model=network), is_training=False)
        self._network = network.eval().to(self._device, self._format)

    @property
    def prepare(self) -> Callable[[Image.Image], Any]:
        return self._preparation

    @torch.inference_mode()
    def embed(self, prepared: Sequence[Any]) -> list[list[Embedding]]:
        features = self._network(torch.stack(prepared).to(self._device, self._format))
        return [[Embedding(vector)] for vector in unit_vectors(features)]
