"""Settings of the search for copies."""

from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar

from annotated_types import Ge, Gt, Le

from fit.settings import RESOURCE, STRICT


@dataclass(frozen=True, kw_only=True)
class PromptSettings:
    """How many prompts are looked at."""

    __pydantic_config__: ClassVar[Any] = STRICT

    captions: Annotated[int, Ge(1), Le(100_000)] = 50
    """The most duplicated captions of the corpus, so many, where no table of prompts is given."""
    others: Annotated[int, Ge(4), Le(100_000)] = 80
    """Prompts of no training image, on half of which epsilon and the detector's cut are found; on the other half the
    false positives are counted."""


@dataclass(frozen=True, kw_only=True)
class CopySettings:
    """What is near, what is a suspect, and what is a copy."""

    __pydantic_config__: ClassVar[Any] = STRICT

    side: Annotated[int, Ge(4), Le(4096)] = 64
    """Pictures are cut to a square and scaled to so many pixels before they are compared; a multiple of 4."""
    clique: Annotated[int, Ge(2), Le(500)] = 10
    """Pictures of one prompt that are all near each other make it a suspect; as in the paper."""
    false_positives: Annotated[float, Gt(0), Le(0.5)] = 0.05
    """Share of prompts of no training image that epsilon, and the cut, may let pass."""
    compared_pictures: Annotated[int, Ge(1), Le(10_000)] = 20
    """Pictures of a prompt, besides the middle one of its clique, that are compared with the training images."""
    neighbours: Annotated[int, Ge(1), Le(10_000)] = 50
    """Training images nearest to a training image, whose mean distance says what is small; as in the paper."""
    ratio: Annotated[float, Gt(0), Le(1)] = 0.5
    """A picture is a copy where it is nearer to a training image than this share of that mean; as in the paper."""
    same_picture: Annotated[float, Ge(0), Le(1)] = 0.03
    """Training images nearer to each other than this are one picture, saved again: they are not neighbours."""
    memory_mb: Annotated[int, Ge(16), Le(10_000_000), RESOURCE] = 1000
    """Megabytes that pictures and distances may take at once."""


@dataclass(frozen=True, kw_only=True)
class CopiesWorldSettings:
    """Painters of the built-in world with equal counts: of one half all images are distinct, of the other one image is
    repeated."""

    __pydantic_config__: ClassVar[Any] = STRICT

    counts: list[Annotated[int, Ge(1), Le(1_000_000)]] = field(default_factory=lambda: [1, 3, 10, 30, 100, 300])
    """How many training images painters have."""
    painters_per_count: Annotated[int, Ge(1), Le(10_000)] = 4
    """Painters of each count with distinct images, and as many with one that is repeated."""
    references_per_painter: Annotated[int, Ge(2), Le(10_000)] = 24
    """Pictures painted for reference."""
    anonymous: Annotated[int, Ge(0), Le(10**9)] = 100
    """Pictures by unnamed painters in the corpus, and as many photographs."""
