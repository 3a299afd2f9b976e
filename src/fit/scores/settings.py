"""Settings of the imitation score."""

from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal

from annotated_types import Ge, Le

from fit.settings import STRICT


@dataclass(frozen=True, kw_only=True)
class TargetSettings:
    """What a generated image is compared with."""

    __pydantic_config__: ClassVar[Any] = STRICT

    targets: Literal["matches_and_references", "matches_or_references", "ten_matches_or_references"]
    """What a generated image is compared with. matches_and_references: the matched training vectors and the references
    (faces, as the paper says). matches_or_references: the matched training vectors where 11 or more matched, else the
    references only (styles). ten_matches_or_references: the same, from 10 on (faces, as in the paper's code)."""
    fewest_targets: Annotated[int, Ge(1), Le(1_000_000)] = 1
    """A concept with fewer targets has no score, and is left out of the threshold; 5 in the paper's code for faces."""
    empty_prompt: Literal["left_out", "zero"] = "left_out"
    """What becomes of a prompt without a usable picture (of faces: one with exactly one face). left_out: the concept's
    score is the mean over its other prompts. zero: the prompt's score is 0, as in the paper's code for faces."""


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
