"""How sure a threshold is: a bootstrap of everything that was sampled, and a test against no jump."""

import numpy as np

from fit.thresholds.estimators import error_removed, many

CONFIDENCE = 0.95
REPLICATES = 200
"""Draws of each count, and of the mean of each prompt's images, from which resamples of a study take theirs."""
TIE = 1e-6
"""In images, below every difference of counts: what orders ties by chance."""
CHUNK = 500
"""Resamples in memory at once."""


def draw_counts(table, rng):
    """Effective counts of each concept drawn anew with their own sampling error: [N, REPLICATES].

    captions x share of matches: the captions are Poisson; the share's draws are the posterior Beta(matches + 1/2,
    downloaded - matches + 1/2). Where several faces of an image match, so that matches exceed downloads, the excess is
    a factor. Without these numbers, a count with a 95 % interval is normal in log(1 + count); any other is exact.
    """
    captions, downloaded, matches, low, high = table.evidence.T[:, :, None]
    size = (len(table), REPLICATES)
    drawn = np.tile(table.counts[:, None], (1, REPLICATES))
    sampled = (np.isfinite(captions) & np.isfinite(matches) & (downloaded > 0))[:, 0]
    if sampled.any():
        c, d, m = captions[sampled], downloaded[sampled], matches[sampled]
        held = np.minimum(m, d)
        share = rng.beta(held + 0.5, d - held + 0.5, (len(c), REPLICATES)) * np.where(
            held > 0, m / np.maximum(held, 1), 1
        )
        drawn[sampled] = np.rint(share * rng.poisson(c, share.shape))
    ranged = ~sampled & np.isfinite(low + high)[:, 0]
    if ranged.any():
        sd = (np.log1p(high) - np.log1p(low))[ranged] / 3.92
        noise = rng.normal(size=size)[ranged]
        drawn[ranged] = np.rint(np.maximum(np.expm1(np.log1p(drawn[ranged]) + sd * noise), 0))
    return drawn


def _bank(table, rng):
    """Means of resampled images: [N, prompts, REPLICATES]; None where no concept has any.

    A prompt that a concept has no image of stands at the mean of its others.
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


def _draw_scores(table, bank, rows, rng):
    """Scores [R, N] of the concepts at `rows`: means over resampled prompts of means over resampled images.

    The prompts of a resample are drawn once, for all its concepts: they were asked the same ones.
    """
    if bank is None:
        return table.scores[rows]
    total = np.zeros(rows.shape)
    for prompt in rng.integers(bank.shape[1], size=(bank.shape[1], len(rows), 1)):
        total += bank[rows, prompt, rng.integers(REPLICATES, size=rows.shape)]
    return total / bank.shape[1]


def resample(table, resamples, rng):
    """Yield (counts, scores), [R, N] each and ascending in counts, for some of `resamples` at a time.

    Concepts are drawn with replacement; of each drawn one, its prompts, of each prompt its images, and its count's own
    error. Ties in count are ordered by chance.
    """
    bank, counts_of = _bank(table, rng), draw_counts(table, rng)
    for start in range(0, resamples, CHUNK):
        rows = rng.integers(len(table), size=(min(CHUNK, resamples - start), len(table)))
        counts = counts_of[rows, rng.integers(REPLICATES, size=rows.shape)]
        scores = _draw_scores(table, bank, rows, rng)
        order = np.argsort(counts + rng.random(rows.shape) * TIE, axis=1)
        yield np.take_along_axis(counts, order, axis=1), np.take_along_axis(scores, order, axis=1)


def bootstrap(table, names, penalty, resamples, seed):
    """Thresholds of resampled studies: estimator -> [resamples], in images, NaN where a resample has none."""
    rng = np.random.default_rng(seed)
    found: dict[str, list] = {name: [] for name in names}
    for counts, scores in resample(table, resamples, rng):
        for name in names:
            found[name].append(many(name, counts, scores, penalty))
    return {name: np.concatenate(parts) for name, parts in found.items()}


def interval(name, found, counts):
    """The percentile interval of the thresholds [R] that estimator `name` found in resamples of a study of counts [N].

    An estimator that answers with the first concept above knows the threshold only as far as the concepts lie: between
    the last below and that one. Its interval therefore runs from the count of the concept before its lowest threshold
    to that of the concept at or after its highest. The logistic's midpoint lies somewhere between concepts already, and
    its interval goes half as far, in log(1 + count).

    Returns:
        [low, high]: the threshold is above low and at most high. None where no resample has one.
    """
    found = found[np.isfinite(found)]
    if not len(found):
        return None
    tail = (1 - CONFIDENCE) / 2
    ends = np.quantile(found, [tail, 1 - tail], method="inverted_cdf")
    places = np.unique(counts)
    below, above = np.searchsorted(places, ends)
    around = places[[max(below - 1, 0), min(above, len(places) - 1)]]
    if name == "logistic":
        around = np.expm1((np.log1p(around) + np.log1p(ends)) / 2)
    return [float(end) for end in around]


def permutation_p_value(table, permutations, seed):
    """How often chance alone makes so good a split: a permutation test of "scores have nothing to do with counts".

    Statistic: the squared error that the best single split removes. Scores are dealt to counts anew.

    Returns:
        (1 + permutations that reach the statistic) / (1 + permutations).
    """
    rng = np.random.default_rng(seed)
    observed = error_removed(table.counts, table.scores[None]).max()
    reached = 0
    for start in range(0, permutations, CHUNK):
        number = min(CHUNK, permutations - start)
        dealt = rng.permuted(np.tile(table.scores, (number, 1)), axis=1)
        reached += int((error_removed(table.counts, dealt).max(axis=1) >= observed * (1 - 1e-12)).sum())
    return (1 + reached) / (1 + permutations)
