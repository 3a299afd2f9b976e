"""Image encoders: one vector per face, or per image."""

from fit.registry import find

REGISTRY = {
    "arcface": "fit.embeddings.arcface:ArcFace",
    "csd": "fit.embeddings.csd:CSD",
    "facenet": "fit.embeddings.facenet:FaceNet",
    "openclip": "fit.embeddings.openclip:OpenClip",
    "timm": "fit.embeddings.timm:Timm",
    "transformers": "fit.embeddings.transformers:Transformers",
}
"""Name in config.yaml -> class of fit.embeddings.base.Embedder."""


def load(backend, weights):
    """The embedder `backend` with `weights` (fit.embeddings.base.Weights), ready to use.

    Raises:
        ConfigError: there is no such backend.
        ModelError: they can't be loaded.
    """
    return find(REGISTRY, backend, "embedder")(weights)
