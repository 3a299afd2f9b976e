"""The thresholds of several models or domains together: each borrows from the others as far as they are alike.

A hierarchical model with two levels: the logarithm of each estimate is normal about the logarithm of its threshold,
with the bootstrap's standard error; these are normal about a common one, with a spread that is found too. It is small
enough to be solved on a grid of spreads, so it needs no library of its own.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from fit.compare.resampling import resample_together
from fit.thresholds.estimators import find_estimator
from fit.thresholds.scores import Scores

CONFIDENCE = 0.95
SPREAD = 0.5
"""Scale of the half-normal prior of the spread, in natural logarithms. It is weakly informative for ratios: most pairs
within a factor of 4 of each other (Roever et al. 2021, doi 10.1002/jrsm.1475)."""
GRID = np.geomspace(1e-3, 5 * SPREAD, 200)
"""Spreads that are tried."""


@dataclass(frozen=True)
class Estimate:
    """A number and its interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Pooled:
    """What several estimates say together, in natural logarithms."""

    common: Estimate
    """What the K thresholds are spread about."""
    spread: Estimate
    """Standard deviation of the K about it: median and interval of its posterior."""
    each: list[Estimate]
    """[K], shrunk towards the common one."""


def _quantile(level: float, means: np.ndarray, errors: np.ndarray, weights: np.ndarray) -> float:
    """Return a quantile of a mixture of normals [G], by bisection."""
    from scipy.special import ndtr

    low, high = float((means - 9 * errors).min()), float((means + 9 * errors).max())
    for _ in range(60):
        middle = (low + high) / 2
        if weights @ ndtr((middle - means) / errors) < level:
            low = middle
        else:
            high = middle
    return (low + high) / 2


def _estimate(means: np.ndarray, variances: np.ndarray, weights: np.ndarray) -> Estimate:
    errors, tail = np.sqrt(np.maximum(variances, 1e-12)), (1 - CONFIDENCE) / 2
    ends = (_quantile(level, means, errors, weights) for level in (tail, 1 - tail))
    return Estimate(float(weights @ means), *ends)


def pool(values: Sequence[float] | np.ndarray, covariance: np.ndarray) -> Pooled:
    """Pool K estimates partially (Gelman et al., Bayesian Data Analysis, section 5.4).

    The spread has the half-normal prior SPREAD, the common value a flat one. Given a spread, all the rest is normal;
    the posterior is the mixture over GRID.

    Args:
        values: [K] estimates, K at least 2, in natural logarithms.
        covariance: [K, K] of their errors. Those of tables that have concepts in common are correlated.
    """
    y, errors, tail = np.asarray(values, np.float64), np.asarray(covariance, np.float64), (1 - CONFIDENCE) / 2
    number = len(GRID)
    density, common, of_common = np.empty(number), np.empty(number), np.empty(number)
    means, left = np.empty((number, len(y))), np.empty((number, len(y)))
    for at, spread in enumerate(GRID):
        total = errors + spread**2 * np.eye(len(y))
        inverse = np.linalg.inv(total)
        ones = inverse.sum(axis=1)
        of_common[at] = 1 / ones.sum()
        common[at] = of_common[at] * (ones @ y)
        away = y - common[at]
        density[at] = -(spread**2) / (2 * SPREAD**2) - np.linalg.slogdet(total)[1] / 2
        density[at] += np.log(of_common[at]) / 2 - away @ inverse @ away / 2
        shrunk = errors @ inverse
        means[at] = y - shrunk @ away
        left[at] = np.diag(errors - shrunk @ errors) + of_common[at] * (errors @ ones) ** 2
    weights = np.exp(density - density.max()) * np.gradient(GRID)
    weights /= weights.sum()
    levels = np.interp([0.5, tail, 1 - tail], np.cumsum(weights), GRID)
    return Pooled(
        _estimate(common, of_common, weights),
        Estimate(*map(float, levels)),
        [_estimate(means[:, k], left[:, k], weights) for k in range(len(y))],
    )


def log_thresholds(
    groups: Sequence[Sequence[Scores]], estimator: str, penalty: float, resamples: int, seed: int
) -> np.ndarray:
    """Estimate resampled tables: log(1 + images) [resamples, K], NaN where there is no threshold.

    Args:
        groups: of tables, K in all; those of one group have the same concepts, and are resampled together.
        estimator: its name.
        penalty: of PELT.
        resamples: how many.
        seed: of the draws.
    """
    find = find_estimator(estimator).many
    columns = []
    for number, tables in enumerate(groups):
        drawn = resample_together(tables, resamples, seed + number)
        parts = [np.column_stack([np.log1p(find(*table, penalty)) for table in of_all]) for of_all in drawn]
        columns.append(np.concatenate(parts))
    return np.hstack(columns)
