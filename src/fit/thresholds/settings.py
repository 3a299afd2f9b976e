"""Settings of the estimation of a threshold."""

from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar

from annotated_types import Ge, Gt, Le

from fit.settings import STRICT
from fit.thresholds.estimators import ESTIMATORS


@dataclass(frozen=True, kw_only=True)
class ThresholdSettings:
    """How the threshold is found, and how sure it is."""

    __pydantic_config__: ClassVar[Any] = STRICT

    estimators: list[str] = field(default_factory=lambda: list(ESTIMATORS))
    """What finds the threshold (docs/thresholds.md). All are reported side by side; the first is the headline where the
    others agree with it and the rise is not gradual."""
    penalty: Annotated[float, Gt(0)] = 0.9
    """Penalty of `pelt` and `pelt_published` for each change, in squared units of the score; the paper's is 0.9."""
    resamples: Annotated[int, Ge(1), Le(10_000_000)] = 1000
    """Bootstrap resamples, for the intervals, and permutations, for the tests."""
