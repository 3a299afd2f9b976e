"""Looks at tables that a user gives: their headers and types, with the functions that the stages read them with."""

import shlex
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TypeGuard

from fit.check.findings import REMARK, WRONG, Findings, some
from fit.concepts.sheet import Concept
from fit.config.config import Config
from fit.errors import FitError, ImageTableError
from fit.io.folders import printable, walk_folder
from fit.io.nearby import nearest
from fit.io.shown import number_of

PEEK = 1 << 16
"""Bytes of a file that is read whole, to say whether there is a row in it."""


def is_local(path: str | None) -> TypeGuard[str]:
    """Whether `path` is a file or folder that exists on this machine and that the workflow does not make."""
    if not path or "://" in path or path.startswith("results/"):
        return False
    return Path(path).exists()


def of_sheet(config: Config, domain: str, found: Findings, quick: bool = False) -> list[Concept]:
    """Return the concepts of a domain's sheet; none, with a finding, if it can't be read."""
    key, path = f"domains.{domain}.concepts", config.domains[domain].concepts
    try:
        concepts = config.sheet(domain)
    except (FitError, OSError) as error:
        found.error(key, error)
        return []
    if not quick:
        from fit.concepts.check import check

        checked = check([path])
        for problem in checked.errors:
            found.error(key, problem)
        if checked.warnings:
            count, place = len(checked.warnings), shlex.quote(config.from_outside(path))
            found.add(
                REMARK, key, f"{path}: {number_of(count, 'thing')} to look at; `fit concepts check {place}` lists them"
            )
    return concepts


def of_counts(config: Config, corpus: str, concepts: Sequence[Concept], found: Findings) -> None:
    """Look at a user's own effective counts."""
    path, key = config.corpora[corpus].provided_counts, f"corpora.{corpus}.provided_counts"
    if not is_local(path) or not concepts:
        return
    from fit.io.user_tables import read_counts

    try:
        read_counts(path, [concept.slug for concept in concepts])
    except (FitError, OSError) as error:
        found.error(key, error)


def of_vetoes(config: Config, domain: str, concepts: Sequence[Concept], found: Findings) -> None:
    """Look at the list of images that a person has rejected."""
    path, key = config.domains[domain].references.vetoes, f"domains.{domain}.references.vetoes"
    if not is_local(path):
        return
    from fit.references.vetoes import read_vetoes, unmatched_vetoes

    try:
        vetoed = read_vetoes(path)
    except (FitError, OSError, UnicodeDecodeError) as error:
        found.error(key, error if isinstance(error, FitError) else f"{path}: can't be read ({error}); save it as UTF-8")
        return
    slugs = [concept.slug for concept in concepts]
    unknown = {name: nearest(name, slugs) for name in vetoed if name not in slugs}
    if unknown and slugs:
        shown = [f"{name!r} (did you mean {slug}?)" if slug else repr(name) for name, slug in unknown.items()]
        found.add(REMARK, key, f"{path}: vetoes of concepts that are not on the sheet: {some(shown)} (`{key}`)")
    folder = config.domains[domain].references.folder
    if folder and is_local(folder):
        ours = {slug: vetoed[slug] for slug in slugs if slug in vetoed and Path(folder, slug).is_dir()}
        images = {slug: list(map(printable, walk_folder(Path(folder, slug)).names)) for slug in ours}
        if said := unmatched_vetoes(ours, images):
            found.add(REMARK, key, f"{path}: {some(said, 3)} (`{key}`)")


def of_captions(config: Config, corpus: str, found: Findings, quick: bool = False) -> None:
    """Look at the columns of a corpus's caption files on this machine: of all files, or with `quick` of the first."""
    its, key = config.corpora[corpus], f"corpora.{corpus}.captions"
    if not its.captions or not its.captions.files:
        return
    captions = its.captions
    wanted = [captions.caption_column, captions.url_column, *captions.columns]
    text = [captions.caption_column]
    try:
        files = [file for file in config.caption_files(corpus) if is_local(file) or Path(file).is_symlink()]
    except FitError as error:
        found.error(f"{key}.files", error)
        return
    for remark in config.unread_captions(corpus):
        found.add(REMARK, f"{key}.files", f"{remark} (`{key}.files`)")
    bad, empty = [], []
    lost = [file for file in files if not Path(file).exists()]  # links that lead to nothing
    for file in dict.fromkeys([*files[:1], *lost]) if quick else files:
        problem = _problem_of_captions(file, wanted, text, its.images == "embedded")
        if problem:
            bad.append(problem)
        elif _is_empty(file):
            empty.append(file)
    kind = REMARK if captions.on_bad_shard == "skip" and len(bad) < len(files) else WRONG
    for problem in bad[:3]:
        found.add(kind, key, problem)
    if len(bad) > 3:
        found.add(kind, key, f"{len(bad)} of {number_of(len(files), 'caption file')} are like that (`{key}.files`)")
    if empty and len(empty) == len(files):
        found.add(
            WRONG, f"{key}.files", f"{empty[0]}: no caption in it; check that it is the right file (`{key}.files`)"
        )
    elif empty:
        found.add(REMARK, f"{key}.files", f"caption files without a caption: {some(empty, 3)} (`{key}.files`)")


def _problem_of_captions(file: str, wanted: list[str], text: list[str], embedded: bool) -> str | None:
    from fit.captions.sources import open_captions
    from fit.images.table import OF_CAPTIONS, find_pictures

    try:
        opened = open_captions(file)
        opened.check(wanted, text)
        if embedded:
            find_pictures(opened.schema, file, OF_CAPTIONS)
    except ImageTableError as error:
        return f"{error}, or write `images: http` if they are behind the links"
    except (FitError, OSError, ValueError) as error:
        return str(error)
    return None


def _is_empty(file: str) -> bool:
    """Whether a file of captions that can be read has no row; a large one that does not say its rows has some."""
    from fit.captions.sources import open_captions

    opened = open_captions(file)
    if opened.rows is not None or opened.size > PEEK:
        return opened.rows == 0
    try:
        return not any(len(batch) for batch in opened.batches(opened.schema.names[:1]))
    except FitError:
        return False


def counts_in_table(path: str, key: str, found: Findings, concept: bool = True) -> Mapping[str, int] | None:
    """Return concept -> number of rows of a Parquet table of pictures; None, with a finding, if it is not one.

    Args:
        path: of the table.
        key: of the configuration, which names it.
        found: where findings are added.
        concept: whether it needs a column of concepts; if not, all rows count as one.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    from fit.images.table import find_pictures
    from fit.io.parquet import check_columns

    try:
        file = pq.ParquetFile(path)
    except (OSError, pa.ArrowException):
        found.add(WRONG, key, f"{path}: neither a folder of pictures nor a Parquet file that can be read; fix `{key}`")
        return None
    schema = file.schema_arrow
    try:
        find_pictures(schema, path)
        if not concept:
            return {"": file.metadata.num_rows}
        check_columns(schema, path, ["concept"], pa.schema([("concept", pa.string())]))
    except FitError as error:
        found.add(WRONG, key, f"{error} (`{key}`)")
        return None
    names = [cell and cell.strip() for cell in file.read(columns=["concept"]).column("concept").to_pylist()]
    counts = Counter(name for name in names if name)
    if len(names) > sum(counts.values()):
        first = next(row for row, name in enumerate(names, 1) if not name)
        nameless = len(names) - sum(counts.values())
        found.add(
            REMARK, key, f"{path}: {number_of(nameless, 'row')} without a concept (the first is row {first}) (`{key}`)"
        )
    return counts
