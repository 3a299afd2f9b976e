"""Estimates the work of each stage of a study."""

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from fit.config.config import Config
from fit.errors import FitError
from fit.io.folders import has_picture_suffix, walk_folder
from fit.plan.rates import (
    ALIVE,
    ANSWER_S,
    ATELIER_BYTES,
    ATELIER_S,
    COLLECT_S,
    COUNT_S,
    CPU_FACTOR,
    EMBEDDERS,
    GENERATORS,
    REFERENCE_BYTES,
    START_S,
    TRAINING_IMAGE_BYTES,
    amount,
    pick,
)
from fit.plan.work import Planner, Work, rows_of


def _captions(config: Config, corpus: str) -> int | None:
    """Return how many captions a corpus has, from the footers of its Parquet files; None if unknown."""
    files = [Path(file) for file in config.caption_files(corpus)]
    if not files or not all(file.suffix == ".parquet" and file.is_file() for file in files):
        return None
    rows = [rows_of(file) for file in files]
    known = [number for number in rows if number is not None]
    return sum(known) if len(known) == len(rows) else None


def _given_pictures(place: str | None, slugs: Collection[str]) -> int | None:
    """Return how many pictures of concepts a user's folder or table has, by file names; None if it can't be read."""
    if not place or not Path(place).exists():
        return None
    try:
        if Path(place).is_file():
            concepts = pq.read_table(place, columns=["concept"])["concept"].to_pylist()
            return sum(concept in slugs for concept in concepts)
        folders = [Path(place, slug) for slug in slugs if Path(place, slug).is_dir()]
        return sum(len(list(filter(has_picture_suffix, walk_folder(folder).names))) for folder in folders)
    except (FitError, OSError, pa.ArrowException, KeyError):
        return None


def _links(planner: Planner, corpus: str, domain: str) -> tuple[int, bool]:
    """Return (sampled captions of a domain, whether that is an upper bound).

    The number is counted, or the upper bound is max_matched_captions of each concept.
    """
    config, captions = planner.config, planner.config.corpora[corpus].captions
    assert captions is not None  # images come from captions
    path = planner.results / "captions" / corpus / domain / "counts.parquet"
    slugs = planner.config.slugs(domain)
    if path.is_file():
        table = pq.read_table(path, columns=["concept", "captions"])
        counts = dict(zip(table["concept"].to_pylist(), table["captions"].to_pylist(), strict=True))
        if set(slugs) <= set(counts):
            return sum(min(counts[slug], captions.max_matched_captions) for slug in slugs), False
    most = captions.max_matched_captions
    rows = _captions(config, corpus)
    if rows is not None:
        most = min(most, rows)
    if config.atelier and any(file.startswith("results/atelier/") for file in captions.files or ()):
        # Some captions name a painter under a picture that is not theirs; these are fewer than the works.
        most = min(most, 2 * config.atelier.largest_count)
    return most * len(slugs), True


def _embedders(planner: Planner, domain: str) -> list[str]:
    """Return the embedders of a domain's images: its own, and that of its art filter."""
    its = planner.config.domains[domain]
    return [its.embedder] + ([its.art_filter.embedder] if its.art_filter else [])


@dataclass(frozen=True, kw_only=True)
class _Images:
    """Images to embed."""

    place: str
    """Folder of their tables, below results."""
    units: float | None
    """Rows of the tables, None if unknown."""
    unit: str
    bound: bool = False
    """Whether `units` is an upper bound."""
    share: float = 1.0
    """Of the rows that have an image."""


def _cheap(planner: Planner, stage: str, tables: str, subject: str, concepts: int, *, size: float) -> None:
    """Add a stage that takes seconds a concept. `tables`: its folder below results/; `size`: bytes a concept."""
    planner.add(
        f"{stage}/{tables.partition('/')[2]}",
        tables,
        stage=stage,
        subject=subject,
        units=concepts,
        unit="concepts",
        seconds=START_S,
        size=size,
        reason="starting takes most of it",
    )


def _embedding(planner: Planner, name: str, stage: str, images: _Images) -> None:
    """Add the embedding of images by embedder `name`."""
    embedder = planner.config.embedders[name]
    seconds, numbers, vectors, reason = pick(EMBEDDERS, f"{embedder.backend} {embedder.model}")
    planner.add(
        f"embed_images/{name}/{images.place}",
        f"embeddings/{name}/{images.place}",
        images.place,
        stage=stage,
        subject=name,
        units=images.units,
        unit=images.unit,
        seconds=images.share * seconds * (1 if embedder.gpus else CPU_FACTOR),
        size=images.share * vectors * (4 * numbers + 100),
        reason=reason,
        gpu=bool(embedder.gpus),
        bound=images.bound,
    )


def _of_corpus(planner: Planner, corpus: str, domain: str) -> None:
    """Add counting captions and, if the corpus has images, collecting, embedding and matching them."""
    config = planner.config
    its = config.corpora[corpus]
    links: int | None
    slugs = planner.config.slugs(domain)
    if its.captions:
        planner.works.append(
            Work(
                stage="count_captions",
                subject=corpus,
                jobs=len(config.caption_parts(corpus)),
                units=_captions(config, corpus),
                unit="captions",
                seconds=COUNT_S / 1.57,
                size=0,
                reason="docs/captions.md, two threads",
                threads=2,
            )
        )
    if not its.has_images:
        return
    if its.images:
        links, bound = _links(planner, corpus, domain)
        remote = its.images == "http"
        connections = config.collection.connections
        planner.add(
            f"collect_images/{corpus}/{domain}",
            f"images/{corpus}/{domain}",
            f"images/{corpus}/{domain}",
            stage="collect_images",
            subject=corpus,
            units=links,
            unit="links" if remote else "rows",
            seconds=max(ANSWER_S / connections, COLLECT_S) if remote else COLLECT_S,
            size=TRAINING_IMAGE_BYTES * ALIVE if remote else ATELIER_BYTES,
            reason=(
                f"{ANSWER_S} s a link, {connections} connections, {ALIVE:.0%} alive, {amount(TRAINING_IMAGE_BYTES)}B"
                if remote
                else "docs/images.md"
            ),
            bound=bound,
        )
        unit, share = "links" if remote else "rows", ALIVE if remote else 1.0
    else:
        links, bound, unit, share = _given_pictures(its.provided_images, slugs), False, "images", 1.0
    place = f"images/{corpus}/{domain}"
    images = _Images(place=place, units=links, unit=unit, bound=bound, share=share)
    for name in _embedders(planner, domain):
        _embedding(planner, name, "embed_training_images", images)
    _cheap(planner, "find_matches", f"matches/{corpus}/{domain}", corpus, len(slugs), size=2e4)


def _of_domain(planner: Planner, domain: str) -> None:
    """Add collecting and embedding references."""
    theirs, slugs = planner.config.domains[domain], planner.config.slugs(domain)
    given = theirs.references.table or theirs.references.folder
    each = theirs.references.keep if given else theirs.references.candidates
    # As many as are kept, where nobody knows how many there will be.
    images = _given_pictures(given, slugs) or each * len(slugs)
    size = ATELIER_BYTES if theirs.references.place.startswith("results/atelier/") else REFERENCE_BYTES
    planner.add(
        f"collect_references/{domain}",
        f"references/{domain}/candidates",
        f"references/{domain}/candidates",
        stage="collect_references",
        subject=theirs.references.source,
        units=images,
        unit="images",
        seconds=START_S * len(slugs) / images,
        size=size,
        reason=f"starting takes most of it, {amount(size)}B each",
    )
    candidates = _Images(place=f"references/{domain}/candidates", units=images, unit="images")
    for name in _embedders(planner, domain):
        _embedding(planner, name, "embed_references", candidates)


def _of_model(planner: Planner, model: str, domain: str) -> None:
    """Add generating, embedding and scoring a model's pictures."""
    its, theirs = planner.config.models[model], planner.config.domains[domain]
    slugs = planner.config.slugs(domain)
    pictures = len(slugs) * len(theirs.prompts) * its.images_per_prompt
    place = f"generated/{model}/{domain}"
    if its.pipeline:
        seconds, size, reason = pick(GENERATORS, its.pipeline)
        seconds *= its.steps * (2 if its.dtype == "float32" else 1) * (1 if its.gpus else CPU_FACTOR)
        planner.add(
            f"generate_images/{model}/{domain}",
            place,
            place,
            stage="generate_images",
            subject=model,
            units=pictures,
            unit="pictures",
            seconds=seconds,
            size=size,
            reason=f"{its.steps} steps, {its.dtype}, {reason}",
            gpu=bool(its.gpus),
        )
    units = pictures if its.pipeline else _given_pictures(its.provided_images, slugs)
    generated = _Images(place=place, units=units, unit="pictures")
    _embedding(planner, theirs.embedder, "embed_generated", generated)
    _cheap(planner, "score_imitation", f"scores/{model}/{domain}", model, len(slugs), size=5e3)


def estimate(config: Config, study: str | None = None, results: str | Path = "results") -> list[Work]:
    """Return what a study costs from the beginning, stage by stage, in the order that data flows.

    Args:
        config: the configuration.
        study: its name; if left out, the default study.
        results: folder in which a run may have left benchmarks and tables.

    Raises:
        ConfigError: there is no such study.
        SheetError: a sheet is not usable.
    """
    study = config.study_named(study)
    planner, pairs = Planner(config, results), config.pairs_with_bases(study)
    if any((config.models[model].pipeline or "").startswith("results/atelier/") for model, _ in pairs):
        for stage in ATELIER_S:
            planner.once(stage)
    corpora: dict[tuple[str, str], None] = {}
    for model, domain in pairs:
        corpus = config.models[model].corpus
        corpora |= {(config.matched_corpus(corpus), domain): None, (corpus, domain): None}
    for corpus, domain in corpora:
        _of_corpus(planner, corpus, domain)
    for domain in dict.fromkeys(domain for _, domain in pairs):
        _of_domain(planner, domain)
    for model, domain in pairs:
        _of_model(planner, model, domain)
    order = list(dict.fromkeys(work.stage for work in planner.works))
    return sorted(planner.rated(), key=lambda work: order.index(work.stage))
