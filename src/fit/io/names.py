"""Names of many files: what patterns and lists mean, and files that are named twice."""

import glob
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from fit.errors import CorpusError, PlaceError


def by_key(paths: Iterable[str], key: Callable[[str], Any], what: str) -> dict[Any, str]:
    """Return what `key` gives of each path -> the path.

    Raises:
        PlaceError: two paths have the same key; the message names both.
    """
    found: dict[Any, str] = {}
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


def check_apart(written: Mapping[str, list[str]], read: Mapping[str, list[str]]) -> None:
    """Check that no path is written twice, nor written and read.

    Args:
        written: argument of a command -> the paths that it names for writing.
        read: the same, for reading.

    Raises:
        PlaceError: one is; the message names both arguments.
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


def _listed(path: str, check: Callable[[str, str], None] | None) -> list[str]:
    """Return the files that a list names, a file a line."""
    try:
        # Without `check`, a file that ends in .txt may be something else than a list.
        lines = Path(path).read_text("utf-8-sig", "strict" if check else "surrogateescape").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise CorpusError(f"{path}: this list of files can't be read ({error}); save it as UTF-8") from None
    named = [(number, line.strip()) for number, line in enumerate(lines, 1) if line.strip() and "\0" not in line]
    for number, line in named:
        if check:
            check(f"{path}, line {number}", line)
    return [_from(Path(path).parent, line) for _, line in named]


def _from(folder: Path, line: str) -> str:
    """Return a path that a list in `folder` names. It is relative to the list; if it is not there, to this folder."""
    beside = folder / line
    is_relative = "://" not in line and "\0" not in line and not Path(line).is_absolute()
    return str(beside) if is_relative and len(line) < 1024 and beside.exists() else line


def expand(names: Iterable[str], check: Callable[[str, str], None] | None = None) -> list[str]:
    """Return the files that `names` mean. A name is a path, a pattern with * or ?, or a list of files (.txt).

    A pattern that finds nothing is returned as it is, and so is a pattern of another machine (s3://...), which is not
    asked. A list has a file a line, relative to the list or to the
    present folder.

    Args:
        names: paths, patterns and lists.
        check: called with the place of each line of a list, for errors, and the line; raises what is wrong with it.

    Raises:
        CorpusError: a list is not UTF-8 text; or what `check` raises.
    """
    files: list[str] = []
    for name in names:
        if name.lower().endswith(".txt") and Path(name).is_file():
            files += _listed(name, check)
        elif "://" not in name and any(character in name for character in "*?["):
            files += sorted(glob.glob(name, recursive=True)) or [name]  # noqa: PTH207  # paths stay as they are written
        else:
            files.append(name)
    return files
