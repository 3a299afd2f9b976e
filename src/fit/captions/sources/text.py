"""What the formats of text have in common: CSV, tab-separated and JSON lines, compressed or not."""

import codecs
from abc import abstractmethod
from collections.abc import Iterator, Sequence

import pyarrow as pa

from fit.captions.sources.base import CaptionFile
from fit.errors import CorpusError

BLOCK = 4 << 20  # bytes that are read at once
_HEADER = 1 << 16  # bytes that are looked at for a header
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


def codec_of(beginning: bytes, encoding: str) -> str:
    """Return the codec of text that begins with these bytes: what its byte order mark says, else `encoding`."""
    return next((name for bom, name in _BOMS if beginning.startswith(bom)), codecs.lookup(encoding).name)


def as_utf8(data: bytes, encoding: str) -> bytes:
    """Return text in `encoding` as UTF-8, without a byte order mark; what can't be decoded becomes invalid UTF-8."""
    codec = codec_of(data, encoding)
    if codec not in ("utf-8", "ascii"):
        data = data.decode(codec, _MARKED).encode("utf-8", "surrogatepass")
    return data.removeprefix(codecs.BOM_UTF8)


class TextCaptions(CaptionFile):
    """A file of text."""

    @abstractmethod
    def _first_schema(self, stream: pa.NativeFile) -> pa.Schema:
        """Return the schema that the beginning of `stream` has."""

    @abstractmethod
    def _read(self, stream: pa.NativeFile, columns: Sequence[str]) -> pa.RecordBatchReader:
        """Return a reader of the record batches of `stream`, with at least `columns`."""

    def _stream(self) -> pa.NativeFile:
        """Open the file's bytes as UTF-8."""
        stream = self.open_stream()
        if self._codec in ("utf-8", "ascii"):
            return stream
        return pa.PythonFile(_Transcoded(stream, self._codec), mode="r")

    def _open(self) -> None:
        try:
            with self.open_stream() as stream:
                self._beginning = stream.read(_HEADER)
            self.check_beginning(self._beginning)
            self._codec = codec_of(self._beginning, self.encoding)
            if self._codec == "utf-8" and b"\0" in self._beginning[:200]:
                raise CorpusError(
                    f"{self.path}: it has NUL bytes, so it is not text in UTF-8; if it is text, save it as UTF-8, "
                    "or say its encoding: `captions.encoding: utf-16` in config.yaml, or --encoding utf-16"
                )
            with self._stream() as stream:
                self._schema = self._first_schema(stream)
        except _BAD as error:
            raise self.broken(error) from None

    @property
    def schema(self) -> pa.Schema:
        return self._schema

    def batches(self, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
        try:
            with self._stream() as stream:
                for batch in self._read(stream, columns):
                    yield batch.select(columns)
        except _BAD as error:
            raise self.broken(error) from None


class _Transcoded:
    """A stream of UTF-8, made of one in another encoding as it is read."""

    def __init__(self, stream: pa.NativeFile, codec: str):
        self._stream, self._decoder = stream, codecs.getincrementaldecoder(codec)(_MARKED)
        self._rest = b""
        self.closed = False

    def read(self, size: int = -1) -> bytes:
        while len(self._rest) < size or size < 0:
            data = self._stream.read(BLOCK)
            self._rest += self._decoder.decode(data, final=not data).encode("utf-8", "surrogatepass")
            if not data:
                break
        size = len(self._rest) if size < 0 else size
        taken, self._rest = self._rest[:size], self._rest[size:]
        return taken

    def readable(self) -> bool:
        return True

    def close(self) -> None:
        self.closed = True
        self._stream.close()
