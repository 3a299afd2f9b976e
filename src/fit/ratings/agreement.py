"""How far raters agree: Krippendorff's alpha."""

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike


def _ordinal(values: np.ndarray, totals: np.ndarray) -> np.ndarray:
    between = np.cumsum(totals)
    first, last = np.minimum.outer(*2 * [np.arange(len(values))]), np.maximum.outer(*2 * [np.arange(len(values))])
    ranks = between[last] - between[first] + totals[first] - (totals[first] + totals[last]) / 2
    return ranks**2


METRICS: dict[str, Callable[[np.ndarray, np.ndarray], np.ndarray]] = {
    "nominal": lambda values, totals: (values[:, None] != values).astype(np.float64),
    "ordinal": _ordinal,
    "interval": lambda values, totals: (values[:, None] - values) ** 2,
}
"""Name -> function of values [V], and of how often the data have each [V], that gives squared differences [V, V]."""


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
    given_by = np.asarray(ratings, np.float64)
    values = np.unique(given_by[~np.isnan(given_by)])
    # [V, units]: how many raters gave each value to each unit.
    given = (given_by[None] == values[:, None, None]).sum(1)
    given = given[:, given.sum(0) >= 2]
    raters = given.sum(0)
    pairs = given / np.maximum(raters - 1, 1)
    coincidences = pairs @ given.T - np.diag(pairs.sum(1))
    totals = coincidences.sum(1)
    differences = METRICS[metric](values, totals)
    expected = (np.outer(totals, totals) * differences).sum()
    if expected == 0:
        return None
    return float(1 - (totals.sum() - 1) * (coincidences * differences).sum() / expected)
