"""Captions in text files with a row a line: CSV, tab-separated, JSON lines; compressed or not."""

from abc import abstractmethod

import pyarrow as pa
from pyarrow import csv, json

from fit.captions.sources.base import CaptionFile

_BLOCK = 4 << 20  # bytes


class _TextCaptions(CaptionFile):
    @abstractmethod
    def _first_schema(self, stream):
        """The schema that the beginning of `stream` has."""

    @abstractmethod
    def _read(self, stream, columns):
        """A reader of the record batches of `stream`, with at least `columns`."""

    def _stream(self):
        return self._system.open_input_stream(self._inside, compression="detect")

    def _open(self):
        try:
            with self._stream() as stream:
                self._schema = self._first_schema(stream)
        except (pa.ArrowException, OSError) as error:
            raise self.broken(error) from None

    @property
    def schema(self):
        return self._schema

    def batches(self, columns):
        try:
            with self._stream() as stream:
                for batch in self._read(stream, columns):
                    yield batch.select(columns)
        except (pa.ArrowException, OSError) as error:
            raise self.broken(error) from None


class CsvCaptions(_TextCaptions):
    """Comma-separated, with a header; a quoted value may hold line ends."""

    _delimiter = ","

    def _open_csv(self, stream, columns=None):
        # Numbers stay as they are written: what is not text here is only carried along.
        types = {name: pa.string() for name in columns or []}
        return csv.open_csv(
            stream,
            csv.ReadOptions(use_threads=False, block_size=_BLOCK),
            csv.ParseOptions(delimiter=self._delimiter, newlines_in_values=True),
            csv.ConvertOptions(
                check_utf8=False,
                column_types=types,
                include_columns=columns or [],
                null_values=[""],
                strings_can_be_null=True,
            ),
        )

    def _first_schema(self, stream):
        return pa.schema([(name, pa.string()) for name in self._open_csv(stream).schema.names])

    def _read(self, stream, columns):
        return self._open_csv(stream, columns)


class TsvCaptions(CsvCaptions):
    """Tab-separated, with a header."""

    _delimiter = "\t"


class JsonlCaptions(_TextCaptions):
    """An object a line. Its columns are those that the first megabytes have."""

    def _first_schema(self, stream):
        return json.open_json(stream, json.ReadOptions(use_threads=False, block_size=_BLOCK)).schema

    def _read(self, stream, columns):
        return json.open_json(
            stream,
            json.ReadOptions(use_threads=False, block_size=_BLOCK),
            json.ParseOptions(
                explicit_schema=pa.schema([self._schema.field(name) for name in columns]),
                newlines_in_values=False,
                unexpected_field_behavior="ignore",
            ),
        )
