"""How far raters agree: Krippendorff's alpha, and its interval.

Checked against the published example and the definition; the package `krippendorff` takes no batch of resamples.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike

CONFIDENCE = 0.95


def _ordinal(values: np.ndarray, totals: np.ndarray) -> np.ndarray:
    between = np.cumsum(totals, axis=-1)
    first, last = np.minimum.outer(*2 * [np.arange(len(values))]), np.maximum.outer(*2 * [np.arange(len(values))])
    at_ends = (totals[..., first] + totals[..., last]) / 2
    return (between[..., last] - between[..., first] + totals[..., first] - at_ends) ** 2


METRICS: dict[str, Callable[[np.ndarray, np.ndarray], np.ndarray]] = {
    "nominal": lambda values, totals: (values[:, None] != values).astype(np.float64),
    "ordinal": _ordinal,
    "interval": lambda values, totals: (values[:, None] - values) ** 2,
}
"""Name -> function of values [V], and of how often the data have each [..., V], that gives squared differences
[..., V, V]."""


def _coincidences(ratings: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the values [V] that were given, and the coincidences [units, V, V] of values within each unit."""
    values = np.unique(ratings[~np.isnan(ratings)])
    # [units, V]: how many raters gave each value to each unit.
    given = (ratings[None] == values[:, None, None]).sum(1).T.astype(np.float64)
    raters = given.sum(1, keepdims=True)
    pairs = np.where(raters >= 2, given / np.maximum(raters - 1, 1), 0)
    return values, pairs[:, :, None] * given[:, None, :] - pairs[:, :, None] * np.eye(len(values))


def _alpha(values: np.ndarray, coincidences: np.ndarray, metric: str) -> np.ndarray:
    """Return alpha [...] of coincidences [..., V, V]; NaN where it has no meaning."""
    totals = coincidences.sum(-1)
    differences = METRICS[metric](values, totals)
    expected = (totals[..., :, None] * totals[..., None, :] * differences).sum((-1, -2))
    observed = (coincidences * differences).sum((-1, -2))
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(expected > 0, 1 - (totals.sum(-1) - 1) * observed / expected, np.nan)


def krippendorff_alpha(ratings: ArrayLike, metric: str) -> float | None:
    """Return Krippendorff's alpha: 1 for raters who always agree, 0 for what chance would give, below 0 for less.

    From the coincidences of values within units, as in K. Krippendorff, "Computing Krippendorff's Alpha-Reliability"
    (2011).

    Args:
        ratings: [raters, units] numbers, NaN where a rater did not rate.
        metric: "nominal", "ordinal" or "interval".

    Returns:
        alpha; None where it has no meaning: no unit has two ratings, or all such units are rated alike.
    """
    values, coincidences = _coincidences(np.asarray(ratings, np.float64))
    found = float(_alpha(values, coincidences.sum(0), metric))
    return None if np.isnan(found) else found


def alpha_interval(
    ratings: ArrayLike, metric: str, groups: np.ndarray, *, resamples: int, seed: int, fewest: int
) -> list[float] | None:
    """Return the 95 % interval of alpha, for these raters and other units: a percentile bootstrap over groups of units.

    Args:
        ratings, metric: as krippendorff_alpha takes them.
        groups: [units] a number of each: units of a group, such as pictures of a concept, are drawn together.
        resamples: how many.
        seed: of the draws.
        fewest: groups with a unit that two raters rated, at least.

    Returns:
        [low, high]; None if there are fewer groups, or fewer than half of the resamples have an alpha, or do not vary.
    """
    values, coincidences = _coincidences(np.asarray(ratings, np.float64))
    of_groups = np.zeros((int(groups.max(initial=-1)) + 1, len(values), len(values)))
    np.add.at(of_groups, groups, coincidences)
    of_groups = of_groups[of_groups.any((1, 2))]
    number = len(of_groups)
    if number < fewest:
        return None
    weights = np.random.default_rng(seed).multinomial(number, [1 / number] * number, size=resamples)
    drawn = _alpha(values, np.tensordot(weights.astype(np.float64), of_groups, 1), metric)
    drawn = drawn[np.isfinite(drawn)]
    if 2 * len(drawn) < resamples or np.ptp(drawn) == 0:
        return None
    tail = (1 - CONFIDENCE) / 2
    return [float(end) for end in np.quantile(drawn, [tail, 1 - tail])]
