"""Settings of the imitation score."""

from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal

from annotated_types import Ge, Le

from fit.settings import STRICT


@dataclass(frozen=True, kw_only=True)
class TargetSettings:
    """What a generated image is compared with."""

    __pydantic_config__: ClassVar[Any] = STRICT

    targets: Literal["matches_and_references", "matches_or_references"]
    """What a generated image is compared with: the matched training vectors and the references (faces), or the matched
    training vectors, and the references only where fewer than 11 matched (styles)."""


@dataclass(frozen=True, kw_only=True)
class ScoreSettings:
    """How many targets make a score."""

    __pydantic_config__: ClassVar[Any] = STRICT

    top_k: Annotated[int, Ge(1), Le(1_000_000)] = 10
    """How many targets a prompt's images are compared with; the paper's is 10."""


@dataclass(frozen=True, kw_only=True)
class FixedTargetSettings:
    """How many targets the score at a fixed number of targets chooses from."""

    __pydantic_config__: ClassVar[Any] = STRICT

    fixed_targets: Annotated[int, Ge(1), Le(1000)] = 20
    """How many targets each concept's images choose from in the score at a fixed number of targets; fewer where a
    scored concept has fewer."""


@dataclass(frozen=True, kw_only=True)
class NullSettings:
    """Whose pictures make the null."""

    __pydantic_config__: ClassVar[Any] = STRICT

    null_concepts: Annotated[int, Ge(1), Le(100_000)] = 20
    """How many other concepts' pictures are scored on each concept's targets, for the null."""
