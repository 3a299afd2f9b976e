"""Any open_clip model, by name with a pretrained tag, by hub id or by folder."""

from collections.abc import Callable, Sequence
from threading import Lock
from typing import Any

import numpy as np
import open_clip
import torch
from open_clip.transform import PreprocessCfg, image_transform_v2
from PIL import Image

from fit.embeddings.base import Embedder, Embedding
from fit.embeddings.loading import FAILURES, device, hub_as_allowed, number_format, refusal, unit_vectors
from fit.embeddings.settings import EmbedderSettings, FaceSettings

FORMS = "local-dir:FOLDER, hf-hub:ID, or NAME/TAG as open_clip lists them"


class OpenClip(Embedder):
    """One vector per image; texts in the same space, where the model has a text tower."""

    def __init__(self, settings: EmbedderSettings, faces: FaceSettings):
        """Load `settings.model`: "local-dir:FOLDER", "hf-hub:ID", or "NAME/TAG" (the tag may be a checkpoint's file).

        Raises:
            ModelError: open_clip can't load it, or it is not on this machine and may not be fetched.
        """
        super().__init__(settings, faces)
        self._device, self._format = device(), number_format(settings)
        # Both towers until the first image is embedded, which needs one of them only.
        self._model = _create(settings)
        self._visual: Any = None
        self._moving = Lock()
        self._preprocess = image_transform_v2(PreprocessCfg(**self._model.visual.preprocess_cfg), is_train=False)

    @property
    def prepare(self) -> Callable[[Image.Image], Any]:
        return self._preprocess

    @torch.inference_mode()
    def embed(self, prepared: Sequence[Any]) -> list[list[Embedding]]:
        with self._moving:  # batches come from two threads
            if self._visual is None:
                self._visual = self._model.visual.to(self._device, self._format)
                self._model = None
        features = self._visual(torch.stack(prepared).to(self._device, self._format))
        if isinstance(features, tuple):  # CoCa's tower, with the tokens for its captions
            features = features[0]
        return [[Embedding(vector)] for vector in unit_vectors(features)]

    @torch.inference_mode()
    def embed_texts(self, texts: Sequence[str]) -> np.ndarray:
        # On the processor, in full precision: texts are few beside images.
        model = self._model or _create(self._settings)
        try:
            with hub_as_allowed(self._settings):
                tokens = open_clip.get_tokenizer(_name_and_tag(self._settings.model)[0])(list(texts))
        except FAILURES as error:
            raise refusal(self._settings, "open_clip finds no tokenizer, so it", error, FORMS) from error
        return np.concatenate([unit_vectors(model.encode_text(some)) for some in tokens.split(64)])


def _name_and_tag(model: str) -> tuple[str, str]:
    """Return the name and the pretrained tag ("" without one) of `model`."""
    name, _, tag = model.partition("/") if ":" not in model else (model, "", "")
    return name, tag


def _create(settings: EmbedderSettings) -> Any:
    """Return the model with both towers, in float32 on the processor."""
    name, tag = _name_and_tag(settings.model)
    published = open_clip.get_pretrained_cfg(name, tag) if tag else {}
    try:
        with hub_as_allowed(settings):
            # Where a tag was trained with QuickGELU and the name lacks -quickgelu, open_clip warns and goes on with a
            # network that is not the published one.
            quick = bool(published.get("quick_gelu"))
            options = {"force_quick_gelu": quick, "require_pretrained": True, "weights_only": True}
            return open_clip.create_model(name, pretrained=tag or None, **options).eval()
    except FAILURES as error:
        raise refusal(settings, "open_clip", error, FORMS) from error
