"""Whether the scores of concepts next to each other in count are alike, and a test against no jump that allows for it.

The other tests, and the bootstrap, take each concept (or family) to say something of its own. Where noise is alike in
neighbours, one chance bump of it looks like a rise, and none of them can see the difference.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from fit.thresholds.estimators.one_change import error_removed
from fit.thresholds.families import families_of
from fit.thresholds.scores import Scores

ALIKE = 0.02
"""P-value up to which neighbours are called alike."""
DRAWS = 499
"""Of signs, for the p-value of the correlation."""
FEWEST_PLACES = 10
"""Different counts below which no correlation of neighbours is measured."""
NO_NOISE = 1e-12
"""Variance of residuals, in variances of the scores, up to which they are rounding."""
CHUNK = 500
"""Series in memory at once."""
LARGEST = 0.97
"""Correlation that a series is drawn with, at most: with 1 it would have no mean."""


class _Neighbours:
    """Pairs of concepts that are next to each other in count, and not of one family.

    Concepts of one count are one place, and each pair of concepts of two neighbouring places is a pair of neighbours:
    the order of concepts of one count does not matter.
    """

    def __init__(self, counts: np.ndarray, families: np.ndarray | None) -> None:
        """Find the places of `counts` [N], ascending, and which concepts of neighbouring places are of one family."""
        _, self.place = np.unique(counts, return_inverse=True)
        self.sizes = np.bincount(self.place)
        self.weights = 1 / np.sqrt(self.sizes)
        number = len(self.sizes)
        self.family = np.arange(len(counts)) if families is None else families
        cells, self.cell = np.unique(self.family * (number + 1) + self.place, return_inverse=True)
        # A family's cells follow one another, and the gap of 1 between families' numbers keeps them apart.
        self.here = np.flatnonzero(np.diff(cells) == 1)
        self.of_cell = self.weights[cells % (number + 1)]

    def _products(self, first: np.ndarray, second: np.ndarray) -> float:
        """Return the sum over pairs of neighbours of `first` [N] of the lower times `second` [N] of the upper one."""
        low, high = (np.bincount(self.place, values) * self.weights for values in (first, second))
        of_cells = [np.bincount(self.cell, values) * self.of_cell for values in (first, second)]
        return float(low[:-1] @ high[1:] - of_cells[0][self.here] @ of_cells[1][self.here + 1])

    def correlation(self, residuals: np.ndarray) -> float:
        """Return the correlation of the residuals [N] of neighbours; 0 where there is none."""
        squares, ones = residuals**2, np.ones(len(residuals))
        size = (self._products(squares, ones) + self._products(ones, squares)) / 2
        return self._products(residuals, residuals) / size if size > 1e-12 * squares.sum() else 0.0

    def fit(self, scores: np.ndarray) -> np.ndarray:
        """Return the fit of `scores` [N] that never falls, or never rises, with the counts: the nearer one."""
        from scipy.optimize import isotonic_regression

        means = np.bincount(self.place, scores) / self.sizes
        fits = [isotonic_regression(means, weights=self.sizes, increasing=up).x[self.place] for up in (True, False)]
        return min(fits, key=lambda fitted: float(((scores - fitted) ** 2).sum()))


def measure_neighbours(table: Scores, seed: int) -> dict[str, Any]:
    """Measure how alike the scores of neighbours in count are, beyond what the scores do with the count.

    The residuals are those of an isotonic fit, up or down, so that neither a step nor a curved rise looks like a
    correlation. Neighbours of one family do not count: families are allowed for. The p-value compares the correlation
    with those of DRAWS studies that have the same fit, and the same residuals with signs at random, one for a family,
    and that are fitted again: a spread that depends on the count does not matter, nor that a fit takes up some of the
    correlation.

    Args:
        table: of the concepts.
        seed: of the signs.

    Returns:
        A dict: correlation (less the mean of those draws), p_value (one-sided), both None with fewer than FEWEST_PLACES
        different counts, or without noise; alike, whether the p-value is at most ALIKE; and families, whether families
        were allowed for.
    """
    families = families_of(table)
    found: dict[str, Any] = {"correlation": None, "p_value": None, "alike": False, "families": families is not None}
    if len(np.unique(table.counts)) < FEWEST_PLACES:
        return found
    rng = np.random.default_rng([seed, 1])
    neighbours = _Neighbours(table.counts, families)
    fitted = neighbours.fit(table.scores)
    residuals = table.scores - fitted
    if residuals.var() <= NO_NOISE * table.scores.var():
        return found
    observed = neighbours.correlation(residuals)
    drawn = np.empty(DRAWS)
    for draw in range(DRAWS):
        signs = 2.0 * rng.integers(2, size=int(neighbours.family.max()) + 1) - 1
        scores = fitted + residuals * signs[neighbours.family]
        drawn[draw] = neighbours.correlation(scores - neighbours.fit(scores))
    p_value = float((1 + (drawn >= observed - 1e-12).sum()) / (1 + DRAWS))
    correlation = float(np.clip(observed - drawn.mean(), -1, 1))
    return found | {"correlation": correlation, "p_value": p_value, "alike": p_value <= ALIKE}


def why_no_interval(neighbours: Mapping[str, Any] | None) -> str | None:
    """Say why a study whose neighbours are alike has no interval; None if they are not, or if that is unknown."""
    if not neighbours or not neighbours.get("alike"):
        return None
    alike = f"the scores of neighbours in count are alike (correlation {neighbours['correlation']:.2g})"
    if neighbours.get("families"):
        return f"{alike} beyond their families"
    return f"{alike}; give like concepts a `family`"


# --- the test against no jump -----------------------------------------------------------------------------------------


def _around_best_split(counts: np.ndarray, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the residuals of `scores` [R, N] around the means on both sides of the best split, and what it removes."""
    number = scores.shape[1]
    removed = error_removed(counts, scores)
    size = removed.argmax(axis=1)[:, None] + 1
    sums = np.cumsum(scores, axis=1)
    below = np.take_along_axis(sums, size - 1, axis=1)
    means = np.where(np.arange(number) < size, below / size, (sums[:, -1:] - below) / (number - size))
    return scores - means, removed.max(axis=1)


def _correlations(residuals: np.ndarray) -> np.ndarray:
    """Return the correlation of neighbours in each row [R, U], without most of the bias of two fitted means.

    The bias of the correlation r of a series of U around one mean is -(1 + 3 r) / U (Kendall 1954); around two it is
    about -(2 + 3 r) / U.
    """
    squares = np.maximum((residuals**2).sum(axis=1), np.finfo(float).tiny)
    found = (residuals[:, 1:] * residuals[:, :-1]).sum(axis=1) / squares
    return np.clip(found + (2 + 3 * found) / residuals.shape[1], 0, LARGEST)


def _studentised(residuals: np.ndarray, removed: np.ndarray) -> np.ndarray:
    """Return `removed` [R] in long-run variances of the residuals [R, U] of each row."""
    correlation = _correlations(residuals)[:, None]
    new = residuals[:, 1:] - correlation * residuals[:, :-1]
    variance = new.var(axis=1) / (1 - correlation[:, 0]) ** 2
    return removed / np.maximum(variance, np.finfo(float).tiny)


def neighbours_p_value(table: Scores, permutations: int, seed: int) -> float:
    """Test "the mean score does not depend on the count" where the noise of neighbours in count is alike.

    Noise is drawn as a series along the counts in which each place's noise is a share of the last one's plus something
    new (a sieve bootstrap: Bühlmann 1997). The share is the correlation of residuals around the best split. What is new
    is that of the study, with signs at random, so that its size may depend on the count. Statistic: the squared error
    that the best split removes, in long-run variances, which each draw estimates again as the study does.

    Args:
        table: of the concepts. Concepts of one count are one place, with their mean.
        permutations: how many series are drawn.
        seed: of the signs.

    Returns:
        (1 + draws that reach the statistic) / (1 + permutations).
    """
    from scipy.signal import lfilter

    rng = np.random.default_rng([seed, 2])
    _, first, place = np.unique(table.counts, return_index=True, return_inverse=True)
    means = (np.bincount(place, table.scores) / np.bincount(place))[None, place]
    residuals, removed = _around_best_split(table.counts, means)
    residuals = residuals[:, first]
    observed = _studentised(residuals, removed)[0]
    correlation = _correlations(residuals)[0]
    new = residuals[0] - np.append(0.0, correlation * residuals[0, :-1])
    new[1:] -= new[1:].mean()
    reached = 0
    for start in range(0, permutations, CHUNK):
        signs = 2.0 * rng.integers(2, size=(min(CHUNK, permutations - start), len(new))) - 1
        series = lfilter([1.0], [1.0, -correlation], new * signs, axis=1)[:, place]
        around, of_draws = _around_best_split(table.counts, series)
        drawn = _studentised(around[:, first], of_draws)
        reached += int((drawn >= observed * (1 - 1e-12)).sum())
    return (1 + reached) / (1 + permutations)
