"""Settings as a program gives them, checked as those of a configuration are."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, TypeVar

from annotated_types import Ge, Le

from fit.errors import DataError
from fit.io.shown import shown
from fit.settings import STRICT

S = TypeVar("S")


@dataclass(frozen=True, kw_only=True)
class Work:
    """What every function takes beside the settings of its room."""

    __pydantic_config__: ClassVar[Any] = STRICT

    seed: Annotated[int, Ge(0), Le(2**63 - 1)] = 0
    """Of every random choice."""
    threads: Annotated[int, Ge(0), Le(4096)] = 1
    """Processor threads; 0: one for each core."""


def checked(cls: type[S], **given: Any) -> S:
    """Return an instance of a settings class, with numbers of numpy as Python's.

    Raises:
        DataError: a setting is of another kind, or out of its bounds; it is named.
    """
    import pydantic

    try:
        return pydantic.TypeAdapter(cls).validate_python(given)
    except pydantic.ValidationError as error:
        first = error.errors(include_url=False)[0]
        name, *_ = map(str, first["loc"])
        raise DataError(f"{name} is {shown(given.get(name))}: {first['msg']}; give another value") from None


def checked_names(names: Sequence[str]) -> tuple[str, str]:
    """Return the names of two tables.

    Raises:
        DataError: they are not two texts.
    """
    if isinstance(names, str | bytes) or not isinstance(names, Sequence) or len(names) != 2:
        raise DataError(f"names is {shown(names)}: give a name for each of the two tables")
    return str(names[0]), str(names[1])
