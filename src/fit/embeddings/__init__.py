"""Image encoders: one vector per face, or per image."""

from typing import TYPE_CHECKING

from fit.registry import find

if TYPE_CHECKING:
    from fit.embeddings.base import Embedder
    from fit.embeddings.settings import EmbedderSettings, FaceSettings

REGISTRY = {
    "arcface": "fit.embeddings.arcface:ArcFace",
    "csd": "fit.embeddings.csd:CSD",
    "dlib": "fit.embeddings.dlib:Dlib",
    "facenet": "fit.embeddings.facenet:FaceNet",
    "openclip": "fit.embeddings.openclip:OpenClip",
    "timm": "fit.embeddings.timm:Timm",
    "transformers": "fit.embeddings.transformers:Transformers",
}
"""Name in config.yaml -> class of fit.embeddings.base.Embedder."""
WHOLE_IMAGES = ("csd", "openclip", "timm", "transformers")
"""Names of embedders that embed images as they are; the others, and those of other packages, may look for faces."""
ENTRY_POINTS = "fit.embedders"
"""Group of entry points by which other packages bring embedders."""
VERSIONS = {"embed_images": 3, "embed_art_texts": 2, "embed_prompts": 1}
"""Stage -> number that goes up when its results change, so that its jobs run again."""


def load(backend: str, settings: "EmbedderSettings", faces: "FaceSettings") -> "Embedder":
    """Return the embedder `backend` with its weights, ready to use.

    Raises:
        ConfigError: there is no such backend.
        ModelError: its weights can't be loaded.
    """
    from fit.embeddings.base import Embedder

    return find(REGISTRY, backend, "embedder", ENTRY_POINTS, Embedder.__abstractmethods__)(settings, faces)
