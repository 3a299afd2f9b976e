"""Files of captions, each format behind the same interface."""

from pathlib import Path

from fit.errors import CorpusError, say_once
from fit.io.files import expand
from fit.io.folders import caption_files, check_listed, kind_of, table_files
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


def open_captions(path, encoding="utf-8"):
    """The captions of the file at `path`, on this machine or behind an address such as s3://, hf:// or https://.

    Args:
        path: of a file, or of a folder of pictures; encoding: of text that does not say its own.

    Raises:
        CorpusError: it is missing, unreadable, or of no known format.
    """
    suffix = kind_of(str(path))
    if "://" not in str(path) and Path(path).is_symlink() and not Path(path).exists():
        raise CorpusError(f"{path}: a link that leads to nothing; fetch what it leads to, or remove it")
    if "://" not in str(path) and Path(path).is_dir():
        if files := table_files(path):
            raise CorpusError(
                f"{path}: a folder of {len(files)} files of captions, not a file; name {path}/*{kind_of(files[0])}"
            )
        suffix = "folder"
    if suffix not in FORMATS:
        raise CorpusError(
            f"{path}: captions are read from files that end in {', '.join(e for e in FORMATS if '.' in e)} "
            "(and .gz, .zst, .bz2), from folders of such files, and from folders of pictures"
        )
    source = find(FORMATS, suffix, "format of captions")
    return source(str(path), encoding)


def find_files(names):
    """As fit.io.files.expand, and patterns of other machines are looked up there: s3://bucket/*.parquet, hf://...

    A folder of caption files stands for them; what of it is not read is said on stderr.

    Raises:
        CorpusError: a pattern finds nothing, or its machine can't be reached; or as fit.io.folders.caption_files.
    """
    files = []
    for name in expand(names, check_listed):
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
    files, remarks = caption_files(files)
    for remark in remarks:
        say_once(remark)
    return files
