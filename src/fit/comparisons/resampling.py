"""Resamples of several tables at once: of the same concepts where tables have the same."""

from collections.abc import Iterator, Sequence

import numpy as np

from fit.thresholds.families import draw_rows
from fit.thresholds.scores import Scores
from fit.thresholds.uncertainty import CHUNK, Replicates, replicate

Drawn = tuple[np.ndarray, np.ndarray]
"""(counts, scores), [R, N] each and ascending in counts."""


def shared_concepts(*tables: Scores) -> list[Scores]:
    """Return the concepts that all tables have: tables of the same N concepts, each in the order of its counts."""
    names = tables[0].concepts
    for table in tables[1:]:
        names = np.intersect1d(names, table.concepts)
    return [table.take(np.isin(table.concepts, names)) for table in tables]


def _have_same_counts(first: Scores, second: Scores, at: np.ndarray) -> bool:
    """Whether both tables count the same images: then a draw of a count's error is one for both."""
    return bool(
        np.array_equal(first.counts, second.counts[at])
        and np.array_equal(first.evidence, second.evidence[at], equal_nan=True)
    )


def resample_together(tables: Sequence[Scores], resamples: int, seed: int) -> Iterator[list[Drawn]]:
    """Yield resamples of tables of the same N concepts, some at a time, one of each table in the order of the tables.

    They have the same concepts, the same prompts and, where tables count the same images, the same errors of counts.
    """
    first, rng = tables[0], np.random.default_rng(seed)
    order = np.searchsorted
    places = [np.argsort(t.concepts)[order(np.sort(t.concepts), first.concepts)] for t in tables]
    banks = [replicate(table, rng) for table in tables]
    for index, (table, at) in enumerate(zip(tables[1:], places[1:], strict=True), 1):
        if _have_same_counts(first, table, at):
            counts = np.empty_like(banks[index].counts)
            counts[at] = banks[0].counts
            banks[index] = Replicates(table, banks[index].images, counts)
    for start in range(0, resamples, CHUNK):
        rows = draw_rows(first, min(CHUNK, resamples - start), rng)
        # Generators in the same state: prompts and errors of counts are drawn alike.
        yield [
            bank.resample(at[rows], np.random.default_rng([seed, start]))
            for bank, at in zip(banks, places, strict=True)
        ]


def resample_apart(tables: Sequence[Scores], resamples: int, seed: int) -> Iterator[list[Drawn]]:
    """Yield resamples of tables that have nothing in common, as resample_together does."""
    rng = np.random.default_rng(seed)
    banks = [replicate(table, rng) for table in tables]
    for start in range(0, resamples, CHUNK):
        number = min(CHUNK, resamples - start)
        yield [bank.resample(draw_rows(bank.table, number, rng), rng) for bank in banks]
