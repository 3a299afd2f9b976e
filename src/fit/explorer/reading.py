"""Reads study.json, and holds its files against the hashes in it."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pydantic

from fit.errors import DataError, FitError, again
from fit.explorer.contents import VERSION, Study
from fit.io.digest import sha256_of
from fit.io.nearby import entries, nearest
from fit.io.shown import plain, shown

FILE = "study.json"
COMMAND = "fit run explorer"
"""Makes study.json."""


def find_study(study: str, results: str | Path) -> Path:
    """Return the path of a study.json.

    Args:
        study: name of a study, or the path of a study.json or of its folder.
        results: folder of results, where a name is looked up.

    Raises:
        FitError: there is none; the message says which there are.
    """
    path = Path(study)
    if path.is_file():
        return path
    if Path(path, FILE).is_file():
        return Path(path, FILE)
    place = Path(results, "explorer")
    if "/" in study or path.suffix == ".json":
        raise FitError(f"{study}: there is no such file; `{COMMAND}` writes {place}/NAME/{FILE}")
    if Path(place, study, FILE).is_file():
        return Path(place, study, FILE)
    names = [name for name in entries(place) if Path(place, name, FILE).is_file()]
    meant = nearest(study, names)
    there = f"there are {plain(names)}" if names else "there is none yet"
    raise FitError(
        f"{place / study / FILE}: there is no such file; `{COMMAND}` makes it for a study of config.yaml ({there}"
        + (f"; is {meant!r} meant?)" if meant else ")")
    )


def read_study(path: str | Path) -> Study:
    """Read a study.json.

    Raises:
        DataError: it is not JSON, of another version, or a field of it is missing, unknown, of another kind or
            impossible; the message names the field.
    """
    try:
        text = Path(path).read_bytes()
        version = json.loads(text)["version"]
    except FileNotFoundError:
        raise DataError(f"{path}: there is no such file; `{COMMAND}` makes it") from None
    except (KeyError, TypeError):
        raise DataError(f"{path}: no key `version` in it; name a {FILE} that `{COMMAND}` made") from None
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: not JSON that can be read ({error}); {again(path)}") from None
    if version != VERSION:
        raise DataError(
            f"{path}: of version {shown(version)}, and this version of fit reads {VERSION}; run `{COMMAND}` again"
        )
    try:
        return pydantic.TypeAdapter(Study).validate_json(text, strict=True)  # a text is not a number
    except pydantic.ValidationError as error:
        first = error.errors(include_url=False)[0]
        found = "" if first["type"] == "missing" else f" is {shown(first['input'])}"
        more = f", and {error.error_count() - 1} more" if error.error_count() > 1 else ""
        raise DataError(f"{path}: {_field(first['loc'])}{found}: {first['msg']}{more}; run `{COMMAND}` again") from None


def _field(place: Sequence[str | int]) -> str:
    """Return the place of a field as one writes it: parts[0].answer.threshold."""
    return "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in place).lstrip(".") or "the whole"


def base_of(path: str | Path) -> Path:
    """Return the folder that the files of a study.json are relative to.

    That is the one that holds `results`; of a study.json elsewhere, its own folder.
    """
    path = Path(path)
    absolute = path.absolute()
    if absolute.parts[-4:-2] == ("results", "explorer"):
        return Path(*path.parts[:-4]) if len(path.parts) > 4 else Path(*absolute.parts[:-4])
    return path.parent


@dataclass(frozen=True)
class Held:
    """A file of a study, held against its hash."""

    file: str
    found: Literal["same", "differs", "missing"]


def verify(study: Study, folder: str | Path) -> list[Held]:
    """Hold every file that a study's numbers come from against the hash that the study has of it.

    Args:
        study: of study.json.
        folder: that its files are relative to.
    """
    held = []
    for source in study.sources:
        path = Path(folder, source.file)
        try:
            found = sha256_of(path) if path.is_file() else None
        except OSError as error:
            raise DataError(
                f"{shown(source.file)}, a file that the study names, can't be read: {error.strerror}; check that the "
                "path exists and can be read"
            ) from None
        held.append(Held(source.file, "missing" if found is None else "same" if found == source.sha256 else "differs"))
    return held


def place_of(path: str | Path) -> str:
    """Return how a datasheet names a study.json: from the folder that holds `results`, or by its name alone."""
    parts = Path(path).absolute().parts
    return "/".join(parts[-4:]) if parts[-4:-2] == ("results", "explorer") else parts[-1]
