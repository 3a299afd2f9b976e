"""The ratio of two thresholds, paired by concept where both tables have the same concepts."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from fit.comparisons.resampling import resample_apart, resample_together, shared_concepts
from fit.errors import DataError
from fit.io.shown import number_of
from fit.thresholds.estimators import ESTIMATORS, find_estimator
from fit.thresholds.neighbours import why_no_interval
from fit.thresholds.report import FEWEST, measure
from fit.thresholds.scores import Scores
from fit.thresholds.uncertainty import CONFIDENCE

Found = dict[str, Any]
"""A result, or a part of one, in builtins."""
MOST_PRECISE = ("logistic", "isotonic", "one_change")
"""Which estimator answers, of those that find both thresholds: the first (docs/compare.md has the power of each)."""


def _ratio(logarithms: np.ndarray, observed: float) -> Found:
    """Return the ratio, its interval and the test of the ratio 1, from resampled logarithms of the ratio."""
    known = logarithms[np.isfinite(logarithms)]
    if not len(known):
        return {"ratio": float(np.exp(observed)), "interval": None, "p_value": None, "resamples_with_both": 0.0}
    tail = (1 - CONFIDENCE) / 2
    low, high = np.exp(np.quantile(known, [tail, 1 - tail], method="inverted_cdf"))
    beyond = min((known <= 0).sum(), (known >= 0).sum())
    return {
        "ratio": float(np.exp(observed)),
        "interval": [float(low), float(high)],
        "p_value": float(min(1.0, 2 * (1 + beyond) / (1 + len(known)))),
        "resamples_with_both": len(known) / len(logarithms),
    }


def compare(
    first: Scores,
    second: Scores,
    *,
    penalty: float,
    resamples: int,
    seed: int,
    estimators: Iterable[str] = ESTIMATORS,
    paired: bool | None = None,
) -> Found:
    """Compare the thresholds of two tables of concepts.

    Paired, a resample draws the same concepts, and the same prompts, for both tables, so that what concepts have in
    common cancels in the ratio. The ratio is of 1 + images. Its interval is the percentile interval of the bootstrap,
    and its p-value the smallest level at which that interval leaves 1 out (Efron and Tibshirani 1993, chapter 16).

    Args:
        first, second: tables of concepts.
        penalty: of PELT.
        resamples: of the bootstrap.
        seed: of its draws.
        estimators: names of ESTIMATORS.
        paired: whether to compare concept by concept, on those that both tables have; None: where both have at least
            FEWEST of the same concepts, and these are half of the smaller table or more.

    Returns:
        A dict of builtins: paired, concepts (of each table, that take part), left_out (of each, that do not), first and
        second (results of fit.thresholds.report.measure), estimators (name -> ratio of the second threshold to the
        first, interval, p_value, resamples_with_both; or reason, why there is no ratio, or no interval of it) and
        estimator (the one that answers; None if none has a ratio).

    Raises:
        DataError: `paired`, and fewer than FEWEST concepts are in both tables; or as `measure` raises it.
    """
    estimators = tuple(estimators)
    both = shared_concepts(first, second)
    if paired is None:
        paired = len(both[0]) >= max(FEWEST, min(len(first), len(second)) / 2)
    if paired and len(both[0]) < FEWEST:
        raise DataError(
            f"only {number_of(len(both[0]), 'concept', 'is')} in both tables, and a comparison in pairs needs "
            f"{FEWEST}; give tables of the same concepts, or compare all "
            "concepts of each (--no-paired; in Python paired=False)"
        )
    one, other = both if paired else (first, second)
    results = [
        measure(table, penalty=penalty, resamples=resamples, seed=seed, estimators=estimators) for table in (one, other)
    ]
    return {
        "paired": bool(paired),
        "concepts": [len(one), len(other)],
        "left_out": [len(first) - len(one), len(second) - len(other)],
        "first": results[0],
        "second": results[1],
        **_ratios(one, other, results, estimators, penalty, resamples, seed, bool(paired)),
    }


def _ratios(
    first: Scores,
    second: Scores,
    results: Sequence[Found],
    estimators: Sequence[str],
    penalty: float,
    resamples: int,
    seed: int,
    paired: bool,
) -> Found:
    """Return `estimators` and `estimator` of `compare`."""
    thresholds = {name: [result["estimators"][name]["threshold"] for result in results] for name in estimators}
    found_twice = [name for name, both in thresholds.items() if None not in both]
    able = [name for name in found_twice if not find_estimator(name).why_no_interval]
    drawn: dict[str, list[np.ndarray]] = {name: [] for name in able}
    resampled = resample_together if paired else resample_apart
    why = next((why for result in results if (why := why_no_interval(result["neighbours"]))), None)
    for one, other in resampled([first, second], resamples, seed) if able and not why else ():
        for name in able:
            estimator = find_estimator(name)
            found = [np.log1p(estimator.many(*table, penalty)) for table in (one, other)]
            drawn[name].append(found[1] - found[0])
    answers: dict[str, Found] = {}
    for name, both in thresholds.items():
        if name in able and why:
            ratio = float((1 + both[1]) / (1 + both[0]))
            answers[name] = {"ratio": ratio, "interval": None, "p_value": None, "reason": f"no interval: {why}"}
            continue
        if name in able:
            answers[name] = _ratio(np.concatenate(drawn[name]), float(np.log1p(both[1]) - np.log1p(both[0])))
            continue
        if name in found_twice:
            answers[name] = {"ratio": None, "reason": f"no interval: {find_estimator(name).why_no_interval}"}
            continue
        which = [word for word, threshold in zip(("first", "second"), both, strict=True) if threshold is None]
        answers[name] = {"ratio": None, "reason": f"no threshold in the {' and the '.join(which)} table"}
    order = [*MOST_PRECISE, *estimators]
    return {"estimators": answers, "estimator": next((name for name in order if name in able), None)}
