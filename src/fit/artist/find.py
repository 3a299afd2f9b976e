"""Counts the captions of one name, and measures the pictures behind them."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from fit.artist.settings import ArtistSettings
from fit.captions.count import count_captions
from fit.captions.remarks import losses, remarks
from fit.captions.scan import CountJob
from fit.captions.settings import ReadingSettings, SamplingSettings
from fit.captions.sources import find_files
from fit.captions.tables import CountFiles
from fit.concepts.analyzer import Analyzer
from fit.concepts.sheet import LONGEST_SLUG, Concept, write_sheet
from fit.concepts.spelling import spelling
from fit.counts.estimate import estimate_counts
from fit.embeddings.files import read_single_faces
from fit.embeddings.settings import EmbedderSettings, FaceSettings
from fit.errors import DataError
from fit.images.collect import collect
from fit.images.local import import_images, import_photographs, is_table
from fit.images.settings import DecodeSettings, FetchSettings
from fit.images.table import COLLECTED, rows_to_show
from fit.io.concept_tables import ConceptTables, write_concepts
from fit.io.files import discard, make_folder
from fit.io.folders import is_picture, printable
from fit.io.nearby import entries, slug_of
from fit.io.parquet import open_parquet, read
from fit.io.shown import number_of, shown
from fit.matches.match import MATCHES, match_images
from fit.matches.similarity import highest_similarities

OF_CAPTIONS = ("embedded", "http")
"""Where the images behind captions may be: in the same files, or behind the links."""
WHAT = {"training": "training images", "references": "references", "generated": "pictures by the model"}
"""Kind of pictures -> their name in messages."""
FROM_MODEL = "generated-by-model.parquet"
"""The table of pictures that were asked of the model itself."""
_ENDS = (".parquet", ".nameless.parquet", ".embeddings.parquet")
"""Of the tables of a kind of pictures."""
LONGEST_NAME = 500
"""Characters of a name: a longer text is a mistake."""
LEAST_REFERENCES = 3
"""References from which on pictures are compared with them; a study asks for 10."""


@dataclass(frozen=True, kw_only=True)
class Recogniser:
    """What tells whether two pictures show the same concept."""

    backend: str
    settings: EmbedderSettings
    faces: FaceSettings = field(default_factory=FaceSettings)
    match_threshold: float
    """Cosine above which they do."""
    batch_size: int = 16


@dataclass(frozen=True, kw_only=True)
class Sources:
    """What there is of one name. Without captions, images are a place."""

    name: str
    aliases: tuple[str, ...] = ()
    captions: tuple[str, ...] = ()
    images: str | None = None
    """embedded or http: those behind the captions; else a folder or table of training images; None: none."""
    references: str | None = None
    generated: str | None = None
    recogniser: Recogniser | None = None


@dataclass
class Shown:
    """A kind of pictures: their table, and how close each is to the references."""

    table: Path
    total: int
    """Pictures in the table that can be decoded."""
    similarity: dict[str, float] = field(default_factory=dict)
    """image_id -> highest cosine to a reference, of its nearest face; empty without a recogniser."""
    matches: int | None = None
    """Pictures above the match threshold; None without a recogniser."""


@dataclass
class Found:
    """What was found of a name."""

    concept: Concept
    rows: int | None = None
    """Captions that were read; None without captions."""
    captions: int | None = None
    """Captions that mention the name or an alias."""
    names: list[dict[str, Any]] = field(default_factory=list)
    """Rows of fit.captions.tables.NAMES: captions of the name and of each alias."""
    last_word: tuple[str, int] | None = None
    """(the last word of the name, captions that have it)."""
    doubtful: int = 0
    """Captions with capitals that write a name of one word without: it may be a common word there."""
    capitalising: int = 0
    """Captions with capitals in which that was looked at."""
    sample: list[dict[str, Any]] = field(default_factory=list)
    """Sampled captions: caption, url."""
    count: dict[str, Any] | None = None
    """Row of fit.counts.estimate.COUNTS; None where no image could be recognised."""
    training: Shown | None = None
    references: Shown | None = None
    generated: Shown | None = None
    match_threshold: float | None = None
    remarks: list[str] = field(default_factory=list)


def forget(work: Path) -> None:
    """Remove the tables that an earlier `find` left in a folder; what was downloaded stays, for a new run to go on."""
    for name in (FROM_MODEL, "sheet.tsv", "matches.parquet", *(f"{kind}{end}" for kind in WHAT for end in _ENDS)):
        discard(work / name)
    for path in vars(CountFiles.in_folder(work / "captions")).values():
        discard(path)


def concept_of(name: str, aliases: Sequence[str]) -> Concept:
    """Return the concept of a name.

    Raises:
        DataError: there is no letter or digit in the name, or in an alias; or it is not UTF-8, or too long.
    """
    for one in (name, *aliases):
        if printable(one) != one:
            raise DataError(f"{printable(one)!r}: this name is not UTF-8; let the terminal or the script write UTF-8")
        if len(one) > LONGEST_NAME:
            raise DataError(f"{shown(one)}: {len(one):,} characters are too many for a name; give the name alone")
        if not Analyzer().tokens(one):
            raise DataError(f"{one!r}: no letter or digit in this name, so that no caption can mention it; correct it")
    slug = slug_of(name)[:LONGEST_SLUG].strip("-") or "name"
    others = tuple(alias for alias in dict.fromkeys(aliases) if alias != name)
    return Concept(slug, name, others)


def _last_word(concept: Concept) -> Concept | None:
    """Return the last word of a name as a concept of its own, None where it is one of the names already.

    It is counted beside the name: where nothing mentions the whole name, it says whether anything could be meant.
    """
    words = concept.name.split()
    last = words[-1] if len(words) > 1 else ""
    if not Analyzer().tokens(last) or any(last.casefold() == name.casefold() for name in concept.names):
        return None
    return Concept(f"{concept.slug[: LONGEST_SLUG - 10]}-last-word", last)


def _count(
    found: Found, sources: Sources, sampling: SamplingSettings, reading: ReadingSettings, files: list[str], work: Path
) -> CountFiles:
    outputs = CountFiles.in_folder(make_folder(work / "captions"))
    beside = _last_word(found.concept)
    job = CountJob(files, sampling, reading)
    count_captions([found.concept, *([beside] if beside else [])], job, outputs)
    counts = {row["concept"]: row for row in read(outputs.counts).to_pylist()}
    mine = counts[found.concept.slug]
    found.rows, found.captions = mine["corpus_rows"], mine["captions"]
    if beside:
        found.last_word = beside.name, counts[beside.slug]["captions"]
    names = read(outputs.names)
    own = names.filter(pa.array([slug == found.concept.slug for slug in names.column("concept").to_pylist()]))
    found.names = own.to_pylist()
    found.capitalising = sum(row["capitalising"] or 0 for row in found.names)
    found.doubtful = sum(row["in_lower_case"] or 0 for row in found.names)
    said = [text for text in remarks(own) if "contains a name of" not in text]
    found.remarks += [text.removeprefix(f"{found.concept.slug}: ") for text in said] + losses(read(outputs.shards))
    if mine["skipped_shards"]:
        found.remarks.append(f"In no count: {number_of(mine['skipped_shards'], 'file')} that could not be read")
    sample = read(outputs.matched_captions, ["concept", "caption", "url"]).to_pylist()
    found.sample = [row for row in sample if row["concept"] == found.concept.slug]
    return outputs


def _names_concepts(table: str) -> bool:
    """Whether a table says of each picture which concept it is of."""
    return "concept" in open_parquet(table).schema_arrow.names


def _is_of_others(place: str, slug: str) -> bool:
    """Whether a folder has only folders, or a table only rows, of other concepts than this slug."""
    if is_table(place):
        return _names_concepts(place) and slug not in read(place, ["concept"]).column("concept").to_pylist()
    if not Path(place).is_dir() or Path(place, slug).is_dir():
        return False
    inside = [Path(place, name) for name in entries(place)]
    return any(path.is_dir() for path in inside) and not any(is_picture(path) for path in inside if path.is_file())


def _import(found: Found, kind: str, place: str, work: Path) -> None:
    """Take somebody's pictures of the concept; where a folder has only those of others, say so and take none."""
    if _is_of_others(place, found.concept.slug):
        found.remarks.append(
            f"{place}: it has no {found.concept.slug}, only others, so there are no {WHAT[kind]}; put the pictures "
            "into a folder of this name, or name the folder that they are in"
        )
        return
    table = work / f"{kind}.parquet"
    _import_table(place, found.concept.slug, table, WHAT[kind], work / f".{kind}")
    setattr(found, kind, _shown(table))


def _import_table(place: str, slug: str, out: Path, what: str, work: Path) -> None:
    """Make an image table of somebody's pictures of one concept.

    Args:
        place: a folder of pictures, or with a folder of the concept's slug in it, or Parquet with its rows.
        slug: of the concept.
        out: the table.
        what: what the pictures are, for errors.
        work: folder for work in progress.
    """
    common: dict[str, Any] = {"work": work, "decoding": DecodeSettings(), "decoders": 1}
    if _names_concepts(place) if is_table(place) else Path(place, slug).is_dir():
        import_images(place, [slug], out, what=what, **common)
    elif not Path(place).exists():
        raise DataError(f"{place}: there is no such folder or file of {what}; correct the path")
    else:
        nameless = out.with_suffix(".nameless.parquet")
        import_photographs(place, nameless, **common)
        rows = read(nameless)
        write_concepts(
            [(slug, rows.drop_columns(["concept"]) if "concept" in rows.column_names else rows)], out, COLLECTED
        )


def _shown(table: Path) -> Shown:
    return Shown(table, len(rows_to_show(table)))


def _embed(recogniser: Recogniser, table: Path) -> Path:
    from fit.embeddings.run import embed_table

    out = table.with_suffix(".embeddings.parquet")
    embed_table(recogniser.backend, recogniser.settings, recogniser.faces, [table], out, recogniser.batch_size, 0)
    return out


def _compare(shown: Shown, embeddings: Path, references: np.ndarray, threshold: float) -> None:
    """Note how close each picture is to the references."""
    names, similarity = highest_similarities(embeddings, references)
    for name, value in zip(names.tolist(), similarity.tolist(), strict=True):
        shown.similarity[name] = max(value, shown.similarity.get(name, -1.0))
    shown.matches = sum(value > threshold for value in shown.similarity.values())


def find(
    sources: Sources,
    work: Path,
    settings: ArtistSettings,
    sampling: SamplingSettings | None = None,
    reading: ReadingSettings | None = None,
    fetching: FetchSettings | None = None,
) -> Found:
    """Find what there is of a name.

    Args:
        sources: the name, and where captions and pictures are.
        work: folder for tables; it exists.
        settings: how much is looked at.
        sampling: the columns of captions, and what a mention is; how many are kept follows from `settings`.
        reading: how files of captions are read.
        fetching: how links are fetched.

    Raises:
        FitError: a file is missing, or is not what it should be; or fewer references than LEAST_REFERENCES are usable.
    """
    found = Found(concept_of(sources.name, sources.aliases))
    slug = found.concept.slug
    found.remarks += [f"{name!r} {said}" for name in found.concept.names for said in spelling(name)]
    base = sampling or SamplingSettings()
    sampling = SamplingSettings(**{**vars(base), "max_matched_captions": settings.collected})
    files = find_files(sources.captions) if sources.captions else []
    counted = _count(found, sources, sampling, reading or ReadingSettings(), files, work) if files else None
    if sources.images and sources.images not in OF_CAPTIONS:
        _import(found, "training", sources.images, work)
    elif sources.images and found.captions:
        if counted is None:
            raise DataError(f"--images {sources.images}: these are behind captions; name files with --captions")
        table = work / "training.parquet"
        collect(
            sources.images,
            counted.matched_captions,
            files,
            [slug],
            table,
            work=work / ".collected",
            fetching=fetching or FetchSettings(),
            decoding=DecodeSettings(),
            decoders=1,
        )
        found.training = _shown(table)
    for kind in ("references", "generated"):
        if place := getattr(sources, kind):
            _import(found, kind, place, work)
    if sources.recogniser and found.references:
        _recognise(found, sources, counted, work)
    return found


def _recognise(found: Found, sources: Sources, counted: CountFiles | None, work: Path) -> None:
    """Compare training images and generated pictures with the references, and estimate the effective count."""
    recogniser, slug = sources.recogniser, found.concept.slug
    assert recogniser and found.references
    found.match_threshold = recogniser.match_threshold
    _, references = read_single_faces(_embed(recogniser, found.references.table))
    if len(references) < LEAST_REFERENCES:
        raise DataError(
            f"{sources.references}: {number_of(len(references), 'usable picture')} of {found.references.total}, at "
            f"least {LEAST_REFERENCES} are needed; add verified pictures (of people: with one face each)"
        )
    if len(references) < 10:
        found.remarks.append(
            f"only {number_of(len(references), 'reference')}: fewer than the 10 that a study asks for, so matches "
            "may be missed"
        )
    if found.generated:
        _compare(found.generated, _embed(recogniser, found.generated.table), references, recogniser.match_threshold)
    if not found.training:
        return
    embeddings = _embed(recogniser, found.training.table)
    _compare(found.training, embeddings, references, recogniser.match_threshold)
    matches = work / "matches.parquet"
    write_concepts([(slug, match_images(embeddings, slug, references, recogniser.match_threshold))], matches, MATCHES)
    write_sheet([found.concept], work / "sheet.tsv")
    captions = counted.counts if counted and sources.images in OF_CAPTIONS else None
    tables = ConceptTables([matches]), ConceptTables([found.training.table])
    found.count = estimate_counts(captions, *tables, work / "sheet.tsv").to_pylist()[0]
