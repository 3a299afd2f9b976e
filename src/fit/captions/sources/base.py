"""What a file of captions does."""

from abc import ABC, abstractmethod
from pathlib import Path, PurePosixPath
from urllib.parse import urlsplit

import pyarrow as pa
from fsspec.core import url_to_fs
from pyarrow import fs

from fit.errors import CorpusError
from fit.io.folders import compression_of, kind_of, printable, what_begins

BATCH = 32_768  # rows


def file_system(path):
    """The Arrow file system that `path` is on, and its path there.

    Arrow opens local paths, s3://, gs:// and hdfs:// itself; fsspec the others, such as hf:// and https://.
    """
    if "://" not in path:
        return fs.LocalFileSystem(), path
    if urlsplit(path).scheme in ("s3", "gs", "hdfs"):
        return fs.FileSystem.from_uri(path)
    system, inside = url_to_fs(path)
    return fs.PyFileSystem(fs.FSSpecHandler(system)), inside


def shard_name(path):
    """The name by which a file's rows are told apart: its own, behind the folders key=value that it is in, if any.

    Spark gives the files of every such folder the same names.
    """
    parts = PurePosixPath(urlsplit(path).path if "://" in path else path).parts
    first = len(parts) - 1
    while first > 0 and "=" in parts[first - 1]:
        first -= 1
    return "/".join(parts[first:])


class CaptionFile(ABC):
    """A file of captions, one a row; also called a shard of its corpus."""

    rows: int | None = None
    """How many there are, where the file says so before it is read."""

    def __init__(self, path, encoding="utf-8"):
        """Open the file at `path`, whose text is of `encoding` where its format does not say.

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
            raise CorpusError(f"{path}: can't be reached ({error}); mend `captions.files` in config.yaml") from None
        if info.type == fs.FileType.NotFound:
            raise CorpusError(f"{path}: there is no such file; mend `captions.files` in config.yaml")
        self.size = info.size or 0
        """Bytes."""
        self.fingerprint = f"{self.name} {info.size} {info.mtime_ns}"
        """Changes when the file does."""
        self._open()

    @abstractmethod
    def _open(self):
        """Read what says which columns there are; raises CorpusError where that fails."""

    @property
    @abstractmethod
    def schema(self):
        """Arrow schema of the file."""

    @abstractmethod
    def batches(self, columns):
        """Read the file.

        Args:
            columns: names of columns.

        Yields:
            Arrow record batches with those columns, in their order.

        Raises:
            CorpusError: the file is broken.
        """

    def check(self, columns, text):
        """Raise CorpusError where a column of `columns` is missing, or one of `text` among them holds no text."""
        for column in columns:
            if column not in self.schema.names:
                raise CorpusError(
                    f"{self.path}: no column {column!r}; it has {', '.join(self.schema.names)}; "
                    "say which holds what: `captions` in config.yaml, or --caption-column and --url-column"
                )
            if (times := self.schema.names.count(column)) > 1:
                raise CorpusError(f"{self.path}: {times} columns are named {column!r}; keep one, or rename the others")
            if pa.types.is_nested(self.schema.field(column).type):
                kind = self.schema.field(column).type
                remedy = (
                    "name the column that holds captions as text"
                    if column in text
                    else "take it off `captions.columns` in config.yaml"
                )
                raise CorpusError(
                    f"{self.path}: column {column!r} holds {kind}, which can't be carried as text; {remedy}"
                )
        for column in text:
            kind = self.schema.field(column).type
            value = kind.value_type if pa.types.is_dictionary(kind) else kind
            if not (
                pa.types.is_string(value)
                or pa.types.is_large_string(value)
                or pa.types.is_string_view(value)
                or pa.types.is_null(value)  # a shard of only nulls
            ):
                raise CorpusError(
                    f"{self.path}: column {column!r} is {kind}, not text; name the column that holds captions"
                )

    def open_stream(self):
        """The file's bytes, decompressed as its name says (.gz, .GZ ...)."""
        return self._system.open_input_stream(self._inside, compression=compression_of(self.path))

    def check_beginning(self, head):
        """Raise CorpusError where `head`, the first bytes of open_stream(), are those of another format."""
        if not (found := what_begins(head)):
            return
        what, suffix = found
        name, kind = Path(self.path).name, kind_of(self.path)
        if kind == ".parquet":
            remedy = "decompress it: Parquet is compressed inside" if suffix else "fetch or make it again"
        elif not suffix:
            remedy = "save it as CSV (UTF-8)" if "workbook" in what else "decompress it"
        elif compression_of(self.path):
            remedy = f"decompress it, and name what comes out so that it ends in {suffix}"
        elif suffix == ".parquet":
            remedy = f"name it {Path(name).with_suffix(suffix)}"
        else:
            remedy = f"name it {name}{suffix}"
        inside = "inside its compression, its" if compression_of(self.path) and kind != ".parquet" else "its"
        raise CorpusError(f"{self.path}: {inside} first bytes are those of {what}, not of {kind}; {remedy}")

    def _check_compression(self):
        """Raise CorpusError where the file's bytes, as they lie there, are not those that its name promises."""
        with self._system.open_input_stream(self._inside, compression=None) as stream:
            head = stream.read(16)
        promised, found = compression_of(self.path), what_begins(head)
        if kind_of(self.path) == ".parquet":
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

    def broken(self, error):
        """The CorpusError for a file that can't be read on; where its name is wrong, that is what it says."""
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
