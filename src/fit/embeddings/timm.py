"""Any image model of timm, by hub id or by folder."""

import timm
import torch
from timm.data import create_transform, resolve_data_config

from fit.embeddings.base import Embedder, Embedding
from fit.embeddings.loading import FAILURES, device, hub_as_allowed, number_format, refusal, unit_vectors

FORMS = "hf-hub:timm/NAME, or local-dir:FOLDER with config.json and model.safetensors"


class Timm(Embedder):
    """One vector per image: what the model's classifier takes."""

    def __init__(self, weights):
        """Load `weights.model`: "hf-hub:ID" or "local-dir:FOLDER".

        Raises:
            ModelError: timm can't load it.
        """
        self._weights = weights
        self._device, self._format = device(), number_format(weights)
        try:
            with hub_as_allowed(weights):
                # With its classifier, which is removed afterwards: timm loads strictly only what it need not adapt.
                network = timm.create_model(weights.model, pretrained=True)
        except FAILURES as error:
            raise refusal(weights, "timm", error, FORMS) from error
        network.reset_classifier(0)
        self._preparation = create_transform(**resolve_data_config({}, model=network), is_training=False)
        self._network = network.eval().to(self._device, self._format)

    @property
    def prepare(self):
        return self._preparation

    @torch.inference_mode()
    def embed(self, prepared):
        features = self._network(torch.stack(prepared).to(self._device, self._format))
        return [[Embedding(vector)] for vector in unit_vectors(features)]
