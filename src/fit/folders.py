"""The one way in which folders are read: links are followed, loops are cut, and what is not a picture is left out."""

import errno
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path

from fit.errors import DataError

PICTURES = (".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".avif")
"""How names of pictures end, in lower case; upper case is read as well."""
NOT_DATA = {"__macosx", "thumbs.db", "desktop.ini", "@eadir", "$recycle.bin"}
"""What systems leave beside a user's files, in lower case. Hidden files are left out too."""
_BEGINNINGS = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF8", b"II*\0", b"MM\0*")


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
