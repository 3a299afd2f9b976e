"""How settings are declared: a frozen dataclass in the room that uses them, a docstring under each field.

A field's type says its bounds, as pydantic reads them: `Annotated[int, Ge(1), Le(100)]`. From that one declaration come
the key in config.yaml and its JSON schema (fit.config), the option of the command and its help (fit.cli.flags), and
the arguments that a rule passes (`written_settings`).
"""

import ast
import inspect
import shlex
import textwrap
import types
import typing
from collections.abc import Iterator
from dataclasses import MISSING, dataclass, fields
from functools import cache
from typing import Annotated, Any, Literal, get_args, get_origin

from annotated_types import Ge, Gt, Le

S = typing.TypeVar("S")
RESOURCE = "a resource: it does not change results, so it triggers no rerun"
"""Marks a field, `Annotated[int, RESOURCE]`."""
PLACE = "a path: in a file of configuration, it is relative to the folder of that file"
"""Marks a field whose value is a file or folder, or a list of them, `Annotated[str, PLACE]`."""
LOADED = "a path, or the name of something that is loaded from elsewhere"
"""Marks a field as PLACE does, whose value may also be a model's name or the id of a hub."""
STRICT: Any = {"extra": "forbid", "use_attribute_docstrings": True, "allow_inf_nan": False}
"""How pydantic reads a settings class, as `__pydantic_config__`: unknown keys and infinite numbers are errors."""


@dataclass(frozen=True)
class SettingField:
    """A field of a settings class."""

    name: str
    kind: type
    """int, float, str or bool; of the items, where it is a list."""
    help: str
    default: Any
    """MISSING where it has to be given."""
    choices: tuple[str, ...] = ()
    is_list: bool = False
    is_optional: bool = False
    """Whether it may be None."""
    is_resource: bool = False
    low: float | None = None
    high: float | None = None
    is_low_excluded: bool = False

    @property
    def flag(self) -> str:
        """Its option on the command line."""
        return "--" + self.name.replace("_", "-")


@cache
def docstrings_of(cls: type) -> dict[str, str]:
    """Field -> the docstring under it, of a class and those of this package that it inherits from."""
    found: dict[str, str] = {}
    for base in reversed(cls.__mro__):
        if base.__module__.partition(".")[0] in ("builtins", "pydantic", "typing"):
            continue
        body = ast.parse(textwrap.dedent(inspect.getsource(base))).body[0]
        assert isinstance(body, ast.ClassDef)
        for field, after in zip(body.body, body.body[1:], strict=False):
            if not isinstance(field, ast.AnnAssign) or not isinstance(field.target, ast.Name):
                continue
            if isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant):
                found[field.target.id] = " ".join(str(after.value.value).split())
    return found


def _setting(name: str, annotation: Any, default: Any, text: str) -> SettingField:
    found: dict[str, Any] = {}
    while True:
        origin, inner = get_origin(annotation), get_args(annotation)
        if origin is Annotated:
            annotation = inner[0]
            for mark in inner[1:]:
                if mark == RESOURCE:
                    found["is_resource"] = True
                elif mark in (PLACE, LOADED):
                    continue
                elif isinstance(mark, (Ge, Gt)):
                    found["is_low_excluded"] = isinstance(mark, Gt)
                    low: Any = mark.gt if isinstance(mark, Gt) else mark.ge
                    found["low"] = float(low)
                elif isinstance(mark, Le):
                    high: Any = mark.le
                    found["high"] = float(high)
                else:
                    raise TypeError(f"{name}: settings have no bound like {mark!r}; use Ge, Gt or Le")
        elif origin in (types.UnionType, typing.Union):
            found["is_optional"] = type(None) in inner
            others = [one for one in inner if one is not type(None)]
            # A number or several of them are several words of a command line, of which there may be one.
            annotation = next((one for one in others if get_origin(one) in (list, tuple)), others[0])
        elif origin in (list, tuple):
            found["is_list"], annotation = True, inner[0]
        elif origin is Literal:
            return SettingField(name, str, text, default, choices=inner, **found)
        else:
            return SettingField(name, annotation, text, default, **found)


def settings_of(cls: type) -> tuple[SettingField, ...]:
    """The fields of a settings class, in order."""
    return _settings_of(cls)


@cache
def _settings_of(cls: type) -> tuple[SettingField, ...]:
    annotations, texts = typing.get_type_hints(cls, include_extras=True), docstrings_of(cls)
    found = []
    for field in fields(cls):
        default = field.default if field.default_factory is MISSING else field.default_factory()
        found.append(_setting(field.name, annotations[field.name], default, texts.get(field.name, "")))
    return tuple(found)


def part_of(cls: type[S], settings: Any) -> S:
    """The fields of the settings class `cls` of an object that has them all, such as a section of the configuration."""
    return cls(**{field.name: getattr(settings, field.name) for field in settings_of(cls)})


def _words(field: SettingField, value: Any) -> Iterator[str]:
    if value is None:
        return
    if field.kind is bool:
        yield field.flag if value else "--no-" + field.name.replace("_", "-")
    elif isinstance(value, (list, tuple)):
        yield from (field.flag, *map(str, value))
    else:
        # One word: a text that begins with a dash is not taken for an option.
        yield f"{field.flag}={value}"


def written_settings(
    settings: Any, *classes: type, resources: bool = False, without: tuple[str, ...] = ()
) -> list[str]:
    """The words by which a command line says the fields of `classes` that an object has; None is left out.

    Args:
        settings: an instance of the classes, such as a section of the configuration.
        resources: whether those that do not change results are written, or all others.
    """
    return [
        word
        for cls in classes
        for field in settings_of(cls)
        if field.is_resource == resources and field.name not in without
        for word in _words(field, getattr(settings, field.name))
    ]


def resource_flags(settings: Any, *classes: type) -> str:
    """The settings that are resources, as `written_settings` writes them, in one text for a shell."""
    return shlex.join(written_settings(settings, *classes, resources=True))
