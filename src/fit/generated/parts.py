"""Finished pictures beside the table that they become, so that a job that is stopped goes on where it was."""

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from fit.images.table import GENERATED
from fit.io.files import WorkFolder, atomic_write, discard, space
from fit.io.parquet import ROW_GROUP


def work_folder(path):
    """The folder at `path` as one for parts of generated tables."""
    return WorkFolder(path, "pictures that were generated already", r"[^/]+/[0-9a-f]{16}/[0-9]{6}\.parquet")


class ResumableTable:
    """Rows of one table in files of a folder, each whole, in the table's order and named by the number of its first."""

    def __init__(self, folder, image_ids):
        """Go on with what `folder`, in a claimed work_folder, has of the rows `image_ids`.

        A file that is damaged, or that does not go on where the one before ended, is discarded with all after it.
        """
        self._folder, self._ids = Path(folder), image_ids
        with space(folder):
            self._folder.mkdir(parents=True, exist_ok=True)
        self._files: list[Path] = []
        self.done = 0
        """How many rows, from the first on, are there."""
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
    def _names(path):
        """The ids of a part, or None where it is damaged: all of it is read, as it will be in the end."""
        try:
            table = pq.read_table(path, partitioning=None)
            json.loads((table.schema.metadata or {})[b"provenance"])
            return table.select(GENERATED.names).column("image_id").to_pylist()
        except (pa.ArrowException, OSError, KeyError, ValueError):
            return None

    def add(self, rows, provenance):
        """Write the next rows, dicts of GENERATED's columns; provenance: a dict of what made them."""
        path = self._folder / f"{self.done:06d}.parquet"
        schema = GENERATED.with_metadata({"provenance": json.dumps(provenance, sort_keys=True, default=str)})
        with atomic_write(path) as part:
            pq.write_table(pa.Table.from_pylist(rows, schema=schema), part, compression="none")
        self._files.append(path)
        self.done += len(rows)

    def _provenance(self):
        """That of the first part; where others differ, `also` has what differs in each of them."""
        found: list[dict] = []
        for path in self._files:
            one = json.loads(pq.read_schema(path).metadata[b"provenance"])
            if one not in found:
                found.append(one)
        first, *others = found
        also = [{key: value for key, value in one.items() if first.get(key) != value} for one in others]
        return first | ({"also": also} if also else {})

    def assemble(self, target):
        """Write the table to `target`, the provenance of its pictures in its metadata. Returns the rows' statuses."""
        schema = GENERATED.with_metadata({"provenance": json.dumps(self._provenance(), sort_keys=True)})
        statuses: list[str] = []
        with atomic_write(target) as part, pq.ParquetWriter(part, schema, compression="zstd") as writer:
            for path in self._files:
                table = pq.read_table(path).replace_schema_metadata(schema.metadata)
                statuses += table.column("status").to_pylist()
                writer.write_table(table, row_group_size=ROW_GROUP)
        return statuses
