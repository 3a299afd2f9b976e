"""Captions in comma-separated text."""

from collections.abc import Sequence

import pyarrow as pa
from pyarrow import csv

from fit.captions.sources.text import BLOCK, TextCaptions
from fit.errors import say_once


class CsvCaptions(TextCaptions):
    """Comma-separated (or by semicolons, where the header is), with a header; a quoted value may hold line ends."""

    _delimiter = ","
    _quote = '"'

    def _open_csv(self, stream: pa.NativeFile, columns: Sequence[str] = ()) -> csv.CSVStreamingReader:
        # Numbers stay as they are written: what is not text here is only carried along.
        types = {name: pa.string() for name in columns}
        return csv.open_csv(
            stream,
            csv.ReadOptions(use_threads=False, block_size=BLOCK),
            csv.ParseOptions(
                delimiter=self._delimiter, quote_char=self._quote or False, newlines_in_values=bool(self._quote)
            ),
            csv.ConvertOptions(
                check_utf8=False,
                column_types=types,
                include_columns=list(columns),
                null_values=[""],
                strings_can_be_null=True,
                quoted_strings_can_be_null=True,
            ),
        )

    def _first_schema(self, stream: pa.NativeFile) -> pa.Schema:
        self._find_delimiter()
        return pa.schema([(name, pa.string()) for name in self._open_csv(stream).schema.names])

    def _find_delimiter(self) -> None:
        """Take semicolons or tabs where the header has them and no comma; say so on stderr."""
        header = self._beginning.decode(self._codec, "replace").lstrip("\ufeff").partition("\n")[0]
        for sign, name in ((";", "semicolons"), ("\t", "tabs")):
            if "," not in header and sign in header and self._delimiter == ",":
                self._delimiter = sign
                say_once(f"{self.path}: its cells are separated by {name}, not commas; it is read so")

    def _read(self, stream: pa.NativeFile, columns: Sequence[str]) -> pa.RecordBatchReader:
        return self._open_csv(stream, columns)
