"""Pictures that have captions of their own: a tar in webdataset's layout, or a folder.

A row is a picture. What is said of it is in files of the same name but another ending: NAME.txt with the caption, or
NAME.json with keys caption and url (img2dataset writes both). Only the last ending counts, since dots in names are
ordinary ("J. M. W. Turner 0.jpg"); NAME.jpg.txt is understood as well. Columns: caption, url (the picture's own name,
where nothing says another) and image, the bytes.
"""

import json
import tarfile
from abc import abstractmethod
from collections import deque
from functools import partial
from pathlib import Path

import pyarrow as pa

from fit.captions.sources.base import CaptionFile
from fit.captions.sources.text import as_utf8
from fit.errors import CorpusError, DataError, say_once
from fit.io.folders import LARGEST_FILE, has_picture_suffix, is_data, printable, walk_folder

_ROWS = 64  # a batch, since each has a picture
_WAITING = 256  # pictures that wait for what is said of them, at most
_WAITING_BYTES = 64 << 20
_SIDECAR_BYTES = 16 << 20


def _stem(name):
    """A path without its last ending."""
    folder, slash, last = name.rpartition("/")
    return folder + slash + (last.rpartition(".")[0] or last)


def _is_sidecar(name):
    return name.lower().endswith((".txt", ".json"))


def _is_small_enough(where, size):
    """Whether a picture of `size` bytes is read; one that is not is said."""
    if size > LARGEST_FILE:
        say_once(f"{printable(where)}: {size:,} bytes, more than {LARGEST_FILE:,}, so it is left out")
    return size <= LARGEST_FILE


def _check_sidecar(name, size):
    if size > _SIDECAR_BYTES:
        raise ValueError(
            f"{printable(name)} has {size:,} bytes, more than a caption or its JSON has ({_SIDECAR_BYTES:,})"
        )


class _Sidecars:
    """The files beside pictures that say something of them: by their names without the last ending."""

    def __init__(self, encoding):
        self._encoding = encoding
        self._texts, self._jsons = {}, {}
        self._without = set()  # stems of pictures that were given away without any

    def take(self, name, read):
        """Take the file `name`, one of these, and what reads it; returns whether it came too late for its picture."""
        of_kind = self._texts if name.lower().endswith(".txt") else self._jsons
        of_kind[_stem(name)] = read
        return _stem(name) in self._without

    def of(self, picture):
        """(caption, url) of a picture, None what nothing says; the caption as bytes, of which some may be no UTF-8.

        Raises:
            ValueError: its JSON is none, or holds no caption or url that is text.
        """
        keys = (picture, _stem(picture))
        text = next((self._texts[key] for key in keys if key in self._texts), None)
        about = next((self._jsons[key] for key in keys if key in self._jsons), None)
        if text is None and about is None:
            self._without |= set(keys)
        caption, url = None if text is None else as_utf8(text(), self._encoding).strip(), None
        if about is not None:
            try:
                about = json.loads(about())
            except ValueError as error:
                raise ValueError(f"{_stem(picture)}.json: {error}") from None
            if not isinstance(about, dict):
                raise ValueError(f"{_stem(picture)}.json: no keys in it")
            said, url = about.get("caption"), about.get("url")
            if not all(value is None or isinstance(value, str) for value in (said, url)):
                raise ValueError(f"{_stem(picture)}.json: caption or url is not text")
            if caption is None and said is not None:
                caption = said.encode()
        return caption, url


_SCHEMA = pa.schema([("caption", pa.string()), ("url", pa.string()), ("image", pa.binary())])
_UNCHECKED = pa.schema([_SCHEMA.field("caption").with_type(pa.binary()), *list(_SCHEMA)[1:]])


def _batch(rows):
    """Rows as a record batch of _SCHEMA; captions that are not UTF-8 stay so, as in text files."""
    batch = pa.RecordBatch.from_pylist(rows, schema=_UNCHECKED)
    return batch.set_column(0, _SCHEMA.field("caption"), batch.column(0).cast(pa.string(), safe=False))


class _PicturesWithCaptions(CaptionFile):
    @property
    def schema(self):
        return _SCHEMA

    @abstractmethod
    def _rows(self, with_images):
        """Yield the rows, dicts of the schema's columns, in an order that is always the same."""

    def batches(self, columns):
        rows: list[dict] = []
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


class TarCaptions(_PicturesWithCaptions):
    """A tar, compressed or not, read from its beginning to its end."""

    def _open(self):
        try:
            with self._stream() as stream, tarfile.open(fileobj=stream, mode="r|") as archive:
                archive.next()
        except (tarfile.TarError, OSError, EOFError) as error:
            raise self.broken(error) from None

    def _stream(self):
        return self.open_stream()

    def _rows(self, with_images):
        sidecars, size = _Sidecars(self.encoding), 0
        waiting: deque[tuple] = deque()  # (name, bytes of it, its bytes)

        def first():
            name, _, data = waiting.popleft()
            caption, url = sidecars.of(name)
            return {"caption": caption, "url": url or printable(name), "image": data}

        with self._stream() as stream, tarfile.open(fileobj=stream, mode="r|") as archive:
            for member in archive:
                if not all(is_data(part) for part in member.name.split("/") if part not in ("", ".", "..")):
                    continue
                if (member.issym() or member.islnk()) and (has_picture_suffix(member.name) or _is_sidecar(member.name)):
                    raise ValueError(
                        f"{member.name} is a link to {member.linkname}, which can't be followed in a tar; pack the "
                        "files themselves (tar --dereference --hard-dereference)"
                    )
                content = archive.extractfile(member) if member.isfile() else None  # not a folder or device
                if content is None:
                    continue
                if has_picture_suffix(member.name):
                    read = with_images and _is_small_enough(f"{self.path}, {member.name}", member.size)
                    waiting.append((member.name, member.size, content.read() if read else None))
                    size += member.size
                elif _is_sidecar(member.name):
                    _check_sidecar(member.name, member.size)
                if _is_sidecar(member.name) and sidecars.take(member.name, partial(bytes, content.read())):
                    raise ValueError(
                        f"{member.name} comes long after its picture; put them next to each other (tar --sort=name)"
                    )
                while len(waiting) > _WAITING or (size > _WAITING_BYTES and len(waiting) > 1):
                    size -= waiting[0][1]
                    yield first()
        while waiting:
            yield first()


class FolderCaptions(_PicturesWithCaptions):
    """A folder, with what is in its folders, in order of names. Links are followed (fit.io.folders.walk_folder)."""

    def _open(self):
        try:
            walked = walk_folder(self.path)
        except DataError as error:
            raise self.broken(error) from None
        if walked.broken:
            # A picture or its caption is lost, as with any file of captions that is not there.
            raise CorpusError(walked.say_broken().replace(" are left out", ""))
        walked.say()
        self._names = self._once(walked)
        self.rows = sum(map(has_picture_suffix, self._names))
        newest = max((entry.stat().st_mtime_ns for entry in walked.files), default=0)
        self.fingerprint = f"{self.name} {len(walked.names)} {newest}"

    def _once(self, walked):
        """The files' names, without links to pictures beside them (Walk.beside) that have no caption of their own."""
        pictures, sidecars = list(filter(has_picture_suffix, walked.names)), list(filter(_is_sidecar, walked.names))
        twice = walked.beside(pictures)
        if not twice:
            return walked.names
        captioned = {_stem(name) for name in set(sidecars) - set(walked.beside(sidecars))}
        twice = [name for name in twice if name not in captioned and _stem(name) not in captioned]
        if twice:
            say_once(
                f"{self.path}: links to pictures beside them, without a caption of their own, are not read again: "
                f"{printable(', '.join(twice[:3]))}, {len(twice)} in all"
            )
        return [name for name in walked.names if name not in set(twice)]

    def _rows(self, with_images):
        sidecars = _Sidecars(self.encoding)
        pictures = []
        for name in self._names:
            if has_picture_suffix(name):
                pictures.append(name)
            elif _is_sidecar(name):
                _check_sidecar(name, Path(self.path, name).stat().st_size)
                sidecars.take(name, Path(self.path, name).read_bytes)
        for name in pictures:
            caption, url = sidecars.of(name)
            place = Path(self.path, name)
            read = with_images and _is_small_enough(str(place), place.stat().st_size)
            image = place.read_bytes() if read else None
            yield {"caption": caption, "url": url or printable(name), "image": image}
