"""Settings of the match threshold."""

from dataclasses import dataclass
from typing import Any, ClassVar, Literal, get_args

from fit.settings import STRICT

Method = Literal["midpoint", "best_f1", "best_f1_published"]
METHODS: tuple[str, ...] = get_args(Method)
"""Names of fit.matches.threshold.METHODS, which takes long to import."""


@dataclass(frozen=True, kw_only=True)
class MeanSettings:
    """What the mean cosine within a concept is of."""

    __pydantic_config__: ClassVar[Any] = STRICT

    mean_with_itself: bool = False
    """Whether the mean cosine within a concept, from which a match threshold is found, includes the cosine of each
    reference with itself, which is 1, as in the paper's code: a mean of 0.438 over the pairs of 5 references becomes
    0.551. false: pairs of two references only."""
