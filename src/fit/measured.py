"""How far estimated thresholds were from the true ones where the truth is known (docs/truth.md)."""

import json
from dataclasses import dataclass
from functools import cache
from importlib.resources import files


@dataclass(frozen=True, kw_only=True)
class MeasuredErrors:
    """What the truth experiment found, as `python benchmarks/truth.py` writes it to measured.json."""

    ratios: dict[str, list[float]]
    """World -> of each of its models whose truth is known, the threshold that a user was told over the true one."""
    models: int
    """Models that were trained in them, and studied."""
    answers: int
    """Models of which a user was told a threshold, whose truth is known."""
    told_over_true: float
    """Mean ratio of the threshold that a user was told to the median of the concepts' true thresholds."""
    told_over_true_interval: tuple[float, float]
    within_a_factor_of_2: int
    """Of the answers."""
    intervals: int
    """Answers with an interval."""
    held: int
    """Intervals that held the truth."""
    another_training: float | None
    """Factor by which the threshold moves when a model is trained again on the same images: one standard deviation.
    None: not measured."""
    pairs: int
    """Pairs of such trainings."""
    concepts_apart: float
    """Factor between the true thresholds of concepts at the 10th and at the 90th percentile."""
    rise: float
    """Factor of images over which the score of one concept rises from 10 to 90 %."""


@cache
def measured_errors() -> MeasuredErrors:
    """Return what the truth experiment found."""
    found = json.loads(files("fit").joinpath("measured.json").read_text(encoding="utf-8"))
    return MeasuredErrors(**found | {"told_over_true_interval": tuple(found["told_over_true_interval"])})
