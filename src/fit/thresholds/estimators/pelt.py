"""PELT, the paper's estimator: the first change point of the scores in order of count."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from ruptures import KernelCPD

from fit.thresholds.estimators.base import ConceptEstimator
from fit.thresholds.scores import Scores


def change_points(scores: np.ndarray, penalty: float) -> list[int]:
    """Split `scores` [N] as PELT with the l2 cost (min_size 1, jump 1) does; return the first index after each change.

    KernelCPD with a linear kernel minimises the same cost exactly, in C.
    """
    if len(scores) < 2:
        return []
    signal = np.asarray(scores, np.float64)[:, None]
    return KernelCPD(kernel="linear", min_size=1, jump=1).fit(signal).predict(pen=penalty)[:-1]


class Pelt(ConceptEstimator):
    """The first change point that PELT finds. The penalty tests the jump, so that the permutation test does not."""

    name = "pelt"
    label = "PELT"
    marker = "*"
    is_tested = False
    why_none = "no change point at this penalty"
    why_none_in_a_sentence = "the scores do not jump (PELT, penalty {penalty:g})"

    def first_above(self, counts: np.ndarray, scores: np.ndarray, penalty: float) -> int | None:
        """Return the first change point; counts are not looked at, as in the paper."""
        return next(iter(change_points(scores, penalty)), None)

    def details(self, table: Scores, at: int | None, penalty: float) -> dict[str, Any]:
        """Return how many changes there are, and how many concepts share the count within which the first one lies."""
        counts, more = table.counts, {"changes": len(change_points(table.scores, penalty))}
        if at and counts[at - 1] == counts[at]:
            more["tie"] = int((counts == counts[at]).sum())
        return more

    def remarks(self, answer: dict[str, Any]) -> Iterator[str]:
        """Say that the change lies within concepts of one count."""
        if tie := answer.get("tie"):
            at = answer["first_above"]["effective_count"]
            yield f"the change lies within {tie} concepts that all have {at} images, whose order is that of their names"
