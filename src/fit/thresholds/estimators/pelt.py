"""PELT: the first change point of the scores in order of count, between different counts."""

from typing import Any

import numpy as np

from fit.thresholds.compiled import first_rises, rises_at, segment
from fit.thresholds.estimators.base import ConceptEstimator
from fit.thresholds.scores import Scores


def change_points(scores: np.ndarray, penalty: float) -> list[int]:
    """Split `scores` [N] as PELT with the l2 cost (min_size 1, jump 1) does; return the first index after each change.

    This is the paper's PELT: it looks at no count. KernelCPD with a linear kernel minimises the same cost, in C.
    """
    if len(scores) < 2:
        return []
    from ruptures import KernelCPD  # takes longer to import than most commands take, which read only thresholds

    signal = np.asarray(scores, np.float64)[:, None]
    return KernelCPD(kernel="linear", min_size=1, jump=1).fit(signal).predict(pen=penalty)[:-1]


def changes_between_counts(counts: np.ndarray, scores: np.ndarray, penalty: float) -> list[int]:
    """Split `scores` [N] as `change_points` does, but only between different `counts` [N], which ascend.

    Where no two counts are equal the changes are the same. Where some are, they do not depend on the order of concepts
    of one count.
    """
    if len(scores) < 2:
        return []
    return segment(np.asarray(counts, np.float64), np.asarray(scores, np.float64), float(penalty)).tolist()


class Pelt(ConceptEstimator):
    """The first change point that PELT finds. The penalty tests the jump, so that the permutation test does not."""

    name = "pelt"
    label = "PELT"
    marker = "*"
    is_tested = False
    is_of_one_rise = False
    why_none = "no change point at this penalty"
    why_none_in_a_sentence = "the scores do not jump (PELT, penalty {penalty:g})"

    def changes(self, counts: np.ndarray, scores: np.ndarray, penalty: float) -> list[int]:
        """Return the first index after each change."""
        return changes_between_counts(counts, scores, penalty)

    def first_above(self, counts: np.ndarray, scores: np.ndarray, penalty: float) -> int | None:
        """Return the first change point."""
        return next(iter(self.changes(counts, scores, penalty)), None)

    def direction(self, table: Scores, at: int, penalty: float) -> str:
        """Return "rise" if the scores rise to the next change, and on the whole."""
        changes = np.array(self.changes(table.counts, table.scores, penalty))
        return "rise" if rises_at(table.scores, changes) else "fall"

    def details(self, table: Scores, at: int | None, penalty: float) -> dict[str, Any]:
        """Return how many changes there are."""
        return {"changes": len(self.changes(table.counts, table.scores, penalty))}

    def many(self, counts: np.ndarray, scores: np.ndarray, penalty: float) -> np.ndarray:
        """Split many data sets; a first change that is a fall is no answer."""
        return first_rises(counts.astype(np.float64), scores, np.full(len(counts), float(penalty)), False)
