"""How far raters agree: Krippendorff's alpha."""

import numpy as np


def _ordinal(values, totals):
    between = np.cumsum(totals)
    first, last = np.minimum.outer(*2 * [np.arange(len(values))]), np.maximum.outer(*2 * [np.arange(len(values))])
    ranks = between[last] - between[first] + totals[first] - (totals[first] + totals[last]) / 2
    return ranks**2


METRICS = {
    "nominal": lambda values, totals: (values[:, None] != values).astype(np.float64),
    "ordinal": _ordinal,
    "interval": lambda values, totals: (values[:, None] - values) ** 2,
}
"""Squared difference [V, V] between values [V], of which the data have totals [V]."""


def krippendorff_alpha(ratings, metric):
    """Krippendorff's alpha: 1 for raters who agree in everything, 0 for what chance would give, below 0 for less.

    From the coincidences of values within units, as in K. Krippendorff, "Computing Krippendorff's Alpha-Reliability"
    (2011).

    Args:
        ratings: [raters, units] numbers, NaN where a rater gave none.
        metric: "nominal", "ordinal" or "interval".

    Returns:
        alpha, or None where it has no meaning: no unit has two ratings, or all that have are rated alike.
    """
    ratings = np.asarray(ratings, np.float64)
    values = np.unique(ratings[~np.isnan(ratings)])
    # [V, units]: how many raters gave each value to each unit.
    given = (ratings[None] == values[:, None, None]).sum(1)
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
