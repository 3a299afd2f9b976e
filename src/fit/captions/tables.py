"""The tables that counting captions writes: counts, names, matched captions and shards."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from fit.captions.phrases import Phrases
from fit.errors import CorpusError, DataError
from fit.io.concept_tables import with_concepts
from fit.io.parquet import write
from fit.io.shown import number_of

COUNTS = pa.schema(
    [
        ("concept", pa.string()),
        ("captions", pa.int64()),
        ("corpus_rows", pa.int64()),
        ("skipped_rows", pa.int64()),
        ("skipped_shards", pa.int64()),
    ]
)
"""Captions that mention the concept; rows of the corpus that were read, and that were skipped (as far as known)."""
NAMES = pa.schema(
    [
        ("concept", pa.string()),
        ("name", pa.string()),
        ("captions", pa.int64()),
        ("capitalising", pa.int64()),
        ("in_lower_case", pa.int64()),
        ("same_as", pa.list_(pa.string())),
        ("contains", pa.list_(pa.string())),
    ]
)
"""Captions that mention this name. Of a name that is one word: how many of them use capitals somewhere, and in how many
of those the name itself has none. Concepts that have the same name, and concepts whose name is a part of it."""
SHARDS = pa.schema(
    [
        ("shard", pa.string()),
        ("status", pa.string()),
        ("rows", pa.int64()),
        ("null_captions", pa.int64()),
        ("malformed_captions", pa.int64()),
        ("reason", pa.string()),
    ]
)
"""status: "ok", or "skipped" for the reason given; rows: read, or skipped (null if unknown)."""
MATCHED = pa.schema(
    [
        ("concept", pa.string()),
        ("shard", pa.string()),
        ("row", pa.int64()),
        ("url", pa.string()),
        ("caption", pa.string()),
    ]
)
"""A concept and a caption of its sample. The columns that the settings name besides follow, as text."""

_ROW_GROUP = 65_536


def matched_schema(columns: Iterable[str] = (), concepts: Iterable[str] | None = None) -> pa.Schema:
    """Return the schema of matched captions.

    Args:
        columns: other columns that are carried along.
        concepts: slugs of all concepts that were looked for, also those without a caption; None if unknown.
    """
    schema = pa.schema([*MATCHED, *((name, pa.string()) for name in columns)])
    return schema if concepts is None else with_concepts(schema, concepts)


@dataclass(frozen=True)
class CountFiles:
    """The four files of one count. All are Parquet."""

    counts: Path
    """Schema COUNTS, in the order of the sheet."""
    names: Path
    """Schema NAMES, in the order of the sheet."""
    matched_captions: Path
    """Schema matched_schema, sorted by concept, shard and row."""
    shards: Path
    """Schema SHARDS, sorted by shard."""

    @classmethod
    def in_folder(cls, folder: str | Path) -> "CountFiles":
        """Return the paths counts.parquet and so on, in `folder`."""
        return cls(*(Path(folder, f"{name}.parquet") for name in ("counts", "names", "matched_captions", "shards")))

    @classmethod
    def of_counts(cls, counts: str | Path) -> "CountFiles":
        """Return the files that belong to `counts`: OUT.names.parquet and so on beside OUT.parquet, or as in_folder.

        Raises:
            DataError: neither are all there.
        """
        beside = Path(counts).with_suffix("")
        kinds = ("names", "matched_captions", "shards")
        named = cls(Path(counts), *(Path(f"{beside}.{kind}.parquet") for kind in kinds))
        plain = cls.in_folder(Path(counts).parent)
        choices = [plain, named] if Path(counts).name == "counts.parquet" else [named]
        for files in choices:
            if all(path.is_file() for path in (files.names, files.matched_captions, files.shards)):
                return files
        missing = [str(path) for path in (named.names, named.matched_captions, named.shards) if not path.is_file()]
        raise DataError(
            f"{counts}: no {', '.join(missing)} beside it; name the file that `fit captions count --counts` wrote, "
            "with the others where that command put them"
        )

    def write(self, counts: pa.Table, names: pa.Table, shards: pa.Table) -> None:
        """Write the tables beside the matched captions, which are already there."""
        write(shards, self.shards)
        write(names, self.names, _ROW_GROUP)
        write(counts, self.counts, _ROW_GROUP)  # last: whoever finds it finds the others


def names_table(
    phrases: Phrases, of_names: np.ndarray, capitalising: np.ndarray, in_lower_case: np.ndarray
) -> pa.Table:
    """Return the table NAMES; which names overlap depends on all of the phrases. The numbers are [names] int64 each."""
    same_as, contains = phrases.overlaps()

    def slugs(of_name: dict[int, list[int]]) -> list[list[str]]:
        return [
            sorted({phrases.concepts[phrases.concept_of[other]] for other in of_name[name]}) if name in of_name else []
            for name in range(len(phrases.names))
        ]

    columns = [[phrases.concepts[c] for c in phrases.concept_of], phrases.names, of_names, capitalising, in_lower_case]
    return pa.Table.from_arrays(
        [pa.array(c, t) for c, t in zip([*columns, slugs(same_as), slugs(contains)], NAMES.types, strict=True)],
        schema=NAMES,
    )


def counts_table(concepts: Sequence[str], of_concepts: np.ndarray, shards: pa.Table) -> pa.Table:
    """Return the table COUNTS from the captions of each concept, [concepts] int64, and the table SHARDS."""
    ok = pc.equal(shards.column("status"), "ok")
    read_rows = pc.sum(shards.filter(ok).column("rows")).as_py() or 0
    skipped = shards.filter(pc.invert(ok))
    constants = [read_rows, pc.sum(skipped.column("rows")).as_py() or 0, len(skipped)]
    columns = [concepts, of_concepts, *([value] * len(concepts) for value in constants)]
    return pa.Table.from_arrays([pa.array(c, t) for c, t in zip(columns, COUNTS.types, strict=True)], schema=COUNTS)


def shards_table(rows: Iterable[dict[str, Any]]) -> pa.Table:
    """Return the table SHARDS from its rows, in any order."""
    return pa.Table.from_pylist(sorted(rows, key=lambda row: row["shard"]), schema=SHARDS)


def check_some_row(rows: Sequence[dict[str, Any]], is_part: bool) -> None:
    """Check that the files of captions have a row, where some could be read.

    Args:
        rows: of the table SHARDS.
        is_part: whether the files are a part of a corpus, which may have no row.

    Raises:
        CorpusError: none of them has a row.
    """
    read_ones = [row["shard"] for row in rows if row["status"] == "ok"]
    if read_ones and not is_part and not any(row["rows"] for row in rows):
        some = ", ".join(read_ones[:3]) + (
            f" and {number_of(len(read_ones) - 3, 'more file')}" if len(read_ones) > 3 else ""
        )
        raise CorpusError(f"{some}: no caption was read, since there is no row; check that these are the right files")
