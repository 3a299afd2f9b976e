"""The best single split: one change, between different counts, that leaves the least squared error."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from fit.thresholds.estimators.base import ConceptEstimator
from fit.thresholds.scores import Scores


def error_removed(counts: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Return the squared error that a split of `scores` [R, N] in two removes, for every split: [R, N - 1].

    Counts [R, N], or [N] for all rows. Split k has k + 1 points before it; one between equal counts removes nothing.
    """
    total = scores.shape[1]
    sizes = np.arange(1, total)
    sums = np.cumsum(scores, axis=1)
    removed = (sums[:, :-1] - sizes * sums[:, -1:] / total) ** 2 * total / (sizes * (total - sizes))
    return np.where(np.diff(counts, axis=-1) > 0, removed, 0.0)


def best_split(counts: np.ndarray, scores: np.ndarray) -> tuple[int | None, float]:
    """Find the split of `scores` [N] in two, between different `counts` [N], that leaves the least squared error.

    Returns:
        (index of the first point after it, share of the squared error that it removes); (None, 0) for fewer than two
        points, constant scores or equal counts.
    """
    counts, scores = np.asarray(counts, np.float64), np.asarray(scores, np.float64)
    squared_error = ((scores - scores.mean()) ** 2).sum() if len(scores) else 0.0
    if len(scores) < 2 or squared_error == 0 or np.ptp(counts) == 0:  # squares of tiny scores are 0
        return None, 0.0
    removed = error_removed(counts, scores[None])[0]
    at = int(np.argmax(removed))
    return at + 1, float(removed[at] / squared_error)


CRITICAL = -2 * np.log(1 - np.sqrt(0.95))
"""Of the likelihood ratio at 95 %: 7.35 (Hansen 2000, "Sample splitting and threshold estimation", Econometrica 68)."""


def _spread_at(x: np.ndarray, squares: np.ndarray, at: float) -> float:
    """Return the mean of squared residuals [N] near `at`, over that of all: by Epanechnikov's kernel over x [N]."""
    width = 2.34 * x.std() * len(x) ** -0.2
    weights = np.maximum(1 - ((x - at) / width) ** 2, 0)
    mean = squares.mean()
    return float(weights @ squares / weights.sum() / mean) if weights.sum() > 0 and mean > 0 else 1.0


def likelihood_ratio_set(counts: np.ndarray, scores: np.ndarray) -> dict[str, Any] | None:
    """Return where the split may lie *if the scores are two levels with one jump*: Hansen's set at 95 %.

    It holds each split whose squared error S is close to the least, S0: N (S / S0 - 1) <= CRITICAL x scale. The scale
    is the variance of the residuals near the best split over that of all (Hansen 2000, section 3.4), so that a spread
    that changes with the count is allowed for.

    Args:
        counts, scores: [N], ascending in count.

    Returns:
        A dict: interval, from the count below the first split of the set to the count above the last one (above the
        first number, at most the second), scale, and kurtosis of the residuals (3 if they are normal; None without
        any); None where there is no split.
    """
    counts, scores = np.asarray(counts, np.float64), np.asarray(scores, np.float64)
    at, _ = best_split(counts, scores)
    if at is None:
        return None
    removed = error_removed(counts, scores[None])[0]
    left = ((scores - scores.mean()) ** 2).sum() - removed
    fitted = np.where(np.arange(len(scores)) < at, scores[:at].mean(), scores[at:].mean())
    x = np.log1p(counts)
    squares = (scores - fitted) ** 2
    scale = _spread_at(x, squares, (x[at - 1] + x[at]) / 2)
    least = max(left[at - 1], 0.0)
    near = (np.diff(counts) > 0) & (len(scores) * (left - least) <= CRITICAL * scale * least)
    near[at - 1] = True
    kurtosis = float((squares**2).mean() / squares.mean() ** 2) if squares.mean() > 0 else None
    first, last = np.flatnonzero(near)[[0, -1]]
    return {"interval": [float(counts[first]), float(counts[last + 1])], "scale": scale, "kurtosis": kurtosis}


class OneChange(ConceptEstimator):
    """The best single split."""

    name = "one_change"
    label = "best single split"
    column = "best split"
    phrase = "the best single split"
    marker = "s"

    def first_above(self, counts: np.ndarray, scores: np.ndarray, penalty: float) -> int | None:
        """Return the index of the first concept after the best split."""
        return best_split(counts, scores)[0]

    def details(self, table: Scores, at: int | None, penalty: float) -> dict[str, Any]:
        """Return the share of the squared error that the split removes, and where it may lie if it is one jump."""
        return {
            "squared_error_removed": best_split(table.counts, table.scores)[1],
            "if_it_is_one_jump": likelihood_ratio_set(table.counts, table.scores),
        }

    def remarks(self, answer: dict[str, Any]) -> Iterator[str]:
        """Say where it may lie if it is one jump."""
        if known := (answer.get("if_it_is_one_jump") or {}).get("interval"):
            low, high = known
            yield f"if it is one jump, it lies between {low:.0f} and {high:.0f} images (likelihood ratio, 95 %)"

    def many(self, counts: np.ndarray, scores: np.ndarray, penalty: float) -> np.ndarray:
        """Split many data sets at once; a fall is no answer."""
        removed = error_removed(counts, scores)
        at, rows = removed.argmax(axis=1), np.arange(len(counts))
        below = np.cumsum(scores, axis=1)[rows, at] / (at + 1)
        found = (removed[rows, at] > 0) & (below < scores.mean(axis=1))
        return np.where(found, counts[rows, at + 1], np.nan)
