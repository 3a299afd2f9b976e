"""Any open_clip model, by name with a pretrained tag, by hub id or by folder."""

import logging

import open_clip
import torch

from fit.embedders.base import Embedder, Found
from fit.errors import ModelError


class OpenClip(Embedder):
    """One vector per image."""

    def __init__(self, weights):
        """Load `weights.model`: "local-dir:FOLDER", "hf-hub:ID", or "NAME/PRETRAINED_TAG" as open_clip lists them.

        Raises:
            ModelError: open_clip can't load it.
        """
        model = weights.model
        name, _, tag = model.partition("/") if ":" not in model else (model, "", "")
        try:
            self._model, _, self._preprocess = open_clip.create_model_and_transforms(
                name, pretrained=tag or None, require_pretrained=True
            )
            self._tokenize = open_clip.get_tokenizer(name)
        except (FileNotFoundError, OSError, RuntimeError, ValueError, KeyError) as error:
            raise ModelError(
                f"{model}: open_clip can't load this model ({error}); give local-dir:FOLDER, hf-hub:ID or NAME/TAG"
            ) from error
        logging.captureWarnings(True)
        self._device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self._model.eval().to(self._device)

    @property
    def prepare(self):
        return self._preprocess

    @torch.inference_mode()
    def embed(self, prepared):
        batch = torch.stack(prepared).to(self._device)
        vectors = self._model.encode_image(batch, normalize=True).float().cpu().numpy()
        return [[Found(vector)] for vector in vectors]

    @torch.inference_mode()
    def embed_texts(self, texts):
        return (
            self._model.encode_text(self._tokenize(list(texts)).to(self._device), normalize=True).float().cpu().numpy()
        )
