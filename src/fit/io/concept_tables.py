"""Tables of concepts: every row says which concept it is of, in the column `concept`.

A table holds one concept or several. The metadata of its file names them too. So a concept without a row is still known
to have been looked at, and a concept is found in a folder of tables without reading their rows.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from fit.errors import DataError, ImageTableError
from fit.io.files import atomic_write
from fit.io.nearby import nearest
from fit.io.parquet import check_columns, open_parquet, read

CONCEPT = pa.field("concept", pa.string())
_KEY = b"concepts"


def with_concepts(schema: pa.Schema, concepts: Iterable[str]) -> pa.Schema:
    """Return `schema` with metadata that say which concepts a table is of."""
    return schema.with_metadata({**(schema.metadata or {}), _KEY: json.dumps(list(concepts)).encode()})


def of_concept(table: pa.Table, concept: str | None) -> pa.Table:
    """Return `table` with the column `concept` before the others, the same in each row."""
    return table.add_column(0, CONCEPT, pa.array([concept] * len(table), pa.string()))


def concepts_in(path: str | Path) -> list[str]:
    """Return the concepts that a table is of, in its order: as its metadata say, or else those of its rows.

    Raises:
        ImageTableError: it is missing, or not a table with a column `concept`; or it has rows of a concept that its
            metadata do not name.
    """
    file = open_parquet(path)
    told = (file.schema_arrow.metadata or {}).get(_KEY)
    if told is not None:
        return _told(path, told, file.metadata)
    check_columns(file.schema_arrow, path, ["concept"], pa.schema([CONCEPT]))
    return list(dict.fromkeys(file.read(["concept"]).column("concept").to_pylist()))


def _told(path: str | Path, told: bytes, metadata: pq.FileMetaData) -> list[str]:
    """Return the concepts that the metadata of a table name, after a look at the statistics of its rows.

    Tables that somebody joined have the metadata of one of them, and the concepts of all.
    """
    try:
        names: list[str] = list(json.loads(told))
    except (ValueError, TypeError):
        raise ImageTableError(f"{path}: its metadata name no concepts that can be read; make it again") from None
    known = set(names)
    position = next((i for i, name in enumerate(metadata.schema.names) if name == CONCEPT.name), None)
    for group in range(metadata.num_row_groups if position is not None else 0):
        found = metadata.row_group(group).column(position).statistics
        for concept in (found.min, found.max) if found is not None and found.has_min_max else ():
            if concept not in known:
                raise ImageTableError(
                    f"{path}: it has rows of the concept {concept!r}, which its metadata do not name (tables that were "
                    "joined keep those of one); make it again, or leave its metadata out"
                )
    return names


class ConceptTables:
    """Tables of one kind, each of some concepts: finds a concept's rows."""

    def __init__(self, places: Iterable[str | Path]):
        """`places`: paths of tables, and folders that hold some (files that end in .parquet)."""
        self.places = [Path(place) for place in places]
        self._path_of: dict[str, Path] | None = None

    def _find(self) -> dict[str, Path]:
        if self._path_of is None:
            files = [
                file
                for place in self.places
                for file in (sorted(place.glob("*.parquet")) if place.is_dir() else [place])
            ]
            # Two tables of a folder may have a concept: the table of a job of several concepts, and one that was asked
            # for by the concept's name. Both are made by the same rule; the later one has the present settings.
            concepts_of = {file: concepts_in(file) for file in files}
            for file, concepts in concepts_of.items():
                if None in concepts:
                    raise ImageTableError(
                        f"{file}: a row has no concept; write in the column 'concept' which concept each row is of"
                    )
            by_age = sorted(concepts_of, key=lambda file: file.stat().st_mtime_ns)
            latest = {concept: file for file in by_age for concept in concepts_of[file]}
            self._path_of = {concept: latest[concept] for file in files for concept in concepts_of[file]}
        return self._path_of

    def __iter__(self) -> Iterator[str]:
        """Yield the concepts: in the order of the places, of the names of files in a folder, of each table."""
        return iter(self._find())

    def __contains__(self, concept: str) -> bool:
        return concept in self._find()

    def path(self, concept: str) -> Path:
        """Return the path of the table that holds a concept.

        Raises:
            DataError: no table does.
        """
        found = self._find()
        if concept not in found:
            named = ", ".join(map(str, self.places[:3])) + (" ..." if len(self.places) > 3 else "")
            other = nearest(concept, found)
            meant = f" (is {other!r} meant?)" if other else ""
            raise DataError(
                f"{named}: no table of the concept {concept!r}{meant}; ask snakemake for it, or name the file"
            )
        return found[concept]

    def read(self, concept: str, columns: Sequence[str] | None = None, schema: pa.Schema | None = None) -> pa.Table:
        """Return the rows of a concept, in their order; `columns` and `schema` as fit.io.parquet.read takes them."""
        return read(self.path(concept), columns, only={"concept": [concept]}, schema=schema)

    def each(self, columns: Sequence[str], schema: pa.Schema | None = None) -> Iterator[tuple[str, pa.Table]]:
        """Yield (concept, its rows in their order) of every concept; each file is read once.

        Args:
            columns: names of those to read; schema: as fit.io.parquet.read takes it.
        """
        concepts_of: dict[Path, list[str]] = {}
        for concept, path in self._find().items():
            concepts_of.setdefault(path, []).append(concept)
        for path, concepts in concepts_of.items():
            table = read(path, ["concept", *columns], schema=schema)
            names = table.column("concept").combine_chunks().dictionary_encode()
            codes = names.indices.to_numpy(zero_copy_only=False)
            ends = [*(np.flatnonzero(np.diff(codes)) + 1).tolist(), len(codes)] if len(codes) else []
            parts: dict[str, list[pa.Table]] = {}
            for start, end in pairwise([0, *ends]):
                parts.setdefault(names[start].as_py(), []).append(table.slice(start, end - start).select(columns))
            for concept in concepts:
                yield concept, pa.concat_tables(parts.get(concept) or [table.slice(0, 0).select(columns)])


def write_concepts(
    tables: Iterable[tuple[str, pa.Table]], path: str | Path, schema: pa.Schema, row_group: int = 65536
) -> None:
    """Write tables of one concept each to one file, whole or not at all.

    Args:
        tables: (concept, table without the column `concept`) each.
        path: of the file.
        schema: of the file, `concept` first.
        row_group: rows of a row group, at most; a row group is of one concept.
    """
    found = list(tables)
    with_metadata = with_concepts(schema, [concept for concept, _ in found])
    with atomic_write(path) as part, pq.ParquetWriter(part, with_metadata, compression="zstd") as writer:
        for concept, table in found:
            rows = of_concept(table, concept).cast(schema)
            writer.write_table(rows.replace_schema_metadata(with_metadata.metadata), row_group_size=row_group)
