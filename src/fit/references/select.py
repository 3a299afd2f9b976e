"""Selects references: of the verified pictures of a concept, the most mutually similar subset is kept."""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from fit.embeddings.files import read_single_faces
from fit.images.table import COLLECTED, REFERENCES
from fit.io.concept_tables import ConceptTables, with_concepts
from fit.io.files import atomic_write
from fit.io.parquet import write_groups
from fit.references.settings import SelectionSettings


def most_similar_subset(embeddings: np.ndarray, keep: int) -> np.ndarray:
    """Return which `keep` of the images are most alike: the least similar to the rest is dropped again and again.

    Args:
        embeddings: [N, D] unit vectors.
        keep: how many to keep; all, where there are no more.

    Returns:
        [N] bool.
    """
    similarity = embeddings @ embeddings.T
    np.fill_diagonal(similarity, 0)
    kept = np.ones(len(embeddings), bool)
    while kept.sum() > keep:
        to_the_rest = np.where(kept, similarity @ kept, np.inf)
        kept[np.argmin(to_the_rest)] = False
    return kept


def select(
    candidates: pa.Table,
    image_ids: np.ndarray | list[str],
    embeddings: np.ndarray,
    settings: SelectionSettings,
    vetoed: Collection[str] = frozenset(),
) -> pa.Table:
    """Mark the references of one concept to keep.

    Args:
        candidates: Arrow table of the schema COLLECTED.
        image_ids: [M] of the usable candidates (exactly one face, or any style image).
        embeddings: [M, D] their vectors.
        settings: how many to keep. With fewer usable ones than `least`, none is kept: the concept is left out of the
            study.
        vetoed: ids of images that a person has rejected.

    Returns:
        Arrow table of the schema REFERENCES; `decision` says of each why it is kept or not.
    """
    usable = np.array([name not in vetoed for name in image_ids], bool)
    names = np.asarray(image_ids, dtype=object)[usable]
    enough = len(names) >= settings.least
    kept = set(names[most_similar_subset(embeddings[usable], settings.keep)].tolist()) if enough else set()
    among = set(names.tolist())
    rows = []
    for row in candidates.select(["concept", "image_id", "status", "bytes"]).to_pylist():
        name = row["image_id"]
        if row["status"] != "ok":
            decision = row["status"]
        elif name in vetoed:
            decision = "vetoed"
        elif name not in among:
            decision = "no single face"
        elif not enough:
            decision = "too few references"
        else:
            decision = "kept" if name in kept else "less alike"
        of_row = {"concept": row["concept"], "image_id": name, "bytes": row["bytes"]}
        rows.append(of_row | {"kept": name in kept, "decision": decision})
    return pa.Table.from_pylist(rows, schema=REFERENCES)


_SAID = {
    "no single face": "without exactly one face",
    "vetoed": "vetoed",
    "empty": "without bytes",
    "not_an_image": "not a picture",
    "corrupt": "damaged",
    "too_many_pixels": "with too many pixels",
    "too_small": "too small",
    "decoder_crashed": "that could not be decoded",
    "decoder_timeout": "that took too long to decode",
}
"""Decision on a candidate -> what is said after the number of those that have it."""


def said_of(decision: str) -> str:
    """Return what is said of candidates after their number: "without exactly one face", "not collected (http_404)"."""
    return _SAID.get(decision, f"not collected ({decision})")


@dataclass(frozen=True)
class Shortage:
    """A concept of which no reference is kept, as too few are usable."""

    concept: str
    usable: int
    candidates: int
    reasons: dict[str, int]
    """Decision on candidates that are not usable -> how many, most first."""


def select_references(
    candidates: ConceptTables,
    embeddings: ConceptTables,
    concepts: Iterable[str],
    out: str | Path,
    settings: SelectionSettings,
    vetoes: Mapping[str, Collection[str]],
) -> list[Shortage]:
    """Select the references of concepts and write them as a table of the schema REFERENCES.

    Args:
        candidates: tables that fit.references.collect.collect_references wrote.
        embeddings: embeddings of the candidates.
        concepts: slugs, in the order of the table.
        out: path of the table to write.
        settings: how many to keep.
        vetoes: concept -> ids of images that a person has rejected.

    Returns:
        The concepts that the study goes on without.

    Raises:
        DataError: a table lacks a concept.
    """
    concepts, short = list(dict.fromkeys(concepts)), []
    schema = with_concepts(REFERENCES, concepts)
    with atomic_write(out) as part, pq.ParquetWriter(part, schema, compression="zstd") as writer:
        for concept in concepts:
            table = candidates.read(concept, ["concept", "image_id", "status", "bytes"], schema=COLLECTED)
            names, vectors = read_single_faces(embeddings.path(concept), concept)
            selected = select(table, names, vectors, settings, vetoes.get(concept, frozenset()))
            if not any(selected.column("kept").to_pylist()):
                decisions = Counter(selected.column("decision").to_pylist())
                usable = decisions.pop("too few references", 0)
                short.append(Shortage(concept, usable, len(selected), dict(decisions.most_common())))
            write_groups(writer, (selected.slice(row, 1) for row in range(len(selected))))
    return short
