"""The best single split: one change, between different counts, that leaves the least squared error."""

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
    if len(scores) < 2 or np.ptp(scores) == 0 or np.ptp(counts) == 0:
        return None, 0.0
    removed = error_removed(counts, scores[None])[0]
    at = int(np.argmax(removed))
    return at + 1, float(removed[at] / ((scores - scores.mean()) ** 2).sum())


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
        """Return the share of the squared error that the split removes."""
        return {"squared_error_removed": best_split(table.counts, table.scores)[1]}

    def many(self, counts: np.ndarray, scores: np.ndarray, penalty: float) -> np.ndarray:
        """Split many data sets at once."""
        removed = error_removed(counts, scores)
        at = removed.argmax(axis=1)
        return np.where(removed.max(axis=1) > 0, counts[np.arange(len(at)), at + 1], np.nan)
