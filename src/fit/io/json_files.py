"""Reads and writes results that are JSON."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from fit.errors import FitError
from fit.io.files import write_text


def write_json(data: object, path: str | Path) -> None:
    """Write `data` as JSON, whole or not at all."""
    write_text(path, json.dumps(data, indent=2) + "\n")


def read_json(path: str | Path, keys: Iterable[str], command: str) -> dict[str, Any]:
    """Return the dict that `command` wrote to `path` as JSON.

    Raises:
        FitError: it does not exist, is not JSON, or lacks one of `keys`.
    """
    try:
        found = json.loads(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise FitError(f"{path}: there is no such file; `{command}` writes it") from None
    except ValueError as error:
        raise FitError(f"{path}: not valid JSON ({error}); name a file that `{command}` wrote") from None
    for key in keys:
        if not isinstance(found, dict) or key not in found:
            raise FitError(f"{path}: no key `{key}` in it; name a file that `{command}` wrote")
    return found
