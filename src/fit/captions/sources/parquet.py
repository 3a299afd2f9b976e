"""Captions in Parquet."""

from collections.abc import Iterator, Sequence
from typing import Any, ClassVar

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from fit.captions.sources.base import BATCH, CaptionFile
from fit.errors import CorpusError
from fit.io.folders import LARGEST_FILE
from fit.io.shown import number_of

_BATCH_BYTES = 64 << 20


class ParquetCaptions(CaptionFile):
    """A Parquet file, read row group by row group, and split between them."""

    is_compressed_inside: ClassVar[bool] = True

    def _open(self) -> None:
        try:
            self._file = self._reader()
        except (pa.ArrowException, OSError) as error:
            raise self.broken(error) from None
        self.rows = self._file.metadata.num_rows

    def _reader(self, **settings: Any) -> pq.ParquetFile:
        """Return a reader of the file; it is for one thread at a time."""
        file = self._system.open_input_file(self._inside)
        # With pre_buffer, Arrow's default, a whole column of a row group would be held at once.
        return pq.ParquetFile(file, pre_buffer=False, buffer_size=1 << 20, **settings)

    @property
    def schema(self) -> pa.Schema:
        return self._file.schema_arrow

    def batches(self, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
        for _, batches in self.pieces(columns, 1):
            yield from batches

    def pieces(self, columns: Sequence[str], most: int) -> list[tuple[int, Iterator[pa.RecordBatch]]]:
        groups = range(self._file.num_row_groups)
        try:
            rows = min((self._rows_at_once(group, columns) for group in groups), default=BATCH)
        except (pa.ArrowException, OSError) as error:
            raise self.broken(error) from None
        count = min(most, len(groups))
        pieces, first_row = [], 0
        for piece in range(count):
            part = groups[len(groups) * piece // count : len(groups) * (piece + 1) // count]
            pieces.append((first_row, self._read(part, columns, rows)))
            first_row += sum(self._file.metadata.row_group(group).num_rows for group in part)
        return pieces

    def _read(self, groups: range, columns: Sequence[str], rows: int) -> Iterator[pa.RecordBatch]:
        """Yield columns of some row groups, `rows` rows at a time; raises as `batches`."""
        try:
            reader = self._reader(metadata=self._file.metadata)
            for batch in reader.iter_batches(rows, row_groups=groups, columns=columns, use_threads=False):
                yield batch.select(columns)
        except (pa.ArrowException, OSError) as error:
            raise self.broken(error) from None

    def check_captions(self, rows: int, null_captions: int) -> None:
        # Rows are told apart by their numbers, which say where a piece begins.
        if rows != self.rows:
            told = number_of(self.rows or 0, "row")
            raise CorpusError(
                f"{self.path}: it says that it has {told}, and has {rows:,}; fetch or make it again, or go on without "
                "it: `on_bad_shard: skip`"
            )

    def _rows_at_once(self, group: int, columns: Sequence[str]) -> int:
        """Return how many rows of a row group to read at once, so that they have at most about _BATCH_BYTES bytes.

        A value that repeats is in the file once, in its dictionary, and in a batch once for every row that has it: ten
        kilobytes may become gigabytes.

        Raises:
            CorpusError: a value alone is larger than LARGEST_FILE.
        """
        metadata = self._file.metadata.row_group(group)
        chunks = [metadata.column(i) for i in range(metadata.num_columns)]
        chunks = [chunk for chunk in chunks if chunk.path_in_schema.partition(".")[0] in columns]
        size, rows = sum(chunk.total_uncompressed_size for chunk in chunks), metadata.num_rows
        least = min(BATCH, max(1, _BATCH_BYTES * rows // max(1, size)))
        texts = [
            chunk.path_in_schema
            for chunk in chunks
            # A value is not larger than its column, so that small ones need no look.
            if chunk.has_dictionary_page
            and chunk.physical_type == "BYTE_ARRAY"
            and chunk.path_in_schema in columns
            and chunk.total_uncompressed_size * min(rows, BATCH) > _BATCH_BYTES
        ]
        if not texts:
            return least
        file = self._reader(read_dictionary=texts, metadata=self._file.metadata)
        first = next(file.iter_batches(1, row_groups=[group], columns=texts, use_threads=False))
        longest = 0
        for name, column in zip(first.schema.names, first.columns, strict=True):
            here = pc.max(pc.binary_length(column.dictionary)).as_py() or 0 if len(column) else 0
            if here > LARGEST_FILE:
                raise CorpusError(
                    f"{self.path}: a value of column {name!r} has {here:,} bytes, more than {LARGEST_FILE:,}; remove "
                    "it, or go on without the file: `on_bad_shard: skip`"
                )
            longest += here
        return min(least, max(1, _BATCH_BYTES // max(1, longest)))
