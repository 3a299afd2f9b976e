"""Image encoders: one vector per face, or per image."""

from fit.registry import find

REGISTRY = {
    "facenet": "fit.embedders.facenet:FaceNet",
    "openclip": "fit.embedders.openclip:OpenClip",
}
"""Name in config.yaml -> class of fit.embedders.base.Embedder."""


def load(backend, model):
    """The embedder `backend` with the weights `model`, ready to use.

    Raises:
        ConfigError: there is no such backend.
        ModelError: `model` can't be loaded.
    """
    return find(REGISTRY, backend, "embedder")(model)
