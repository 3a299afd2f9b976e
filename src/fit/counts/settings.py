"""Settings of effective counts."""

from dataclasses import dataclass
from typing import Any, ClassVar

from fit.settings import STRICT


@dataclass(frozen=True, kw_only=True)
class ScalingSettings:
    """How counts are scaled from another corpus."""

    __pydantic_config__: ClassVar[Any] = STRICT

    round_scaled: bool = True
    """Whether effective counts that are scaled from another corpus (`counts_from`) are whole numbers. false, as in the
    paper's code: thresholds are found on the unrounded ones, so that concepts of one rounded count have an order."""
