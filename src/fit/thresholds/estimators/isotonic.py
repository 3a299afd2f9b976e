"""Isotonic regression: where a fit that never falls reaches the middle of its rise."""

from typing import Any

import numpy as np
from scipy.optimize import isotonic_regression

from fit.thresholds.compiled import isotonic_middles
from fit.thresholds.estimators.base import ConceptEstimator, Curve
from fit.thresholds.scores import Scores


def isotonic(counts: np.ndarray, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Fit `scores` [N] by a function of `counts` [N] that never falls: (different counts [U], fitted scores [U])."""
    places, at = np.unique(counts, return_inverse=True)
    sizes = np.bincount(at)
    return places, isotonic_regression(np.bincount(at, scores) / sizes, weights=sizes).x


def isotonic_middle(counts: np.ndarray, scores: np.ndarray) -> int | None:
    """Return the index of the first concept at which the isotonic fit reaches the middle of its rise.

    The middle lies between the fit's means over the fifth of the concepts with the fewest images and the fifth with the
    most. None if the fit does not rise between them. Single concepts at its ends bend the fit, which is why its
    extremes are not taken.
    """
    places, fitted = isotonic(counts, scores)
    of_concepts = fitted[np.searchsorted(places, counts)]
    fifth = max(1, len(counts) // 5)
    low, high = of_concepts[:fifth].mean(), of_concepts[-fifth:].mean()
    return int(np.searchsorted(of_concepts, (low + high) / 2)) if low < high else None


class Isotonic(ConceptEstimator):
    """The middle of the rise of an isotonic fit."""

    name = "isotonic"
    marker = "D"

    def first_above(self, counts: np.ndarray, scores: np.ndarray, penalty: float) -> int | None:
        """Return the index of the first concept at or above the middle."""
        return isotonic_middle(counts, scores)

    def direction(self, table: Scores, at: int, penalty: float) -> str:
        """Return "rise": it finds nothing else."""
        return "rise"

    def details(self, table: Scores, at: int | None, penalty: float) -> dict[str, Any]:
        """Return the fit as points [count, score]: those at which it changes, and those before."""
        places, fitted = isotonic(table.counts, table.scores)
        steps = np.diff(fitted) > 0
        corner = np.append(True, steps) | np.append(steps, True)
        return {"curve": [[int(c), float(s)] for c, s in zip(places[corner], fitted[corner], strict=True)]}

    def curve(self, answer: dict[str, Any], highest: float) -> Curve | None:
        """Return the fit in steps."""
        if "curve" not in answer:
            return None
        counts, scores = np.array(answer["curve"]).T
        return Curve(counts, scores, is_step=True)

    def many(self, counts: np.ndarray, scores: np.ndarray, penalty: float) -> np.ndarray:
        """Fit many data sets."""
        return isotonic_middles(np.asarray(counts, np.float64), np.asarray(scores, np.float64))
