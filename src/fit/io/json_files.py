"""Reads and writes results that are JSON."""

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

from fit.errors import FitError
from fit.io.files import write_text


def as_builtins(data: Any) -> Any:
    """Return `data` in the types of JSON: dict with text as keys, list, text, numbers, True, False and None.

    Mappings, dataclasses, sequences, sets and arrays are taken apart, also those inside one another. A number that is
    not finite, which JSON does not have, is None. Anything else becomes text: a path, a date.
    """
    if data is None or isinstance(data, str | bool | int):
        return data
    if isinstance(data, float):
        return data if math.isfinite(data) else None
    if isinstance(data, Mapping):
        return {str(key): as_builtins(value) for key, value in data.items()}
    if is_dataclass(data) and not isinstance(data, type):
        return {field.name: as_builtins(getattr(data, field.name)) for field in fields(data)}
    if hasattr(data, "tolist"):  # numpy's arrays and numbers
        return as_builtins(data.tolist())
    if isinstance(data, set | frozenset):
        return [as_builtins(value) for value in sorted(data)]
    if isinstance(data, Iterable):
        return [as_builtins(value) for value in data]
    return str(data)


def dumps(data: object) -> str:
    """Return `data` as a JSON document, as as_builtins understands it."""
    return json.dumps(as_builtins(data), indent=2, ensure_ascii=False, allow_nan=False)


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
