"""The logistic: two levels and a smooth rise between them, whose middle is the threshold."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from scipy.special import expit

from fit.io.shown import ratio
from fit.thresholds.compiled import refine_logistics
from fit.thresholds.estimators.base import Curve, Estimate, Estimator
from fit.thresholds.estimators.one_change import error_removed
from fit.thresholds.headline import GRADUAL
from fit.thresholds.scores import Scores

SHARPEST = 0.02
"""Smallest scale of the logistic in log(1 + count): 10 to 90 % of the rise within 9 %."""
WIDTH = 2 * np.log(9)
"""From 10 to 90 % of a logistic's rise, in its scales."""
MIDPOINTS, SCALES, BINS = 160, 10, 320
"""Sizes of the grid on which many logistics are fitted at once."""


def _grid(low: float, high: float) -> tuple[np.ndarray, np.ndarray]:
    """Return midpoints and scales [G] of the logistics that are tried between two values of log(1 + count)."""
    scales = np.geomspace(SHARPEST, max((high - low) / WIDTH, 2 * SHARPEST), SCALES)
    midpoints, scales = np.meshgrid(np.linspace(low, high, MIDPOINTS), scales, indexing="ij")
    return midpoints.ravel(), scales.ravel()


def logistic_grid(counts: np.ndarray, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Find the logistic in log(1 + count) that fits best, of a grid of shapes, for many data sets at once.

    The two levels are linear in the scores, so each shape has its best levels in closed form. Counts are binned by
    their logarithm, so that all data sets share the shapes' values.

    Args:
        counts, scores: [R, N].

    Returns:
        (midpoints [R] in log(1 + count), scales [R]); NaN where no rising logistic is better than a constant.
    """
    x = np.log1p(counts)
    low, high = x.min(), x.max()
    if high == low:
        return np.full(len(x), np.nan), np.full(len(x), np.nan)
    midpoints, scales = _grid(low, high)
    centres = np.linspace(low, high, BINS)
    shapes = expit((centres[:, None] - midpoints) / scales)
    found = np.full((2, len(x)), np.nan)
    rows = 256
    for start in range(0, len(x), rows):
        part = slice(start, start + rows)
        y = scores[part] - scores[part].mean(axis=1, keepdims=True)
        number = len(y)
        bins = np.rint((x[part] - low) / (high - low) * (BINS - 1)).astype(int) + BINS * np.arange(number)[:, None]
        weights = np.bincount(bins.ravel(), minlength=number * BINS).reshape(number, BINS).astype(float)
        sums = np.bincount(bins.ravel(), y.ravel(), minlength=number * BINS).reshape(number, BINS)
        covariance = sums @ shapes
        variance = weights @ shapes**2 - (weights @ shapes) ** 2 / x.shape[1]
        gain = np.where((covariance > 0) & (variance > 1e-9), covariance**2 / np.maximum(variance, 1e-9), 0)
        best = gain.argmax(axis=1)
        rises = gain[np.arange(number), best] > 0
        found[:, part] = np.where(rises, [midpoints[best], scales[best]], np.nan)
    return found[0], found[1]


def logistics(counts: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Fit the two-level logistic in log(1 + count) of least squared error to many data sets.

    score = low + (high - low) / (1 + exp(-(log(1 + count) - midpoint) / scale)), with low < high, the midpoint among
    the counts and the rise from 10 to 90 % no wider than they are. The levels are linear, and solved for at each shape
    (variable projection: Golub and Pereyra 1973); the shape goes down by damped Gauss-Newton steps (Levenberg 1944)
    from the best of a grid, from there with a wider scale, and from the best single split with the narrowest.

    Args:
        counts, scores: [R, N], each row ascending in counts.

    Returns:
        [R, 4]: midpoint and scale, in log(1 + count); low and high. NaN where nothing rises.
    """
    counts, scores = np.asarray(counts, np.float64), np.asarray(scores, np.float64)
    x = np.log1p(counts)
    spans = np.ptp(x, axis=1)
    midpoints, scales = logistic_grid(counts, scores)
    midpoints = np.where((spans > 0) & (np.ptp(scores, axis=1) > 0), midpoints, np.nan)
    if counts.shape[1] < 2:
        return np.full((len(counts), 4), np.nan)
    removed = error_removed(counts, scores)
    at = removed.argmax(axis=1)
    rows = np.arange(len(x))
    steps = np.where(removed[rows, at] > 0, (x[rows, at] + x[rows, at + 1]) / 2, np.nan)
    wide = np.log(np.maximum(spans / WIDTH, 2 * SHARPEST))
    narrow = np.full(len(x), np.log(SHARPEST))
    return refine_logistics(x, scores, midpoints, scales, steps, narrow, wide)


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
