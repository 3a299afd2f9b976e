"""Published numbers beside those that a study found: as a table, and in words."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fit.io.shown import as_images
from fit.published import FACES_THAT_CAPTIONS_MISS, INVARIANCE, LATER_CHANGES, THRESHOLDS
from fit.reports.invariance import Invariance
from fit.reports.report import Pair, Table
from fit.thresholds.answer import falls, read
from fit.thresholds.estimators import estimator_of_result

PUBLISHED_WAY = ("pelt_published", "pelt")
"""Estimators that find a threshold as the paper does, the nearest to it first."""
FACES = ("celebrities", "politicians")
"""Domains of which the paper says how often captions miss a concept."""


@dataclass(frozen=True)
class Comparison:
    """One published number, and what a study found."""

    what: str
    model: str
    domain: str
    published: str
    found: str
    """A number, or why there is none."""
    interval: str
    lies: str
    """Where the published number lies, in words; "not compared" with the reason if it can't be."""

    @property
    def is_compared(self) -> bool:
        """Whether there is something to compare the published number with."""
        return not self.lies.startswith("not compared")

    def sentence(self) -> str:
        """Say the comparison, without a full stop."""
        of = f"{self.model}, {self.domain}: the published {self.what}, {self.published},"
        if not self.is_compared:
            return f"{of} is {self.lies}"
        beside = f"found: {self.found}" + (f", {self.interval}" if self.interval else "")
        return f"{of} {self.lies} ({beside})"


def _lies(published: float, found: float, interval: Sequence[float] | None, is_open: bool) -> str:
    """Say where a published number lies. `is_open`: whether the interval's lower end is not a part of it."""
    if interval is None:
        return "not compared: no interval was found"
    low, high = interval
    if published > high:
        return "lies above the interval"
    if published < low or (is_open and published == low != found):
        return "lies below the interval"
    return "lies within the interval"


def published_way(found: dict[str, Any]) -> str:
    """Return the estimator of a result that is nearest to the paper's, rather one with an interval."""
    there = [name for name in PUBLISHED_WAY if name in found["estimators"]]
    return next((name for name in there if found["estimators"][name].get("interval")), [*there, found["estimator"]][0])


def why_no_threshold(found: dict[str, Any], name: str) -> str | None:
    """Return why an estimator found no threshold of imitation; None if it found one."""
    answer = found["estimators"][name]
    if answer.get("threshold") is None:
        return answer.get("reason") or "no threshold"
    if answer.get("direction", "") == "fall" or (
        "direction" not in answer and name == found["estimator"] and falls(found)
    ):
        return f"the scores fall instead of rising, at {as_images(answer['threshold'])}"
    if f"{answer['threshold']:.0f}" == "0":
        return "the scores change among concepts that have no training image"
    return None


def _threshold(pair: Pair, found: dict[str, Any] | None) -> Comparison:
    published = THRESHOLDS[pair]
    begin = ("imitation threshold", *pair, as_images(published))
    if found is None:
        return Comparison(*begin, "", "", "not compared: inputs are missing")
    name = published_way(found)
    label, why = estimator_of_result(name).label, why_no_threshold(found, name)
    if why:
        return Comparison(*begin, f"none by {label}: {why}", "", "not compared: none was found")
    answer = found["estimators"][name]
    interval = answer.get("interval")
    span = f"{interval[0]:.0f} to {interval[1]:.0f}" if interval else ""
    lies = _lies(published, answer["threshold"], interval, is_open=True)
    return Comparison(*begin, f"{answer['threshold']:.0f} by {label}", span, lies)


def _later_changes(pair: Pair, found: dict[str, Any] | None) -> Iterator[Comparison]:
    for published in LATER_CHANGES.get(pair, ()):
        begin = ("later change point", *pair, as_images(published))
        if found is None:
            yield Comparison(*begin, "", "", "not compared: inputs are missing")
            continue
        later = [place["effective_count"] for place in found.get("changes", [])[1:]]
        if not later:
            yield Comparison(*begin, "none", "", "not compared: no later change point was found")
        else:
            nearest = min(later, key=lambda count: (abs(count - published), count))
            among = "is one of those found" if nearest == published else "is not one of those found"
            yield Comparison(*begin, ", ".join(map(str, later)), "", f"{among}; the nearest is {nearest}")


def _invariance(pair: Pair, found: Invariance | None) -> Comparison:
    published = INVARIANCE[pair[1]]
    begin = ("score difference of concepts fewer than 10 images apart", *pair, f"{published:.4f}")
    if found is None:
        return Comparison(*begin, "", "", "not compared: inputs are missing")
    if found.mean is None:
        return Comparison(*begin, "none", "", "not compared: no two concepts are so near each other")
    interval = found.interval
    span = f"{interval[0]:.4f} to {interval[1]:.4f}" if interval else ""
    return Comparison(*begin, f"{found.mean:.4f}", span, _lies(published, found.mean, interval, is_open=False))


def comparisons(
    thresholds: Mapping[Pair, str | Path], invariances: Mapping[Pair, Invariance], pairs: Sequence[Pair]
) -> list[Comparison]:
    """Compare every published number about the models and domains of a study with what the study found.

    Args:
        thresholds: (model, domain) -> path of the JSON that `fit thresholds detect` wrote.
        invariances: (model, domain) -> of its scores.
        pairs: (model, domain) of the study, also those that lack inputs.

    Returns:
        A comparison per published number; none if nothing was published about the study.
    """
    found = {pair: read(path, "below", "above") for pair, path in thresholds.items()}
    compared: list[Comparison] = []
    for pair in pairs:
        if pair in THRESHOLDS:
            compared.append(_threshold(pair, found.get(pair)))
            compared += _later_changes(pair, found.get(pair))
            if pair[1] in INVARIANCE:
                compared.append(_invariance(pair, invariances.get(pair)))
        if pair in THRESHOLDS and pair[1] in FACES:
            low, high = FACES_THAT_CAPTIONS_MISS
            share = f"{100 * low:.0f} to {100 * high:.3f} %"
            what = "share of images with a face that captions do not name"
            compared.append(Comparison(what, *pair, share, "", "", "not compared: this study did not measure it"))
    return compared


def comparison_table(compared: Sequence[Comparison]) -> Table:
    """Return comparisons as a table."""
    columns = ("published number", "model", "domain", "published", "found", "95 % interval", "the published number")
    rows: list[tuple[str, ...]] = [
        (one.what, one.model, one.domain, one.published, one.found, one.interval, one.lies) for one in compared
    ]
    return Table("published", columns, rows)
