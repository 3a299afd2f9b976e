"""Captions in text files with a row a line: CSV, tab-separated, JSON lines; compressed or not."""

import codecs
from abc import abstractmethod

import pyarrow as pa
from pyarrow import csv, json

from fit.captions.sources.base import CaptionFile
from fit.errors import CorpusError, say_once

_BLOCK = 4 << 20  # bytes
_HEADER = 1 << 16  # bytes that are looked at for a header
QUOTED_SHARE = 0.2
"""Share of the first cells in quotes from which on a tab-separated file looks as if a program had quoted it."""
_BOMS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),  # before that of UTF-16, which it begins with
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_MARKED = "fit.captions.marked"
"""Handler of decoding errors: what is not in the encoding becomes a lone surrogate, which is not valid in UTF-8 either,
so that its caption is counted as malformed. Python's "replace" would make valid text of it, in silence."""
codecs.register_error(_MARKED, lambda error: ("\udcff", getattr(error, "end", 0)))
_BAD = (pa.ArrowException, OSError, EOFError, ValueError, RecursionError)


def codec_of(beginning, encoding):
    """The codec of text that begins with these bytes: what its byte order mark says, else `encoding`."""
    return next((name for bom, name in _BOMS if beginning.startswith(bom)), codecs.lookup(encoding).name)


def as_utf8(data, encoding):
    """Bytes of text in `encoding` as UTF-8, without a byte order mark; what cannot be decoded stays no UTF-8."""
    codec = codec_of(data, encoding)
    if codec not in ("utf-8", "ascii"):
        data = data.decode(codec, _MARKED).encode("utf-8", "surrogatepass")
    return data.removeprefix(codecs.BOM_UTF8)


class _TextCaptions(CaptionFile):
    @abstractmethod
    def _first_schema(self, stream):
        """The schema that the beginning of `stream` has."""

    @abstractmethod
    def _read(self, stream, columns):
        """A reader of the record batches of `stream`, with at least `columns`."""

    def _stream(self):
        """The file's bytes as UTF-8."""
        stream = self.open_stream()
        if self._codec in ("utf-8", "ascii"):
            return stream
        return pa.PythonFile(_Transcoded(stream, self._codec), mode="r")

    def _open(self):
        try:
            with self.open_stream() as stream:
                self._beginning = stream.read(_HEADER)
            self.check_beginning(self._beginning)
            self._codec = codec_of(self._beginning, self.encoding)
            if self._codec == "utf-8" and b"\0" in self._beginning[:200]:
                raise CorpusError(
                    f"{self.path}: it has NUL bytes, so it is not text in UTF-8; if it is text, say its encoding, such "
                    "as `encoding: utf-16` or utf-32 (or --encoding)"
                )
            with self._stream() as stream:
                self._schema = self._first_schema(stream)
        except _BAD as error:
            raise self.broken(error) from None

    @property
    def schema(self):
        return self._schema

    def batches(self, columns):
        try:
            with self._stream() as stream:
                for batch in self._read(stream, columns):
                    yield batch.select(columns)
        except _BAD as error:
            raise self.broken(error) from None


class _Transcoded:
    """A stream of UTF-8, made of one in another encoding as it is read."""

    def __init__(self, stream, codec):
        self._stream, self._decoder = stream, codecs.getincrementaldecoder(codec)(_MARKED)
        self._rest = b""
        self.closed = False

    def read(self, size=-1):
        while len(self._rest) < size or size < 0:
            data = self._stream.read(_BLOCK)
            self._rest += self._decoder.decode(data, final=not data).encode("utf-8", "surrogatepass")
            if not data:
                break
        size = len(self._rest) if size < 0 else size
        taken, self._rest = self._rest[:size], self._rest[size:]
        return taken

    def readable(self):
        return True

    def close(self):
        self.closed = True
        self._stream.close()


class CsvCaptions(_TextCaptions):
    """Comma-separated (or by semicolons, where the header is), with a header; a quoted value may hold line ends."""

    _delimiter, _quote = ",", '"'

    def _open_csv(self, stream, columns=None):
        # Numbers stay as they are written: what is not text here is only carried along.
        types = {name: pa.string() for name in columns or []}
        return csv.open_csv(
            stream,
            csv.ReadOptions(use_threads=False, block_size=_BLOCK),
            csv.ParseOptions(
                delimiter=self._delimiter, quote_char=self._quote or False, newlines_in_values=bool(self._quote)
            ),
            csv.ConvertOptions(
                check_utf8=False,
                column_types=types,
                include_columns=columns or [],
                null_values=[""],
                strings_can_be_null=True,
                quoted_strings_can_be_null=True,
            ),
        )

    def _first_schema(self, stream):
        self._find_delimiter()
        return pa.schema([(name, pa.string()) for name in self._open_csv(stream).schema.names])

    def _find_delimiter(self):
        """A header without a comma but with semicolons or tabs is separated by those; said on stderr."""
        header = self._beginning.decode(self._codec, "replace").lstrip("\ufeff").partition("\n")[0]
        for sign, name in ((";", "semicolons"), ("\t", "tabs")):
            if "," not in header and sign in header and self._delimiter == ",":
                self._delimiter = sign
                say_once(f"{self.path}: its cells are separated by {name}, not commas; it is read so")

    def _read(self, stream, columns):
        return self._open_csv(stream, columns)


class TsvCaptions(CsvCaptions):
    """Tab-separated, with a header. A quote is a character like any other: the format has no quoting."""

    _delimiter, _quote = "\t", ""

    def _find_delimiter(self):
        """Nothing to find; that cells look quoted by another program is said on stderr."""
        lines = self._beginning.decode(self._codec, "replace").splitlines()[1:-1]
        cells = [cell for line in lines for cell in line.split("\t") if cell]
        quoted = sum(len(cell) > 1 and cell[0] == cell[-1] == '"' for cell in cells)
        if quoted > QUOTED_SHARE * len(cells):
            say_once(
                f"{self.path}: {quoted / len(cells):.0%} of its first cells begin and end with a quote, which are "
                "taken as they are, since tab-separated captions do not quote; if a program put them there, and line "
                "ends or tabs into cells, save the file as CSV"
            )


class JsonlCaptions(_TextCaptions):
    """An object a line. Its columns are those that the first megabytes have."""

    def _first_schema(self, stream):
        return json.open_json(stream, json.ReadOptions(use_threads=False, block_size=_BLOCK)).schema

    def check(self, columns, text):
        # What the first megabytes lack, or have as null only, may come later, and is text then.
        missing = [name for name in columns if name not in self._schema.names]
        if len(missing) < len(columns) and self.size > _BLOCK:
            for name in missing:
                self._schema = self._schema.append(pa.field(name, pa.string()))
        for name in columns:
            index = self._schema.get_field_index(name)
            if index >= 0 and pa.types.is_null(self._schema.field(index).type):
                self._schema = self._schema.set(index, pa.field(name, pa.string()))
        super().check(columns, text)

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
