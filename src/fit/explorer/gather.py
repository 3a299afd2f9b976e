"""Gathers what the explorer and the datasheet say of a study: from its files to study.json."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from itertools import combinations
from pathlib import Path
from typing import Any

import pydantic

from fit.comparisons.compare import compare, shared_concepts
from fit.comparisons.words import sentence
from fit.errors import DataError
from fit.explorer.beside import name_of, nothing_beside, tables_beside
from fit.explorer.contents import Comparison, Data, KnownWorld, PairedConcept, Part, Reader, Study, Table
from fit.explorer.part import PartOf, Read, read_part
from fit.explorer.settings import ShownSettings
from fit.explorer.sources import Sources, versions_of
from fit.explorer.words import GLOSSARY
from fit.io.files import atomic_write
from fit.io.shown import shown
from fit.measured import measured_errors
from fit.reports.by_score import COLUMNS as BY_SCORE
from fit.reports.by_score import by_score_rows
from fit.reports.data import DataSource, OptOuts, opt_outs
from fit.reports.report import Pair, calibration_table, counts_table, data_table, thresholds_table
from fit.reports.report import Table as ReportTable
from fit.scores.settings import ScoreSettings
from fit.thresholds.limits import limits
from fit.thresholds.meaning import READERS, UNSUPPORTED
from fit.thresholds.scores import Scores, read_table
from fit.thresholds.settings import ThresholdSettings

PACKAGES = (
    *("fit", "numpy", "scipy", "polars", "pyarrow", "pydantic", "ruptures", "snakemake"),
    *("torch", "diffusers", "transformers", "open_clip_torch", "onnxruntime", "facenet-pytorch", "timm", "pillow"),
)
"""Whose versions the page shows."""

# --- comparisons ------------------------------------------------------------------------------------------------------


def _paired(first: Scores, second: Scores, names: Mapping[str, str]) -> list[PairedConcept]:
    one, other = shared_concepts(first, second)
    row_of = {str(concept): row for row, concept in enumerate(other.concepts)}
    return [
        PairedConcept(
            slug=str(concept),
            name=names.get(str(concept), str(concept)),
            counts=[float(one.counts[row]), float(other.counts[row_of[str(concept)]])],
            scores=[float(one.scores[row]), float(other.scores[row_of[str(concept)]])],
        )
        for row, concept in enumerate(one.concepts)
    ]


def compare_tables(
    first: Scores,
    second: Scores,
    names: tuple[str, str],
    concepts: Mapping[str, str],
    settings: ThresholdSettings,
    seed: int,
) -> Comparison:
    """Compare the thresholds of two tables of concepts, as `fit compare` does.

    Args:
        first, second: the tables.
        names: of the two.
        concepts: slug -> name.
        settings: of the thresholds.
        seed: of the resamples.
    """
    found = compare(
        first,
        second,
        penalty=settings.penalty,
        resamples=settings.resamples,
        seed=seed,
        estimators=settings.estimators,
    )
    answer: dict[str, Any] = found["estimators"].get(found["estimator"]) or {}
    return Comparison(
        first=names[0],
        second=names[1],
        sentence=sentence(found, names),
        ratio=answer.get("ratio"),
        interval=answer.get("interval"),
        p_value=answer.get("p_value"),
        concepts=len(shared_concepts(first, second)[0]),
        pairs=_paired(first, second, concepts),
    )


def _beside(folder: str, sources: Sources) -> list[tuple[str, str, Scores]]:
    """Return (name, domain, table) of each table of scores in another study's folder of results.

    Raises:
        DataError: there is none.
    """
    paths = tables_beside(folder)
    if not paths:
        raise DataError(f"{nothing_beside(folder)} (--beside)")
    found = []
    for path in paths:
        sources.given(path, "counts and scores of another study")
        found.append((f"{name_of(folder)}: {path.parent.name}/{path.stem}", path.stem, read_table(path)))
    return found


def comparisons_of(
    parts: Sequence[Read], settings: ThresholdSettings, beside: Iterable[str], sources: Sources, seed: int
) -> list[Comparison]:
    """Compare each two parts of one domain, and each part with those of its domain in other studies.

    Args:
        parts: of the study.
        settings: of the thresholds.
        beside: folders of results of other studies.
        sources: the study's files; those of other studies are noted too.
        seed: of the resamples.
    """
    names = {one.slug: one.name for read in parts for one in read.part.concepts}
    named = [(f"{read.part.model}/{read.part.domain}", read.part.domain, read.table) for read in parts]
    pairs = [(one, other) for one, other in combinations(named, 2) if one[1] == other[1]]
    others = [table for folder in beside for table in _beside(folder, sources)]
    pairs += [(one, other) for one in named for other in others if one[1] == other[1]]
    return [
        compare_tables(one[2], other[2], (one[0], other[0]), names, settings, seed)
        for one, other in pairs
        if len(one[2]) and len(other[2])
    ]


# --- tables -----------------------------------------------------------------------------------------------------------

CONCEPT_COLUMNS = (
    *("model", "domain", "concept", "name", "group", "effective_count", "low", "high"),
    *("captions", "downloaded", "matches", "corrected_count", "verdict", "p_above", "p_high", "outlier"),
)


def _concepts_table(parts: Iterable[Part]) -> Table:
    """Return the concepts of all parts, with every kind of score that a part has."""
    parts = list(parts)
    kinds = list(dict.fromkeys(kind.name for part in parts for kind in part.scores))
    rows: list[list[str | float | int | bool | None]] = []
    for part in parts:
        for one in part.concepts:
            low, high = one.count_interval or (None, None)
            verdict = one.verdict
            cells = (
                *(part.model, part.domain, one.slug, one.name, one.group, one.count, low, high),
                *(one.captions, one.downloaded, one.matches, one.corrected_count),
                verdict.verdict if verdict else None,
                verdict.p_above if verdict else None,
                verdict.p_high if verdict else None,
                one.outlier.side if one.outlier else None,
            )
            rows.append([*cells, *(one.scores.get(kind) for kind in kinds)])
    note = (
        "A row for each concept. outlier: the side of the threshold on which it lies, if its score is like the other's."
    )
    return Table(name="concepts", title="Concepts", columns=[*CONCEPT_COLUMNS, *kinds], rows=rows, note=note)


def _plain(table: ReportTable, title: str) -> Table:
    rows: list[list[str | float | int | bool | None]] = [list(row) for row in table.rows]
    return Table(name=table.name, title=title, columns=list(table.columns), rows=rows, note=table.note)


def tables_of(
    parts: Sequence[Read],
    missing: Mapping[Pair, Sequence[str]],
    sources: Sources,
    data: Sequence[tuple[DataSource, OptOuts]] = (),
) -> list[Table]:
    """Return the tables that a reader can take away: those of the report, and the concepts."""
    thresholds: dict[Pair, Path] = {(read.part.model, read.part.domain): read.threshold for read in parts}
    counts: dict[Pair, Path] = {(read.part.corpus, read.part.domain): read.counts for read in parts}
    domains = dict.fromkeys(read.part.domain for read in parts)
    kinds = {"same concept": "threshold", "artworks": "art"}
    matching: dict[Pair, Path] = {
        (domain, kind): path
        for domain in domains
        for kind, name in kinds.items()
        if (path := sources.place("matches", f"{domain}.{name}.json"))
    }
    by_score = ReportTable("scores", BY_SCORE, by_score_rows(thresholds))
    return [
        _plain(thresholds_table(thresholds, missing, counts), "Thresholds, beside published ones"),
        _plain(by_score, "Thresholds by each score"),
        _plain(counts_table(counts), "Counts"),
        _plain(calibration_table(matching), "Calibration"),
        _plain(data_table(data), "Data"),
        _concepts_table(read.part for read in parts),
    ]


# --- the data ---------------------------------------------------------------------------------------------------------


def with_opt_outs(data: Iterable[DataSource], is_honoured: bool, sources: Sources) -> list[tuple[DataSource, OptOuts]]:
    """Return what a study rests on, each with what became of refused images; note the files that say it."""
    data = list(data)
    places = dict.fromkeys(place for one in data for place in one.statuses) if is_honoured else {}
    tables = {place: path for place in places if (path := sources.place(*place.split("/")))}
    return [(one, opt_outs(one, is_honoured, tables)) for one in data]


def _shown_data(one: DataSource, refused: OptOuts) -> Data:
    return Data(
        kind=one.kind,
        name=one.name,
        places=list(one.places),
        origin=one.origin,
        licence=one.licence,
        opt_outs=refused.words,
        refused=refused.refused,
        links=refused.links,
    )


# --- the study --------------------------------------------------------------------------------------------------------


def pictures_left_out(shown: ShownSettings, parts: Iterable[PartOf]) -> str:
    """Say why the page shows no pictures, or not all; empty if it shows them."""
    if shown.pictures == "none":
        return "Pictures are left out, as the study is set (`explorer.pictures: none`)."
    domains = dict.fromkeys(of.domain for of in parts if of.is_of_people)
    if shown.pictures == "without_people" and domains:
        return f"Pictures of people are left out ({', '.join(domains)}), as the study is set (`explorer.pictures`)."
    return ""


def _read(of: PartOf, sources: Sources, top_k: int) -> Read:
    """Read one part, as read_part does; what its files say must be possible.

    Raises:
        DataError: a value of a file is impossible.
    """
    try:
        return read_part(of, sources, top_k)
    except pydantic.ValidationError as error:
        first = error.errors(include_url=False)[0]
        field = ".".join(map(str, first["loc"]))
        raise DataError(
            f"results of {of.model} in {of.domain}: {field} is {shown(first['input'])}: {first['msg']}; a file of them "
            "was changed by hand, or is damaged: remove it and run again"
        ) from None


def gather(
    study: str,
    parts: Sequence[PartOf],
    results: str | Path,
    *,
    missing: Mapping[Pair, Sequence[str]],
    thresholds: ThresholdSettings,
    scores: ScoreSettings,
    shown: ShownSettings,
    seed: int,
    now: datetime | None = None,
    data: Sequence[DataSource] = (),
    is_opt_out_honoured: bool = True,
) -> Study:
    """Gather what is said of a study from its files.

    Args:
        study: its name.
        parts: those that lack no input.
        results: the folder of its results.
        missing: (model, domain) -> what it lacks, a list of texts.
        thresholds: settings of the thresholds, for comparisons.
        scores: settings of the scores.
        shown: which pictures the page shows, and other studies to compare it with.
        seed: of the study.
        now: the time to say; None: the present.
        data: what the study rests on.
        is_opt_out_honoured: the setting `honour_opt_out` of the collection.

    Raises:
        FitError: a file that is needed is missing or cannot be read.
    """
    sources = Sources(Path(results))
    read = [_read(of, sources, scores.top_k) for of in parts]
    for of in parts:
        if shown.pictures == "all" or (shown.pictures == "without_people" and not of.is_of_people):
            sources.tables("explorer", "pictures", of.model, of.domain)
    rests_on = with_opt_outs(data, is_opt_out_honoured, sources)
    lacks = [f"{model} in {domain}: {text}." for (model, domain), texts in missing.items() for text in texts]
    return Study(
        study=study,
        made=(now or datetime.now(UTC)).astimezone(UTC).isoformat(timespec="seconds"),
        fit=versions_of(["fit"]).get("fit", ""),
        seed=seed,
        parts=[one.part for one in read],
        comparisons=comparisons_of(read, thresholds, shown.beside, sources, seed),
        missing=[*lacks, *(text for one in read for text in one.lacks)],
        pictures_left_out=pictures_left_out(shown, parts),
        glossary=list(GLOSSARY),
        readers=[Reader(who=who, words=words) for who, words in READERS],
        limits=list(limits()),
        unsupported=list(UNSUPPORTED),
        data=[_shown_data(one, refused) for one, refused in rests_on],
        known_truth=[KnownWorld(world=world, ratios=ratios) for world, ratios in measured_errors().ratios.items()],
        versions=versions_of(PACKAGES),
        sources=sources.noted(),
        tables=tables_of(read, missing, sources, rests_on),
    )


def write_gathered(study: Study, out: str | Path) -> None:
    """Write a study as JSON."""
    data = pydantic.TypeAdapter(Study).dump_json(study, indent=1)
    with atomic_write(out) as part:
        part.write_bytes(data + b"\n")
