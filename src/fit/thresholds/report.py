"""The answer: each estimator's threshold and interval, the permutation test, and groups; as data and in words."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from fit.errors import DataError
from fit.thresholds.answer import falls
from fit.thresholds.estimators import ESTIMATORS, estimator_of_result, find_estimator
from fit.thresholds.estimators.one_change import best_split
from fit.thresholds.estimators.pelt import change_points
from fit.thresholds.groups import difference_p_value
from fit.thresholds.scores import Scores, sort_scores
from fit.thresholds.uncertainty import CONFIDENCE, bootstrap, interval, permutation_p_value

Found = dict[str, Any]
"""A result, or a part of one, in builtins."""
FEWEST = 10
"""Concepts that a threshold needs, at least."""
CHANCE = 0.05
"""P-value from which on a jump is no more than chance makes."""


def _place(table: Scores, at: int) -> Found:
    return {"concept": str(table.concepts[at]), "effective_count": int(table.counts[at])}


def _side(table: Scores, rows: slice, at: int) -> Found:
    scores = table.scores[rows]
    return {
        "concepts": len(scores),
        "mean_score": float(scores.mean()),
        "sd_score": float(scores.std()),
        "nearest": _place(table, at),
    }


def _reason(table: Scores) -> str | None:
    """Return why no estimator can answer; None if they can."""
    if len(table) < FEWEST:
        return f"too few concepts: {len(table)}, at least {FEWEST}"
    if np.ptp(table.counts) == 0:
        return f"all counts are equal: {table.counts[0]:.0f}"
    if np.ptp(table.scores) == 0:
        return f"all scores are equal: {table.scores[0]:g}"
    return None


def _no_answer(why: str) -> Found:
    return {"threshold": None, "interval": None, "reason": why}


def _answers(
    table: Scores, names: Sequence[str], penalty: float, drawn: dict[str, np.ndarray], p_value: float
) -> dict[str, Found]:
    """Return estimator -> its part of the result."""
    answers = {}
    for name in names:
        estimator = find_estimator(name)
        estimate = estimator.estimate(table, penalty)
        at = estimate.first_above
        if at is None:
            answers[name] = _no_answer(estimator.why_none)
        elif estimator.is_tested and p_value > CHANCE:
            answers[name] = _no_answer(f"no more of a jump than chance makes (p = {p_value:.2g})")
        else:
            answers[name] = {
                "threshold": estimate.threshold,
                "interval": interval(name, drawn[name], table.counts),
                "resamples_with_an_answer": float(np.isfinite(drawn[name]).mean()),
                "last_below": _place(table, at - 1) if at else None,
                "first_above": _place(table, at),
                **estimate.details,
            }
    return answers


def _check(penalty: float, resamples: int, estimators: Sequence[str]) -> None:
    if not estimators:
        raise DataError(f"no estimator is named; give one or more of {', '.join(ESTIMATORS)}")
    for name in estimators:
        find_estimator(name)
    if not penalty > 0:
        raise DataError(f"the penalty is {penalty:g}; give a number above 0, such as the paper's 0.9")
    if resamples < 1:
        raise DataError(f"there can't be {resamples} resamples; give 1 or more")


def measure(
    table: Scores, *, penalty: float, resamples: int, seed: int, estimators: Iterable[str] = ESTIMATORS
) -> Found:
    """Measure the imitation threshold of a table of concepts.

    Args:
        table: of the concepts.
        penalty: of PELT.
        resamples: of the bootstrap, and permutations of the tests.
        seed: of their draws.
        estimators: names of ESTIMATORS; the first is the headline.

    Returns:
        A dict of builtins. Of the headline: threshold (images, or None), interval, estimator, below and above (the
        concepts on its sides, None without a threshold). Of all: estimators (name -> threshold, interval, last_below,
        first_above, and what else it says), changes (all that PELT finds), one_change (the best single split),
        permutation_test, reason (why there is no answer, None if there is one), groups (name -> such a dict; only if
        the table has groups) and group_difference.

    Raises:
        DataError: an estimator is not in ESTIMATORS, the penalty is not above 0, or there are no resamples.
    """
    estimators = tuple(estimators)
    _check(penalty, resamples, estimators)
    result = _measure_alone(table, penalty, resamples, seed, estimators)
    groups = sorted(set(table.groups) - {""})
    if not groups:
        return result
    of_groups = {
        group: _measure_alone(table.take(table.groups == group), penalty, resamples, seed, estimators)
        for group in groups
    }
    fit_to_compare = [group for group, found in of_groups.items() if found["reason"] is None]
    result["groups"] = of_groups
    result["without_group"] = int((table.groups == "").sum())
    if len(fit_to_compare) < 2:
        why = f"fewer than two groups can be compared: {len(fit_to_compare)}"
        result["group_difference"] = {"groups": fit_to_compare, "p_value": None, "ratio": None, "reason": why}
    else:
        test = difference_p_value(table, fit_to_compare, resamples, seed)
        result["group_difference"] = {"groups": fit_to_compare, **test, "reason": None}
    return result


def _measure_alone(table: Scores, penalty: float, resamples: int, seed: int, estimators: Sequence[str]) -> Found:
    """Return what `measure` does, without groups."""
    reason = _reason(table)
    headline = estimators[0]
    changes = [] if reason else change_points(table.scores, penalty)
    split, removed = (None, 0.0) if reason else best_split(table.counts, table.scores)
    p_value = None
    if reason:
        answers = {name: _no_answer(reason) for name in estimators}
    else:
        p_value = permutation_p_value(table, resamples, seed)
        if p_value > CHANCE:
            split = None
        drawn = bootstrap(table, estimators, penalty, resamples, seed)
        answers = _answers(table, estimators, penalty, drawn, p_value)
    answer = answers[headline]
    first = None
    if answer["threshold"] is not None:
        first = int(np.flatnonzero(table.concepts == answer["first_above"]["concept"])[0])
    return {
        "threshold": answer["threshold"],
        "interval": answer["interval"],
        "interval_kind": f"percentile bootstrap over {', '.join(table.resampled)}, {CONFIDENCE:.0%}, "
        f"{resamples} resamples; above the first number, at most the second",
        "resamples_with_a_change": answer.get("resamples_with_an_answer", 0.0),
        "estimator": headline,
        "penalty": penalty,
        "concepts": len(table),
        "reason": reason,
        "changes": [_place(table, change) for change in changes],
        "below": _side(table, slice(None, first), first - 1) if first else None,
        "above": _side(table, slice(first, None), first) if first else None,
        "one_change": {
            "threshold": None if split is None else int(table.counts[split]),
            "concepts_below": split,
            "squared_error_removed": removed,
        },
        "estimators": answers,
        "permutation_test": {
            "p_value": p_value,
            "permutations": resamples,
            "test": "scores permuted over counts; squared error that the best single split removes",
        },
    }


def detect(
    concepts: Iterable[str],
    counts: Iterable[float],
    scores: Iterable[float],
    *,
    penalty: float,
    resamples: int,
    seed: int,
    estimators: Iterable[str] = ESTIMATORS,
) -> Found:
    """Do as `measure`, with bare columns [N]: slugs, effective counts and scores.

    Raises:
        DataError: as sort_scores and measure raise it.
    """
    table = sort_scores(concepts, counts, scores)
    return measure(table, penalty=penalty, resamples=resamples, seed=seed, estimators=estimators)


# --- in words ---------------------------------------------------------------------------------------------------------


def _range(ends: Sequence[float] | None) -> str:
    return "no resample has one" if ends is None else f"{ends[0]:.0f} to {ends[1]:.0f}"


def _estimator_line(name: str, answer: Found) -> str:
    if answer["threshold"] is None:
        return f"  {name:<10} none: {answer['reason']}"
    below, above = answer["last_below"], answer["first_above"]
    line = f"  {name:<10} {answer['threshold']:.0f} images, {_range(answer['interval'])}; last below "
    line += f"{below['concept']} ({below['effective_count']})" if below else "none"
    return f"{line}, first above {above['concept']} ({above['effective_count']})"


def _remarks(found: Found) -> Iterator[str]:
    answers = found["estimators"]
    p_value = found["permutation_test"]["p_value"]
    yield f"p-value against no jump: {p_value:.2g}"
    if p_value > CHANCE and found["threshold"] is not None:
        yield "chance alone makes such a jump often: the threshold means little"
    if found["threshold"] is not None and found["resamples_with_a_change"] < CONFIDENCE:
        yield f"only {found['resamples_with_a_change']:.0%} of the resamples have a threshold; the interval is of those"
    for name, answer in answers.items():
        if answer["threshold"] is not None:
            yield from estimator_of_result(name).remarks(answer)
    if falls(found):
        yield "the scores fall there: this is not a threshold of imitation"


def describe(found: Found) -> list[str]:
    """Say the result of `measure` in lines of text."""
    if found["threshold"] is None:
        lines = [f"no imitation threshold: {found['estimators'][found['estimator']]['reason']}"]
    elif falls(found):
        lines = [f"no imitation threshold: the scores fall at {found['threshold']:.0f} images ({found['estimator']})"]
    else:
        lines = [
            f"imitation threshold: {found['threshold']:.0f} images ({found['estimator']}; 95 % bootstrap interval: "
            f"{_range(found['interval'])})"
        ]
    for side, edge in (("below", "up to"), ("above", "from")):
        if found[side]:
            nearest = found[side]["nearest"]["effective_count"]
            mean = found[side]["mean_score"]
            lines.append(f"{side}: {found[side]['concepts']} concepts, mean score {mean:.3f}, {edge} {nearest} images")
    if found["reason"] is None:
        lines += [_estimator_line(*one) for one in found["estimators"].items()]
        lines += _remarks(found)
    for group, of_group in found.get("groups", {}).items():
        lines += [f"group {group}, {of_group['concepts']} concepts:"]
        lines += [f"  {line}" for line in describe(of_group)]
    if "groups" in found:
        if found["without_group"]:
            lines.append(f"{found['without_group']} concepts have no group")
        test = found["group_difference"]
        if test["p_value"] is None:
            lines.append(f"difference between groups: {test['reason'] or 'a group has no split'}")
        else:
            ratio, p_value = test["ratio"], test["p_value"]
            lines.append(f"difference between groups: best splits a factor of {ratio:.2g} apart, p = {p_value:.2g}")
    return lines
