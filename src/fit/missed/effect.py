"""What the images that captions miss do to the imitation threshold."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from fit.errors import DataError
from fit.thresholds.headline import follow
from fit.thresholds.scores import Scores, sort_scores

VARIANTS = {"as_counted": None, "with_missed": "missed", "with_corrected_missed": "corrected_missed"}
"""Which images are counted -> column of fit.missed.measure.MISSED that is added to each count; None: nothing."""


def add_missed(table: Scores, missed: dict[str, dict[str, Any]], column: str) -> Scores | None:
    """Return a table of concepts whose counts, and intervals of counts, have what was missed.

    Args:
        table: of concepts with counts and scores.
        missed: concept -> its row of the schema MISSED.
        column: "missed" or "corrected_missed".

    Returns:
        The table; None where the numbers of the column are unknown.

    Raises:
        DataError: `missed` lacks a concept.
    """
    lacking = [str(concept) for concept in table.concepts if str(concept) not in missed]
    if lacking:
        raise DataError(f"what was missed of {', '.join(lacking[:5])} is not known; measure all concepts of the table")
    rows = [missed[str(concept)] for concept in table.concepts]
    names = (column, f"{column}_low", f"{column}_high")
    if any(row[name] is None for row in rows for name in names):
        return None
    more, low, high = (np.array([row[name] for row in rows], float) for name in names)
    evidence = np.full_like(table.evidence, np.nan)
    known = np.where(np.isfinite(table.evidence[:, 3:]), table.evidence[:, 3:], table.counts[:, None])
    # A sum's interval from those of its independent parts: their distances from the parts, added in squares.
    counts = table.counts + more
    evidence[:, 3] = counts - np.hypot(table.counts - known[:, 0], more - low)
    evidence[:, 4] = counts + np.hypot(known[:, 1] - table.counts, high - more)
    evidence[:, 3] = np.clip(evidence[:, 3], 0, counts)
    return sort_scores(table.concepts, counts, table.scores, table.groups, _lists(table), evidence, table.families)


def _lists(table: Scores) -> list[list[list[float]]]:
    return [[prompt.tolist() for prompt in prompts] for prompts in table.images]


def measure_effect(
    table: Scores, missed: dict[str, dict[str, Any]], measure: Callable[[Scores], dict[str, Any]]
) -> dict[str, Any]:
    """Measure the threshold as captions count, and with the images that they miss.

    Args:
        table: of concepts with counts and scores.
        missed: concept -> its row of the schema MISSED.
        measure: function that measures the threshold of a table (fit.thresholds.report.measure).

    Returns:
        A key of VARIANTS -> threshold, interval, estimator and thresholds (estimator -> threshold); None for a variant
        whose numbers are unknown.
    """
    found: dict[str, Any] = {}
    for variant, column in VARIANTS.items():
        counted = table if column is None else add_missed(table, missed, column)
        if counted is None:
            found[variant] = None
            continue
        result = follow(measure(counted))
        by_estimator = {name: answer["threshold"] for name, answer in result["estimators"].items()}
        found[variant] = {
            "threshold": result["threshold"],
            "interval": result["interval"],
            "estimator": result["estimator"],
            "thresholds": by_estimator,
        }
    return found


def describe_effect(found: dict[str, Any]) -> Iterator[str]:
    """Yield the thresholds in lines."""
    words = {
        "as_counted": "images whose captions name a concept",
        "with_missed": "and those that captions miss, by the recogniser",
        "with_corrected_missed": "and those that captions miss, without the recogniser's errors",
    }
    for variant, text in words.items():
        answer = found[variant]
        if answer is None:
            yield f"{text}: unknown, since the recogniser's rates are"
            continue
        threshold, interval = answer["threshold"], answer["interval"]
        said = "no threshold" if threshold is None else f"threshold {threshold:.0f}"
        yield f"{text}: {said}" + (f" (95 %: {interval[0]:.0f} to {interval[1]:.0f})" if interval else "")
