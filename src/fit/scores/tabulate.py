"""Counts and scores of all concepts in one table."""

from collections.abc import Collection
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

from fit.concepts.sheet import read_sheet
from fit.counts.estimate import UNROUNDED, read_counts_of, read_unrounded
from fit.errors import DataError
from fit.io.concept_tables import ConceptTables
from fit.io.shown import plain
from fit.matches.threshold import concept_means, reference_vectors
from fit.scores.imitation import OF_PROMPT
from fit.scores.null import OF_NULL
from fit.scores.prompts import ByPrompt, Places, align_prompts, prompt_places
from fit.scores.settings import FixedTargetSettings
from fit.thresholds.scores import read_scores

OTHER_SCORES = pa.schema(
    [
        *((name, pa.int64()) for name in ("targets", "fixed_targets")),
        *((name, pa.float64()) for name in ("fixed_score", "null_score", "fixed_null_score")),
        ("fixed_images", pa.list_(pa.list_(pa.float32()))),
        *((name, pa.list_(pa.list_(pa.float64()))) for name in ("null_others", "fixed_null_others")),
    ]
)
"""targets: how many the concept has; fixed_targets: how many every concept chooses from in its fixed_score, the same in
every row. null_score, fixed_null_score: the same scores of other concepts' pictures on this concept's targets.
fixed_images: as image_scores; null_others, fixed_null_others: a list per prompt, of the scores of the other concepts.
Null where the tables of scores lack them, and of a prompt that no other concept has pictures of."""

DIFFICULTY = pa.schema([("before_score", pa.float64()), ("reference_spread", pa.float64())])
"""before_score: of the model before it knew the concept, the score of its base model; null without one.
reference_spread: 1 - the mean cosine of two kept references; null if fewer than two are known."""

OF_CONCEPT = pa.schema(
    [
        ("concept", pa.string()),
        ("effective_count", pa.int64()),
        ("score", pa.float64()),
        ("score_variance", pa.float64()),
        ("group", pa.string()),
        *((name, pa.int64()) for name in ("captions", "downloaded", "matches", "low", "high")),
        ("image_scores", pa.list_(pa.list_(pa.float64()))),
        *OTHER_SCORES,
        *DIFFICULTY,
    ]
)
"""group: null for none. captions, downloaded, matches: what the count was estimated from, low and high: its interval;
null where it was given. image_scores: a list per prompt, in the same order for every
concept, empty where it has no score."""


def _mean_of_prompts(prompts: ByPrompt) -> float:
    return float(np.mean([np.mean(values) for values in prompts.values() if values]))


def common_size(scores: ConceptTables, concepts: Collection[str]) -> int | None:
    """Return how many targets all of `concepts` can choose from; None if a table of scores does not say."""
    fewest = None
    for concept, rows in scores.each(["score", "fixed_sizes"], schema=OF_PROMPT):
        if concept not in concepts:
            continue
        scored = rows.filter(pc.field("score").is_valid()).column("fixed_sizes").to_pylist()
        if not all(scored):
            return None
        fewest = min([sizes[-1] for sizes in scored] + ([] if fewest is None else [fewest]))
    return fewest


def at_size(rows: pa.Table, column: str, size: int) -> list[Any]:
    """Return the values [rows] of a column that holds one for each of `fixed_sizes`, at one size."""
    found: list[Any] = []
    for sizes, values in zip(rows.column("fixed_sizes").to_pylist(), rows.column(column), strict=True):
        # The smallest of its sizes stands for those below it (fit.scores.fixed.fixed_sizes).
        found.append(values[max(size - sizes[0], 0)].as_py())
    return found


def _at_fixed_targets(scores: ConceptTables, concepts: Collection[str], size: int) -> dict[str, tuple[float, ByPrompt]]:
    """Return concept -> (its score, scores of its images) at a fixed number of targets."""
    columns = ["prompt", "score", "fixed_sizes", "fixed_scores", "fixed_image_scores"]
    found = {}
    for concept, table in scores.each(columns, schema=OF_PROMPT):
        if concept in concepts:
            rows = table.filter(pc.field("score").is_valid())
            images = zip(rows.column("prompt").to_pylist(), at_size(rows, "fixed_image_scores", size), strict=True)
            found[concept] = (float(np.mean(at_size(rows, "fixed_scores", size))), dict(images))
    return found


def _nulls(nulls: ConceptTables, scored: dict[str, ByPrompt], size: int) -> dict[str, tuple[ByPrompt, ByPrompt]]:
    """Return concept -> (published, fixed) scores of other concepts' pictures, of the prompts that the concept has.

    A concept is left out if no other concept has a usable picture of one of its prompts.
    """
    columns = ["prompt", "score", "fixed_sizes", "fixed_scores"]
    found: dict[str, Any] = {}
    for concept, rows in nulls.each(columns, schema=OF_NULL):
        if concept not in scored:
            continue
        of_rows = pl.DataFrame(
            {
                "prompt": rows.column("prompt").to_pylist(),
                "score": rows.column("score").to_pylist(),
                "fixed": at_size(rows, "fixed_scores", size),
            },
            schema={"prompt": pl.String, "score": pl.Float64, "fixed": pl.Float64},
        )
        published, fixed = (
            {str(key[0]): part[name].to_list() for key, part in of_rows.group_by("prompt", maintain_order=True)}
            for name in ("score", "fixed")
        )
        prompts = [prompt for prompt, images in scored[concept].items() if images]
        if all(prompt in published for prompt in prompts):
            found[concept] = tuple({prompt: by[prompt] for prompt in prompts} for by in (published, fixed))
    return found


def _add_other_scores(
    rows: list[dict[str, Any]],
    scores: ConceptTables,
    nulls: ConceptTables | None,
    images_of: dict[str, ByPrompt],
    places: Places,
) -> None:
    """Add the columns OTHER_SCORES to the rows of scored concepts, as far as the tables have them.

    `places`: of the prompts in `images_of`.
    """
    size = common_size(scores, images_of)
    if size is None:
        return
    at_fixed = _at_fixed_targets(scores, images_of, size)
    aligned = align_prompts({concept: images for concept, (_, images) in at_fixed.items()}, places)
    for row in rows:
        concept = row["concept"]
        row |= {"fixed_targets": size, "fixed_score": at_fixed[concept][0], "fixed_images": aligned[concept]}
    if nulls is None:
        return
    null_of = _nulls(nulls, images_of, size)
    for place, name in enumerate(("null", "fixed_null")):
        others = {concept: of_concept[place] for concept, of_concept in null_of.items()}
        lists = align_prompts(others, places)
        for row in rows:
            concept = row["concept"]
            if concept in others:
                row |= {f"{name}_score": _mean_of_prompts(others[concept]), f"{name}_others": lists[concept]}


def reference_spreads(references: ConceptTables, embeddings: ConceptTables) -> dict[str, float]:
    """Return concept -> 1 - the mean cosine of two of its kept references; concepts with fewer than two are left out.

    Args:
        references: image tables with the column `kept`.
        embeddings: embeddings of the same images.
    """
    vectors = {
        concept: of_concept
        for concept, of_concept in reference_vectors(references, embeddings).items()
        if len(of_concept) > 1
    }
    within, _ = concept_means(list(vectors.values()))
    return {concept: 1 - float(mean) for concept, mean in zip(vectors, within, strict=True)}


def read_before(table: str | Path) -> dict[str, float]:
    """Return concept -> its score by the base model, from the base model's table of concepts."""
    found = read_scores(table)
    return dict(zip(found[0], found[2].tolist(), strict=True))


def tabulate_scores(
    counts: str | Path,
    scores: ConceptTables,
    sheet: str | Path,
    nulls: ConceptTables | None = None,
    *,
    before: dict[str, float] | None = None,
    spreads: dict[str, float] | None = None,
) -> tuple[pa.Table, dict[str, Path]]:
    """Bring counts and scores of concepts together: the score is the mean over prompts, its variance that over prompts.

    Args:
        counts: path of effective counts.
        scores: tables of the schema OF_PROMPT.
        sheet: path of the concept sheet, which says which group a concept is of; concepts that it lacks are left out.
        nulls: tables of the schema OF_NULL; None without a null.
        before: concept -> its score by the base model; None without one.
        spreads: concept -> the spread of its references; None if unknown.

    Returns:
        (Arrow table of the schema OF_CONCEPT, with UNROUNDED where counts have it, sorted by count; the concepts
        without any score -> their tables).

    Raises:
        DataError: a file cannot be read, or a concept with a score has no count.
    """
    count_of, unrounded = read_counts_of(counts, ("effective_count",)), read_unrounded(counts)
    of_concept = dict(scores.each(["prompt", "score", "image_scores", "targets"], schema=OF_PROMPT))
    rows, unscored, images_of, name_of = [], {}, {}, {}
    for concept in read_sheet(sheet):
        slug = concept.slug
        name_of[slug] = concept.name
        if slug not in of_concept:
            continue
        prompts = of_concept[slug].to_pylist()
        of_prompts = [row["score"] for row in prompts if row["score"] is not None]
        if not of_prompts:
            unscored[slug] = scores.path(slug)
            continue
        if slug not in count_of:
            raise DataError(f"{counts}: no count of {slug!r}, which {scores.path(slug)} has; ask snakemake for both")
        images_of[slug] = {row["prompt"]: row["image_scores"] or [] for row in prompts}
        rows.append(
            {name: count_of[slug][name] for name in ("captions", "downloaded", "matches", "low", "high")}
            | {
                "concept": slug,
                "effective_count": count_of[slug]["effective_count"],
                "score": float(np.mean(of_prompts)),
                "score_variance": float(np.var(of_prompts)),
                "group": concept.group or None,
                "targets": prompts[0]["targets"],
                "before_score": (before or {}).get(slug),
                "reference_spread": (spreads or {}).get(slug),
            }
            | ({UNROUNDED.name: unrounded.get(slug)} if unrounded else {})
        )
    places = prompt_places(images_of, name_of)
    _add_other_scores(rows, scores, nulls, images_of, places)
    aligned = align_prompts(images_of, places)
    found = [row | {"image_scores": aligned[str(row["concept"])]} for row in rows]
    found.sort(key=lambda row: (row.get(UNROUNDED.name) or row["effective_count"], row["concept"]))
    return pa.Table.from_pylist(found, schema=OF_CONCEPT.append(UNROUNDED) if unrounded else OF_CONCEPT), unscored


def describe_size(table: pa.Table, settings: FixedTargetSettings) -> list[str]:
    """Say at how many targets the concepts of a table of tabulate_scores are scored, and which concept limits it."""
    sizes = table.column("fixed_targets").drop_null().to_pylist()
    if not sizes:
        return []
    lines = [f"the score at a fixed number of targets chooses from {sizes[0]}"]
    if sizes[0] < settings.fixed_targets:
        targets = dict(zip(*(table.column(name).to_pylist() for name in ("concept", "targets")), strict=True))
        fewest = sorted(concept for concept, number in targets.items() if number == sizes[0])
        lines[0] += (
            f", not {settings.fixed_targets}: {plain(fewest, 5)} {'has' if len(fewest) == 1 else 'have'} no more"
        )
    return lines
