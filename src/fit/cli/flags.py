"""Makes the options of a command from a settings class, and reads them back; fit.settings writes them for a rule."""

import argparse
import math
from argparse import Namespace
from collections.abc import Callable
from dataclasses import MISSING
from typing import Any, TypeVar

from fit.cli.parser import Number
from fit.settings import SettingField, settings_of

S = TypeVar("S")


def _type_of(field: SettingField) -> Callable[[str], Any]:
    if field.kind not in (int, float):
        return field.kind
    low, high = (-math.inf if field.low is None else field.low), (math.inf if field.high is None else field.high)
    if field.kind is int:
        low, high = (int(low) if math.isfinite(low) else low), (int(high) if math.isfinite(high) else high)
    return Number(field.kind, low, high, beyond=field.is_low_excluded)


def add_settings(add: Callable[..., None], *classes: type, without: tuple[str, ...] = ()) -> None:
    """Give a command an option for each field of settings classes; booleans are --flag and --no-flag.

    Args:
        add: as fit.cli.main.add_to gives it; without: names of fields that the command has no use for.
    """
    for field in (field for cls in classes for field in settings_of(cls) if field.name not in without):
        options: dict[str, Any] = {"help": field.help.replace("%", "%%")}
        if field.default is not MISSING:
            options["default"] = field.default
        if field.kind is bool:
            add(field.flag, action=argparse.BooleanOptionalAction, **{"required": field.default is MISSING} | options)
            continue
        if field.is_list:
            options["nargs"] = "*"
        if field.choices:
            options["choices"] = field.choices
        else:
            options["type"] = _type_of(field)
            options["metavar"] = "TEXT" if field.kind is str else "N"
        add(field.flag, **options)


def read_settings(cls: type[S], args: Namespace, without: tuple[str, ...] = ()) -> S:
    """The settings of a class from the arguments of a command."""
    names = [field.name for field in settings_of(cls) if field.name not in without]
    return cls(**{name: tuple(value) if isinstance(value := getattr(args, name), list) else value for name in names})
