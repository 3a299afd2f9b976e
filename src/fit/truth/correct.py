"""Whether a correction that was found in one world helps in another, where nobody looked before.

Two are tried on what a user is told: a factor for the threshold, and a stretch of its interval on the logarithm.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import permutations
from typing import Any

import numpy as np
import polars as pl

HELD = 0.95
"""Share of the models whose interval shall hold the truth."""


@dataclass(frozen=True)
class _Told:
    """What was told of each model of a world, as log(1 + images)."""

    off: np.ndarray
    """[N] threshold less the truth."""
    reach: np.ndarray
    """[K] of the models with an interval: how far it reaches from the threshold on the truth's side."""
    away: np.ndarray
    """[K] how far the truth is from the threshold there."""

    def holds(self, stretch: float) -> float | None:
        """Return the share of intervals that hold the truth once they are stretched; None without intervals."""
        return float((self.away <= stretch * self.reach).mean()) if len(self.away) else None

    @property
    def stretch(self) -> float | None:
        """The least stretch, not below 1, after which HELD of the intervals hold the truth."""
        if not len(self.away):
            return None
        needed = self.away / np.maximum(self.reach, 1e-9)
        return max(1.0, float(np.quantile(needed, HELD, method="higher")))


def _told(estimates: pl.DataFrame, truth: Mapping[tuple, float]) -> _Told:
    off, reach, away = [], [], []
    for world, deal, training, *images in estimates.select(
        "world", "deal", "training", "threshold", "low", "high"
    ).iter_rows():
        true = truth.get((world, deal, training))
        if true is None:
            continue
        threshold, low, high = (None if one is None else np.log1p(one) for one in images)
        off.append(threshold - np.log1p(true))
        if low is not None and high is not None:
            reach.append(high - threshold if off[-1] < 0 else threshold - low)
            away.append(abs(off[-1]))
    return _Told(np.array(off), np.array(reach), np.array(away))


def corrections(estimates: pl.DataFrame, truth: Mapping[tuple, float]) -> Iterator[dict[str, Any]]:
    """Yield how a correction of what a user is told that was found in one world does in each other world.

    Args:
        estimates: rows of the schema fit.truth.measure.THRESHOLDS of usual worlds, by one score.
        truth: (world, deal, training) -> the median true threshold by the models of other deals.

    Yields:
        Dicts: found_in and tried_in (worlds), factor and stretch; rmse (of the log) and held (share of intervals that
        hold the truth) as told, and rmse_corrected and held_stretched; None where there is no interval.
    """
    told = {}
    claimed = estimates.filter((pl.col("estimator") == "headline") & pl.col("claimed"))
    for (world,), rows in claimed.group_by("world", maintain_order=True):
        found = _told(rows, truth)
        if len(found.off):
            told[str(world)] = found
    for found_in, tried_in in permutations(told, 2):
        shift, stretch, there = -told[found_in].off.mean(), told[found_in].stretch, told[tried_in]
        yield {
            "found_in": found_in,
            "tried_in": tried_in,
            "factor": float(np.exp(shift)),
            "stretch": stretch,
            "models": len(there.off),
            "rmse": float(np.sqrt((there.off**2).mean())),
            "rmse_corrected": float(np.sqrt(((there.off + shift) ** 2).mean())),
            "held": there.holds(1.0),
            "held_stretched": None if stretch is None else there.holds(stretch),
        }
