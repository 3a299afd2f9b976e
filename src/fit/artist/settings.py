"""Settings of the page of one name."""

from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

from annotated_types import Ge, Le

from fit.settings import STRICT


@dataclass(frozen=True, kw_only=True)
class ArtistSettings:
    """How much is looked at, and how much the page shows."""

    __pydantic_config__: ClassVar[Any] = STRICT

    collected: Annotated[int, Ge(1), Le(100_000)] = 500
    """Captions whose images are looked at, at most: a random sample of those that mention the name."""
    captions_shown: Annotated[int, Ge(0), Le(100_000)] = 100
    """Captions on the page, of that sample."""
    pictures_shown: Annotated[int, Ge(0), Le(10_000)] = 24
    """Pictures of each kind on the page: training images, references, generated pictures."""
    thumbnail_px: Annotated[int, Ge(16), Le(2048)] = 160
    """Longest side of a picture on the page, in pixels."""
    generated_per_prompt: Annotated[int, Ge(1), Le(10_000)] = 8
    """Pictures that the model is asked for, with each prompt."""
