"""How far scores and ratings order concepts alike, overall and where the count is the same; with intervals."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import rankdata, t

from fit.ratings.resampling import RatedConcepts

CONFIDENCE = 0.95
FEWEST = 10
"""Concepts that an interval needs, at least."""
_NEAR_ONE = 0.999
"""Correlations of resamples are cut here: Fisher's transform of 1 is infinite."""

Statistic = Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]
"""Of counts, scores and mean ratings, [..., N] each: [...], NaN where it has no meaning."""


def spearman(x: ArrayLike, y: ArrayLike) -> np.ndarray:
    """Return Spearman's rank correlation of x and y, [..., N] each: [...], NaN where x or y is constant.

    It is Pearson's correlation of ranks; ties have their mean rank. scipy.stats.spearmanr takes no batch of resamples.
    """
    a, b = (rankdata(values, axis=-1) - (np.shape(values)[-1] + 1) / 2 for values in (x, y))
    with np.errstate(invalid="ignore"):
        return (a * b).sum(-1) / np.sqrt((a**2).sum(-1) * (b**2).sum(-1))


def overall(counts: np.ndarray, scores: np.ndarray, means: np.ndarray) -> np.ndarray:
    """Return Spearman's correlation of scores and mean ratings."""
    return spearman(scores, means)


def given_count(counts: np.ndarray, scores: np.ndarray, means: np.ndarray) -> np.ndarray:
    """Return Spearman's partial correlation of scores and mean ratings given counts.

    It is the partial correlation of ranks: (r_sm - r_sc r_mc) / sqrt((1 - r_sc^2) (1 - r_mc^2)), NaN where a count, a
    score or a rating is constant, or scores or ratings follow counts exactly.
    """
    both, of_scores, of_means = spearman(scores, means), spearman(scores, counts), spearman(means, counts)
    left = (1 - of_scores**2) * (1 - of_means**2)
    with np.errstate(invalid="ignore", divide="ignore"):
        found = (both - of_scores * of_means) / np.sqrt(np.where(left > 1e-12, left, np.nan))
    return np.clip(found, -1, 1)


def _transformed(correlations: np.ndarray) -> np.ndarray:
    """Return Fisher's transform of correlations, of those that exist."""
    return np.arctanh(np.clip(correlations[np.isfinite(correlations)], -_NEAR_ONE, _NEAR_ONE))


def two_way_interval(
    estimate: float, by_concepts: np.ndarray, by_both: np.ndarray, *, raters: int, concepts: int
) -> list[float] | None:
    """Return the interval of a correlation for other raters, as many, and other concepts.

    In Fisher's transform, the variance over concepts is that of a bootstrap over concepts. What a bootstrap over both
    has more is the variance over raters; drawing R raters among R leaves out 1 / R of it, hence the factor R / (R - 1).
    Student's t has Satterthwaite's degrees of freedom for the sum of the two, R - 1 and N - 1 each: where raters are
    few and differ, the interval is wide.

    Args:
        estimate: the correlation.
        by_concepts, by_both: [resamples] correlations, NaN where there is none.
        raters, concepts: R and N, at least 2.

    Returns:
        [low, high]; None if fewer than half of the resamples have a correlation, or the estimate is 1 or -1.
    """
    alone, both = _transformed(by_concepts), _transformed(by_both)
    if min(len(alone), len(both)) * 2 < len(by_both) or abs(estimate) >= 1 - 1e-9:
        return None
    of_concepts = float(alone.var())
    of_raters = max(float(both.var()) - of_concepts, 0.0) * raters / (raters - 1)
    total = of_concepts + of_raters
    if total == 0:
        return None
    freedom = total**2 / (of_raters**2 / (raters - 1) + of_concepts**2 / (concepts - 1))
    half = t.ppf((1 + CONFIDENCE) / 2, freedom) * np.sqrt(total)
    return [float(end) for end in np.tanh(np.arctanh(estimate) + np.array([-half, half]))]


def correlate(rated: RatedConcepts, statistic: Statistic, *, resamples: int, seed: int) -> dict[str, Any]:
    """Correlate scores and mean ratings of concepts.

    Args:
        rated: the concepts.
        statistic: overall, or given_count.
        resamples: of each bootstrap.
        seed: of its draws.

    Returns:
        A dict: concepts, raters, spearman, interval (see two_way_interval), interval_of_these_raters (percentile
        bootstrap over concepts alone), and reason, why one of them is None.
    """
    number = len(rated.counts)
    found: dict[str, Any] = {"concepts": number, "raters": rated.raters, "spearman": None, "interval": None}
    found |= {"interval_of_these_raters": None, "reason": None}
    estimate = float(statistic(rated.counts, rated.scores, rated.means)) if number >= 2 else np.nan
    if not np.isfinite(estimate):
        found["reason"] = "fewer than two concepts" if number < 2 else _why_none(rated, statistic)
        return found
    found["spearman"] = estimate
    if number < FEWEST:
        found["reason"] = f"too few concepts for an interval: {number}, at least {FEWEST}"
        return found
    drawn = [
        np.concatenate(
            [
                statistic(rated.counts[rows], rated.scores[rows], means)
                for rows, means in rated.resample(resamples, np.random.default_rng([seed, also]), bool(also))
            ]
        )
        for also in range(2)
    ]
    there = drawn[0][np.isfinite(drawn[0])]
    tail = (1 - CONFIDENCE) / 2
    if 2 * len(there) >= resamples:
        found["interval_of_these_raters"] = [float(q) for q in np.quantile(there, [tail, 1 - tail])]
    if rated.raters < 2:
        found["reason"] = "one rater: nothing says how others would rate"
        return found
    found["interval"] = two_way_interval(estimate, drawn[0], drawn[1], raters=rated.raters, concepts=number)
    if found["interval"] is None:
        found["reason"] = "resamples do not vary, or have no correlation"
    return found


def _why_none(rated: RatedConcepts, statistic: Statistic) -> str:
    """Say why `statistic` has no value."""
    names = {"scores": rated.scores, "ratings": rated.means}
    if statistic is given_count:
        names["counts"] = rated.counts
    constant = [name for name, values in names.items() if np.ptp(values) == 0]
    return f"all {' and '.join(constant)} are the same" if constant else "scores or ratings follow counts exactly"
