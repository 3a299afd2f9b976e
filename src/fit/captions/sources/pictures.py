"""Pictures that have captions of their own: a tar in webdataset's layout, or a folder.

A row is a picture and the files of the same name but another ending: NAME.txt with the caption, or NAME.json with keys
caption and url (img2dataset writes both). Columns: caption, url (the picture's own name, where nothing says another)
and image, the bytes.
"""

import json
import tarfile
from abc import abstractmethod
from itertools import groupby
from pathlib import Path

import pyarrow as pa

from fit.captions.sources.base import CaptionFile

PICTURES = (".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".avif")
_ROWS = 64  # a batch, since each has a picture


def _key(name):
    """What the files of one picture have in common: everything before the first dot of the last part of the path."""
    folder, _, last = name.rpartition("/")
    return folder, last.partition(".")[0]


class _PicturesWithCaptions(CaptionFile):
    @property
    def schema(self):
        return pa.schema([("caption", pa.string()), ("url", pa.string()), ("image", pa.binary())])

    @abstractmethod
    def _files(self):
        """(name, a function that reads its bytes) of every file, those of one picture next to each other."""

    def _rows(self):
        for _, files in groupby(self._files(), key=lambda file: _key(file[0])):
            caption, url, image, name = None, None, None, ""
            for path, data in ((path, read()) for path, read in files):
                suffix = Path(path).suffix.lower()
                if suffix == ".txt":
                    caption = data.decode("utf-8", "replace").strip()
                elif suffix == ".json":
                    about = json.loads(data)
                    caption = about.get("caption") if caption is None else caption
                    url = about.get("url")
                elif suffix in PICTURES:
                    name, image = path, data
            if image is not None:
                yield {"caption": caption, "url": url or name, "image": image}

    def batches(self, columns):
        rows: list[dict] = []
        try:
            for row in self._rows():
                rows.append(row)
                if len(rows) == _ROWS:
                    yield pa.RecordBatch.from_pylist(rows, schema=self.schema).select(columns)
                    rows = []
        except (tarfile.TarError, OSError, EOFError, ValueError, AttributeError) as error:  # of the tar, or of a json
            raise self.broken(error) from None
        if rows:
            yield pa.RecordBatch.from_pylist(rows, schema=self.schema).select(columns)


class TarCaptions(_PicturesWithCaptions):
    """A tar, compressed or not, read from its beginning to its end."""

    def _open(self):
        try:
            with self._stream() as stream, tarfile.open(fileobj=stream, mode="r|") as archive:
                archive.next()
        except (tarfile.TarError, OSError, EOFError) as error:
            raise self.broken(error) from None

    def _stream(self):
        return self._system.open_input_stream(self._inside, compression="detect")

    def _files(self):
        with self._stream() as stream, tarfile.open(fileobj=stream, mode="r|") as archive:
            for member in archive:
                if content := archive.extractfile(member):  # None for a folder, a device
                    yield member.name, content.read


class FolderCaptions(_PicturesWithCaptions):
    """A folder, with what is in its folders, in order of names."""

    def _open(self):
        paths = (path for path in Path(self.path).rglob("*") if path.is_file() and not path.name.startswith("."))
        names = sorted((path.relative_to(self.path).as_posix() for path in paths), key=lambda name: (_key(name), name))
        self._names = names
        self.rows = sum(Path(name).suffix.lower() in PICTURES for name in names)
        newest = max((Path(self.path, name).stat().st_mtime_ns for name in names), default=0)
        self.fingerprint = f"{self.name} {len(names)} {newest}"

    def _files(self):
        for name in self._names:
            yield name, Path(self.path, name).read_bytes
