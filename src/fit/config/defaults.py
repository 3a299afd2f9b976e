"""What a study need not say: the embedders that are known by name, and which study a run makes."""

from typing import Any

EMBEDDERS: dict[str, dict[str, Any]] = {
    "arcface": {"backend": "arcface", "model": "weights/glintr100.onnx", "threads": 8},
    "facenet": {"backend": "facenet", "model": "vggface2", "download": True, "threads": 8},
    "dlib": {"backend": "dlib", "model": "face_recognition_models", "threads": 2, "gpus": 0},
    "csd": {"backend": "csd", "model": "weights/csd.safetensors"},
    "clip-vit-l-14": {"backend": "openclip", "model": "ViT-L-14-quickgelu/openai", "download": True},
    "dinov2-large": {"backend": "transformers", "model": "hf-hub:facebook/dinov2-large", "download": True},
    "dfn5b-vit-h-14-384": {
        "backend": "openclip",
        "model": "hf-hub:apple/DFN5B-CLIP-ViT-H-14-378",
        "download": True,
    },
}
"""Name -> section of an embedder that a configuration may use without a section of its own.

Weights in `weights/` are files that a user puts into the folder of the study: to read their
licence first (ArcFace), or to convert them (CSD).
"""
STUDY = "study"
"""Name of the study of all models in all domains, where a configuration has no `studies`."""


def _embedder(name: str, given: Any) -> Any:
    """Return a section of `embedders`: a built-in one, some of whose keys are given, or what is given."""
    if name in EMBEDDERS and isinstance(given, dict) and "backend" not in given:
        return EMBEDDERS[name] | given
    return given


def with_defaults(data: dict[str, Any]) -> dict[str, Any]:
    """Return the contents of a configuration with what it leaves out.

    - `embedders`: those of EMBEDDERS; keys that are given replace theirs, a section with a `backend` the whole.
    - `studies`: one study, STUDY, of all models in all domains.
    - `default_study`: the only study. Where there are several, it stays away.
    """
    filled = dict(data)
    embedders = data.get("embedders", {})
    if isinstance(embedders, dict):
        filled["embedders"] = EMBEDDERS | {name: _embedder(name, given) for name, given in embedders.items()}
    models, domains = data.get("models"), data.get("domains")
    if "studies" not in data and isinstance(models, dict) and isinstance(domains, dict):
        filled["studies"] = {STUDY: {"models": list(models), "domains": list(domains)}}
    studies = filled.get("studies")
    if "default_study" not in data and isinstance(studies, dict) and len(studies) == 1:
        filled["default_study"] = next(iter(studies))
    return filled
