"""The headline: which estimator's answer a reader gets first, and what is said beside it.

`decide` chooses once, when a threshold is measured; its result is the key `headline` of the JSON. Sentences, figures,
reports, outliers and audits take `follow(found)`. The workflow imports this module at its end, so it imports nothing
heavy.
"""

from collections.abc import Mapping
from typing import Any

CHANCE = 0.05
"""P-value from which on a jump is no more than chance makes."""
GRADUAL = 3.0
"""Ratio of the counts at 90 and 10 % of the rise from which on the rise is called gradual."""
FOLLOWED = (
    "threshold",
    "interval",
    "interval_reason",
    "estimator",
    "direction",
    "resamples_with_a_change",
    "below",
    "above",
    "reason",
)
"""Keys of the headline that take the place of the first estimator's, in `follow`."""
NO_RESAMPLE = "no resample has a threshold"
"""Why there is no interval where resamples were drawn."""


def decisive_p_value(found: Mapping[str, Any]) -> float | None:
    """Return the largest p-value of the tests against no jump; None if none was made."""
    tests = found.get("permutation_test") or {}
    known = [p for name, p in tests.items() if name.startswith("p_value") and p is not None]
    return max(known, default=None)


def decide(found: Mapping[str, Any]) -> dict[str, Any]:
    """Choose the headline of a result.

    There is a threshold only where no test against no jump calls it chance, and the scores rise. If the logistic's rise
    from 10 to 90 % is over a factor of GRADUAL or more, it is the logistic's midpoint. Else it is the first
    estimator's, if those that look for one rise agree with it; else the first of those, if they agree. They agree if
    their intervals have counts in common.

    Args:
        found: a result of fit.thresholds.report.measure, but for this key and the concepts on both sides.

    Returns:
        A dict: kind ("jump", "gradual" or "none"), threshold, interval, interval_reason (why a threshold has none, else
        None), estimator, direction, resamples_with_a_change, reason (None with a threshold), agree (names of the
        estimators that look for one rise and agree), width (of a gradual rise: from, to, fold, and the interval of
        each; else None) and beside (what the first estimator says, where it is not the headline: estimator, threshold,
        direction, penalty; else None).
    """
    answers, first = found["estimators"], found["estimator"]
    p_value = decisive_p_value(found)
    if found["reason"] is not None:
        return _none(found, found["reason"])
    if p_value is not None and p_value > CHANCE:
        return _none(found, f"no more of a jump than chance makes (p = {p_value:.2g})")
    of_one_rise = _of_one_rise(answers)
    agree = _agreeing({name: answer for name, answer in of_one_rise.items() if answer["threshold"] is not None})
    answer = answers.get("logistic")
    if answer and answer["threshold"] is not None and 1 + answer["to"] > GRADUAL * (1 + answer["from"]):
        keys = ("from", "to", "fold")
        width = {key: answer[key] for key in keys}
        width |= {f"{key}_interval": answer.get(f"{key}_interval") for key in keys}
        return _chosen(found, "gradual", "logistic", agree) | {"width": width}
    if _is_rise(answers[first]) and (not agree or _is_within(answers[first], agree, answers)):
        return _chosen(found, "jump", first, agree)
    if agree:
        return _chosen(found, "jump", agree[0], agree)
    fall = next((one["reason"] for one in answers.values() if one.get("direction") == "fall" and one.get("reason")), "")
    places = {name: one["threshold"] for name, one in of_one_rise.items() if one["threshold"] is not None}
    if fall and len(places) < 2:
        return _none(found, fall)
    if len(places) > 1:
        said = ", ".join(f"{name} {threshold:.0f}" for name, threshold in places.items())
        return _none(found, f"the estimators do not agree where the scores rise: {said}")
    if places:
        return _chosen(found, "jump", next(iter(places)), [])
    return _none(found, answers[first].get("reason") or "no estimator finds a rise")


def _is_rise(answer: Mapping[str, Any]) -> bool:
    return answer["threshold"] is not None and answer.get("direction", "rise") == "rise"


def _of_one_rise(answers: Mapping[str, Any]) -> dict[str, Any]:
    from fit.thresholds.estimators import find_estimator

    return {name: answer for name, answer in answers.items() if find_estimator(name).is_of_one_rise}


def _common(names: list[str], answers: Mapping[str, Any]) -> tuple[float, float]:
    ends = [answers[name]["interval"] for name in names]
    return max(low for low, _ in ends), min(high for _, high in ends)


def _agreeing(answers: Mapping[str, Any]) -> list[str]:
    """Return the names of two or more estimators whose intervals have counts in common; else nobody."""
    names = [name for name, answer in answers.items() if answer["interval"]]
    if len(names) < 2:
        return []
    low, high = _common(names, answers)
    return names if low < high else []


def _is_within(answer: Mapping[str, Any], agree: list[str], answers: Mapping[str, Any]) -> bool:
    low, high = _common(agree, answers)
    return low < answer["threshold"] <= high


def _beside(found: Mapping[str, Any], chosen: str | None) -> dict[str, Any] | None:
    first = found["estimator"]
    if first == chosen:
        return None
    answer = found["estimators"][first]
    return {
        "estimator": first,
        "threshold": answer["threshold"],
        "direction": answer.get("direction", "none"),
        "penalty": found["penalty"],
    }


def _chosen(found: Mapping[str, Any], kind: str, name: str, agree: list[str]) -> dict[str, Any]:
    answer = found["estimators"][name]
    return {
        "kind": kind,
        "threshold": answer["threshold"],
        "interval": answer["interval"],
        "interval_reason": None if answer["interval"] else answer.get("no_interval", NO_RESAMPLE),
        "estimator": name,
        "direction": answer.get("direction", "rise"),
        "resamples_with_a_change": answer.get("resamples_with_an_answer"),
        "reason": None,
        "agree": agree,
        "width": None,
        "beside": _beside(found, name),
    }


def _none(found: Mapping[str, Any], reason: str) -> dict[str, Any]:
    answer = found["estimators"][found["estimator"]]
    return {
        "kind": "none",
        "threshold": None,
        "interval": None,
        "interval_reason": None,
        "estimator": found["estimator"],
        "direction": "fall" if answer.get("direction") == "fall" else "none",
        "resamples_with_a_change": answer.get("resamples_with_an_answer"),
        "reason": reason,
        "agree": [],
        "width": None,
        "beside": _beside(found, None) if answer.get("reason") != reason else None,
    }


def withhold_intervals(found: Mapping[str, Any], why: str) -> dict[str, Any]:
    """Return `found` without any interval of a threshold, or how likely each is: `why` says that they do not hold.

    The headline was chosen with them (`decide`): where estimators agree, they still do.
    """
    answers = {name: _without_interval(answer, why) for name, answer in found["estimators"].items()}
    head = dict(found["headline"])
    if head["threshold"] is not None:
        head |= {"interval": None, "interval_reason": why}
    if head["width"]:
        head["width"] = {key: None if key.endswith("_interval") else value for key, value in head["width"].items()}
    reason = why if found["threshold"] is not None else None
    return dict(found) | {"interval": None, "interval_reason": reason, "estimators": answers, "headline": head}


def _without_interval(answer: Mapping[str, Any], why: str) -> dict[str, Any]:
    if answer["threshold"] is None:
        return dict(answer)
    kept = {key: None if key.endswith("_interval") else value for key, value in answer.items() if key != "quantiles"}
    return {"no_interval": why} | kept | {"interval": None}


def follow(found: Mapping[str, Any]) -> dict[str, Any]:
    """Return `found` with the headline's threshold, interval, estimator and sides in place of the first estimator's.

    A result without a headline, of an earlier version, is returned as it is. What follows already stays so.
    """
    head = found.get("headline")
    return dict(found) | {key: head.get(key) for key in FOLLOWED} if head else dict(found)
