"""Image encoders: one vector per face, or per image."""

from fit.registry import find

REGISTRY = {
    "arcface": "fit.embedders.arcface:ArcFace",
    "csd": "fit.embedders.csd:CSD",
    "facenet": "fit.embedders.facenet:FaceNet",
    "openclip": "fit.embedders.openclip:OpenClip",
    "timm": "fit.embedders.timm:Timm",
    "transformers": "fit.embedders.transformers:Transformers",
}
"""Name in config.yaml -> class of fit.embedders.base.Embedder."""


def load(backend, weights):
    """The embedder `backend` with `weights` (fit.embedders.base.Weights), ready to use.

    Raises:
        ConfigError: there is no such backend.
        ModelError: they can't be loaded.
    """
    return find(REGISTRY, backend, "embedder")(weights)
