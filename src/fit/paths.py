"""Writing files so that a reader never sees half of one."""

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
