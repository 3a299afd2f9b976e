"""Errors that a user can mend. Each message names the file, the concept, key or line, and the remedy."""

import sys
from pathlib import Path

_SAID: set[str] = set()


def forget_said():
    """Begin a command: what an earlier one in this process said is said again."""
    _SAID.clear()


def say_once(message):
    """Say `message` on stderr, once in a command: a file may be opened several times, and its remark is one."""
    if message not in _SAID:
        _SAID.add(message)
        print(f"fit: {message}", file=sys.stderr)


class FitError(Exception):
    """Base of every error that `fit` raises on purpose; the command line prints it without a traceback."""


class ConfigError(FitError):
    """config.yaml says something that can't be."""


class SheetError(FitError):
    """A concept sheet is not usable."""


class CorpusError(FitError):
    """A file of the caption corpus is not usable."""


class ImageTableError(FitError):
    """An image table lacks what a stage needs, or a picture in it can't be decoded."""


class ModelError(FitError):
    """A generator or embedder can't be loaded."""


class DataError(FitError):
    """What earlier stages left is not enough, or not consistent, for this one."""


class SpaceError(FitError):
    """A disk is full."""


class StoppedError(FitError):
    """A job was asked to stop; what it had finished is kept."""


class PlaceError(FitError):
    """A folder or file is in the way of what a command would write, and is not ours to replace."""


def again(path):
    """What to do about a file that can't be used: a result is made again, a user's own file must not be removed."""
    if "results" in Path(path).parts:
        return "remove it and run again"
    return "name the file that is meant, or make this one again"
