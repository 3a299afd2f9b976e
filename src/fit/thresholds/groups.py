"""Whether groups of concepts have different thresholds."""

from collections.abc import Sequence

import numpy as np

from fit.thresholds.estimators.one_change import error_removed
from fit.thresholds.scores import Scores
from fit.thresholds.uncertainty import CHUNK

BLOCK = 10
"""Concepts next to each other in count: a permutation deals labels among them."""


def _spread(counts: np.ndarray, scores: np.ndarray, labels: np.ndarray, names: Sequence[str]) -> np.ndarray:
    """Return the spread [R] of the best single splits, in log(1 + count), between groups `names` of `labels` [R, N].

    NaN where a group has no split.
    """
    places = []
    for name in names:
        rows = np.nonzero(labels == name)[1].reshape(len(labels), -1)
        removed = error_removed(counts[rows], scores[rows])
        at = removed.argmax(axis=1)
        threshold = np.take_along_axis(counts[rows], at[:, None] + 1, axis=1)[:, 0]
        places.append(np.where(removed.max(axis=1) > 0, np.log1p(threshold), np.nan))
    return np.ptp(places, axis=0)


def difference_p_value(table: Scores, names: Sequence[str], permutations: int, seed: int) -> dict[str, float | None]:
    """Test whether groups have different thresholds, against "a group says nothing that the count does not".

    Statistic: the spread of the groups' best single splits in log(1 + count). A permutation deals labels among concepts
    of like counts (blocks of BLOCK in order of count), so that groups that were counted differently stay so.

    Args:
        table: of the concepts.
        names: of the groups that take part, two or more.
        permutations: how many.
        seed: of the permutations.

    Returns:
        A dict: p_value, (1 + permutations that reach the statistic) / (1 + permutations), and ratio, of the highest to
        the lowest split in 1 + images; both None where a group has no split.
    """
    rows = np.isin(table.groups, names)
    counts, scores, labels = table.counts[rows], table.scores[rows], table.groups[rows]
    observed = _spread(counts, scores, labels[None], names)[0]
    if np.isnan(observed):
        return {"p_value": None, "ratio": None}
    rng = np.random.default_rng(seed)
    block = np.arange(len(labels)) // BLOCK
    reached = 0
    for start in range(0, permutations, CHUNK):
        number = min(CHUNK, permutations - start)
        order = np.lexsort((rng.random((number, len(labels))), np.tile(block, (number, 1))), axis=-1)
        dealt = _spread(counts, scores, labels[order], names)
        reached += int((~(dealt < observed - 1e-12)).sum())
    return {"p_value": (1 + reached) / (1 + permutations), "ratio": float(np.exp(observed))}
