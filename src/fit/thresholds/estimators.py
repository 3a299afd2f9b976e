"""Where a score jumps as counts grow: four answers to one question.

Every estimator takes counts [N] in ascending order and scores [N] in the same order. Those of the first concept above
answer with its index; the count there is the threshold. Ties in count are one place: only PELT, which the paper runs on
the sorted scores alone, may split them.
"""

import numpy as np
from ruptures import KernelCPD
from scipy.optimize import isotonic_regression, least_squares
from scipy.special import expit

ESTIMATORS = ("pelt", "one_change", "isotonic", "logistic")

SHARPEST = 0.02
"""Smallest scale of the logistic in log(1 + count): 10 to 90 % of the rise within 9 %."""
WIDTH = 2 * np.log(9)
"""From 10 to 90 % of a logistic's rise, in its scales."""
MIDPOINTS, SCALES, BINS = 160, 10, 320
"""Of the grid on which many logistics are fitted at once."""


def change_points(scores, penalty):
    """Where PELT with the l2 cost (min_size 1, jump 1) splits `scores` [N]: indices of the first point after a change.

    KernelCPD with a linear kernel minimises the same cost exactly, in C.
    """
    if len(scores) < 2:
        return []
    signal = np.asarray(scores, np.float64)[:, None]
    return KernelCPD(kernel="linear", min_size=1, jump=1).fit(signal).predict(pen=penalty)[:-1]


def error_removed(counts, scores):
    """Squared error that a split of `scores` [R, N] in two removes, for every split: [R, N - 1].

    Counts [R, N], or [N] for all rows. Split k has k + 1 points before it; one between equal counts removes nothing.
    """
    total = scores.shape[1]
    sizes = np.arange(1, total)
    sums = np.cumsum(scores, axis=1)
    removed = (sums[:, :-1] - sizes * sums[:, -1:] / total) ** 2 * total / (sizes * (total - sizes))
    return np.where(np.diff(counts, axis=-1) > 0, removed, 0.0)


def best_split(counts, scores):
    """The split of `scores` [N] in two, between different `counts` [N], that leaves the least squared error.

    Returns:
        (index of the first point after it, share of the squared error that it removes); (None, 0) for fewer than two
        points, constant scores or equal counts.
    """
    counts, scores = np.asarray(counts, np.float64), np.asarray(scores, np.float64)
    if len(scores) < 2 or np.ptp(scores) == 0 or np.ptp(counts) == 0:
        return None, 0.0
    removed = error_removed(counts, scores[None])[0]
    at = int(np.argmax(removed))
    return at + 1, float(removed[at] / ((scores - scores.mean()) ** 2).sum())


def isotonic(counts, scores):
    """Isotonic regression of `scores` [N] on `counts` [N]: (different counts [U], fitted scores [U])."""
    places, at = np.unique(counts, return_inverse=True)
    sizes = np.bincount(at)
    return places, isotonic_regression(np.bincount(at, scores) / sizes, weights=sizes).x


def isotonic_middle(counts, scores):
    """Index of the first concept at which the isotonic fit reaches the middle between its means over the fifth of the
    concepts with the fewest images and the fifth with the most; None where it does not rise between them.

    Single concepts at its ends bend the fit, which is why its extremes are not taken.
    """
    places, fitted = isotonic(counts, scores)
    of_concepts = fitted[np.searchsorted(places, counts)]
    fifth = max(1, len(counts) // 5)
    low, high = of_concepts[:fifth].mean(), of_concepts[-fifth:].mean()
    return int(np.searchsorted(of_concepts, (low + high) / 2)) if low < high else None


def _grid(low, high):
    """Midpoints and scales [G] of the logistics that are tried between two values of log(1 + count)."""
    scales = np.geomspace(SHARPEST, max((high - low) / WIDTH, 2 * SHARPEST), SCALES)
    midpoints, scales = np.meshgrid(np.linspace(low, high, MIDPOINTS), scales, indexing="ij")
    return midpoints.ravel(), scales.ravel()


def logistic_grid(counts, scores):
    """The logistic in log(1 + count) that fits best, of a grid of midpoints and scales, for many data sets at once.

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
    return found


def logistic(counts, scores):
    """The two-level logistic in log(1 + count) of least squared error.

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

    def levels(shape):
        rise = expit((x - shape[0]) / np.exp(shape[1]))
        design = np.stack([1 - rise, rise], axis=1)
        return design, np.linalg.lstsq(design, scores, rcond=None)[0]

    def residuals(shape):
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


def many(name, counts, scores, penalty):
    """Thresholds, in images, of many data sets by one estimator.

    Args:
        name: of ESTIMATORS; counts, scores: [R, N], each row ascending in counts; penalty: of PELT.

    Returns:
        [R], NaN where there is none.
    """
    if name == "logistic":
        return np.expm1(logistic_grid(counts, scores)[0])
    if name == "one_change":
        removed = error_removed(counts, scores)
        at = removed.argmax(axis=1)
        return np.where(removed.max(axis=1) > 0, counts[np.arange(len(at)), at + 1], np.nan)
    found = np.full(len(counts), np.nan)
    for row, (of_row, y) in enumerate(zip(counts, scores, strict=True)):
        at = next(iter(change_points(y, penalty)), None) if name == "pelt" else isotonic_middle(of_row, y)
        if at is not None:
            found[row] = of_row[at]
    return found
