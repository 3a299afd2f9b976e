"""Counts and scores of all concepts in one table."""

from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow as pa

from fit.concepts.sheet import read_sheet
from fit.counts.estimate import UNROUNDED, read_counts_of, read_unrounded
from fit.errors import DataError
from fit.io.concept_tables import ConceptTables
from fit.scores.imitation import OF_PROMPT

OF_CONCEPT = pa.schema(
    [
        ("concept", pa.string()),
        ("effective_count", pa.int64()),
        ("score", pa.float64()),
        ("score_variance", pa.float64()),
        ("group", pa.string()),
        *((name, pa.int64()) for name in ("captions", "downloaded", "matches", "low", "high")),
        ("image_scores", pa.list_(pa.list_(pa.float64()))),
    ]
)
"""group: null for none. captions, downloaded, matches: what the count was estimated from, low and high: its interval;
null where it was given. image_scores: a list per prompt, in the same order for every
concept, empty where it has no score."""


def align_prompts(of_concepts: dict[str, dict[str, list[float]]]) -> dict[str, list[list[float]]]:
    """Bring the image scores of concepts into one order of prompts: concept -> a list per prompt.

    Prompts of templates differ between concepts by the name in them, and every concept has all of them, in one order.
    Imported pictures may have prompts that most concepts share, and lack some: these are matched by their text.

    Args:
        of_concepts: concept -> {prompt: list of scores}.
    """
    occurrences = Counter(prompt for prompts in of_concepts.values() for prompt in prompts)
    if 2 * max(occurrences.values(), default=0) <= len(of_concepts):
        return {concept: list(prompts.values()) for concept, prompts in of_concepts.items()}
    return {concept: [prompts.get(name, []) for name in occurrences] for concept, prompts in of_concepts.items()}


def tabulate_scores(counts: str | Path, scores: ConceptTables, sheet: str | Path) -> tuple[pa.Table, dict[str, Path]]:
    """Bring counts and scores of concepts together: the score is the mean over prompts, its variance that over prompts.

    Args:
        counts: path of effective counts.
        scores: tables of the schema OF_PROMPT.
        sheet: path of the concept sheet, which says which group a concept is of; concepts that it lacks are left out.

    Returns:
        (Arrow table of the schema OF_CONCEPT, with UNROUNDED where counts have it, sorted by count; the concepts
        without any score -> their tables).

    Raises:
        DataError: a file cannot be read, or a concept with a score has no count.
    """
    count_of, unrounded = read_counts_of(counts, ("effective_count",)), read_unrounded(counts)
    of_concept = dict(scores.each(["prompt", "score", "image_scores"], schema=OF_PROMPT))
    rows, unscored, images_of = [], {}, {}
    for concept in read_sheet(sheet):
        slug = concept.slug
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
            }
            | ({UNROUNDED.name: unrounded.get(slug)} if unrounded else {})
        )
    aligned = align_prompts(images_of)
    found = [row | {"image_scores": aligned[str(row["concept"])]} for row in rows]
    found.sort(key=lambda row: (row.get(UNROUNDED.name) or row["effective_count"], row["concept"]))
    return pa.Table.from_pylist(found, schema=OF_CONCEPT.append(UNROUNDED) if unrounded else OF_CONCEPT), unscored
