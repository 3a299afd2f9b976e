"""What every section of the configuration is: strict about its keys, and made of what the rooms declare."""

from typing import Annotated, Any, Literal, TypeVar, cast, dataclass_transform, get_args, get_origin, get_type_hints

import pydantic
from pydantic import Field, ValidationInfo

S = TypeVar("S")

CONFIG = pydantic.ConfigDict(extra="forbid", use_attribute_docstrings=True, allow_inf_nan=False)
Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]*$", description="a-z, 0-9, '.', '_' and '-'")]
DomainName = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]*$", description="a-z, 0-9, '_' and '-'")]
"""Without dots: a domain's files are DOMAIN.threshold.json, DOMAIN.art.json ..."""
Cosine = Annotated[float, Field(ge=-1, le=1)]


@dataclass_transform(kw_only_default=True, frozen_default=True, field_specifiers=(Field,))
def section(cls: type[S]) -> type[S]:
    """Make a class a section of the configuration: a frozen pydantic dataclass.

    It may inherit from settings classes of the rooms; their fields are its keys.
    """
    return cast("type[S]", pydantic.dataclasses.dataclass(config=CONFIG, frozen=True, kw_only=True)(cls))


def _kinds(annotation: Any) -> set[Any]:
    """The plain types in an annotation, those of a union and of Annotated too."""
    if get_origin(annotation) is Literal:
        return set()
    if get_origin(annotation) is Annotated:
        return _kinds(get_args(annotation)[0])
    inner = get_args(annotation)
    return {kind for one in inner for kind in _kinds(one)} if inner else {annotation}


def refuse_true_for_a_number(cls: type, value: Any, field: str | None) -> Any:
    """Return `value`. pydantic takes true for 1; who writes it where a number belongs means something else.

    Raises:
        ValueError: it, or an item of it, is true or false, and the field is a number or several.
    """
    items = value if isinstance(value, (list, tuple)) else [value]
    if field and any(isinstance(item, bool) for item in items):
        kinds = _kinds(get_type_hints(cls, include_extras=True)[field])
        if bool not in kinds and kinds & {int, float}:
            raise ValueError("this is not a number")
    return value


def refuse_options(value: Any) -> Any:
    """Return `value`, of a key of a section. A rule passes the texts of a list as words of a command line.

    Raises:
        ValueError: it is a list with a text that a command would take for an option.
    """
    if isinstance(value, list):
        for item in value:
            if isinstance(item, str) and item.startswith("-"):
                raise ValueError(
                    f"{item!r} begins with a dash, as the options of a command do; write it without (a path: ./-x)"
                )
    return value


@section
class Section:
    """Base of every section."""

    @pydantic.field_validator("*", mode="before")
    @classmethod
    def _numbers(cls, value: Any, info: ValidationInfo) -> Any:
        return refuse_options(refuse_true_for_a_number(cls, value, info.field_name))


@section
class Described(Section):
    """Base of a section of something that a study rests on. What is stated is quoted in reports; no result changes."""

    origin: Annotated[str, Field(min_length=1)] | None = None
    """Who made or published it, and where that is said, in your words. Left out: "not stated"."""
    licence: Annotated[str, Field(min_length=1)] | None = None
    """Its licence or terms, as its publisher states them. Left out: "not stated"."""
