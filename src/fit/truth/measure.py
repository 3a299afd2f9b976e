"""What is known of the painters of one model, and of all models together."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from fit.io.concept_tables import ConceptTables
from fit.io.json_files import read_json
from fit.io.parquet import read
from fit.references.kept import kept_vectors
from fit.scores.reference import reference_score
from fit.thresholds.answer import why_none
from fit.thresholds.headline import follow
from fit.truth.design import Run

RUN: dict[str, Any] = {"world": pl.Int64, "changes": pl.String, "deal": pl.Int32, "training": pl.Int32}
PAINTERS: dict[str, Any] = RUN | {
    "concept": pl.String,
    "nearest": pl.String,
    "true_count": pl.Int64,
    "effective_count": pl.Int64,
    "score": pl.Float64,
    "reference_score": pl.Float64,
    "fixed_score": pl.Float64,
    "null_score": pl.Float64,
    "fixed_null_score": pl.Float64,
}
"""A row is a painter in a model. nearest: the painter whose references are most alike; true_count: the painter's
pictures in the corpus, with or without the name in the caption; reference_score: the score against the kept references
only, the same targets whatever the count."""
THRESHOLDS: dict[str, Any] = RUN | {
    "score": pl.String,
    "estimator": pl.String,
    "threshold": pl.Float64,
    "low": pl.Float64,
    "high": pl.Float64,
    "claimed": pl.Boolean,
}
"""A row is an answer of one estimator by one score for a model; of the estimator `headline`, what a user is told. low,
high: the 95 % interval, null if there is none; claimed: whether there is a threshold at all."""


def true_counts(truth: str | Path) -> dict[str, int]:
    """Return painter -> pictures in the corpus, from the file that `fit atelier paint --truth` wrote."""
    table = read(truth, ["painter"])
    found = pl.DataFrame(pl.from_arrow(table)).drop_nulls("painter").group_by("painter").len()
    return dict(found.iter_rows())


def nearest_painters(references: ConceptTables, embeddings: ConceptTables, concepts: Sequence[str]) -> list[str]:
    """Return, for each concept, the other one whose kept references are most alike: by the cosine of their means."""
    means = np.stack([kept_vectors(references, embeddings, concept).mean(axis=0) for concept in concepts])
    means /= np.linalg.norm(means, axis=1, keepdims=True)
    cosines = means @ means.T
    np.fill_diagonal(cosines, -np.inf)
    return [concepts[at] for at in cosines.argmax(axis=1)]


def measure_run(
    run: Run,
    truth: str | Path,
    scores: str | Path,
    *,
    generated: ConceptTables,
    generated_embeddings: ConceptTables,
    references: ConceptTables,
    reference_embeddings: ConceptTables,
    top_k: int,
) -> pl.DataFrame:
    """Return a frame of the schema PAINTERS of one model.

    Args:
        run: which model.
        truth: whose picture each row of its corpus is.
        scores: the table of scores of its study.
        generated, generated_embeddings, references, reference_embeddings: as of any study.
        top_k: targets that the pictures of a prompt are compared with.
    """
    counts = true_counts(truth)
    columns = ["concept", "effective_count", "score", "fixed_score", "null_score", "fixed_null_score"]
    table = pl.DataFrame(pl.from_arrow(read(scores, columns)))
    tables = (generated, generated_embeddings, references, reference_embeddings)
    found = [reference_score(*tables, concept, top_k) for concept in table["concept"]]
    return table.with_columns(
        pl.Series("reference_score", found, pl.Float64),
        pl.Series("nearest", nearest_painters(references, reference_embeddings, table["concept"].to_list())),
        pl.Series("true_count", [counts.get(concept, 0) for concept in table["concept"]], pl.Int64),
        *(pl.lit(getattr(run, name)).alias(name) for name in RUN),
    ).select(pl.col(name).cast(kind) for name, kind in PAINTERS.items())


def _answer(score: str, estimator: str, answer: dict[str, Any], *, claimed: bool) -> dict[str, Any]:
    low, high = answer.get("interval") or (None, None)
    threshold = answer.get("threshold")
    return {
        "score": score,
        "estimator": estimator,
        "threshold": threshold,
        "low": low,
        "high": high,
        "claimed": claimed and threshold is not None,
    }


def answers(path: str | Path) -> list[dict[str, Any]]:
    """Return what `fit thresholds detect` found for one model: rows of THRESHOLDS without the columns of RUN."""
    found = read_json(path, ["estimators", "headline"], "fit thresholds detect")
    rows = [_answer("published", "headline", follow(found), claimed=why_none(found) is None)]
    rows += [_answer("published", name, told, claimed=True) for name, told in found["estimators"].items()]
    for score, by_score in ((found.get("by_score") or {}).get("scores") or {}).items():
        rows += [_answer(score, name, told, claimed=True) for name, told in by_score.get("estimators", {}).items()]
    return rows


def measure_thresholds(run: Run, path: str | Path) -> pl.DataFrame:
    """Return a frame of the schema THRESHOLDS of one model, from what `fit thresholds detect` found."""
    rows = [{name: getattr(run, name) for name in RUN} | answer for answer in answers(path)]
    return pl.DataFrame(rows, schema=THRESHOLDS)


def gather(paths: Iterable[str | Path], columns: Iterable[str]) -> pl.DataFrame:
    """Return the tables of all models as one frame, sorted; `columns`: of PAINTERS or THRESHOLDS."""
    frames = [pl.DataFrame(pl.from_arrow(read(path, list(columns)))) for path in paths]
    return pl.concat(frames).sort(*RUN, maintain_order=True)
