"""Keeps finished pictures beside the table that they become, so that a job that was stopped goes on where it was."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from fit.images.table import GENERATED
from fit.io.concept_tables import with_concepts
from fit.io.files import WorkFolder, atomic_write, discard, make_folder, space
from fit.io.parquet import ROW_GROUP


def work_folder(path: str | Path) -> WorkFolder:
    """Return the folder at `path` as one for parts of generated tables."""
    return WorkFolder(path, "pictures that were generated already", r"[^/]+/[0-9a-f]{16}/[0-9]{6}\.parquet")


class ResumableTable:
    """A concept's rows of a table, in files of a folder.

    Each file is whole and is named by the number of its first row, in the table's order.
    """

    def __init__(self, folder: str | Path, image_ids: list[str]):
        """Go on with what `folder`, in a claimed work_folder, has of the rows `image_ids`.

        A file that is damaged, or that does not go on where the one before ended, is discarded with all after it.
        """
        self._folder, self._ids = Path(folder), image_ids
        with space(folder):
            make_folder(self._folder)
        self._files: list[Path] = []
        self.done = 0
        """How many rows, from the first on, are finished."""
        for path in sorted(self._folder.glob("[0-9]*.parquet")):
            names = self._names(path)
            if names is None:
                discard(path, "damaged, so it is discarded and its pictures are generated again")
            elif names and names == image_ids[self.done : self.done + len(names)]:
                self._files.append(path)
                self.done += len(names)
            else:
                discard(path)

    @staticmethod
    def _names(path: Path) -> list[str] | None:
        """Return the ids of a part, or None where it is damaged: all of it is read, as it will be in the end."""
        try:
            table = pq.read_table(path, partitioning=None)
            json.loads((table.schema.metadata or {})[b"provenance"])
            return table.select(GENERATED.names).column("image_id").to_pylist()
        except (pa.ArrowException, OSError, KeyError, ValueError):
            return None

    def add(self, rows: Sequence[dict[str, Any]], provenance: dict[str, Any]) -> None:
        """Write the next rows, dicts of GENERATED's columns; `provenance` says what made them."""
        path = self._folder / f"{self.done:06d}.parquet"
        schema = GENERATED.with_metadata({"provenance": json.dumps(provenance, sort_keys=True, default=str)})
        with atomic_write(path) as part:
            pq.write_table(pa.Table.from_pylist(rows, schema=schema), part, compression="none")
        self._files.append(path)
        self.done += len(rows)

    def provenances(self) -> list[dict[str, Any]]:
        """Return what made the rows of each file."""
        return [json.loads(pq.read_schema(path).metadata[b"provenance"]) for path in self._files]

    def write_to(self, writer: pq.ParquetWriter) -> list[str]:
        """Write the rows to a table. Return their statuses."""
        statuses: list[str] = []
        for path in self._files:
            table = pq.read_table(path, partitioning=None)
            statuses += table.column("status").to_pylist()
            writer.write_table(table.replace_schema_metadata(None), row_group_size=ROW_GROUP)
        return statuses


def _joined_provenance(found: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return the first of `found`; where others differ, `also` has what differs in each of them."""
    different: list[dict[str, Any]] = []
    for one in found:
        if one not in different:
            different.append(one)
    first, *others = different
    also = [{key: value for key, value in one.items() if first.get(key) != value} for one in others]
    return first | ({"also": also} if also else {})


def assemble(parts: dict[str, ResumableTable], target: str | Path) -> dict[str, list[str]]:
    """Write the table of several concepts to `target`, concept after concept; its metadata say what made the pictures.

    Args:
        parts: concept -> its rows, all finished, in the order that they are to have.
        target: path of the table.

    Returns:
        Concept -> the statuses of its rows.
    """
    provenance = _joined_provenance([one for of_concept in parts.values() for one in of_concept.provenances()])
    told = GENERATED.with_metadata({"provenance": json.dumps(provenance, sort_keys=True)})
    schema = with_concepts(told, parts)
    with atomic_write(target) as part, pq.ParquetWriter(part, schema, compression="zstd") as writer:
        return {concept: of_concept.write_to(writer) for concept, of_concept in parts.items()}
