"""Rows of an image table as they come, in files of their own until the table can be written."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from threading import Lock
from typing import Any

import pyarrow as pa

from fit.images.table import COLLECTED
from fit.io.files import WorkFolder, atomic_write, discard
from fit.io.parquet import GROUP_BYTES, ROW_GROUP

_PART_ROWS, _PART_BYTES = 256, 8 << 20
_PARTS = r"([^/]+/[0-9a-f]{16}/)?[0-9]{6}\.arrow"


def work_folder(path: str | Path) -> WorkFolder:
    """Return the folder at `path` as one for parts of image tables."""
    return WorkFolder(path, "images that were collected already", _PARTS)


class ResumableTable:
    """Rows of one concept as they come, some hundred to a file, in a folder that outlives a kill."""

    def __init__(self, folder: str | Path):
        """Go on with what `folder`, in a claimed work_folder, has, if it has anything. Damaged files are discarded."""
        self._folder, self._lock = Path(folder), Lock()
        self._rows: list[dict[str, Any]] = []
        self._size = 0
        self._files: list[Path] = []
        self._next = 0
        self.place: dict[str, tuple[int, int]] = {}
        for path in sorted(self._folder.glob("[0-9]*.arrow")):
            self._next = int(path.stem) + 1
            try:
                table = self._open(path)
                if table.schema != COLLECTED:
                    raise pa.ArrowInvalid("its columns are those of another version")
                table.validate(full=True)
                self._note(path, table.column("image_id").to_pylist())
            except (pa.ArrowException, OSError) as error:
                discard(path, f"damaged ({error}), so it is discarded and its images are collected again")

    @staticmethod
    def _open(path: Path) -> pa.Table:
        # Mapped, not read: however many images there are, few are in memory.
        return pa.ipc.open_file(pa.memory_map(str(path))).read_all()

    def _note(self, path: Path, image_ids: list[str]) -> None:
        self.place |= {image_id: (len(self._files), row) for row, image_id in enumerate(image_ids)}
        self._files.append(path)

    def add(self, row: dict[str, Any]) -> None:
        """Take one row, a dict of COLLECTED's columns; any thread may call."""
        with self._lock:
            self._rows.append(row)
            self._size += len(row["bytes"] or b"")
            if len(self._rows) >= _PART_ROWS or self._size >= _PART_BYTES:
                self._flush()

    def _flush(self) -> None:
        if not self._rows:
            return
        path = self._folder / f"{self._next:06d}.arrow"
        self._next += 1
        with atomic_write(path) as part, pa.ipc.new_file(str(part), COLLECTED) as writer:
            writer.write_table(pa.Table.from_pylist(self._rows, schema=COLLECTED))
        self._note(path, [row["image_id"] for row in self._rows])
        self._rows, self._size = [], 0

    def finish(self) -> None:
        """Write what is not yet in a file; afterwards rows can be read."""
        with self._lock:
            self._flush()

    def row(self, image_id: str) -> pa.Table:
        """Return the row of an image, a table of one row. Call `finish` before."""
        file, row = self.place[image_id]
        return self._open(self._files[file]).slice(row, 1)

    def in_order(self, image_ids: Iterable[str]) -> Iterator[pa.Table]:
        """Yield the rows of `image_ids`, tables of one row. Call `finish` before."""
        tables: dict[int, pa.Table] = {}
        size = 0
        for number, image_id in enumerate(image_ids):
            file, row = self.place[image_id]
            if file not in tables:
                tables[file] = self._open(self._files[file])
            one = tables[file].slice(row, 1)
            size += len(one.column("bytes")[0].as_buffer() or b"")
            yield one
            # What a mapped file has been read of stays in memory while it is open.
            if size > GROUP_BYTES or number % ROW_GROUP == ROW_GROUP - 1:
                tables, size = {}, 0
