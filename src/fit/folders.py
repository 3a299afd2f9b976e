"""Folders of caption files: what Spark, Hugging Face and others write in place of one file."""

import os
from collections import Counter
from pathlib import Path

from fit.errors import CorpusError

TABLES = (".parquet", ".csv", ".tsv", ".jsonl", ".ndjson", ".tar")
"""How files of captions end, in lower case and less what says that they are compressed."""
COMPRESSED = (".gz", ".zst", ".bz2")
_PICTURES = (".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".avif")


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
    for place, folders, names in os.walk(folder, followlinks=True):
        folders[:] = sorted(name for name in folders if not name.startswith((".", "_")))
        if len(Path(place).relative_to(folder).parts) > 20:  # a link that leads back
            folders.clear()
        for name in sorted(names):
            if name.startswith((".", "_")) or name.endswith(".crc"):
                continue
            kind = kind_of(name)
            kinds["pictures" if kind in _PICTURES else kind or name] += 1
            if kind in TABLES:
                files.append(str(Path(place, name)))
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
