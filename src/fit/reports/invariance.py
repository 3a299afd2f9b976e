"""Whether concepts with nearly the same count have nearly the same score: the paper's check of its assumption that
concepts of a domain are equally hard to imitate (MIMETIC2, arXiv 2410.15002)."""

from dataclasses import dataclass

import numpy as np

from fit.thresholds.scores import Scores
from fit.thresholds.uncertainty import CONFIDENCE

WITHIN = 10
"""Concepts are near each other if their counts differ by fewer images, as in the paper."""
FEWEST = 20
"""Concepts that a near one has, at least, for an interval: with fewer, its coverage was not measured."""
CHUNK = 200
"""Resamples in memory at once."""


@dataclass(frozen=True)
class Invariance:
    """Differences between the scores of concepts that are near each other in count."""

    pairs: int
    """Pairs of concepts with different counts, fewer than WITHIN images apart."""
    ties: int
    """Pairs of concepts with the same count: neither has more images, so that their difference has no sign."""
    concepts: int
    """Concepts in `pairs`."""
    mean: float | None
    """Mean over `pairs` of the score of the concept with more images minus the other's; None without a pair."""
    interval: tuple[float, float] | None
    """95 % interval of `mean`: percentiles of a bootstrap over concepts; None if `concepts` is below FEWEST."""
    mean_absolute: float | None
    """Mean size of the difference over `pairs` and `ties`; None without any."""


def invariance(table: Scores, resamples: int, seed: int) -> Invariance:
    """Compare the scores of concepts that are fewer than WITHIN images apart.

    Args:
        table: of N concepts.
        resamples: of the bootstrap. It draws concepts, not pairs: pairs share concepts.
        seed: of its draws.
    """
    counts, scores, number = table.counts, table.scores, len(table)
    # Of concept i, the partners with more images are those at first[i] .. end[i] - 1.
    first = np.searchsorted(counts, counts, side="right")
    end = np.searchsorted(counts, counts + WITHIN, side="left")
    partners = np.maximum(end - first, 0)
    end = first + partners
    pairs = int(partners.sum())
    ties = int((first - np.arange(number) - 1).sum())
    size = sum(float(np.abs(scores[i + 1 : end[i]] - scores[i]).sum()) for i in range(number))
    mean_absolute = size / (pairs + ties) if pairs + ties else None
    if not pairs:
        return Invariance(0, ties, 0, None, None, mean_absolute)
    bounds = np.zeros(number + 1, int)
    np.add.at(bounds, first[partners > 0], 1)
    np.add.at(bounds, end[partners > 0], -1)
    concepts = int(((partners > 0) | (np.cumsum(bounds)[:-1] > 0)).sum())
    mean = float(_means(np.ones((1, number)), scores, first, end)[0])
    interval = None
    if concepts >= FEWEST:
        interval = _interval(scores, first, end, resamples, seed)
    return Invariance(pairs, ties, concepts, mean, interval, mean_absolute)


def _means(weights: np.ndarray, scores: np.ndarray, first: np.ndarray, end: np.ndarray) -> np.ndarray:
    """Return the mean difference [R] where concept i was drawn weights[r, i] times; NaN without a pair.

    Sums over partners are differences of cumulated sums, so that the cost grows with N and not with the pairs.
    """
    of_weights = np.pad(np.cumsum(weights, axis=1), ((0, 0), (1, 0)))
    of_scores = np.pad(np.cumsum(weights * scores, axis=1), ((0, 0), (1, 0)))
    number = of_weights[:, end] - of_weights[:, first]
    total = (weights * (of_scores[:, end] - of_scores[:, first] - scores * number)).sum(axis=1)
    pairs = (weights * number).sum(axis=1)
    return np.divide(total, pairs, out=np.full(len(weights), np.nan), where=pairs > 0)


def _interval(
    scores: np.ndarray, first: np.ndarray, end: np.ndarray, resamples: int, seed: int
) -> tuple[float, float] | None:
    rng, number = np.random.default_rng(seed), len(scores)
    found = []
    for start in range(0, resamples, CHUNK):
        drawn = rng.multinomial(number, np.full(number, 1 / number), min(CHUNK, resamples - start))
        found.append(_means(drawn.astype(float), scores, first, end))
    means = np.concatenate(found)
    if not np.isfinite(means).any():
        return None
    tail = (1 - CONFIDENCE) / 2
    low, high = np.nanquantile(means, [tail, 1 - tail])
    return float(low), float(high)
