"""Which weights a pipeline has: where they lie, what they hash to."""

import json
import re
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from hashlib import file_digest
from pathlib import Path

from fit.folders import walk_folder

_BLOB = re.compile(r"[0-9a-f]{64}")


def fingerprint(folder):
    """Tells a pipeline's files apart from others without reading them: [path, bytes, time of change in ns] of each."""
    found = walk_folder(folder)
    stats = zip(found.names, (entry.stat() for entry in found.files), strict=True)
    return [[name, stat.st_size, stat.st_mtime_ns] for name, stat in stats]


def weight_files(folder):
    """The safetensors files that a pipeline in `folder` is loaded from: those of its parts, but for other variants of
    them (model.fp16.safetensors) and for the safety checker."""
    index = json.loads(Path(folder, "model_index.json").read_text(encoding="utf-8"))
    parts = [name for name, value in index.items() if isinstance(value, list) and value[0] and name != "safety_checker"]
    files = [path for part in parts for path in Path(folder, part).glob("*.safetensors")]
    return sorted(path for path in files if path.name.count(".") == 1)


@cache
def _sha256(path, size, mtime_ns):
    with path.open("rb") as file:
        return file_digest(file, "sha256").hexdigest()


def hashes(folder):
    """The SHA-256 of each of weight_files: path within the pipeline -> 64 hex digits.

    In the hub's cache a weight file is a link to a file that is named by its hash, which is taken from there; other
    files are read, once in a process.
    """

    def of(path):
        real = path.resolve()
        stat = real.stat()
        return real.name if _BLOB.fullmatch(real.name) else _sha256(real, stat.st_size, stat.st_mtime_ns)

    files = weight_files(folder)
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(of, files))
    return {path.relative_to(folder).as_posix(): digest for path, digest in zip(files, found, strict=True)}
