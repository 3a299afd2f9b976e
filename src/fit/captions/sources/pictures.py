"""What the formats of pictures with captions have in common: a tar in webdataset's layout, or a folder.

A row is a picture. Its caption is in a file of the same name but another ending: NAME.txt with the caption, or
NAME.json with keys caption and url (img2dataset writes both). Only the last ending counts, since dots in names are
ordinary ("J. M. W. Turner 0.jpg"); NAME.jpg.txt is read as well. Columns: caption, url (the picture's own name, where
no url is given) and image, the bytes.
"""

import json
import tarfile
from abc import abstractmethod
from collections.abc import Callable, Iterator, Sequence
from typing import Any, ClassVar

import pyarrow as pa

from fit.captions.sources.base import CaptionFile
from fit.captions.sources.text import as_utf8
from fit.errors import CorpusError, say_once
from fit.io.folders import LARGEST_FILE, printable
from fit.io.shown import number_of

_ROWS = 64  # a batch, since each has a picture
_SIDECAR_BYTES = 16 << 20


def stem(name: str) -> str:
    """Return a path without its last ending."""
    folder, slash, last = name.rpartition("/")
    return folder + slash + (last.rpartition(".")[0] or last)


def is_sidecar(name: str) -> bool:
    """Whether a file's name is that of a caption beside a picture."""
    return name.lower().endswith((".txt", ".json"))


def is_small_enough(where: str, size: int) -> bool:
    """Whether a picture of `size` bytes is read; says on stderr where it is not."""
    if size > LARGEST_FILE:
        say_once(f"{printable(where)}: {size:,} bytes, more than {LARGEST_FILE:,}, so it is left out")
    return size <= LARGEST_FILE


def check_sidecar(name: str, size: int) -> None:
    """Raise ValueError where a file beside a picture is larger than any caption."""
    if size > _SIDECAR_BYTES:
        raise ValueError(
            f"{printable(name)} has {size:,} bytes, more than a caption or its JSON has ({_SIDECAR_BYTES:,})"
        )


class Sidecars:
    """The files beside pictures that describe them, by their names without the last ending."""

    def __init__(self, encoding: str):
        """Begin without any; `encoding` is that of captions."""
        self._encoding = encoding
        self._texts: dict[str, Callable[[], bytes]] = {}
        self._jsons: dict[str, Callable[[], bytes]] = {}
        self._without: set[str] = set()  # stems of pictures that were given away without any

    def take(self, name: str, read: Callable[[], bytes]) -> bool:
        """Take the file `name`, and what reads it; return whether it came too late for its picture."""
        of_kind = self._texts if name.lower().endswith(".txt") else self._jsons
        of_kind[stem(name)] = read
        return stem(name) in self._without

    def of(self, picture: str) -> tuple[bytes | None, str | None]:
        """Return (caption, url) of a picture, None if unknown; some bytes of the caption may be invalid UTF-8.

        Raises:
            ValueError: its JSON is not valid, or its caption or url is not text.
        """
        keys = (picture, stem(picture))
        text = next((self._texts[key] for key in keys if key in self._texts), None)
        about = next((self._jsons[key] for key in keys if key in self._jsons), None)
        if text is None and about is None:
            self._without |= set(keys)
        caption = None if text is None else as_utf8(text(), self._encoding).strip()
        if about is None:
            return caption, None
        said, url = _parsed(f"{stem(picture)}.json", about())
        return said.encode() if caption is None and said is not None else caption, url


def _parsed(name: str, data: bytes) -> tuple[str | None, str | None]:
    """Return the caption and the url in a JSON file; raises ValueError."""
    try:
        about = json.loads(data)
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from None
    if not isinstance(about, dict):
        raise ValueError(f"{name}: no keys in it")
    said, url = about.get("caption"), about.get("url")
    if not all(value is None or isinstance(value, str) for value in (said, url)):
        raise ValueError(f"{name}: caption or url is not text")
    return said, url


_SCHEMA = pa.schema([("caption", pa.string()), ("url", pa.string()), ("image", pa.binary())])
_UNCHECKED = pa.schema([_SCHEMA.field("caption").with_type(pa.binary()), *list(_SCHEMA)[1:]])


def _batch(rows: list[dict[str, Any]]) -> pa.RecordBatch:
    """Return rows as a record batch of _SCHEMA; captions that are not UTF-8 stay so, as in text files."""
    batch = pa.RecordBatch.from_pylist(rows, schema=_UNCHECKED)
    return batch.set_column(0, _SCHEMA.field("caption"), batch.column(0).cast(pa.string(), safe=False))


class PicturesWithCaptions(CaptionFile):
    """Pictures, with captions in files beside them."""

    called: ClassVar[str]
    """What the format is called in errors: "a folder"."""

    @property
    def schema(self) -> pa.Schema:
        return _SCHEMA

    @abstractmethod
    def _rows(self, with_images: bool) -> Iterator[dict[str, Any]]:
        """Yield the rows, dicts of the schema's columns, in an order that is always the same."""

    def check_captions(self, rows: int, null_captions: int) -> None:
        """Raise CorpusError where no picture has a caption: the file, or folder, is something else."""
        if rows == null_captions:
            raise CorpusError(
                f"{self.path}: taken for {self.called} of pictures with captions, but of its "
                f"{number_of(rows, 'picture')} none has a caption; put NAME.txt or NAME.json "
                "beside NAME.jpg, or name the files of captions"
            )

    def batches(self, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
        rows: list[dict[str, Any]] = []
        try:
            for row in self._rows("image" in columns):
                rows.append(row)
                if len(rows) == _ROWS:
                    yield _batch(rows).select(columns)
                    rows = []
        except (tarfile.TarError, OSError, EOFError, ValueError, AttributeError) as error:  # of the tar, or of a json
            raise self.broken(error) from None
        if rows:
            yield _batch(rows).select(columns)
