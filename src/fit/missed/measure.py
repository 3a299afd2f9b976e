"""How many images show each concept although their captions do not name it."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from fit.counts.corrected import ImageErrors, corrected_count
from fit.embeddings.files import stream_embeddings
from fit.errors import DataError
from fit.images.table import COLLECTED
from fit.io.parquet import read
from fit.io.shown import number_of
from fit.matches.similarity import highest_similarity
from fit.missed.sample import Population
from fit.published import FACES_THAT_CAPTIONS_MISS, SOURCE
from fit.thresholds.unseen import interval_of_total

MISSED = pa.schema(
    [
        ("concept", pa.string()),
        *((name, pa.int64()) for name in ("unnamed_captions", "downloaded", "matches")),
        *((name, pa.float64()) for name in ("share", "share_low", "share_high")),
        *((name, pa.int64()) for name in ("missed", "missed_low", "missed_high")),
        *((name, pa.int64()) for name in ("corrected_missed", "corrected_missed_low", "corrected_missed_high")),
        *((name, pa.int64()) for name in ("effective_count", "with_missed", "with_corrected_missed")),
    ]
)
"""unnamed_captions: of the corpus, those that name no concept; downloaded: images of the sample; matches: how many of
these show the concept, and their share with its interval (Clopper and Pearson). missed: extrapolated to the corpus,
with its interval; corrected_missed: without the recogniser's errors, null if its rates are unknown. effective_count: by
captions that name the concept, null if unknown; the last two add what was missed."""


@dataclass(frozen=True)
class SampleFiles:
    """The sample's images."""

    images: str | Path
    """Image table of the schema COLLECTED."""
    embeddings: str | Path
    """By the embedder of the domain."""
    art_embeddings: str | Path | None = None
    """By the embedder of the art filter; None without one."""


def _accepted(
    sample: SampleFiles, references: list[np.ndarray], threshold: float, texts: np.ndarray | None, art: float
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield (image_ids [n], accepted [n, C]): whether each face or image matches each concept, some at a time."""
    every = np.concatenate(references)
    starts = np.concatenate([[0], np.cumsum([len(vectors) for vectors in references])[:-1]])
    batches = stream_embeddings(sample.embeddings)
    of_art = stream_embeddings(sample.art_embeddings) if sample.art_embeddings else None
    for names, vectors in batches:
        accepted = np.maximum.reduceat(vectors @ every.T, starts, axis=1) > threshold
        if of_art is not None and texts is not None:
            art_names, art_vectors = next(of_art, (np.zeros(0, object), np.zeros((0, 0), np.float32)))
            if names.tolist() != art_names.tolist():
                raise DataError(
                    f"{sample.art_embeddings}: not of the same images as {sample.embeddings}; remove both files and "
                    "run again"
                )
            accepted &= (highest_similarity(art_vectors, texts) > art)[:, None]
        yield names, accepted


def count_images(batches: Iterator[tuple[np.ndarray, np.ndarray]], concepts: int) -> np.ndarray:
    """Count the images of which a face, or the whole, matches each concept: [C].

    Args:
        batches: (image_ids [n], accepted [n, C]) each; rows of an image follow each other, also over batches.
        concepts: C.
    """
    found, last, held = np.zeros(concepts, np.int64), None, np.zeros(concepts, bool)
    for names, accepted in batches:
        if not len(names):
            continue
        starts = np.concatenate([[0], np.flatnonzero(names[1:] != names[:-1]) + 1])
        of_images = np.logical_or.reduceat(accepted, starts, axis=0)
        if names[0] == last:
            of_images[0] |= held
        else:
            found += held
        found += of_images[:-1].sum(axis=0)
        last, held = names[-1], of_images[-1]
    return found + held


def measure_missed(
    sample: SampleFiles,
    population: Population,
    references: dict[str, np.ndarray],
    match_threshold: float,
    *,
    texts: np.ndarray | None = None,
    art_threshold: float = -1.0,
    errors: ImageErrors | None = None,
    effective_counts: dict[str, int] | None = None,
) -> pa.Table:
    """Match the sample's images against every concept, and extrapolate to the corpus.

    Args:
        sample: its images and their embeddings.
        population: what it was drawn from.
        references: concept -> [R, D] vectors of kept references, R at least 1.
        match_threshold: cosine above which the highest makes a match.
        texts: [T, D] texts of the art filter; None without one.
        art_threshold: cosine to a text above which an image is an artwork.
        errors: how often the recogniser errs, for the corrected numbers; None if unknown.
        effective_counts: concept -> effective count, for the last columns; None if unknown.

    Returns:
        Arrow table of the schema MISSED, in the order of `references`.

    Raises:
        DataError: there is no reference, no image was downloaded, or the embeddings of the art filter are of others.
    """
    from scipy.stats import binomtest

    status = read(sample.images, ["status"], schema=COLLECTED).column("status")
    downloaded = pc.sum(pc.equal(status, "ok")).as_py() or 0
    if not downloaded:
        raise DataError(
            f"{sample.images}: no image of the sample could be collected (`fit images stats` says why), so nothing is "
            "known of what captions miss"
        )
    if not references:
        raise DataError("no concept has a kept reference, so nothing can be matched; see `domains.NAME.references`")
    batches = _accepted(sample, list(references.values()), match_threshold, texts, art_threshold)
    matches = count_images(batches, len(references))
    rows = []
    for concept, matched in zip(references, matches.tolist(), strict=True):
        share = binomtest(matched, downloaded).proportion_ci(0.95, method="exact")
        missed = round(matched * population.captions / downloaded)
        low, high = interval_of_total(matched, population.captions, downloaded)
        of_concept = errors.of(concept) if errors else None
        corrected = corrected_count(matched, population.captions, downloaded, of_concept) if of_concept else None
        row = {
            "concept": concept,
            "unnamed_captions": population.captions,
            "downloaded": downloaded,
            "matches": matched,
            "share": matched / downloaded,
            "share_low": float(share.low),
            "share_high": float(share.high),
            "missed": missed,
            "missed_low": min(low, missed),
            "missed_high": max(high, missed),
        }
        row |= dict(zip(MISSED.names[10:13], corrected or (None,) * 3, strict=True))
        count = (effective_counts or {}).get(concept)
        if count is not None:
            row |= {"effective_count": count, "with_missed": count + missed}
            row["with_corrected_missed"] = count + corrected[0] if corrected else None
        rows.append(row)
    return pa.Table.from_pylist(rows, schema=MISSED)


def describe(table: pa.Table) -> Iterator[str]:
    """Yield what a table of the schema MISSED says, in lines."""
    first = table.slice(0, 1).to_pylist()[0]
    were = "was" if first["downloaded"] == 1 else "were"
    yield (
        f"{number_of(first['downloaded'], 'image')} of captions that name no concept {were} looked at; the corpus has "
        f"about {number_of(first['unnamed_captions'], 'such caption')}"
    )
    shares = np.array(table.column("share").to_pylist())
    yield f"share that shows a concept: {shares.min():.3%} to {shares.max():.3%}, median {np.median(shares):.3%}"
    low, high = FACES_THAT_CAPTIONS_MISS
    yield f"published share, of faces: {low:.3%} to {high:.3%} ({SOURCE})"
    corrected = [row["corrected_missed"] for row in table.to_pylist() if row["corrected_missed"] is not None]
    if corrected:
        without = sum(number == 0 for number in corrected)
        yield (
            f"no more than the recogniser's errors make, by the best estimate: {without} of "
            f"{number_of(len(corrected), 'concept')}"
        )
