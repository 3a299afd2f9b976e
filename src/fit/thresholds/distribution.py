"""How likely each threshold is: the resampled thresholds of a study, in few numbers that its result can hold."""

from collections.abc import Sequence

import numpy as np

from fit.thresholds.estimators import find_estimator

QUANTILES = 100
"""Numbers that a distribution is written in, each as likely as another."""


def threshold_quantiles(name: str, found: np.ndarray, counts: Sequence[float] | np.ndarray) -> list[float]:
    """Return QUANTILES thresholds, ascending and each as likely as another, from those of resamples of a study.

    A resample knows its threshold only as far as the concepts lie, so its threshold is spread evenly, in log(1 +
    images), over what the estimator's interval says of it alone (fit.thresholds.estimators.base.Estimator.interval):
    for most, from the last concept below to the first one above.

    Args:
        name: of the estimator.
        found: [R] its thresholds of the resamples, NaN where there is none.
        counts: [N] of the study.

    Returns:
        The quantiles at (k + 1/2) / QUANTILES, in images, to six digits; empty if no resample has a threshold.
    """
    places, estimator = np.unique(counts), find_estimator(name)
    at, times = np.unique(found[np.isfinite(found)], return_counts=True)
    if not len(at):
        return []
    above = np.searchsorted(places, at)
    around = places[[np.maximum(above - 1, 0), np.minimum(above, len(places) - 1)]].astype(np.float64)
    low, high = np.log1p(estimator.interval(np.array([at, at], np.float64), around))
    # Of the resamples with one threshold the first, the second, ...
    which = np.arange(times.sum()) - np.repeat(np.cumsum(times) - times, times)
    spread = np.repeat(low, times) + np.repeat((high - low) / times, times) * (which + 0.5)
    levels = (np.arange(QUANTILES) + 0.5) / QUANTILES
    return [float(f"{of_level:.6g}") for of_level in np.expm1(np.quantile(spread, levels))]
