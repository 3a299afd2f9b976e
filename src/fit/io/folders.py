"""Reads folders, in one way for all of FIT: links are followed, loops are cut, hidden files are left out."""

import errno
import os
from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path

from fit.errors import CorpusError, DataError, say_once
from fit.io.shown import number_of

PICTURES = (".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".avif")
"""How names of pictures end, in lower case; upper case is read too."""
TABLES = (".parquet", ".csv", ".tsv", ".jsonl", ".ndjson", ".tar")
"""How names of caption files end, in lower case, before the suffix of a compression."""
COMPRESSED = {".gz": "gzip", ".zst": "zstd", ".bz2": "bz2"}
"""How names of compressed files end, in lower case -> Arrow's name of the compression."""
NOT_DATA = {"__macosx", "thumbs.db", "desktop.ini", "@eadir", "$recycle.bin"}
"""Names of files that systems leave beside a user's files, in lower case. Hidden files are left out too."""
LARGEST_FILE = 128 << 20
"""Bytes of the largest picture, or cell of a table, that is read: a larger one is left out, with a message."""
_COMPANIONS = {
    f"{name}{end}"
    for name in ("readme", "license", "licence", "copying", "citation", "changelog", "notice")
    for end in ("", ".txt", ".rst", ".html", ".cff")
}
_COMPANION_ENDS = (".crc", ".md", ".md5", ".sha256")
_BEGINNINGS = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF8", b"II*\0", b"MM\0*")


def printable(name: str) -> str:
    r"""Return the name of a file as text that can be written anywhere: bytes of it that are not UTF-8 become \xHH."""
    try:
        return name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    except UnicodeEncodeError:  # text of JSON, which may have any half of a pair
        return name.encode("utf-8", "backslashreplace").decode("utf-8")


def is_data(name: str) -> bool:
    """Whether a file or folder of this name is a user's: not hidden, and not one that systems leave."""
    return not name.startswith(".") and name.lower() not in NOT_DATA


def has_picture_suffix(name: str) -> bool:
    """Whether a name has the suffix of a picture."""
    return os.path.splitext(name)[1].lower() in PICTURES  # noqa: PTH122  # faster, for many names


def is_picture(path: Path) -> bool:
    """Whether a file is a picture: by its suffix, or else by its first bytes (a picture without a suffix)."""
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
    """What walk_folder found: files in a fixed order, and links that it did not follow."""

    folder: Path
    files: list[os.DirEntry] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    """Paths of the files relative to the folder, with /, sorted; `files` has the same order."""
    broken: list[str] = field(default_factory=list)
    """Links to a file that does not exist."""
    loops: list[str] = field(default_factory=list)
    """Links to a folder that they are in."""

    def paths(self) -> Iterator[Path]:
        """Return the files, as paths."""
        return (Path(self.folder, name) for name in self.names)

    def say(self) -> None:
        """Say on stderr which links were not followed, once."""
        if self.broken:
            say_once(self.say_broken())
        if self.loops:
            say_once(
                f"{self.folder}: links that lead back to a folder that they are in are left out: {_some(self.loops)}"
            )

    def say_broken(self) -> str:
        """Return a sentence that names the links that lead to nothing: lost files, as in a cache without its store."""
        return (
            f"{self.folder}: links that lead to nothing are left out: {_some(self.broken)}, {len(self.broken)} in all; "
            "fetch what they lead to, or remove them"
        )

    def beside(self, names: list[str]) -> list[str]:
        """Return which of `names`, names of its files, are links to another of them in the same folder.

        Each file of a folder counts once. A link to a file in another folder is a file of its own: it may be there on
        purpose (pictures of one prompt linked into another's folder), and a store keeps equal files once.
        """
        entries = dict(zip(self.names, self.files, strict=True))
        links = [name for name in names if entries[name].is_symlink()]
        folders = {name.rpartition("/")[0] for name in links}
        real = {
            (name.rpartition("/")[0], _key(entries[name].stat()))
            for name in (names if links else ())
            if name.rpartition("/")[0] in folders and not entries[name].is_symlink()
        }
        return [name for name in links if (name.rpartition("/")[0], _key(entries[name].stat())) in real]

    def pictures(self) -> list[str]:
        """Return the names of its pictures, each picture of a folder once (`beside`); say which are left out."""
        names = [name for name, path in zip(self.names, self.paths(), strict=True) if is_picture(path)]
        twice = set(self.beside(names))
        if twice:
            say_once(f"{self.folder}: links to pictures beside them are not read again: {_some(twice)}")
        return [name for name in names if name not in twice]


def _some(names: Collection[str]) -> str:
    """Return the first three names, as text that can be written anywhere."""
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return printable(f"{', '.join(sorted(names)[:3])}{more}")


def _key(status: os.stat_result) -> tuple[int, int]:
    return status.st_dev, status.st_ino


def walk_folder(folder: str | Path) -> Walk:
    """Find every file in `folder`, however deep, in order of names, without hidden files and those in NOT_DATA.

    Links to files and folders are followed. A folder that is linked twice is read twice, as two folders. A link to a
    folder that it is in is not followed.

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


def fingerprint(folder: str | Path) -> str:
    """Return a text that changes when a file in `folder`, however deep, is added, removed, renamed or resized.

    Only names and sizes are read. Times do not matter, so a copy of the folder has the same fingerprint. That of a
    folder that does not exist is "".

    Raises:
        DataError: as walk_folder.
    """
    if not Path(folder).is_dir():
        return ""
    found, digest = walk_folder(folder), blake2b(digest_size=8)
    for name, entry in zip(found.names, found.files, strict=True):
        digest.update(f"{name}\0{entry.stat().st_size}\n".encode("utf-8", "surrogateescape"))
    return digest.hexdigest()


def compression_of(name: str) -> str | None:
    """Return Arrow's name of the compression that a file's name says, in upper or lower case; None for none."""
    return COMPRESSED.get(Path(name).suffix.lower())


def kind_of(name: str) -> str:
    """Return the suffix of a file's name, in lower case, before that of a compression."""
    suffixes = [suffix.lower() for suffix in Path(name).suffixes]
    suffixes = [suffix for suffix in suffixes if suffix not in COMPRESSED]
    return suffixes[-1] if suffixes else ""


_LONGEST_PATH = 1024
_MAGIC = (
    (b"PAR1", "Parquet", ".parquet"),
    (b"\x1f\x8b", "gzip", ".gz"),
    (b"\x28\xb5\x2f\xfd", "zstd", ".zst"),
    (b"BZh", "bz2", ".bz2"),
    (b"PK\3\4", "a zip or a spreadsheet's workbook", ""),
    (b"\xd0\xcf\x11\xe0", "a spreadsheet's workbook", ""),
    (b"\xfd7zXZ", "xz", ""),
)


def what_begins(head: bytes) -> tuple[str, str] | None:
    """Return (format, suffix) by a file's first bytes; None if unknown. One that can't be read has the suffix ""."""
    for magic, name, suffix in _MAGIC:
        if head.startswith(magic) and (name != "bz2" or head[4:10] == b"1AY&SY"):
            return name, suffix
    return None


def _is_companion(name: str) -> bool:
    """Whether a file often lies beside data and is not data: README, licence, checksum, Spark's _SUCCESS."""
    last = name.rpartition("/")[2].lower()
    return (
        last in _COMPANIONS or last.endswith(_COMPANION_ENDS) or (_is_set_aside(name) and kind_of(last) not in TABLES)
    )


def _is_set_aside(name: str) -> bool:
    """Whether the name of a file, or of a folder that it is in, begins with _: not data for Spark and others."""
    return any(part.startswith("_") for part in name.split("/"))


def _without_compression(name: str) -> str:
    return name[: -len(Path(name).suffix)] if compression_of(name) else name


def _beginning(path: str | Path) -> bytes:
    try:
        with Path(path).open("rb") as file:
            return file.read(16)
    except OSError:
        return b""


def _look(folder: str | Path) -> tuple[list[str], list[str]]:
    """Return (the caption files of a folder, in order; its other files that may have captions)."""
    kinds: Counter[str] = Counter()
    files, others = [], []
    walked = walk_folder(folder)
    for name in sorted([*walked.names, *walked.broken]):
        if _is_companion(name):
            continue
        if _is_set_aside(name):
            others.append(name)
            continue
        kind = "pictures" if has_picture_suffix(name) else kind_of(name)
        kinds[kind or Path(name).name] += 1
        if kind in TABLES:
            files.append(name)
        elif kind != "pictures":
            others.append(name)
    formats = [kind for kind in kinds if kind in TABLES]
    if formats and kinds["pictures"]:
        raise CorpusError(
            f"{folder}: it has {number_of(sum(kinds[kind] for kind in formats), 'file')} of captions "
            f"({', '.join(formats)}) beside {number_of(kinds['pictures'], 'picture')}; name the files (such as "
            f"{folder}/*{formats[0]}), or put the pictures into a folder of their own"
        )
    if len(formats) > 1:
        raise CorpusError(
            f"{folder}: it has captions in several formats ({', '.join(f'{kinds[kind]} {kind}' for kind in formats)}); "
            f"name the files of one (such as {folder}/*{formats[0]})"
        )
    if kinds["pictures"]:
        return [], []
    unknown = [name for name in others if kind_of(name) not in TABLES]
    nameless = [name for name in unknown if _beginning(Path(folder, name)).startswith(b"PAR1")]
    if nameless:
        raise CorpusError(
            f"{folder}: Parquet files whose names do not end in .parquet: {_some(nameless)}; rename them, or name the "
            f"files to read (such as {folder}/*.parquet)"
        )
    if not files:
        found = ", ".join(f"{times} {kind}" for kind, times in kinds.most_common(5)) or "nothing"
        raise CorpusError(
            f"{folder}: taken for a folder of captions, but it has no file of captions ({', '.join(TABLES)}) and no "
            f"picture; found: {found}"
        )
    # A link to nothing was a caption file: opening it fails, or it is skipped if the user asked for that.
    lost = set(walked.broken).intersection(others)
    return sorted([*files, *lost]), [name for name in others if name not in lost]


def table_files(folder: str | Path) -> list[str]:
    """Return the caption files in a folder, however deep, in order; none for a folder of pictures.

    Hidden files, those that begin with _ (Spark's _SUCCESS, _metadata), READMEs, licences and checksums are not data. A
    link to nothing is one of the files, which can't be opened.

    Raises:
        CorpusError: caption files lie among pictures, are of several formats, are Parquet under another name, or there
            is neither.
    """
    return [str(Path(folder, name)) for name in _look(folder)[0]]


def check_listed(where: str, line: str) -> None:
    """Raise CorpusError if a line of a list of files, at `where`, is not the name of a file or folder of captions."""
    # The file may not exist yet, so only its name is checked.
    if kind_of(line) in TABLES or (len(line) < _LONGEST_PATH and Path(line).is_dir()):
        return
    shown = line if len(line) <= 60 else f"{line[:60]} ..."
    raise CorpusError(
        f"{where}: {shown!r} is not the name of a file of captions ({', '.join(TABLES)}). A .txt is taken for a list "
        "of files, one a line; if it holds captions itself, name it .csv (commas), .tsv (tabs) or .jsonl"
    )


def caption_files(files: Iterable[str]) -> tuple[list[str], list[str]]:
    """Return `files` with the caption files of a folder in place of the folder; a folder of pictures stays.

    Returns:
        (files, remarks): the remarks are sentences about files that are not read: other files in the folders, and files
        that were reached twice, by a link or a pattern.

    Raises:
        CorpusError: as table_files; or a file exists twice, in two compressions.
    """
    found: list[str] = []
    remarks = []
    for file in files:
        if "://" in file or not Path(file).is_dir():
            found.append(file)
            continue
        inside, others = _look(file)
        found += [str(Path(file, name)) for name in inside] or [file]
        if others:
            remarks.append(
                f"{file}: files that are not read as captions: {_some(others)}; captions are read from files that end "
                f"in {', '.join(TABLES)}, of one format in a folder"
            )
    packed: dict[str, str] = {}
    for file in dict.fromkeys(found):
        other = packed.setdefault(_without_compression(file), file)
        if other != file:
            raise CorpusError(
                f"{file}: it seems to be {other} in another compression, whose captions would count twice; remove one, "
                "or name the files to read"
            )
    once = _once(found)
    if len(once) < len(found):
        twice = sorted((Counter(found) - Counter(once)).elements())
        remarks.append(f"{_some(twice)}: reached twice, by a link or a pattern; each file is read once")
    return once, remarks


def _once(files: list[str]) -> list[str]:
    """Return `files` without links of this machine to another of them; the one that is not a link stays."""
    same: dict[tuple[int, int], list[str]] = {}
    for file in files:
        try:
            if "://" not in file:
                same.setdefault(_key(Path(file).stat()), []).append(file)
        except OSError:
            continue
    dropped: Counter[str] = Counter()
    for names in same.values():
        by_place: dict[str, list[str]] = {}
        for name in names if len(names) > 1 else ():
            by_place.setdefault(os.path.realpath(name), []).append(name)
        for alike in by_place.values():
            stays = next((name for name in alike if not Path(name).is_symlink()), alike[0])
            dropped += Counter(alike) - Counter([stays])
    kept = []
    for file in reversed(files):
        if dropped[file]:
            dropped[file] -= 1
        else:
            kept.append(file)
    return kept[::-1]


def without_folders(files: Iterable[str]) -> list[str]:
    """Return the files of caption_files, without its remarks."""
    return caption_files(files)[0]
