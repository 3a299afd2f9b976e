"""Writing files so that a reader never sees half of one; naming many files at once."""

import glob
import os
import shutil
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def whole(path):
    """Yield a temporary path beside `path` that takes its place if the block ends well, and vanishes if it does not.

    The temporary path keeps the suffix of `path`, which some libraries choose a format by. It may be filled as a
    file or as a folder.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.stem}.{os.getpid()}{path.suffix}")
    try:
        yield part
        if part.is_dir() and path.is_dir():
            shutil.rmtree(path)
        part.replace(path)
    finally:
        if part.is_dir():
            shutil.rmtree(part)
        else:
            part.unlink(missing_ok=True)


def expand(names):
    """The files that `names` stand for: each a path, a pattern with * or ?, or a list of files that ends in .txt.

    A pattern or list that finds nothing stands for itself, and so do patterns of other machines (s3://...), which
    nobody is asked about here. A list has a file a line.
    """
    files: list[str] = []
    for name in names:
        if name.endswith(".txt") and Path(name).is_file():
            lines = Path(name).read_text(encoding="utf-8").splitlines()
            files += [line.strip() for line in lines if line.strip()]
        elif "://" not in name and any(character in name for character in "*?["):
            files += sorted(glob.glob(name, recursive=True)) or [name]  # noqa: PTH207  (paths stay as they are written)
        else:
            files.append(name)
    return files
