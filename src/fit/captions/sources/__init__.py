"""Files of captions, each format behind the same interface."""

from pathlib import Path, PurePosixPath

from fit.errors import CorpusError
from fit.paths import expand
from fit.registry import find

FORMATS = {
    ".parquet": "fit.captions.sources.parquet:ParquetCaptions",
    ".csv": "fit.captions.sources.text:CsvCaptions",
    ".tsv": "fit.captions.sources.text:TsvCaptions",
    ".jsonl": "fit.captions.sources.text:JsonlCaptions",
    ".ndjson": "fit.captions.sources.text:JsonlCaptions",
    ".tar": "fit.captions.sources.pictures:TarCaptions",
    "folder": "fit.captions.sources.pictures:FolderCaptions",
}
"""How a file's name ends, less what says that it is compressed -> class of fit.captions.sources.base.CaptionFile."""

_COMPRESSED = (".gz", ".zst", ".bz2")


def open_captions(path):
    """The captions of the file at `path`, on this machine or behind an address such as s3://, hf:// or https://.

    Raises:
        CorpusError: it is missing, unreadable, or of no known format.
    """
    suffixes = [suffix for suffix in PurePosixPath(str(path)).suffixes if suffix not in _COMPRESSED]
    suffix = suffixes[-1] if suffixes else ""
    if "://" not in str(path) and Path(path).is_dir():
        suffix = "folder"
    if suffix not in FORMATS:
        raise CorpusError(
            f"{path}: captions are read from files that end in {', '.join(e for e in FORMATS if '.' in e)} "
            "(and .gz, .zst, .bz2), and from folders of pictures"
        )
    return find(FORMATS, suffix, "format of captions")(str(path))


def find_files(names):
    """As fit.paths.expand, and patterns of other machines are looked up there: s3://bucket/*.parquet, hf://...

    Raises:
        CorpusError: a pattern finds nothing, or its machine can't be reached.
    """
    files = []
    for name in expand(names):
        if not any(character in name for character in "*?["):
            files.append(name)
            continue
        try:
            from fsspec.core import url_to_fs

            system, inside = url_to_fs(name)
            found = [system.unstrip_protocol(path) for path in sorted(system.glob(inside))] if "://" in name else []
        except (OSError, ValueError, ImportError) as error:
            raise CorpusError(f"{name}: can't be looked up ({error}); list the files themselves") from None
        if not found:
            raise CorpusError(f"{name}: no file is named like this; mend `captions.files` in config.yaml")
        files += found
    return files
