"""Tests against "there is no jump" that hold where scores are not equally uncertain, or not independent.

A permutation deals scores over counts, so it also rejects where the spread grows with the count, or where like concepts
have like counts and like scores. Here signs are dealt instead: each residual keeps its place and its size.
"""

from typing import Any

import numpy as np

from fit.thresholds.estimators.one_change import error_removed
from fit.thresholds.headline import CHANCE
from fit.thresholds.scores import Scores
from fit.thresholds.uncertainty import CHUNK, permutation_p_value

FEWEST_FAMILIES = 8
"""Families below which signs can't be dealt in enough ways for a p-value that means something."""


def sign_p_value(table: Scores, families: np.ndarray | None, permutations: int, seed: int) -> float:
    """Test "the mean score does not depend on the count", whatever the spread does: a wild bootstrap.

    The residuals around the mean get random signs (Liu 1988), one for all concepts of a family (Cameron, Gelbach and
    Miller 2008), and are centred again. Statistic: the squared error that the best single split removes.

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
    observed = error_removed(table.counts, residuals[None]).max()
    of_concept = np.arange(len(table)) if families is None else families
    reached = 0
    for start in range(0, permutations, CHUNK):
        number = min(CHUNK, permutations - start)
        signs = 2.0 * rng.integers(2, size=(number, int(of_concept.max()) + 1)) - 1
        removed = error_removed(table.counts, residuals * signs[:, of_concept]).max(axis=1)
        reached += int((removed >= observed * (1 - 1e-12)).sum())
    return (1 + reached) / (1 + permutations)


def families_of(table: Scores) -> np.ndarray | None:
    """Return the families of a table as numbers [N]: its column `family`, else `group`; None if there are too few.

    A concept without a family is its own.
    """
    names = table.groups if table.families is None else table.families
    if len(set(names) - {""}) < FEWEST_FAMILIES:
        return None
    own = np.where(names == "", np.char.add("\0", table.concepts), names)
    return np.unique(own, return_inverse=True)[1]


def against_no_jump(table: Scores, permutations: int, seed: int) -> dict[str, Any]:
    """Make all tests against no jump.

    Returns:
        A dict: p_value (scores permuted over counts), p_value_any_spread (signs of the residuals), p_value_families
        (signs of families; None without enough of them), families (how many, or None), permutations and test.
    """
    families = families_of(table)
    return {
        "p_value": permutation_p_value(table, permutations, seed),
        "p_value_any_spread": sign_p_value(table, None, permutations, seed),
        "p_value_families": None if families is None else sign_p_value(table, families, permutations, seed),
        "families": None if families is None else int(families.max()) + 1,
        "permutations": permutations,
        "test": TEST,
    }


TEST = (
    "scores permuted over counts; any_spread: signs of the residuals around the mean at random; families: one sign for "
    f"a family; squared error that the best single split removes; a threshold needs p <= {CHANCE:g} in each"
)
"""What the JSON says of the tests."""
