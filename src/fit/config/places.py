"""Paths in the configuration: each is relative to the folder of the file that names it."""

import dataclasses
import os
import typing
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast

import pydantic

from fit.config.config import WEIGHTS, Config
from fit.settings import LOADED, PLACE

Location = tuple[Any, ...]
"""Keys, one inside the other."""


def sections_in(annotation: Any) -> Iterator[type]:
    """Yield the sections that an annotation names, inside of unions, lists and dicts too."""
    if isinstance(annotation, type) and hasattr(annotation, "__dataclass_fields__"):
        yield annotation
    for inner in typing.get_args(annotation):
        yield from sections_in(inner)


def keys_of(section: type) -> dict[str, Any]:
    """Return key -> annotation of a section, with what Annotated says."""
    if issubclass(section, pydantic.BaseModel):
        return {name: field.annotation for name, field in section.model_fields.items()}
    annotations = typing.get_type_hints(section, include_extras=True)
    return {field.name: annotations[field.name] for field in dataclasses.fields(cast("Any", section))}


def _mark(annotation: Any) -> str | None:
    """Return PLACE or LOADED where an annotation has that mark, at any depth; else None."""
    found = next((mark for mark in getattr(annotation, "__metadata__", ()) if mark in (PLACE, LOADED)), None)
    return found or next(filter(None, map(_mark, typing.get_args(annotation))), None)


def places_in(data: Any, section: type = Config, location: Location = ()) -> Iterator[tuple[Location, str]]:
    """Yield (location, mark) of the paths in the contents of a configuration.

    Args:
        data: what is under `location`; what is not as it should be is passed over.
        section: the class of the section there.
        location: its keys.
    """
    if not isinstance(data, dict):
        return
    for key, annotation in keys_of(section).items():
        value, here = data.get(key), (*location, key)
        if mark := _mark(annotation) if not any(sections_in(annotation)) else None:
            if isinstance(value, str):
                yield here, mark
            elif isinstance(value, list):
                yield from (((*here, index), mark) for index, item in enumerate(value) if isinstance(item, str))
            continue
        for inner in sections_in(annotation):
            if typing.get_origin(annotation) is dict and isinstance(value, dict):
                for name, of_name in value.items():
                    yield from places_in(of_name, inner, (*here, name))
            else:
                yield from places_in(value, inner, here)


def _is_elsewhere(text: str) -> bool:
    """Whether a path does not depend on the folder of a file: an address, an absolute path, what the workflow makes."""
    return not text or "://" in text or text.startswith(("results/", "~")) or Path(text).is_absolute()


def based(text: str, folder: str | Path, mark: str) -> str:
    """Return a path that a file in `folder` names, as it is from the present folder.

    Args:
        text: as the file has it.
        folder: of the file; "" or ".": the present folder.
        mark: PLACE or LOADED. Of the latter, a path is what exists, starts with ./ or ../, or ends like a file of
            weights.
    """
    if str(folder) in ("", ".") or Path(folder).resolve() == Path.cwd():
        return text
    if mark == LOADED and text.startswith("local-dir:"):
        return "local-dir:" + based(text.removeprefix("local-dir:"), folder, PLACE)
    if _is_elsewhere(text):
        return text
    is_path = text.startswith(("./", "../")) or Path(text).suffix in WEIGHTS or Path(folder, text).exists()
    return os.path.normpath(Path(folder, text)) if mark == PLACE or is_path else text


def with_places(data: dict[str, Any], file_of: Callable[[Location], str]) -> dict[str, Any]:
    """Return the contents of a configuration with each path as it is from the present folder.

    Args:
        data: the contents; not changed.
        file_of: returns the path of the file that sets a key; "" where no file does.
    """
    changed = {
        location: now
        for location, mark in places_in(data)
        if (now := based(was := _at(data, location), Path(file_of(location)).parent, mark)) != was
    }
    return _replaced(data, (), changed) if changed else data


def _at(data: Any, location: Location) -> Any:
    for key in location:
        data = data[key]
    return data


def _replaced(data: Any, location: Location, changed: dict[Location, str]) -> Any:
    if isinstance(data, dict):
        return {key: _replaced(value, (*location, key), changed) for key, value in data.items()}
    if isinstance(data, list):
        return [_replaced(value, (*location, index), changed) for index, value in enumerate(data)]
    return changed.get(location, data)
