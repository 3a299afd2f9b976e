"""Writes, renames and deletes files and folders. Only this room does.

A folder that FIT makes has a mark file, MARK. Nothing is replaced or removed in a folder without it.
"""

import errno
import json
import os
import re
import secrets
import shutil
import sys
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from fit.errors import PlaceError, SpaceError

MARK = ".fit-folder"
"""Name of the file that says that FIT made a folder."""
_NOT_COUNTED = {MARK, ".snakemake_timestamp"}
_TEMPORARY = re.compile(r"\.(?P<stem>.+)\.(?:[0-9]+|[0-9a-f]{12})(?P<suffix>\.\w+)?")
"""Name that atomic_write gives a file before it is complete; earlier versions used the number of the process."""
_LOCK = re.compile(r"\.[^/]+\.lock")
"""Name of a file that WorkFolder.held locks."""


def _write_mark(folder: Path, what: str, files: list[str] | None = None) -> None:
    about = {"what": f"FIT made this folder: {what}", "remove": "FIT replaces and removes only what it wrote in it"}
    listed: dict[str, object] = {} if files is None else {"files": files}
    text = json.dumps({**about, **listed}, indent=1) + "\n"
    # Not an atomic write: another job may ask meanwhile whether the folder has a mark.
    with Path(folder, MARK).open("w", encoding="utf-8") as file:
        file.write(text)


def _files_in(folder: Path) -> Iterator[str]:
    """Yield the path, relative to `folder`, of each file and link in it; links are not followed, marks left out."""
    for root, folders, files in os.walk(folder):
        links = [name for name in folders if Path(root, name).is_symlink()]
        for name in (*files, *links):
            path = Path(root, name).relative_to(folder).as_posix()
            if path not in _NOT_COUNTED:
                yield path


def _some(names: list[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")


def check_replaceable(path: str | Path) -> None:
    """Check, before anything is written, that `path` may be replaced.

    A file may be replaced: the user named it as an output. A folder may be, if it is empty or FIT wrote all of it.

    Raises:
        PlaceError: `path` is a folder that FIT did not make, or that has files that FIT did not write.
    """
    path = Path(path)
    if not path.is_dir():
        return
    there = sorted(_files_in(path))
    if not there and not (path.is_symlink() and not Path(path, MARK).exists()):
        return
    try:
        ours = set(json.loads(Path(path, MARK).read_text(encoding="utf-8"))["files"])
    except (OSError, ValueError, KeyError, TypeError):
        raise PlaceError(
            f"{path}: this folder exists already, and FIT did not make it, so it is not replaced; choose another "
            "path to write to, or remove the folder yourself"
        ) from None
    foreign = [name for name in there if name not in ours]
    if foreign:
        raise PlaceError(
            f"{path}: this folder has files that FIT did not write ({_some(foreign)}), so it is not replaced; move "
            "them elsewhere, or choose another path to write to"
        )


def _sync(path: Path) -> None:
    """Flush what was written to the disk: after a crash, a renamed file must have its contents."""
    files = [path] if path.is_file() else [Path(root, name) for root, _, names in os.walk(path) for name in names]
    for file in files:
        descriptor = os.open(file, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def is_disk_full(error: BaseException) -> bool:
    """Whether an exception, maybe of a library, says that a disk or a user's quota is full."""
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return True
    return any(sign in str(error) for sign in ("No space left on device", "Disk quota exceeded"))


@contextmanager
def space(place: str | Path) -> Iterator[None]:
    """Turn the error of a full disk, in the block, into a SpaceError that names `place` and the remedy."""
    try:
        yield
    except SpaceError:
        raise
    except Exception as error:
        if not is_disk_full(error):
            raise
        raise SpaceError(
            f"{place}: no space left on this disk; free some and run again: what was written before is kept"
        ) from error


@contextmanager
def atomic_write(path: str | Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`. It replaces `path` if the block ends well, and is removed if not.

    The temporary path keeps the suffix of `path`, because some libraries choose a format by it. The block may make it
    a file or a folder. A folder gets a mark, so that it may be replaced later.

    Raises:
        PlaceError: `path` is a folder that may not be replaced (check_replaceable).
        SpaceError: the disk is full.
    """
    path = Path(path)
    check_replaceable(path)
    part = path.with_name(f".{path.stem}.{secrets.token_hex(6)}{path.suffix}")
    try:
        with space(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            yield part
            if part.is_dir():
                _write_mark(part, "an output, written as a whole", sorted(_files_in(part)))
                _sync(part)
                if path.is_dir():
                    old = part.with_name(f"{part.name}.old")
                    path.replace(old)
                    part.replace(path)
                    shutil.rmtree(old)
                    return
            else:
                if path.is_dir():
                    raise PlaceError(f"{path}: a folder is where this file goes; choose another path to write to")
                _sync(part)
            part.replace(path)
    finally:
        if part.is_dir():
            shutil.rmtree(part)
        else:
            part.unlink(missing_ok=True)


def write_text(path: str | Path, text: str) -> None:
    """Write a text file as UTF-8, whole or not at all; line ends stay as they are."""
    with atomic_write(path) as part:
        part.write_text(text, encoding="utf-8", newline="")


def make_folder(path: str | Path) -> Path:
    """Make a folder and those that it is in, if they do not exist; return its path."""
    Path(path).mkdir(parents=True, exist_ok=True)
    return Path(path)


@contextmanager
def temporary_folder(inside: str | Path, prefix: str) -> Iterator[Path]:
    """Yield a new folder in the folder `inside`, which is removed after the block; its name begins with `prefix`."""
    with tempfile.TemporaryDirectory(prefix=prefix, dir=inside) as folder:
        yield Path(folder)


def discard(path: str | Path, why: str = "") -> None:
    """Remove a file, if it exists, that this command wrote, or an earlier one in a WorkFolder.

    Args:
        path: of the file.
        why: what to say on stderr; nothing if empty.
    """
    if why:
        print(f"fit: {path}: {why}", file=sys.stderr)
    Path(path).unlink(missing_ok=True)


class WorkFolder:
    """A folder for work in progress, which a stop must not lose. Only what FIT writes into it is removed."""

    def __init__(self, path: str | Path, what: str, files: str, option: str = "--work"):
        r"""Describe the folder at `path`; nothing is read or written yet.

        Args:
            path: of the folder.
            what: what the folder is for, as its mark says.
            files: regular expression of the paths, relative to the folder, of all files that this command writes there
                (such as r"[a-z0-9-]+/[0-9a-f]{16}/[0-9]{6}\.arrow").
            option: the option that names the folder, for errors.
        """
        self.path, self._what, self._option = Path(path), what, option
        self._files = re.compile(files)

    def _is_ours(self, name: str) -> bool:
        folder, slash, last = name.rpartition("/")
        temporary = _TEMPORARY.fullmatch(last)
        written = temporary["stem"] + (temporary["suffix"] or "") if temporary else last
        ours = self._files.fullmatch(name) or self._files.fullmatch(folder + slash + written)
        return bool(ours or _LOCK.fullmatch(name))

    def claim(self) -> Path:
        """Make the folder, or take one that is empty or that FIT made; return its path.

        A folder without a mark is taken too if it only has files that an earlier version of FIT wrote there.

        Raises:
            PlaceError: it holds other files; nothing was written.
        """
        if self.path.exists() and not self.path.is_dir():
            raise PlaceError(f"{self.path}: not a folder; choose another with {self._option}")
        if not Path(self.path, MARK).exists():
            foreign = (
                [] if not self.path.is_dir() else [f for f in sorted(_files_in(self.path)) if not self._is_ours(f)]
            )
            if foreign:
                raise PlaceError(
                    f"{self.path}: this folder has files that FIT did not write ({_some(foreign)}), so it is not used "
                    f"for {self._what}; choose a new or empty folder with {self._option}"
                )
            self.path.mkdir(parents=True, exist_ok=True)
            _write_mark(self.path, self._what)
        return self.path

    @contextmanager
    def held(self, *names: str) -> Iterator[None]:
        """Claim the folder and lock what it has under `names` against other processes, for the length of the block.

        A job goes on when its Snakemake is killed, and the run that resumes starts the same job beside it. Two jobs
        that write parts of one table would read each other's parts. So the later one waits, and says so; the system
        frees the locks of a killed process. Names are locked in a fixed order, so that no two jobs wait for each other.

        Raises:
            PlaceError: the folder can't be claimed.
        """
        self.claim()
        with ExitStack() as held:
            for name in sorted(set(names)):
                path = self._lock(name, held)
                held.callback(path.unlink, missing_ok=True)
            yield

    def _lock(self, name: str, held: ExitStack) -> Path:
        """Lock `name` until `held` is closed; return the path of the locked file."""
        import fcntl  # which Windows lacks

        while True:
            path = Path(self.claim(), f".{name}.lock")
            try:
                file = held.enter_context(path.open("a"))
            except FileNotFoundError:
                continue  # the process that held it has removed the folder
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                print(f"fit: {path}: another process does the same work; waiting for its end", file=sys.stderr)
                fcntl.flock(file, fcntl.LOCK_EX)
            except OSError as error:
                print(
                    f"fit: {path}: this file system has no locks ({error.strerror}); make sure that no other process "
                    "does the same work",
                    file=sys.stderr,
                )
                return path
            # The process that held the lock may have removed the file: lock the one that others will find.
            with suppress(FileNotFoundError):
                if os.path.samestat(path.stat(), os.fstat(file.fileno())):
                    return path

    def remove(self, inside: str) -> None:
        """Remove the folder `inside` this one. Files in it that FIT did not write stay, and are named on stderr.

        Raises:
            PlaceError: this folder has no mark, so FIT did not make it.
        """
        if not Path(self.path, MARK).exists():
            raise PlaceError(f"{self.path}: FIT did not make this folder, so nothing in it is removed")
        place = Path(self.path, inside)
        if not place.is_dir() or place.is_symlink():
            return
        foreign = []
        for name in sorted(_files_in(place)):
            of_work = Path(inside, name).as_posix()
            if Path(of_work).name == MARK or self._is_ours(of_work):
                Path(place, name).unlink(missing_ok=True)
            else:
                foreign.append(of_work)
        Path(place, MARK).unlink(missing_ok=True)
        for root, _, _ in os.walk(place, topdown=False):
            if not any(Path(root).iterdir()):
                Path(root).rmdir()
        if foreign:
            print(f"fit: {self.path}: left there, as FIT did not write it: {_some(foreign)}", file=sys.stderr)

    @contextmanager
    def atomic_write(self, inside: str) -> Iterator[Path]:
        """Yield a new folder, which replaces the folder `inside` this one if the block ends well.

        Several files that belong together then exist together, or not at all.
        """
        part = Path(self.path, f".{inside}.{secrets.token_hex(6)}")
        part.mkdir()
        try:
            yield part
            _sync(part)
            self.remove(inside)
            if Path(self.path, inside).exists():
                raise PlaceError(f"{self.path / inside}: has files that FIT did not write; move them elsewhere")
            part.replace(Path(self.path, inside))
        finally:
            if part.is_dir():
                shutil.rmtree(part)


def outside(work: str | Path, places: Iterable[str | Path], option: str = "--work") -> None:
    """Check that the folder `work` is not in one of the folders `places`, whose files a command reads.

    Raises:
        PlaceError: it is.
    """
    real = Path(work).resolve()
    for place in map(Path, places):
        if place.is_dir() and (real == place.resolve() or place.resolve() in real.parents):
            raise PlaceError(
                f"{work}: lies in {place}, whose pictures are read; choose a folder outside it with {option}"
            )
