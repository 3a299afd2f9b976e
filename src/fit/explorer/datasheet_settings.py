"""What a datasheet shows."""

from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal

from annotated_types import Ge, Le

from fit.settings import STRICT


@dataclass(frozen=True, kw_only=True)
class DatasheetSettings:
    """What a datasheet shows."""

    __pydantic_config__: ClassVar[Any] = STRICT

    pictures: Literal["all", "without_people", "none"] = "all"
    """Which pictures it shows, of those that the study shows (`explorer.pictures`). without_people: none of domains of
    people. It says what is left out."""
    examples: Annotated[int, Ge(0), Le(50)] = 6
    """Concepts of each model and domain that are shown with pictures. They are chosen by their count alone."""
    annex_rows: Annotated[int, Ge(0), Le(100_000)] = 1000
    """Concepts that the annex lists, at most, over all models and domains. If there are more, it lists none, and says
    so."""
