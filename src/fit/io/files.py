"""The only place that renames and deletes: whole files, folders of ours and their marks; and names of many files.

A folder that FIT makes carries a mark file, MARK. What has no mark is not ours: nothing in it is replaced or removed.
"""

import errno
import glob
import json
import os
import re
import secrets
import shutil
import sys
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from fit.errors import CorpusError, PlaceError, SpaceError

MARK = ".fit-folder"
"""Name of the file by which a folder is known as ours."""
_NOT_COUNTED = {MARK, ".snakemake_timestamp"}
_TEMPORARY = re.compile(r"\.(?P<stem>.+)\.(?:[0-9]+|[0-9a-f]{12})(?P<suffix>\.\w+)?")
"""What `whole` calls a file before it is whole; earlier versions took the number of the process."""
_LOCK = re.compile(r"\.[^/]+\.lock")
"""What WorkFolder.held locks, in the folder itself."""


def _write_mark(folder, what, files=None):
    about = {"what": f"FIT made this folder: {what}", "remove": "FIT replaces and removes only what it wrote in it"}
    text = json.dumps(about | ({} if files is None else {"files": files}), indent=1) + "\n"
    # Not renamed into place: while the mark is written another job may ask whether the folder has one.
    with Path(folder, MARK).open("w", encoding="utf-8") as file:
        file.write(text)


def _files_in(folder):
    """Paths of all that is no folder in `folder`, relative to it, links not followed, without what marks it."""
    for root, folders, files in os.walk(folder):
        links = [name for name in folders if Path(root, name).is_symlink()]
        for name in (*files, *links):
            path = Path(root, name).relative_to(folder).as_posix()
            if path not in _NOT_COUNTED:
                yield path


def _some(names):
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")


def check_replaceable(path):
    """Check, before anything is written, that what is written to `path` as a whole replaces nothing that is not ours.

    A file may be replaced: the user named it as an output. A folder may be, if it is empty or FIT wrote all of it.

    Raises:
        PlaceError: `path` is a folder that FIT did not make, or one with files of somebody else.
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
            f"{path}: this folder is there already, and FIT did not make it, so it is not replaced; choose another "
            "path to write to, or remove the folder yourself"
        ) from None
    foreign = [name for name in there if name not in ours]
    if foreign:
        raise PlaceError(
            f"{path}: this folder has files that FIT did not write ({_some(foreign)}), so it is not replaced; move "
            "them elsewhere, or choose another path to write to"
        )


def _sync(path):
    """See that what was written is on the disk: a rename must not outlive the contents of the file."""
    files = [path] if path.is_file() else [Path(root, name) for root, _, names in os.walk(path) for name in names]
    for file in files:
        descriptor = os.open(file, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def is_disk_full(error):
    """Whether an exception says that a disk, or what a user may have of it, is full; libraries have their own kinds."""
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return True
    return any(sign in str(error) for sign in ("No space left on device", "Disk quota exceeded"))


@contextmanager
def space(place):
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
def atomic_write(path):
    """Yield a temporary path beside `path` that takes its place if the block ends well, and vanishes if it does not.

    The temporary path keeps the suffix of `path`, which some libraries choose a format by. It may be filled as a
    file or as a folder; a folder gets a mark, by which it may be replaced later.

    Raises:
        PlaceError: `path` is a folder that is not ours (check_replaceable).
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


def discard(path, why=""):
    """Remove a file that this command, or an earlier one in a WorkFolder, wrote; `why`: what to say of it, if anything.

    A file that is not there is none to remove.
    """
    if why:
        print(f"fit: {path}: {why}", file=sys.stderr)
    Path(path).unlink(missing_ok=True)


class WorkFolder:
    """A folder for what a stop must not lose. It carries a mark, and only what FIT writes into it is ever removed."""

    def __init__(self, path, what, files, option="--work"):
        r"""Describe the folder at `path`; nothing is read or written yet.

        Args:
            what: what the folder is for, as its mark says.
            files: regular expression of the paths, relative to the folder, of all files that this command writes there
                (such as r"[a-z0-9-]+/[0-9a-f]{16}/[0-9]{6}\.arrow").
            option: what a user chooses the folder by, for errors.
        """
        self.path, self._what, self._option = Path(path), what, option
        self._files = re.compile(files)

    def _is_ours(self, name):
        folder, slash, last = name.rpartition("/")
        temporary = _TEMPORARY.fullmatch(last)
        written = temporary["stem"] + (temporary["suffix"] or "") if temporary else last
        ours = self._files.fullmatch(name) or self._files.fullmatch(folder + slash + written)
        return bool(ours or _LOCK.fullmatch(name))

    def claim(self):
        """Make the folder, or take one that is empty or ours; returns its path.

        A folder without a mark counts as ours if it has nothing but files that an earlier version wrote there.

        Raises:
            PlaceError: it holds something else; nothing was written.
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
    def held(self, *names):
        """Claim the folder and keep other processes from what it has under `names`, for the length of the block.

        A job goes on when its Snakemake is killed, and the run that resumes starts the same job beside it: two that
        write parts of one table would each read the other's. The later one waits, and says so; the system frees what
        a killed process held. Names are taken in a fixed order, so that no two wait for each other.

        Raises:
            PlaceError: as claim.
        """
        self.claim()
        with ExitStack() as held:
            for name in sorted(set(names)):
                path = self._lock(name, held)
                held.callback(path.unlink, missing_ok=True)
            yield

    def _lock(self, name, held):
        """Lock `name` until `held` is closed; returns the path of the file that is locked."""
        import fcntl  # which Windows lacks

        while True:
            path = Path(self.claim(), f".{name}.lock")
            try:
                file = held.enter_context(path.open("a"))
            except FileNotFoundError:
                continue  # who held it has removed the folder meanwhile
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                print(f"fit: {path}: another process does the same work; waiting for its end", file=sys.stderr)
                fcntl.flock(file, fcntl.LOCK_EX)
            except OSError as error:
                print(
                    f"fit: {path}: this file system has no locks ({error.strerror}); see that no other process does "
                    "the same work",
                    file=sys.stderr,
                )
                return path
            # Who held it has removed it: what is locked must be what others will find.
            with suppress(FileNotFoundError):
                if os.path.samestat(path.stat(), os.fstat(file.fileno())):
                    return path

    def remove(self, inside):
        """Remove the folder `inside` this one, but for files that FIT did not write: they stay, and are said.

        Raises:
            PlaceError: this folder has no mark, so nothing in it is ours.
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
    def atomic_write(self, inside):
        """Yield a new folder that takes the place of the folder `inside` this one if the block ends well.

        So several files that belong together are there together, or not at all.
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


def outside(work, places, option="--work"):
    """Check that the folder `work` is not within one of the folders `places`, whose contents a command takes as input.

    Raises:
        PlaceError: it is.
    """
    real = Path(work).resolve()
    for place in map(Path, places):
        if place.is_dir() and (real == place.resolve() or place.resolve() in real.parents):
            raise PlaceError(
                f"{work}: lies in {place}, whose pictures are read; choose a folder outside it with {option}"
            )


def by_key(paths, key, what):
    """What `key` gives of each path -> the path.

    Raises:
        PlaceError: two paths have the same; both are named.
    """
    found: dict = {}
    for path in paths:
        of_path = key(path)
        if of_path in found:
            said = "/".join(of_path) if isinstance(of_path, tuple) else of_path
            raise PlaceError(
                f"{found[of_path]} and {path}: both are of {what} {said!r}, as their names say; name only one of them, "
                "or rename one"
            )
        found[of_path] = path
    return found


def check_apart(written, read):
    """Check that no path is written twice, nor written and read.

    Args:
        written, read: argument of a command -> the paths that it names.

    Raises:
        PlaceError: one is; both arguments are named.
    """
    of_path: dict[Path, str] = {}
    for name, paths in written.items():
        flag = f"--{name.replace('_', '-')}"
        for path in filter(None, paths):
            real = Path(path).resolve()
            if real in of_path:
                raise PlaceError(f"{path}: would be written twice, for {of_path[real]} and {flag}; name another file")
            of_path[real] = flag
    for name, paths in read.items():
        for path in filter(None, paths):
            if "\0" in path or len(path) > 4096:  # a text, such as a prompt
                continue
            real = Path(path).resolve()
            if real in of_path and real.exists():
                raise PlaceError(
                    f"{path}: is read ({name.replace('_', '-')}) and would be written ({of_path[real]}); write to "
                    "another path"
                )


def _listed(path, check):
    """The files that a list names, a file a line."""
    try:
        # Of a file that ends in .txt nobody knows whether it is a list, where `check` does not tell.
        lines = Path(path).read_text("utf-8-sig", "strict" if check else "surrogateescape").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise CorpusError(f"{path}: this list of files can't be read ({error}); save it as UTF-8") from None
    named = [(number, line.strip()) for number, line in enumerate(lines, 1) if line.strip() and "\0" not in line]
    for number, line in named if check else ():
        check(f"{path}, line {number}", line)
    return [line for _, line in named]


def expand(names, check=None):
    """The files that `names` stand for: each a path, a pattern with * or ?, or a list of files that ends in .txt.

    A pattern or list that finds nothing stands for itself, and so do patterns of other machines (s3://...), which
    nobody is asked about here. A list has a file a line.

    Args:
        check: called with the place of each line of a list, for errors, and the line; raises what is wrong with it.

    Raises:
        CorpusError: a list is not UTF-8 text; or what `check` raises.
    """
    files: list[str] = []
    for name in names:
        if name.lower().endswith(".txt") and Path(name).is_file():
            files += _listed(name, check)
        elif "://" not in name and any(character in name for character in "*?["):
            files += sorted(glob.glob(name, recursive=True)) or [name]  # noqa: PTH207  (paths stay as they are written)
        else:
            files.append(name)
    return files
