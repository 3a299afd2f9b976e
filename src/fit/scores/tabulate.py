"""Counts and scores of all concepts in one table."""

from collections import Counter
from collections.abc import Mapping
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


def align_prompts(
    of_concepts: dict[str, dict[str, list[float]]], name_of: Mapping[str, str]
) -> dict[str, list[list[float]]]:
    """Bring the image scores of concepts into one order of prompts: concept -> a list per prompt.

    A prompt is carried by its template, which is its text with {name} in place of the concept's name. A concept that
    lacks a prompt has an empty list there. Prompts that most concepts share neither by text nor by template, such as
    numbers of imported pictures, are carried by position.

    Args:
        of_concepts: concept -> {prompt: list of scores}.
        name_of: concept -> its name; prompts of a concept without one are carried by their text or by position.
    """
    templates_of = {
        concept: [prompt.replace(name_of[concept], "{name}") if concept in name_of else prompt for prompt in prompts]
        for concept, prompts in of_concepts.items()
    }
    occurrences = Counter(template for templates in templates_of.values() for template in set(templates))
    shared = {template for template, times in occurrences.items() if 2 * times > len(of_concepts)}
    # The concept that lacks the fewest has them in their order.
    fullest = max(templates_of.values(), key=lambda templates: len(shared.intersection(templates)), default=[])
    everywhere = (template for templates in (fullest, *templates_of.values()) for template in templates)
    common = [template for template in dict.fromkeys(everywhere) if template in shared]
    if not common:
        return {concept: list(prompts.values()) for concept, prompts in of_concepts.items()}
    aligned = {}
    for concept, prompts in of_concepts.items():
        carried = {}
        for prompt, template, scores in zip(prompts, templates_of[concept], prompts.values(), strict=True):
            if template not in shared:
                # A name that is a word of the template too, such as Art in "art by Art", hides it.
                template = next(
                    (t for t in common if t.replace("{name}", name_of.get(concept, "")) == prompt), template
                )
            carried[template] = scores
        aligned[concept] = carried
    every = dict.fromkeys([*common, *(template for carried in aligned.values() for template in carried)])
    return {concept: [carried.get(template, []) for template in every] for concept, carried in aligned.items()}


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
            }
            | ({UNROUNDED.name: unrounded.get(slug)} if unrounded else {})
        )
    aligned = align_prompts(images_of, name_of)
    found = [row | {"image_scores": aligned[str(row["concept"])]} for row in rows]
    found.sort(key=lambda row: (row.get(UNROUNDED.name) or row["effective_count"], row["concept"]))
    return pa.Table.from_pylist(found, schema=OF_CONCEPT.append(UNROUNDED) if unrounded else OF_CONCEPT), unscored
