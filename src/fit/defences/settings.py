"""Settings of what a change of a model does."""

from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

from annotated_types import Ge, Le

from fit.settings import STRICT


@dataclass(frozen=True, kw_only=True)
class DefenceSettings:
    """Whom a change of a model may also hit."""

    __pydantic_config__: ClassVar[Any] = STRICT

    neighbours: Annotated[int, Ge(1), Le(1000)] = 3
    """How many concepts with the most similar names, and how many whose references look most alike, are called
    neighbours of each erased concept."""
