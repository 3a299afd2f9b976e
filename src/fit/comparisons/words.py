"""A comparison in words."""

from collections.abc import Iterator
from typing import Any

from fit.io.shown import number_of, ratio
from fit.thresholds.estimators import estimator_of_result

CHANCE = 0.05
"""P-value up to which the thresholds differ beyond chance."""


def sentence(found: dict[str, Any], names: tuple[str, str]) -> str:
    """Say in a sentence which threshold is higher, and how sure that is."""
    name = found["estimator"]
    if name is None:
        return f"{names[0]} and {names[1]} cannot be compared: no estimator finds a threshold in both"
    answer = found["estimators"][name]
    by = f"by the {estimator_of_result(name).label}"
    if answer["interval"] is None:
        why = answer.get("reason", "no resample has both thresholds")
        return f"{names[0]} and {names[1]} cannot be compared {by}: {why}"
    low, high = answer["interval"]
    said = f"{ratio(answer['ratio'])} times that of {names[0]} {by}"
    said += f" (95 %: {ratio(low)} to {ratio(high)}; p = {answer['p_value']:.2g})"
    if answer["p_value"] > CHANCE:
        return f"the threshold of {names[1]} is {said}: they do not differ beyond chance"
    return f"the threshold of {names[1]} is {'higher' if answer['ratio'] > 1 else 'lower'}: {said}"


def describe(found: dict[str, Any], names: tuple[str, str]) -> Iterator[str]:
    """Say a comparison in lines of text."""
    yield sentence(found, names)
    one, other = found["concepts"]
    if found["paired"]:
        yield f"compared concept by concept: {number_of(one, 'concept')} that both tables have"
        left_out = [f"{number} only in {name}" for number, name in zip(found["left_out"], names, strict=True) if number]
        if left_out:
            yield f"left out: {', '.join(left_out)}"
    else:
        yield f"compared as two tables with nothing in common: {one} and {number_of(other, 'concept')}"
    for name, answer in found["estimators"].items():
        label = estimator_of_result(name).label
        if answer["ratio"] is None:
            yield f"  {label}: none: {answer['reason']}"
            continue
        first, second = (found[side]["estimators"][name]["threshold"] for side in ("first", "second"))
        line = f"  {label}: {first:.0f} and {second:.0f} images, ratio {answer['ratio']:.2f}"
        if answer["interval"]:
            low, high = answer["interval"]
            line += f" ({low:.2f} to {high:.2f}), p = {answer['p_value']:.2g}"
            if answer["resamples_with_both"] < 0.95:
                line += f"; only {answer['resamples_with_both']:.0%} of the resamples have both"
        yield line
