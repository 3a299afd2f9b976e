"""The answer: each estimator's threshold and interval, the permutation test, and groups; as data and in words."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from fit.errors import DataError
from fit.io.shown import as_images, number_of
from fit.thresholds.answer import beside, beyond_the_counts, lost
from fit.thresholds.distribution import threshold_quantiles
from fit.thresholds.estimators import ESTIMATORS, estimator_of_result, find_estimator
from fit.thresholds.estimators.one_change import best_split
from fit.thresholds.estimators.pelt import changes_between_counts
from fit.thresholds.families import families_of, why_too_few
from fit.thresholds.groups import difference_p_value
from fit.thresholds.headline import CHANCE, GRADUAL, NO_RESAMPLE, decide, decisive_p_value, follow, withhold_intervals
from fit.thresholds.jump_tests import TEST, against_no_jump
from fit.thresholds.neighbours import measure_neighbours, why_no_interval
from fit.thresholds.scores import Scores, sort_scores
from fit.thresholds.uncertainty import CONFIDENCE, bootstrap_all, interval, percentiles

Found = dict[str, Any]
"""A result, or a part of one, in builtins."""
FEWEST = 10
"""Concepts that a threshold needs, at least."""
HEAVY = 6.0
"""Kurtosis of residuals (3 if they are normal) from which on the likelihood-ratio set is not offered: its theory takes
a finite fourth moment (Hansen 2000, assumption 1), and in studies with heavy tails it held the truth too seldom."""


def _place(table: Scores, at: int) -> Found:
    return {"concept": str(table.concepts[at]), "effective_count": round(float(table.counts[at]))}


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


def _no_answer(why: str, direction: str = "none") -> Found:
    return {"threshold": None, "interval": None, "direction": direction, "reason": why}


def _fall(table: Scores, at: int) -> Found:
    """Return the answer of an estimator at whose first concept above, `at`, the scores fall."""
    low, high, place = table.scores[at:].mean(), table.scores[:at].mean(), table.counts[at]
    on_the_whole = f", from a mean of {high:.2f} to {low:.2f}" if low < high else ""
    why = f"the scores fall instead of rising{on_the_whole}, at about {as_images(place, 'training image')}"
    return _no_answer(why, "fall") | {"falls_at": int(place)}


def _answers(
    table: Scores, names: Sequence[str], penalty: float, drawn: dict[str, dict[str, np.ndarray]], p_value: float
) -> dict[str, Found]:
    """Return estimator -> its part of the result."""
    answers = {}
    for name in names:
        estimator = find_estimator(name)
        estimate = estimator.estimate(table, penalty)
        at = estimate.first_above
        if at is None:
            answers[name] = _no_answer(estimator.why_none)
            continue
        direction = estimator.direction(table, at, penalty)
        if estimator.is_tested and p_value > CHANCE:
            answers[name] = _no_answer(f"no more of a jump than chance makes (p = {p_value:.2g})")
        elif direction == "fall" and not estimator.answers_falls:
            answers[name] = _fall(table, at) | estimate.details
        else:
            answers[name] = {
                "threshold": estimate.threshold,
                **_interval_of(table, name, drawn.get(name)),
                "direction": direction,
                "last_below": _place(table, at - 1) if at else None,
                "first_above": _place(table, at),
                **estimate.details,
            }
    return answers


def _resampled(table: Scores) -> list[str]:
    """Return what a resample draws, for reading."""
    names = table.resampled
    return names if families_of(table) is None else ["families of concepts", *names[1:]]


def _why_no_interval(answer: Found) -> str | None:
    """Return why an answer with a threshold has no interval; None if it has one, or no threshold."""
    if answer["threshold"] is None or answer["interval"]:
        return None
    return str(answer.get("no_interval", NO_RESAMPLE))


def _why_no_set(table: Scores, found: Found) -> str | None:
    """Return why the likelihood-ratio set of one jump does not hold for a result; None if it does."""
    if found["headline"]["kind"] != "jump":
        return "the scores do not show one jump"
    if np.isfinite(table.evidence).any():
        return "the counts have errors"
    if families_of(table) is not None:
        return "concepts of a family are alike"
    if why := why_no_interval(found["neighbours"]):
        return why
    width = found["estimators"].get("logistic", {}).get("fold_interval")
    if width and width[1] > GRADUAL:
        return f"the rise may be gradual: over a factor of {width[1]:.2g}"
    if (found["estimators"]["one_change"]["if_it_is_one_jump"]["kurtosis"] or 0) > HEAVY:
        return "some scores are far from the others"
    return None


def _offer_likelihood_ratio_set(table: Scores, found: Found) -> None:
    """Take the likelihood-ratio set out of a result to which it does not apply, and say why there instead."""
    answer = found["estimators"].get("one_change", {})
    if answer.get("if_it_is_one_jump") and (why := _why_no_set(table, found)):
        answer["if_it_is_one_jump"] = {"interval": None, "reason": why}


def _interval_of(table: Scores, name: str, drawn: dict[str, np.ndarray] | None) -> Found:
    """Return what resamples say of an estimator's answer; `drawn` is None for one that they say nothing of."""
    if drawn is None:
        return {"interval": None, "no_interval": find_estimator(name).why_no_interval}
    thresholds, *more = drawn.items()
    return {
        "interval": interval(name, thresholds[1], table.counts),
        "quantiles": threshold_quantiles(name, thresholds[1], table.counts),
        "resamples_with_an_answer": float(np.isfinite(thresholds[1]).mean()),
        **{f"{key}_interval": percentiles(values) for key, values in more},
    }


def _check(penalty: float, resamples: int, estimators: Sequence[str]) -> None:
    if not estimators:
        raise DataError(f"no estimator is named; give one or more of {', '.join(ESTIMATORS)}")
    for name in estimators:
        find_estimator(name)
    if not penalty > 0:
        raise DataError(f"the penalty is {penalty:g}; give a number above 0, such as the paper's 0.9")
    if resamples < 1:
        raise DataError(f"there can't be {number_of(resamples, 'resample')}; give 1 or more")


def measure(
    table: Scores, *, penalty: float, resamples: int, seed: int, estimators: Iterable[str] = ESTIMATORS
) -> Found:
    """Measure the imitation threshold of a table of concepts.

    Args:
        table: of the concepts.
        penalty: of PELT.
        resamples: of the bootstrap, and permutations of the tests.
        seed: of their draws.
        estimators: names of ESTIMATORS; the first is the headline where the others agree with it.

    Returns:
        A dict of builtins. Of the first estimator: threshold (images, or None), interval, estimator, direction, below
        and above (the concepts on its sides, None without a threshold). headline: what a reader is told, in the same
        keys (fit.thresholds.headline). Of all: estimators (name -> threshold, interval, direction, last_below,
        first_above, and what else it says), changes (all that PELT finds), one_change (the best single split),
        permutation_test, neighbours (whether the scores of neighbours in count are alike: then there are no intervals,
        and interval_reason says so), reason (why no estimator can answer, None if they can), groups (name -> such a
        dict; only if the table has groups) and group_difference.

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
    if why := why_no_interval(result["neighbours"]):  # fewer concepts show it less
        of_groups = {group: withhold_intervals(found, why) for group, found in of_groups.items()}
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


def _sides(table: Scores, answer: Found) -> Found:
    """Return the concepts below and above an answer, None each without one on that side."""
    first = None
    if answer["threshold"] is not None:
        first = int(np.flatnonzero(table.concepts == answer["first_above"]["concept"])[0])
    return {
        "below": _side(table, slice(None, first), first - 1) if first else None,
        "above": _side(table, slice(first, None), first) if first else None,
    }


def _best_split(table: Scores, is_chance: bool) -> Found:
    """Return the best single split, whichever estimators are named; no threshold by chance or where scores fall."""
    split, removed = best_split(table.counts, table.scores)
    if split is not None and (is_chance or table.scores[split:].mean() <= table.scores[:split].mean()):
        split = None
    threshold = None if split is None else int(table.counts[split])
    return {"threshold": threshold, "concepts_below": split, "squared_error_removed": removed}


def _measure_alone(table: Scores, penalty: float, resamples: int, seed: int, estimators: Sequence[str]) -> Found:
    """Return what `measure` does, without groups."""
    reason = _reason(table)
    first = estimators[0]
    if reason:
        p_values = ("p_value", "p_value_any_spread", "p_value_families", "p_value_neighbours")
        tests: Found = {name: None for name in p_values}
        tests |= {"families": None, "permutations": resamples, "test": TEST}
        neighbours: Found = {"correlation": None, "p_value": None, "alike": False, "families": False}
        answers = {name: _no_answer(reason) for name in estimators}
        changes: list[int] = []
        split: Found = {"threshold": None, "concepts_below": None, "squared_error_removed": 0.0}
    else:
        neighbours = measure_neighbours(table, seed)
        tests = against_no_jump(table, resamples, seed, neighbours["alike"])
        p_value = decisive_p_value({"permutation_test": tests}) or 0.0
        resampled = [name for name in estimators if not find_estimator(name).why_no_interval]
        drawn = bootstrap_all(table, resampled, penalty, resamples, seed)
        answers = _answers(table, estimators, penalty, drawn, p_value)
        changes = changes_between_counts(table.counts, table.scores, penalty)
        split = _best_split(table, p_value > CHANCE)
    answer = answers[first]
    found = {
        "threshold": answer["threshold"],
        "interval": answer["interval"],
        "interval_reason": _why_no_interval(answer),
        "interval_kind": f"percentile bootstrap over {', '.join(_resampled(table))}, {CONFIDENCE:.0%}, "
        f"{number_of(resamples, 'resample')}; above the first number, at most the second",
        "resamples_with_a_change": answer.get("resamples_with_an_answer", None if "no_interval" in answer else 0.0),
        "estimator": first,
        "direction": answer["direction"],
        "penalty": penalty,
        "concepts": len(table),
        "reason": reason,
        "changes": [_place(table, change) for change in changes],
        **_sides(table, answer),
        "one_change": split,
        "estimators": answers,
        "permutation_test": tests,
        "neighbours": neighbours,
    }
    headline = decide(found)
    told = answers[headline["estimator"]] if headline["threshold"] is not None else headline
    found["headline"] = headline | _sides(table, told)
    _offer_likelihood_ratio_set(table, found)
    why = why_no_interval(neighbours) or why_too_few(table)
    return withhold_intervals(found, why) if why else found


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


def _interval_in_words(told: Found) -> str:
    """Say the headline's interval, or why there is none."""
    if told["interval"]:
        return f"95 % bootstrap interval: {_range(told['interval'])}"
    why = told.get("interval_reason")
    return f"no interval: {why}" if why else "no interval"


def _estimator_line(name: str, answer: Found) -> str:
    if answer["threshold"] is None:
        return f"  {name:<14} none: {answer['reason']}"
    below, above = answer["last_below"], answer["first_above"]
    span = "no interval" if "no_interval" in answer else _range(answer["interval"])
    line = f"  {name:<14} {as_images(answer['threshold'])}, {span}; last below "
    line += f"{below['concept']} ({below['effective_count']})" if below else "none"
    return f"{line}, first above {above['concept']} ({above['effective_count']})"


def _remarks(found: Found) -> Iterator[str]:
    tests = found["permutation_test"]
    yield f"p-value against no jump: {tests['p_value']:.2g}"
    yield f"  whatever the spread does along the counts: {tests['p_value_any_spread']:.2g}"
    if tests["p_value_families"] is not None:
        yield f"  with {number_of(tests['families'], 'family')} of like concepts: {tests['p_value_families']:.2g}"
    if tests["p_value_neighbours"] is not None:
        said = f"where neighbours in count are alike, correlation {found['neighbours']['correlation']:.2g}"
        yield f"  {said}: {tests['p_value_neighbours']:.2g}"
    if beyond := beyond_the_counts(found):
        yield beyond
    if (decisive_p_value(found) or 0) > CHANCE and found["threshold"] is not None:
        yield f"chance alone makes such a jump often: what {found['estimator']} finds means little"
    for name, answer in found["estimators"].items():
        if answer["threshold"] is None:
            continue
        yield from estimator_of_result(name).remarks(answer)
        if (share := answer.get("resamples_with_an_answer", 1.0)) < CONFIDENCE:
            yield f"only {share:.0%} of the resamples have a threshold by {name}; its interval is of those"


def describe(found: Found) -> list[str]:
    """Say the result of `measure` in lines of text."""
    told = follow(found)
    if told["threshold"] is None:
        lines = [f"no imitation threshold: {told['reason']}"]
    elif lost(found):
        lines = [f"no imitation threshold: the score jumps at {as_images(told['threshold'])}, but {lost(found)}"]
    else:
        kind = "middle of a gradual rise" if found["headline"]["kind"] == "gradual" else "imitation threshold"
        lines = [f"{kind}: {as_images(told['threshold'])} ({told['estimator']}; {_interval_in_words(told)})"]
    if other := beside(found):
        lines.append(other)
    for side, edge in (("below", "up to"), ("above", "from")):
        if told[side]:
            nearest = told[side]["nearest"]["effective_count"]
            mean = told[side]["mean_score"]
            lines.append(
                f"{side}: {number_of(told[side]['concepts'], 'concept')}, mean score {mean:.3f}, "
                f"{edge} {as_images(nearest)}"
            )
    if found["reason"] is None:
        lines += [_estimator_line(*one) for one in found["estimators"].items()]
        lines += _remarks(found)
    for group, of_group in found.get("groups", {}).items():
        lines += [f"group {group}, {number_of(of_group['concepts'], 'concept')}:"]
        lines += [f"  {line}" for line in describe(of_group)]
    if "groups" in found:
        if found["without_group"]:
            lines.append(f"{number_of(found['without_group'], 'concept', 'has')} no group")
        test = found["group_difference"]
        if test["p_value"] is None:
            lines.append(f"difference between groups: {test['reason'] or 'a group has no split'}")
        else:
            ratio, p_value = test["ratio"], test["p_value"]
            lines.append(f"difference between groups: best splits a factor of {ratio:.2g} apart, p = {p_value:.2g}")
    return lines
