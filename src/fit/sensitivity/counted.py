"""The threshold by which images are counted: as they match, without the recogniser's errors, or with what captions
miss."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from fit.counts.estimate import CORRECTED, read_counts_of
from fit.io.parquet import read
from fit.missed.effect import VARIANTS, add_missed
from fit.missed.measure import MISSED
from fit.sensitivity.choices import Answer, locate
from fit.thresholds.scores import EVIDENCE, Scores, sort_scores
from fit.thresholds.uncertainty import bootstrap, interval

CHOICES = {"counts": "images that are counted"}
"""Key of the choice, and its name in figure and text."""
WITH_MISSED = {
    "with_missed": "with what captions miss",
    "with_corrected_missed": "with what captions miss, without the recogniser's errors in it",
}
"""Key of fit.missed.effect.VARIANTS -> name of the setting."""


def without_errors(table: Scores, counts: str | Path) -> Scores | None:
    """Return the concepts with counts without the recogniser's errors, each with its interval.

    Args:
        table: of the study.
        counts: path of the effective counts.

    Returns:
        The concepts whose corrected count is known; None if none is.
    """
    found = read_counts_of(counts, ("effective_count",))
    known = [row for row, concept in enumerate(table.concepts) if _is_corrected(found.get(str(concept), {}))]
    if not known:
        return None
    part = table.take(known)
    count, low, high = np.array([[found[str(c)][name] for name in CORRECTED] for c in part.concepts], np.float64).T
    evidence = np.full_like(part.evidence, np.nan)
    evidence[:, EVIDENCE.index("low")], evidence[:, EVIDENCE.index("high")] = low, high
    images = [[prompt.tolist() for prompt in prompts] for prompts in part.images]
    return sort_scores(part.concepts, count, part.scores, part.groups, images, evidence, part.families)


def _is_corrected(row: Mapping[str, Any]) -> bool:
    return all(row.get(name) is not None for name in CORRECTED)


def _tables(table: Scores, counts: str | Path | None, missed: str | Path | None) -> Iterator[tuple[str, Scores]]:
    """Yield (setting, the concepts as it counts them); the study's own first."""
    yield "effective counts", table
    corrected = without_errors(table, counts) if counts is not None else None
    if corrected is not None:
        yield "without the recogniser's errors", corrected
    if missed is None:
        return
    rows = {row["concept"]: row for row in read(missed, MISSED.names, schema=MISSED).to_pylist()}
    for variant, name in WITH_MISSED.items():
        column = VARIANTS[variant]
        more = add_missed(table, rows, column) if column else None
        if more is not None:
            yield name, more


def over_counts(
    table: Scores,
    counts: str | Path | None,
    missed: str | Path | None,
    found: Mapping[str, Any],
    resamples: int,
    seed: int,
) -> list[Answer]:
    """Return the threshold by each way to count images, with its interval.

    Args:
        table: of the study.
        counts: path of the effective counts; None if unknown.
        missed: table of `fit missed measure`; None if it was not made.
        found: estimator and penalty of the study.
        resamples: of the bootstrap.
        seed: of its draws.

    Returns:
        Answers with the keys of fit.sensitivity.ways.over_ways; none if images can be counted in one way only.

    Raises:
        DataError: `missed` lacks a concept of the table.
    """
    tables, estimator, penalty = dict(_tables(table, counts, missed)), found["estimator"], found["penalty"]
    answers: list[Answer] = []
    for setting, counted in tables.items() if len(tables) > 1 else ():
        is_own = counted is table
        threshold, ends = found["threshold"] if is_own else locate(counted, estimator, penalty), None
        if threshold is not None:
            drawn = bootstrap(counted, [estimator], penalty, resamples, seed)[estimator]
            ends = interval(estimator, drawn, counted.counts)
        answers.append(
            {
                "setting": setting,
                "in_use": is_own,
                "published": is_own,
                "threshold": threshold,
                "interval": ends,
                "concepts": len(counted),
                "weight": 1 / len(tables),
            }
        )
    return answers
