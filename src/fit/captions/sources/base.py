"""What a format of captions does: each is a class in a file of its own, and has a line in FORMATS of this room."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import ClassVar
from urllib.parse import urlsplit

import pyarrow as pa
from fsspec.core import url_to_fs
from pyarrow import fs

from fit.errors import CorpusError, missing_extra
from fit.io.folders import compression_of, kind_of, printable, what_begins

BATCH = 32_768  # rows


def check_text(schema: pa.Schema, path: str, column: str) -> None:
    """Raise CorpusError where a column of a table holds no text; `path` is what the error calls the table."""
    kind = schema.field(column).type
    value = kind.value_type if pa.types.is_dictionary(kind) else kind
    if not (
        pa.types.is_string(value)
        or pa.types.is_large_string(value)
        or pa.types.is_string_view(value)
        or pa.types.is_null(value)  # a shard of only nulls
    ):
        raise CorpusError(f"{path}: column {column!r} is {kind}, not text; name the column that holds captions")


def file_system(path: str) -> tuple[fs.FileSystem, str]:
    """Return the Arrow file system that `path` is on, and its path there.

    Arrow opens local paths, s3://, gs:// and hdfs:// itself; fsspec the others, such as hf:// and https://.
    """
    if "://" not in path:
        return fs.LocalFileSystem(), path
    if urlsplit(path).scheme in ("s3", "gs", "hdfs"):
        return fs.FileSystem.from_uri(path)
    system, inside = url_to_fs(path)
    return fs.PyFileSystem(fs.FSSpecHandler(system)), inside


def shard_name(path: str) -> str:
    """Return the name by which a file's rows are told apart: its own, after any folders key=value.

    Spark gives the files of every such folder the same names.
    """
    parts = PurePosixPath(urlsplit(path).path if "://" in path else path).parts
    first = len(parts) - 1
    while first > 0 and "=" in parts[first - 1]:
        first -= 1
    return "/".join(parts[first:])


class CaptionFile(ABC):
    """A file of captions, one a row; also called a shard of its corpus."""

    is_compressed_inside: ClassVar[bool] = False
    """Whether the format has its own compression, so that a compressed file of it can't be read."""
    rows: int | None = None
    """How many there are, where the file says so before it is read."""

    def __init__(self, path: str, encoding: str = "utf-8"):
        """Open the file at `path`, whose text has `encoding` where its format does not say.

        Raises:
            CorpusError: it is missing or unreadable, or there is no such encoding.
        """
        if printable(path) != path:
            raise CorpusError(f"{printable(path)}: its name is not UTF-8, so Arrow can't open it; rename it")
        self.path, self.encoding = path, encoding
        try:
            b"    ".decode(encoding, "replace")
        except LookupError:
            raise CorpusError(
                f"{path}: {encoding!r} is not a known encoding; such are utf-8, windows-1252, latin-1, utf-16"
            ) from None
        self.name = shard_name(path)
        try:
            self._system, self._inside = file_system(path)
            info = self._system.get_file_info(self._inside)
        except (OSError, ValueError, ImportError) as error:
            raise missing_extra(error) or CorpusError(
                f"{path}: can't be reached ({error}); correct `captions.files` in config.yaml"
            ) from None
        if info.type == fs.FileType.NotFound:
            raise CorpusError(f"{path}: there is no such file; correct `captions.files` in config.yaml")
        self.size = info.size or 0
        """Bytes."""
        self.fingerprint = f"{self.name} {info.size} {info.mtime_ns}"
        """Changes when the file does."""
        self._open()

    @abstractmethod
    def _open(self) -> None:
        """Read what says which columns there are; raises CorpusError where that fails."""

    @property
    @abstractmethod
    def schema(self) -> pa.Schema:
        """Arrow schema of the file."""

    @abstractmethod
    def batches(self, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
        """Read the file.

        Args:
            columns: names of columns.

        Yields:
            Arrow record batches with those columns, in their order.

        Raises:
            CorpusError: the file is broken.
        """

    def pieces(self, columns: Sequence[str], most: int) -> list[tuple[int, Iterator[pa.RecordBatch]]]:
        """Split the file into pieces that different threads may read at the same time.

        Args:
            columns: names of columns.
            most: how many pieces there may be, 1 or more.

        Returns:
            For each piece, in the order of the file, the number of its first row and its batches, as `batches` yields
            them. There is one piece where the format can't be split, and none where there is nothing to read.

        Raises:
            CorpusError: the file is broken.
        """
        return [(0, self.batches(columns))]

    def check(self, columns: Sequence[str], text: Sequence[str]) -> None:
        """Raise CorpusError where a column of `columns` is missing, or one of `text` among them holds no text."""
        for column in columns:
            self._check_column(column, column in text)
        for column in text:
            check_text(self.schema, self.path, column)

    def _check_column(self, column: str, is_text: bool) -> None:
        """Raise CorpusError where a column is missing, is there twice, or can't be carried as text."""
        if column not in self.schema.names:
            raise CorpusError(
                f"{self.path}: no column {column!r}; it has {', '.join(self.schema.names)}; "
                "say which holds what with `caption_column` and `url_column` (under `captions` in config.yaml; as "
                "options --caption-column and --url-column)"
            )
        if (times := self.schema.names.count(column)) > 1:
            raise CorpusError(f"{self.path}: {times} columns are named {column!r}; keep one, or rename the others")
        kind = self.schema.field(column).type
        if pa.types.is_nested(kind):
            remedy = (
                "name the column that holds captions as text"
                if is_text
                else "take it off `captions.columns` in config.yaml"
            )
            raise CorpusError(f"{self.path}: column {column!r} holds {kind}, which can't be carried as text; {remedy}")

    def check_captions(self, rows: int, null_captions: int) -> None:  # noqa: B027  # most files have nothing to check
        """Raise CorpusError where what was read shows that this is not a file of captions.

        Args:
            rows: how many the file has.
            null_captions: how many of them have no caption.
        """

    def open_stream(self) -> pa.NativeFile:
        """Open the file's bytes, decompressed as its name says (.gz, .GZ ...)."""
        return self._system.open_input_stream(self._inside, compression=compression_of(self.path))

    def check_beginning(self, head: bytes) -> None:
        """Raise CorpusError where `head`, the first bytes of open_stream(), are those of another format."""
        if not (found := what_begins(head)):
            return
        what, suffix = found
        name, kind = Path(self.path).name, kind_of(self.path)
        if self.is_compressed_inside:
            remedy = "decompress it: Parquet is compressed inside" if suffix else "fetch or make it again"
        elif not suffix:
            remedy = "save it as CSV (UTF-8)" if "workbook" in what else "decompress it"
        elif compression_of(self.path):
            remedy = f"decompress it, and name what comes out so that it ends in {suffix}"
        elif suffix == ".parquet":
            remedy = f"name it {Path(name).with_suffix(suffix)}"
        else:
            remedy = f"name it {name}{suffix}"
        inside = "inside its compression, its" if compression_of(self.path) and not self.is_compressed_inside else "its"
        raise CorpusError(f"{self.path}: {inside} first bytes are those of {what}, not of {kind}; {remedy}")

    def _check_compression(self) -> None:
        """Raise CorpusError where the file's first bytes, before any decompression, are not what its name promises."""
        with self._system.open_input_stream(self._inside, compression=None) as stream:
            head = stream.read(16)
        promised, found = compression_of(self.path), what_begins(head)
        if self.is_compressed_inside:
            if found and found[0] != "Parquet":
                self.check_beginning(head)
            return
        if head and promised and (not found or found[0] != promised):
            what = f"those of {found[0]}" if found else f"not those of {promised}"
            raise CorpusError(
                f"{self.path}: its first bytes are {what}, so it is misnamed; name it "
                f"{Path(self.path).stem}{found[1] if found else ''}"
            )
        if not promised:
            self.check_beginning(head)

    def broken(self, error: Exception) -> CorpusError:
        """Return the error for a file that can't be read to its end; where its name is wrong, the error says so."""
        try:
            self._check_compression()
        except CorpusError as misnamed:
            return misnamed
        except (pa.ArrowException, OSError, ValueError):
            pass
        return CorpusError(
            f"{self.path}: not a readable file of captions ({printable(str(error))}); fetch or make it again, "
            "or go on without it: `on_bad_shard: skip`"
        )
