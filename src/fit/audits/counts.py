"""Effective counts of concepts, as an audit reads them."""

import math
from dataclasses import dataclass
from typing import Any

from fit.errors import DataError
from fit.io.numbers import as_count, as_interval
from fit.io.shown import plain, shown
from fit.io.user_tables import Source, once, read_user_table


@dataclass(frozen=True)
class ConceptCount:
    """A concept's effective count; None if unknown."""

    concept: str
    count: int | None
    low: int | None = None
    high: int | None = None
    captions: int | None = None
    """Mentions in the whole corpus."""

    @property
    def most(self) -> int | None:
        """Return the largest number of images that the count allows for."""
        return self.count if self.high is None else self.high


def read_counted(path: Source) -> tuple[list[ConceptCount], int, bool]:
    """Read effective counts of concepts.

    Args:
        path: Parquet, CSV, TSV or a table in memory, with the columns concept and effective_count, and optionally low,
            high and captions, such as fit.counts.estimate.COUNTS. Of a table that `fit captions count` wrote, the
            captions are taken.

    Returns:
        (list of ConceptCount, how many rows of the corpus could not be read, so that the counts leave them out, whether
        captions are taken for effective counts). Low and high enclose the count: where several faces of an image match,
        and a count exceeds its interval, high is the count.

    Raises:
        DataError: it can't be read, lacks a column or has a misspelt one, repeats a concept, or holds a count that is
            not whole or not within its interval.
    """
    optional = ("effective_count", "captions", "low", "high", "matches", "downloaded", "skipped_rows")
    table = read_user_table(path, ("concept",), optional=optional)
    of_captions = "effective_count" not in table.columns and "captions" in table.columns
    column = "captions" if of_captions else "effective_count"
    if column not in table.columns:
        raise DataError(
            f"{path}: no column 'effective_count', and no 'captions' in its place (found: {plain(table.columns)})"
        )
    counted: list[ConceptCount] = []
    skipped = 0
    for index, concept in enumerate(once(table)):
        row, place = table.rows[index], f"{table.where(index)}, concept {shown(concept)}"

        def whole_number(name: str, row: dict[str, Any] = row, place: str = place) -> int | None:
            return as_count(row.get(name), f"{place}: {name}")

        count, captions = whole_number(column), whole_number("captions")
        low, high = (None, None) if of_captions else as_interval(row, count, place)
        if count is None or low is None or high is None:
            low = high = None
        else:
            low, high = math.floor(low), max(math.ceil(high), count)
        counted.append(ConceptCount(concept, count, low, high, captions))
        skipped = max(skipped, whole_number("skipped_rows") or 0)
    return counted, skipped, of_captions
