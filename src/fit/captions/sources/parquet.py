"""Captions in Parquet."""

import pyarrow as pa
import pyarrow.parquet as pq

from fit.captions.sources.base import BATCH, CaptionFile


class ParquetCaptions(CaptionFile):
    """A Parquet file, read row group by row group."""

    def _open(self):
        try:
            # With pre_buffer, Arrow's default, a whole column of a row group would be held at once.
            file = self._system.open_input_file(self._inside)
            self._file = pq.ParquetFile(file, pre_buffer=False, buffer_size=1 << 20)
        except (pa.ArrowException, OSError) as error:
            raise self.broken(error) from None
        self.rows = self._file.metadata.num_rows

    @property
    def schema(self):
        return self._file.schema_arrow

    def batches(self, columns):
        try:
            for batch in self._file.iter_batches(BATCH, columns=columns, use_threads=False):
                yield batch.select(columns)
        except (pa.ArrowException, OSError) as error:
            raise self.broken(error) from None
