"""Settings of the explorer: which pictures it shows, and how large the page may be."""

from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal

from annotated_types import Ge, Gt, Le

from fit.settings import PLACE, STRICT


@dataclass(frozen=True, kw_only=True)
class PictureSettings:
    """Which pictures of a concept are kept as thumbnails."""

    __pydantic_config__: ClassVar[Any] = STRICT

    pictures_per_concept: Annotated[int, Ge(3), Le(500)] = 10
    """Thumbnails of a concept, at most: references, generated pictures, and the nearest targets of each of these."""
    thumbnail_px: Annotated[int, Ge(16), Le(2048)] = 112
    """Longest side of a thumbnail, in pixels. A smaller picture stays as it is."""
    thumbnail_quality: Annotated[int, Ge(1), Le(100)] = 70
    """Of the WebP that a thumbnail is stored as, from 1 to 100."""


@dataclass(frozen=True, kw_only=True)
class ShownSettings:
    """What the page may show, and what it is compared with."""

    __pydantic_config__: ClassVar[Any] = STRICT

    pictures: Literal["all", "without_people", "none"] = "all"
    """Which pictures the page shows. without_people: none of domains of people (`of_people` of a domain), as a page for
    publication needs it. The page says what is left out."""
    beside: Annotated[tuple[str, ...], PLACE] = ()
    """Folders of results of other studies, whose thresholds are compared with this study's, domain by domain."""


@dataclass(frozen=True, kw_only=True)
class PageSettings:
    """How large the page may be."""

    __pydantic_config__: ClassVar[Any] = STRICT

    page_mb: Annotated[float, Gt(0), Le(2000)] = 36.0
    """Megabytes of the page that pictures may take. What does not fit is left out evenly, and the page says so."""
