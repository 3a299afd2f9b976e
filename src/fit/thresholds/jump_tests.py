"""Tests against "there is no jump" that hold where scores are not equally uncertain, or not independent.

A permutation deals scores over counts, so it also rejects where the spread grows with the count, or where like concepts
have like counts and like scores. Here signs are dealt instead: each residual keeps its place and its size.
"""

from typing import Any

import numpy as np

from fit.thresholds.estimators.one_change import error_removed
from fit.thresholds.families import families_of
from fit.thresholds.headline import CHANCE
from fit.thresholds.neighbours import neighbours_p_value
from fit.thresholds.scores import Scores
from fit.thresholds.uncertainty import CHUNK, permutation_p_value


def difference_in_errors(counts: np.ndarray, residuals: np.ndarray) -> np.ndarray:
    """Return the squared difference of the means on both sides of each split, in its variance: [R, N - 1].

    The variance is that of independent residuals, each of a size of its own, without a difference (a score statistic,
    robust to heteroscedasticity: White 1980, with restricted residuals).

    Args:
        counts: [N], ascending; a split between equal counts has a difference of 0.
        residuals: [R, N] around the mean; they are centred again.
    """
    total = residuals.shape[1]
    residuals = residuals - residuals.mean(axis=1, keepdims=True)
    below = np.arange(1, total) / total
    sums, squares = np.cumsum(residuals, axis=1), np.cumsum(residuals**2, axis=1)
    variances = squares[:, :-1] * (1 - below) ** 2 + (squares[:, -1:] - squares[:, :-1]) * below**2
    tiny = np.finfo(float).tiny
    return np.where(np.diff(counts) > 0, sums[:, :-1] ** 2 / np.maximum(variances, tiny), 0.0)


def sign_p_value(table: Scores, families: np.ndarray | None, permutations: int, seed: int) -> float:
    """Test "the mean score does not depend on the count", whatever the spread does: a wild bootstrap.

    The residuals around the mean get random signs (Liu 1988), one for all concepts of a family (Cameron, Gelbach and
    Miller 2008), and are centred again. Statistic: of concepts, the largest difference of two sides in its errors,
    since signs alone find too much in small studies whose spread grows with the count (Davidson and Flachaire 2008); of
    families, the squared error that the best single split removes.

    Args:
        table: of the concepts.
        families: [N] numbers of families; None: each concept is its own.
        permutations: how often signs are dealt.
        seed: of the signs.

    Returns:
        (1 + signs that reach the statistic) / (1 + permutations).
    """
    rng = np.random.default_rng(seed)
    residuals = table.scores - table.scores.mean()
    statistic = difference_in_errors if families is None else error_removed
    observed = statistic(table.counts, residuals[None]).max()
    of_concept = np.arange(len(table)) if families is None else families
    reached = 0
    for start in range(0, permutations, CHUNK):
        number = min(CHUNK, permutations - start)
        signs = 2.0 * rng.integers(2, size=(number, int(of_concept.max()) + 1)) - 1
        drawn = statistic(table.counts, residuals * signs[:, of_concept]).max(axis=1)
        reached += int((drawn >= observed * (1 - 1e-12)).sum())
    return (1 + reached) / (1 + permutations)


def against_no_jump(table: Scores, permutations: int, seed: int, are_alike: bool) -> dict[str, Any]:
    """Make all tests against no jump.

    Args:
        table: of the concepts.
        permutations: of each test.
        seed: of the draws.
        are_alike: whether neighbours in count are alike (fit.thresholds.neighbours): then the test that allows for it
            is made too.

    Returns:
        A dict: p_value (scores permuted over counts), p_value_any_spread (signs of the residuals), p_value_families
        (signs of families; None without enough of them), p_value_neighbours (a series along the counts; None where
        neighbours are not alike), families (how many, or None), permutations and test.
    """
    families = families_of(table)
    return {
        "p_value": permutation_p_value(table, permutations, seed),
        "p_value_any_spread": sign_p_value(table, None, permutations, seed),
        "p_value_families": None if families is None else sign_p_value(table, families, permutations, seed),
        "p_value_neighbours": neighbours_p_value(table, permutations, seed) if are_alike else None,
        "families": None if families is None else int(families.max()) + 1,
        "permutations": permutations,
        "test": TEST,
    }


TEST = (
    "scores permuted over counts, by the squared error that the best single split removes; any_spread: signs of the "
    "residuals around the mean at random, by the largest difference of two sides in its errors; families: one sign for "
    "a family, by the squared error; neighbours: a series along the counts, by the squared error in long-run "
    f"variances; a threshold needs p <= {CHANCE:g} in each"
)
"""What the JSON says of the tests."""
