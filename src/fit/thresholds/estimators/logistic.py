"""The logistic: two levels and a smooth rise between them, whose middle is the threshold."""

from collections.abc import Iterator
from functools import cache
from typing import Any

import numpy as np
from scipy.special import expit

from fit.io.shown import ratio
from fit.thresholds.compiled import fit_logistics
from fit.thresholds.estimators.base import Curve, Estimate, Estimator
from fit.thresholds.headline import GRADUAL
from fit.thresholds.scores import Scores

SHARPEST = 0.02
"""Smallest scale of the logistic in log(1 + count): 10 to 90 % of the rise within 9 %."""
WIDTH = 2 * np.log(9)
"""From 10 to 90 % of a logistic's rise, in its scales."""
NARROWEST = 0.02
"""Smallest scale of the grid, as a share of the range of log(1 + count)."""
SCALES, MIDPOINTS, BINS = 3, 32, 128
"""Sizes of the grid of logistics: fits start from the best of each scale. Counts are binned by their logarithm for it,
so that all data sets share its values."""


@cache
def _grid() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return a grid of logistics over 0 to 1: (rises [BINS, SCALES, MIDPOINTS], midpoints, scales)."""
    midpoints, scales = np.linspace(0, 1, MIDPOINTS), np.geomspace(NARROWEST, 1 / WIDTH, SCALES)
    away = np.linspace(0, 1, BINS)[:, None, None] - midpoints
    return expit(away / scales[:, None]), midpoints, scales


def logistics(counts: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Fit the two-level logistic in log(1 + count) of least squared error to many data sets.

    score = low + (high - low) / (1 + exp(-(log(1 + count) - midpoint) / scale)), with low < high, the midpoint among
    the counts and the rise from 10 to 90 % no wider than they are. The levels are linear, and solved for at each shape
    (variable projection: Golub and Pereyra 1973); the shape goes down by damped Newton steps (Levenberg 1944), with
    exact second derivatives, from the best single splits with the narrowest scale and from the best of each scale of a
    grid. The fit of a data set does not depend on the others.

    Args:
        counts, scores: [R, N], each row ascending in counts.

    Returns:
        [R, 4]: midpoint and scale, in log(1 + count); low and high. NaN where nothing rises.
    """
    x = np.log1p(np.asarray(counts, np.float64))
    return fit_logistics(x, np.asarray(scores, np.float64), *_grid(), (SHARPEST, 1 / WIDTH))


def logistic(counts: np.ndarray, scores: np.ndarray) -> dict[str, float] | None:
    """Fit one data set [N] as `logistics` does.

    Returns:
        A dict: midpoint (images), low, high (scores), from and to (images at 10 and 90 % of the rise), fold (ratio of
        1 + to and 1 + from), slope (score per unit of log count at the midpoint); None where nothing rises.
    """
    ((midpoint, scale, low, high),) = logistics(np.asarray(counts)[None], np.asarray(scores)[None])
    if np.isnan(midpoint):
        return None
    start, end = (float(ends[0]) for ends in _ends(np.array([midpoint]), np.array([scale])))
    return {
        "midpoint": float(np.expm1(midpoint)),
        "low": float(low),
        "high": float(high),
        "from": start,
        "to": end,
        "fold": (1 + end) / (1 + start),
        "slope": float((high - low) / (4 * scale)),
    }


def _ends(midpoints: np.ndarray, scales: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the counts [R] at 10 and at 90 % of the rise; the first is not below 0."""
    return np.maximum(np.expm1(midpoints - WIDTH * scales / 2), 0.0), np.expm1(midpoints + WIDTH * scales / 2)


class Logistic(Estimator):
    """The midpoint of a logistic in log(1 + count). It lies between concepts, so that its threshold is not a count."""

    name = "logistic"
    marker = "^"

    def direction(self, table: Scores, at: int, penalty: float) -> str:
        """Return "rise": it finds nothing else."""
        return "rise"

    def estimate(self, table: Scores, penalty: float) -> Estimate:
        """Fit the logistic; its details are what `logistic` returns."""
        fit = logistic(table.counts, table.scores)
        if fit is None:
            return Estimate()
        # Rounding may put the midpoint beyond the last count: then it is at it.
        at = min(int(np.searchsorted(table.counts, fit["midpoint"])), len(table) - 1)
        return Estimate(at, fit["midpoint"], fit)

    def many(self, counts: np.ndarray, scores: np.ndarray, penalty: float) -> np.ndarray:
        """Fit many data sets."""
        return np.expm1(logistics(counts, scores)[:, 0])

    def many_and_more(self, counts: np.ndarray, scores: np.ndarray, penalty: float) -> dict[str, np.ndarray]:
        """Fit many data sets: their midpoints, and the counts at 10 and 90 % of the rise, with their ratio."""
        midpoints, scales = logistics(counts, scores)[:, :2].T
        start, end = _ends(midpoints, scales)
        return {"threshold": np.expm1(midpoints), "from": start, "to": end, "fold": (1 + end) / (1 + start)}

    def interval(self, ends: np.ndarray, around: np.ndarray) -> np.ndarray:
        """Go half as far as to the concepts around, in log(1 + count): the midpoint already lies between concepts."""
        return np.expm1((np.log1p(around) + np.log1p(ends)) / 2)

    def remarks(self, answer: dict[str, Any]) -> Iterator[str]:
        """Say that the rise is gradual."""
        if (1 + answer["to"]) > GRADUAL * (1 + answer["from"]):
            ends = f"{answer['from']:.0f} and {answer['to']:.0f} images"
            yield f"the rise is gradual: 10 to 90 % of it lie between {ends}, so that one number says little"
            if interval := answer.get("fold_interval"):
                yield f"  a factor of {ratio(answer['fold'])}, 95 %: {ratio(interval[0])} to {ratio(interval[1])}"

    def curve(self, answer: dict[str, Any], highest: float) -> Curve | None:
        """Return the fit in 400 points."""
        if "midpoint" not in answer:
            return None
        x = np.linspace(0, np.log1p(highest), 400)
        # The rise from 10 to 90 % is 2 log 9 scales.
        scale = (np.log1p(answer["to"]) - np.log1p(answer["midpoint"])) / np.log(9)
        rise = 1 / (1 + np.exp(-np.clip((x - np.log1p(answer["midpoint"])) / scale, -500, 500)))
        return Curve(np.expm1(x), answer["low"] + (answer["high"] - answer["low"]) * rise, is_step=False)
