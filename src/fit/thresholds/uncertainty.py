"""How sure a threshold is: a bootstrap of everything that was sampled, and a permutation test of the jump."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from fit.thresholds.estimators import find_estimator
from fit.thresholds.estimators.one_change import error_removed
from fit.thresholds.families import draw_rows
from fit.thresholds.scores import Scores
from fit.thresholds.threads import in_order
from fit.thresholds.unseen import draw_totals

CONFIDENCE = 0.95
REPLICATES = 200
"""Draws of each count, and of the mean of each prompt's images, that resamples of a study choose from."""
TIE = 1e-6
"""In images, less than any difference between counts: noise of this size orders ties by chance."""
CHUNK = 500
"""Resamples in memory at once."""


def draw_counts(table: Scores, rng: np.random.Generator) -> np.ndarray:
    """Draw the effective count of each concept again, with its own sampling error: [N, REPLICATES].

    Captions were counted, so they have no error. Of the images behind them, those downloaded are known; the matches
    among the others are drawn from their beta-binomial distribution (fit.thresholds.unseen). Without these numbers, a
    count with a 95 % interval is normal in log(1 + count); any other count is exact.
    """
    captions, downloaded, matches, low, high = table.evidence.T[:, :, None]
    size = (len(table), REPLICATES)
    drawn = np.tile(table.counts[:, None], (1, REPLICATES))
    sampled = (np.isfinite(captions) & np.isfinite(matches) & (downloaded > 0))[:, 0]
    if sampled.any():
        drawn[sampled] = draw_totals(table.evidence[sampled, :3], REPLICATES, rng)
    ranged = ~sampled & np.isfinite(low + high)[:, 0]
    if ranged.any():
        sd = (np.log1p(high) - np.log1p(low))[ranged] / 3.92
        noise = rng.normal(size=size)[ranged]
        drawn[ranged] = np.rint(np.maximum(np.expm1(np.log1p(drawn[ranged]) + sd * noise), 0))
    return drawn


def _bank(table: Scores, rng: np.random.Generator) -> np.ndarray | None:
    """Return means of resampled images: [N, prompts, REPLICATES]; None if no concept has images.

    A prompt without an image of a concept gets the mean of the concept's other prompts.
    """
    prompts = max((len(of_concept) for of_concept in table.images), default=0)
    if not prompts:
        return None
    bank = np.full((len(table), prompts, REPLICATES), np.nan)
    for concept, of_concept in enumerate(table.images):
        for prompt, images in enumerate(of_concept):
            if len(images):
                bank[concept, prompt] = images[rng.integers(len(images), size=(REPLICATES, len(images)))].mean(axis=1)
        missing = np.isnan(bank[concept, :, 0])
        bank[concept, missing] = table.scores[concept] if missing.all() else bank[concept, ~missing].mean(axis=0)
    return bank


def _draw_scores(table: Scores, bank: np.ndarray | None, rows: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return scores [R, N] of the concepts at `rows`: means over resampled prompts of means over resampled images.

    The prompts of a resample are drawn once, for all its concepts: all concepts were asked the same prompts.
    """
    if bank is None:
        return table.scores[rows]
    total = np.zeros(rows.shape)
    for prompt in rng.integers(bank.shape[1], size=(bank.shape[1], len(rows), 1)):
        total += bank[rows, prompt, rng.integers(REPLICATES, size=rows.shape)]
    return total / bank.shape[1]


@dataclass(frozen=True)
class Replicates:
    """Draws of what a table says of each concept, from which resamples of the table choose."""

    table: Scores
    images: np.ndarray | None
    """[N, prompts, REPLICATES] means of resampled images; None if no concept has images."""
    counts: np.ndarray
    """[N, REPLICATES]."""

    def resample(self, rows: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Return (counts, scores), [R, N] each and ascending in counts, of the concepts at `rows` [R, N].

        The prompts, of each prompt the images, and the error of each count are drawn. Ties in count are ordered by
        chance.
        """
        counts = self.counts[rows, rng.integers(REPLICATES, size=rows.shape)]
        scores = _draw_scores(self.table, self.images, rows, rng)
        order = np.argsort(counts + rng.random(rows.shape) * TIE, axis=1)
        return np.take_along_axis(counts, order, axis=1), np.take_along_axis(scores, order, axis=1)


def replicate(table: Scores, rng: np.random.Generator) -> Replicates:
    """Draw the replicates of a table."""
    return Replicates(table, _bank(table, rng), draw_counts(table, rng))


def resample(table: Scores, resamples: int, rng: np.random.Generator) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield (counts, scores), [R, N] each and ascending in counts, for some of `resamples` at a time.

    Concepts, or families of them, are drawn with replacement; then what Replicates.resample draws.
    """
    replicates = replicate(table, rng)
    for start in range(0, resamples, CHUNK):
        yield replicates.resample(draw_rows(table, min(CHUNK, resamples - start), rng), rng)


def bootstrap_all(
    table: Scores, names: Iterable[str], penalty: float, resamples: int, seed: int
) -> dict[str, dict[str, np.ndarray]]:
    """Estimate resampled studies: name of the estimator -> "threshold", and other keys of its details, -> [resamples].

    NaN where there is no threshold.
    """
    estimators = {name: find_estimator(name) for name in names}
    rng = np.random.default_rng(seed)

    def estimate(drawn: tuple[np.ndarray, np.ndarray]) -> dict[str, dict[str, np.ndarray]]:
        return {name: estimator.many_and_more(*drawn, penalty) for name, estimator in estimators.items()}

    parts = list(in_order(estimate, resample(table, resamples, rng)))
    return {
        name: {key: np.concatenate([part[name][key] for part in parts]) for key in of_name}
        for name, of_name in parts[0].items()
    }


def bootstrap(table: Scores, names: Iterable[str], penalty: float, resamples: int, seed: int) -> dict[str, np.ndarray]:
    """Estimate the thresholds of resampled studies: name of the estimator -> [resamples], NaN where there is none."""
    drawn = bootstrap_all(table, names, penalty, resamples, seed)
    return {name: of_name["threshold"] for name, of_name in drawn.items()}


def percentiles(found: np.ndarray) -> list[float] | None:
    """Return the percentile interval of values [R] of resamples; None if all are NaN."""
    found = found[np.isfinite(found)]
    tail = (1 - CONFIDENCE) / 2
    return np.quantile(found, [tail, 1 - tail]).tolist() if len(found) else None


def interval(name: str, found: np.ndarray, counts: Sequence[float] | np.ndarray) -> list[float] | None:
    """Return the percentile interval of thresholds that were found in resamples of a study.

    The percentiles are thresholds of resamples. The estimator says how far the interval reaches towards the concepts
    around them (fit.thresholds.estimators.base.Estimator.interval).

    Args:
        name: of the estimator.
        found: [R] its thresholds of the resamples, NaN where there is none.
        counts: [N] of the study.

    Returns:
        [low, high]: the threshold is above low and at most high. None if no resample has a threshold.
    """
    found = found[np.isfinite(found)]
    if not len(found):
        return None
    tail = (1 - CONFIDENCE) / 2
    ends = np.quantile(found, [tail, 1 - tail], method="inverted_cdf")
    places = np.unique(counts)
    below, above = np.searchsorted(places, ends)
    around = places[[max(below - 1, 0), min(above, len(places) - 1)]]
    return [float(end) for end in find_estimator(name).interval(ends, around)]


def permutation_p_value(table: Scores, permutations: int, seed: int) -> float:
    """Return how often chance alone makes so good a split: a permutation test of "scores do not depend on counts".

    Statistic: the squared error that the best single split removes. A permutation deals the scores to the counts again.

    Returns:
        (1 + permutations that reach the statistic) / (1 + permutations).
    """
    rng = np.random.default_rng(seed)
    observed = error_removed(table.counts, table.scores[None]).max()
    reached = 0
    for start in range(0, permutations, CHUNK):
        number = min(CHUNK, permutations - start)
        dealt = rng.permuted(np.broadcast_to(table.scores, (number, len(table))), axis=1)
        reached += int((error_removed(table.counts, dealt).max(axis=1) >= observed * (1 - 1e-12)).sum())
    return (1 + reached) / (1 + permutations)
