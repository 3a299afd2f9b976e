"""Files of captions: each format is a class in a file of its own, and all have one interface."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from fit.errors import CorpusError, missing_extra, say_once
from fit.io.folders import caption_files, check_listed, kind_of, table_files
from fit.io.names import expand
from fit.io.shown import number_of
from fit.registry import find

if TYPE_CHECKING:
    from fit.captions.settings import ReadingSettings
    from fit.captions.sources.base import CaptionFile

FORMATS = {
    ".parquet": "fit.captions.sources.parquet:ParquetCaptions",
    ".csv": "fit.captions.sources.csv:CsvCaptions",
    ".tsv": "fit.captions.sources.tsv:TsvCaptions",
    ".jsonl": "fit.captions.sources.jsonl:JsonlCaptions",
    ".ndjson": "fit.captions.sources.jsonl:JsonlCaptions",
    ".tar": "fit.captions.sources.tar:TarCaptions",
    "folder": "fit.captions.sources.folder:FolderCaptions",
}
"""How a file's name ends, less what says that it is compressed -> class of fit.captions.sources.base.CaptionFile. A new
format is a file here, a line above, and its ending in fit.io.folders.TABLES."""


def open_captions(path: str, encoding: str = "utf-8") -> CaptionFile:
    """Open the captions of a file, on this machine or behind an address such as s3://, hf:// or https://.

    Args:
        path: of a file, or of a folder of pictures.
        encoding: of text that does not say its own.

    Raises:
        CorpusError: it is missing, unreadable, or of no known format.
    """
    suffix = kind_of(str(path))
    if "://" not in str(path) and Path(path).is_symlink() and not Path(path).exists():
        raise CorpusError(f"{path}: a link that leads to nothing; fetch what it leads to, or remove it")
    if "://" not in str(path) and Path(path).is_dir():
        if files := table_files(path):
            raise CorpusError(
                f"{path}: a folder of {number_of(len(files), 'file')} of captions, not a file; "
                f"name {path}/*{kind_of(files[0])}"
            )
        suffix = "folder"
    if suffix not in FORMATS:
        raise CorpusError(
            f"{path}: captions are read from files that end in {', '.join(e for e in FORMATS if '.' in e)} "
            "(and .gz, .zst, .bz2), from folders of such files, and from folders of pictures"
        )
    return find(FORMATS, suffix, "format of captions")(str(path), encoding)


def find_files(names: Iterable[str]) -> list[str]:
    """Return the files that names, patterns and lists stand for (fit.io.names.expand), on other machines too.

    Patterns such as s3://bucket/*.parquet are looked up there. A folder of caption files stands for the files in it;
    those that are not read are said on stderr.

    Raises:
        CorpusError: a pattern finds nothing, or its machine can't be reached; or as fit.io.folders.caption_files.
    """
    files: list[str] = []
    for name in expand(names, check_listed):
        if not any(character in name for character in "*?["):
            files.append(name)
            continue
        try:
            from fsspec.core import url_to_fs

            system, inside = url_to_fs(name)
            found = [system.unstrip_protocol(path) for path in sorted(system.glob(inside))] if "://" in name else []
        except (OSError, ValueError, ImportError) as error:
            raise missing_extra(error) or CorpusError(
                f"{name}: can't be looked up ({error}); list the files themselves"
            ) from None
        if not found:
            raise CorpusError(
                f"{name}: no file is named like this; correct it where it was given (in config.yaml: `captions.files`)"
            )
        files += found
    files, remarks = caption_files(files)
    for remark in remarks:
        say_once(remark)
    return files


def usable_captions(
    files: Iterable[str], columns: list[str], texts: list[str], reading: ReadingSettings
) -> Iterator[CaptionFile]:
    """Yield the files of captions that have some columns; what is left out is said on stderr.

    Args:
        files: as open_captions takes them.
        columns: those that a file must have.
        texts: those of them that must hold text.
        reading: how files are read, and whether one that is not usable is left out.

    Raises:
        CorpusError: a file is not usable, and `reading` does not say to leave it out.
    """
    for path in files:
        try:
            found = open_captions(path, reading.encoding)
            found.check(columns, texts)
        except CorpusError as error:
            if reading.on_bad_shard == "fail":
                raise
            print(f"fit: skipped: {error}", file=sys.stderr)
            continue
        yield found
