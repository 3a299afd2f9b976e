"""The logistic: two levels and a smooth rise between them, whose middle is the threshold."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from scipy.optimize import least_squares
from scipy.special import expit

from fit.thresholds.estimators.base import Curve, Estimate, Estimator
from fit.thresholds.scores import Scores

SHARPEST = 0.02
"""Smallest scale of the logistic in log(1 + count): 10 to 90 % of the rise within 9 %."""
WIDTH = 2 * np.log(9)
"""From 10 to 90 % of a logistic's rise, in its scales."""
MIDPOINTS, SCALES, BINS = 160, 10, 320
"""Sizes of the grid on which many logistics are fitted at once."""
GRADUAL = 3.0
"""Ratio of the counts at 90 and 10 % of the rise from which on the rise is called gradual."""


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


def logistic(counts: np.ndarray, scores: np.ndarray) -> dict[str, float] | None:
    """Fit the two-level logistic in log(1 + count) of least squared error.

    score = low + (high - low) / (1 + exp(-(log(1 + count) - midpoint) / scale)), with low < high, the midpoint among
    the counts and the rise from 10 to 90 % no wider than they are.

    Returns:
        A dict: midpoint (images), low, high (scores), from and to (images at 10 and 90 % of the rise), slope (score per
        unit of log count at the midpoint); None where nothing rises.
    """
    counts, scores = np.asarray(counts, np.float64), np.asarray(scores, np.float64)
    x = np.log1p(counts)
    if np.ptp(x) == 0 or np.ptp(scores) == 0:
        return None

    def levels(shape: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        rise = expit((x - shape[0]) / np.exp(shape[1]))
        design = np.stack([1 - rise, rise], axis=1)
        return design, np.linalg.lstsq(design, scores, rcond=None)[0]

    def residuals(shape: np.ndarray) -> np.ndarray:
        design, (low, high) = levels(shape)
        return design @ (low, high) - scores if low < high else scores.mean() - scores

    narrow, wide = np.log([SHARPEST, max(np.ptp(x) / WIDTH, 2 * SHARPEST)])
    start = np.array(logistic_grid(counts[None], scores[None]))[:, 0]
    if np.isnan(start).any():
        return None
    starts = [(start[0], scale) for scale in (np.log(start[1]), narrow, (narrow + wide) / 2, wide)]
    bounds = ([x.min(), narrow - 1e-9], [x.max(), wide + 1e-9])
    fits = [least_squares(residuals, one, bounds=bounds) for one in starts]
    best = min(fits, key=lambda fit: fit.cost).x
    _, (low, high) = levels(best)
    if low >= high:
        return None
    midpoint, scale = best[0], np.exp(best[1])
    ends = np.expm1(midpoint + np.array([-0.5, 0.5]) * WIDTH * scale)
    return {
        "midpoint": float(np.expm1(midpoint)),
        "low": float(low),
        "high": float(high),
        "from": float(max(ends[0], 0.0)),
        "to": float(ends[1]),
        "slope": float((high - low) / (4 * scale)),
    }


class Logistic(Estimator):
    """The midpoint of a logistic in log(1 + count). It lies between concepts, so that its threshold is not a count."""

    name = "logistic"
    marker = "^"

    def estimate(self, table: Scores, penalty: float) -> Estimate:
        """Fit the logistic; its details are what `logistic` returns."""
        fit = logistic(table.counts, table.scores)
        if fit is None:
            return Estimate()
        # Rounding may put the midpoint beyond the last count: then it is at it.
        at = min(int(np.searchsorted(table.counts, fit["midpoint"])), len(table) - 1)
        return Estimate(at, fit["midpoint"], fit)

    def many(self, counts: np.ndarray, scores: np.ndarray, penalty: float) -> np.ndarray:
        """Fit many data sets at once, on a grid."""
        return np.expm1(logistic_grid(counts, scores)[0])

    def interval(self, ends: np.ndarray, around: np.ndarray) -> np.ndarray:
        """Go half as far as to the concepts around, in log(1 + count): the midpoint already lies between concepts."""
        return np.expm1((np.log1p(around) + np.log1p(ends)) / 2)

    def remarks(self, answer: dict[str, Any]) -> Iterator[str]:
        """Say that the rise is gradual."""
        if (1 + answer["to"]) > GRADUAL * (1 + answer["from"]):
            low, high = f"{answer['from']:.0f}", f"{answer['to']:.0f}"
            ends = f"{low} and {high} images"
            yield f"the rise is gradual: 10 to 90 % of it lie between {ends}, so that one number says little"

    def curve(self, answer: dict[str, Any], highest: float) -> Curve | None:
        """Return the fit in 400 points."""
        if "midpoint" not in answer:
            return None
        x = np.linspace(0, np.log1p(highest), 400)
        # The rise from 10 to 90 % is 2 log 9 scales.
        scale = (np.log1p(answer["to"]) - np.log1p(answer["midpoint"])) / np.log(9)
        rise = 1 / (1 + np.exp(-np.clip((x - np.log1p(answer["midpoint"])) / scale, -500, 500)))
        return Curve(np.expm1(x), answer["low"] + (answer["high"] - answer["low"]) * rise, is_step=False)
