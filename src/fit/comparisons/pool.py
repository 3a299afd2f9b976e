"""The thresholds of several models or domains together: each borrows from the others as far as they are alike.

A hierarchical model with two levels: the logarithm of each estimate is normal about the logarithm of its threshold,
with the bootstrap's standard error; these are normal about a common one, with a spread that is found too. It is small
enough to be solved on a grid of spreads, so it needs no library of its own.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from fit.comparisons.compare import MOST_PRECISE
from fit.comparisons.resampling import resample_together, shared_concepts
from fit.io.shown import as_images, number_of
from fit.thresholds.estimators import estimator_of_result, find_estimator
from fit.thresholds.neighbours import why_no_interval
from fit.thresholds.report import FEWEST, measure
from fit.thresholds.scores import Scores

Found = dict[str, Any]
"""A result in builtins."""

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


def group_tables(tables: Sequence[Scores]) -> list[list[int]]:
    """Return which tables [K] have concepts in common: their indices, group by group.

    A table is in a group if the concepts that all of the group have are half of its own or more, and FEWEST at least.
    """
    groups: list[list[int]] = []
    for at, table in enumerate(tables):
        for group in groups:
            both = shared_concepts(*(tables[other] for other in group), table)[0]
            if len(both) >= max(FEWEST, min(len(tables[group[0]]), len(table)) / 2):
                group.append(at)
                break
        else:
            groups.append([at])
    return groups


def pool_tables(
    tables: Sequence[Scores], *, penalty: float, resamples: int, seed: int, estimators: Sequence[str]
) -> Found:
    """Pool the thresholds of tables of concepts, of several models or domains.

    Tables that have concepts in common are compared on these, and resampled together, so that the errors that they have
    in common are known.

    Args:
        tables: K of them, at least 2.
        penalty: of PELT.
        resamples: of the bootstrap.
        seed: of its draws.
        estimators: names; the first of MOST_PRECISE among them that finds a threshold in every table answers.

    Returns:
        A dict of builtins: estimator, concepts [K], groups (indices of tables that share concepts), thresholds (each
        alone: threshold, interval), and in images common and each (value, low, high), as a factor spread (the ratio of
        a threshold one standard deviation above the common one to it). Where they cannot be pooled, these are None, and
        there are reason and lacking (of each table that has no threshold, or no interval of it: table, its index, and
        reason). A table has a threshold if `fit.thresholds.report.measure` finds one: neither chance nor a fall is one.
    """
    groups = group_tables(tables)
    kept: list[Scores] = list(tables)
    for group in groups:
        for at, table in zip(group, shared_concepts(*(tables[one] for one in group)), strict=True):
            kept[at] = table
    order = [at for group in groups for at in group]
    base: Found = {"concepts": [len(table) for table in kept], "groups": groups}
    able = [name for name in MOST_PRECISE if name in estimators]
    if not able:
        return base | _refused(f"none of the estimators can be pooled; name one of {', '.join(MOST_PRECISE)}")
    measured = [measure(table, penalty=penalty, resamples=resamples, seed=seed, estimators=able) for table in kept]
    lacking = {name: _lacking(measured, name) for name in able}
    for name in able:
        if lacking[name]:
            continue
        found = [one["estimators"][name]["threshold"] for one in measured]
        drawn = np.empty((resamples, len(kept)))
        in_groups = [[kept[at] for at in group] for group in groups]
        drawn[:, order] = log_thresholds(in_groups, name, penalty, resamples, seed)
        drawn = drawn[np.isfinite(drawn).all(axis=1)]
        if len(drawn) < resamples / 2 or len(drawn) < 2:
            continue
        tail = (1 - CONFIDENCE) / 2
        ends = np.expm1(np.quantile(drawn, [tail, 1 - tail], axis=0)).T
        pooled = pool(np.log1p(found), np.cov(drawn.T) + 1e-9 * np.eye(len(kept)))
        return base | {
            "estimator": name,
            "reason": None,
            "lacking": [],
            "thresholds": [
                {"threshold": float(one), "interval": of_ends.tolist()}
                for one, of_ends in zip(found, ends, strict=True)
            ],
            "common": _in_images(pooled.common),
            "spread": {key: float(np.exp(value)) for key, value in vars(pooled.spread).items()},
            "each": [_in_images(one) for one in pooled.each],
        }
    nearest = min(able, key=lambda name: len(lacking[name]))
    if lacking[nearest]:
        label = estimator_of_result(nearest).label
        why = f"not every table has a threshold with an interval by the {label}"
        return base | _refused(why, lacking[nearest])
    return base | _refused("fewer than half of the resamples have a threshold in every table")


def _lacking(measured: Sequence[Found], name: str) -> list[Found]:
    """Return which results of `measure` have no threshold by an estimator, or no interval of it, and why."""
    lacking = []
    for at, found in enumerate(measured):
        answer = found["estimators"][name]
        why = why_no_interval(found["neighbours"])
        if answer["threshold"] is None:
            lacking.append({"table": at, "reason": f"no threshold: {answer['reason']}"})
        elif why:
            lacking.append({"table": at, "reason": f"no interval: {why}"})
    return lacking


def _refused(why: str, lacking: Sequence[Found] = ()) -> Found:
    nothing: Found = dict.fromkeys(("estimator", "thresholds", "common", "spread", "each"))
    return nothing | {"reason": why, "lacking": list(lacking)}


def _in_images(estimate: Estimate) -> dict[str, float]:
    """Return an estimate in images: what a normal distribution has below 0 is 0."""
    return {key: max(0.0, float(np.expm1(value))) for key, value in vars(estimate).items()}


def describe_pool(found: Found, names: Sequence[str]) -> Iterator[str]:
    """Say what pool_tables found in lines of text."""
    if found["reason"]:
        yield f"the thresholds cannot be pooled: {found['reason']}"
        for one in found["lacking"]:
            yield f"  {names[one['table']]}: {one['reason']}"
        return
    common, spread = found["common"], found["spread"]
    label = estimator_of_result(found["estimator"]).label
    yield (
        f"the thresholds of {number_of(len(names), 'table')} lie about {as_images(common['value'])} by the {label} "
        f"(95 %: {common['low']:.0f} to {common['high']:.0f})"
    )
    yield (
        f"they differ by a factor of {spread['value']:.2f} (standard deviation; 95 %: {spread['low']:.2f} to "
        f"{spread['high']:.2f})"
    )
    for name, alone, one in zip(names, found["thresholds"], found["each"], strict=True):
        low, high = alone["interval"]
        yield (
            f"  {name}: {as_images(one['value'])} ({one['low']:.0f} to {one['high']:.0f}); alone "
            f"{alone['threshold']:.0f} ({low:.0f} to {high:.0f})"
        )
    for group in found["groups"]:
        if len(group) > 1:
            shared = ", ".join(names[at] for at in group)
            yield f"resampled together, on {number_of(found['concepts'][group[0]], 'concept')} that all have: {shared}"
