"""Settings of how references are searched for and selected."""

from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

from annotated_types import Ge, Le

from fit.settings import STRICT


@dataclass(frozen=True, kw_only=True)
class SearchSettings:
    """How many images a search brings."""

    __pydantic_config__: ClassVar[Any] = STRICT

    candidates: Annotated[int, Ge(1), Le(10_000)] = 30
    """How many images to search for."""


@dataclass(frozen=True, kw_only=True)
class SelectionSettings:
    """Which references are kept."""

    __pydantic_config__: ClassVar[Any] = STRICT

    keep: Annotated[int, Ge(2), Le(10_000)] = 20
    """How many images of a concept to keep: the most mutually similar ones."""
    least: Annotated[int, Ge(1), Le(10_000)] = 10
    """A concept with fewer usable images is left out of the study, and reported."""
