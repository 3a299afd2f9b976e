"""How a collection ended: how many rows of its tables have which status, as a small table of its own."""

from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from fit.errors import DataError, again
from fit.images.table import COLLECTED
from fit.io.concept_tables import ConceptTables
from fit.io.escaping import delimited
from fit.io.files import write_text
from fit.io.user_tables import read_user_table

OPTED_OUT = "opted_out"
"""Status of an image whose site refuses its use for machine learning (fit.images.fetch)."""
COLUMNS = ("status", "images")


def count_collected(tables: ConceptTables, concepts: Iterable[str]) -> dict[str, int]:
    """Return status -> rows that have it, the most frequent first, in image tables of the schema COLLECTED.

    Args:
        tables: of the collection; a picture that two concepts have counts for each.
        concepts: slugs of those that are wanted. Others may be left from an earlier sheet.

    Raises:
        ImageTableError: a table has no statuses.
        DataError: a concept has no table.
    """
    wanted, counts = list(concepts), Counter[str]()
    for concept in wanted:
        tables.path(concept)
    for concept, rows in tables.each(["status"], COLLECTED):
        if concept in wanted:
            counts.update(map(str, rows.column("status").to_pylist()))
    return dict(sorted(counts.items(), key=lambda one: (-one[1], one[0])))


def write_statuses(counts: dict[str, int], out: str | Path) -> None:
    """Write what count_collected returns, tab-separated."""
    write_text(out, delimited([COLUMNS, *counts.items()]))


def read_statuses(path: str | Path) -> dict[str, int]:
    """Return what write_statuses wrote.

    Raises:
        DataError: it is not such a table.
    """
    table = read_user_table(path, COLUMNS, empty=True)
    found: dict[str, int] = {}
    for row in table.rows:
        number = str(row["images"])
        if not number.isdecimal():
            raise DataError(
                f"{path}: status {row['status']!r} has {number!r} images, not a whole number; {again(path)}"
            )
        found[str(row["status"])] = int(number)
    return found
