"""The one way in which folders are read: links are followed, loops are cut, and what is not a picture is left out."""

import errno
import os
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path

from fit.errors import CorpusError, DataError

PICTURES = (".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".avif")
"""How names of pictures end, in lower case; upper case is read as well."""
TABLES = (".parquet", ".csv", ".tsv", ".jsonl", ".ndjson", ".tar")
"""How files of captions end, in lower case and less what says that they are compressed."""
COMPRESSED = (".gz", ".zst", ".bz2")
NOT_DATA = {"__macosx", "thumbs.db", "desktop.ini", "@eadir", "$recycle.bin"}
"""What systems leave beside a user's files, in lower case. Hidden files are left out too."""
LARGEST_FILE = 128 << 20
"""Bytes of the largest picture, or cell of a table, that is read: a larger one is left out and said."""
_BEGINNINGS = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF8", b"II*\0", b"MM\0*")


def as_text(name: str) -> str:
    r"""The name of a file as text that can be written anywhere: bytes of it that are not UTF-8 become \xHH."""
    try:
        return name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    except UnicodeEncodeError:  # text of JSON, which may have any half of a pair
        return name.encode("utf-8", "backslashreplace").decode("utf-8")


def is_data(name: str) -> bool:
    """Whether a file or folder of this name is a user's: not hidden, and not what a system leaves beside files."""
    return not name.startswith(".") and name.lower() not in NOT_DATA


def has_picture_suffix(name: str) -> bool:
    """Whether a name ends as those of pictures do."""
    return os.path.splitext(name)[1].lower() in PICTURES  # noqa: PTH122  (faster, for many names)


def is_picture(path: Path) -> bool:
    """Whether a file is a picture: by the end of its name, or else by its first bytes (a picture without a suffix)."""
    if has_picture_suffix(path.name):
        return True
    try:
        with path.open("rb") as file:
            head = file.read(16)
    except OSError:
        return False
    return head.startswith(_BEGINNINGS) or (head[:4] == b"RIFF" and head[8:12] == b"WEBP") or head[4:12] == b"ftypavif"


@dataclass
class Walk:
    """What walk_folder found: files in a stable order, and links that it did not follow."""

    folder: Path
    files: list[os.DirEntry] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    """Paths of the files relative to the folder, with /, sorted; `files` has the same order."""
    broken: list[str] = field(default_factory=list)
    """Links to what is not there."""
    loops: list[str] = field(default_factory=list)
    """Links to a folder that they lie in."""

    def paths(self) -> Iterator[Path]:
        """The files, as paths."""
        return (Path(self.folder, name) for name in self.names)

    def say(self):
        """Say on the terminal which links were not followed."""
        for links, why in ((self.broken, "lead to nothing"), (self.loops, "lead back to a folder that they lie in")):
            if links:
                more = f" and {len(links) - 3} more" if len(links) > 3 else ""
                said = f"{', '.join(sorted(links)[:3])}{more}"
                print(f"fit: {self.folder}: links that {why} are left out: {said}", file=sys.stderr)


def _key(status):
    return status.st_dev, status.st_ino


def walk_folder(folder) -> Walk:
    """Every file in `folder`, however deep, in order of names, without hidden files and what systems leave (NOT_DATA).

    Links to files and folders are followed. A folder that is linked twice is read twice, as two folders; a link to a
    folder that it lies in is not followed.

    Raises:
        DataError: the folder, or one in it, can't be read.
    """
    found = Walk(Path(folder))
    entries: list[tuple[str, os.DirEntry]] = []
    real = found.folder.resolve()
    try:
        above = frozenset(_key(parent.stat()) for parent in (real, *real.parents))
        stack: list[tuple[str, str, frozenset]] = [(str(folder), "", above)]
        while stack:
            place, prefix, within = stack.pop()
            with os.scandir(place) as inside:
                for entry in inside:
                    if not is_data(entry.name):
                        continue
                    name = prefix + entry.name
                    try:
                        is_folder = entry.is_dir()
                    except OSError as error:
                        if error.errno != errno.ELOOP:
                            raise
                        found.broken.append(name)  # a link to itself
                        continue
                    if is_folder:
                        key = _key(Path(entry.path).stat())
                        if key in within:
                            found.loops.append(name)
                        else:
                            stack.append((entry.path, f"{name}/", within | {key}))
                    elif entry.is_file():
                        entries.append((name, entry))
                    elif entry.is_symlink():
                        found.broken.append(name)
    except OSError as error:
        raise DataError(
            f"{error.filename or folder}: can't be read ({error.strerror}); let this user read it"
        ) from None
    entries.sort(key=lambda item: item[0])
    found.names, found.files = [name for name, _ in entries], [entry for _, entry in entries]
    return found


def fingerprint(folder) -> str:
    """A text that changes when a file of `folder` is added, removed, renamed, or gets another size, however deep.

    Nothing is read but names and sizes. Times are left out, so that a copy of the folder has the same fingerprint. A
    folder that is not there has the fingerprint "".

    Raises:
        DataError: as walk_folder.
    """
    if not Path(folder).is_dir():
        return ""
    found, digest = walk_folder(folder), blake2b(digest_size=8)
    for name, entry in zip(found.names, found.files, strict=True):
        digest.update(f"{name}\0{entry.stat().st_size}\n".encode("utf-8", "surrogateescape"))
    return digest.hexdigest()


def kind_of(name):
    """How a file's name ends, in lower case, less what says that it is compressed."""
    suffixes = [suffix.lower() for suffix in Path(name).suffixes]
    suffixes = [suffix for suffix in suffixes if suffix not in COMPRESSED]
    return suffixes[-1] if suffixes else ""


def table_files(folder):
    """The caption files of a folder and of its folders, in order; none for a folder of pictures.

    Hidden files, and those that begin with _ (Spark's _SUCCESS, _metadata), are no data.

    Raises:
        CorpusError: caption files lie among pictures, are of several formats, or there is neither.
    """
    kinds: Counter[str] = Counter()
    files = []
    for name in walk_folder(folder).names:
        if any(part.startswith("_") for part in name.split("/")) or name.endswith(".crc"):
            continue
        kind = "pictures" if has_picture_suffix(name) else kind_of(name)
        kinds[kind or Path(name).name] += 1
        if kind in TABLES:
            files.append(str(Path(folder, name)))
    formats = [kind for kind in kinds if kind in TABLES]
    if formats and kinds["pictures"]:
        raise CorpusError(
            f"{folder}: it has {sum(kinds[kind] for kind in formats)} files of captions ({', '.join(formats)}) beside "
            f"{kinds['pictures']} pictures; name the files (such as {folder}/*{formats[0]}), or put the pictures into "
            "a folder of their own"
        )
    if len(formats) > 1:
        raise CorpusError(
            f"{folder}: it has captions in several formats ({', '.join(f'{kinds[kind]} {kind}' for kind in formats)}); "
            f"name the files of one (such as {folder}/*{formats[0]})"
        )
    if not files and not kinds["pictures"]:
        found = ", ".join(f"{times} {kind}" for kind, times in kinds.most_common(5)) or "nothing"
        raise CorpusError(
            f"{folder}: taken for a folder of captions, but it has no file of captions ({', '.join(TABLES)}) and no "
            f"picture; found: {found}"
        )
    return files


def without_folders(files):
    """`files`, with each folder of caption files replaced by them; a folder of pictures stays."""
    found: list[str] = []
    for file in files:
        inside = table_files(file) if "://" not in file and Path(file).is_dir() else []
        found += inside or [file]
    return found
