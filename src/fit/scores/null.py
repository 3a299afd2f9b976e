"""The null: what a concept's score would be if the model had drawn somebody else.

The same score is computed of other concepts' pictures on this concept's targets, prompt by prompt. What the null does
is owed to the targets, their number above all, and not to imitation.
"""

from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path

import numpy as np
import pyarrow as pa

from fit.counts.estimate import read_counts_of
from fit.errors import DataError
from fit.io.concept_tables import CONCEPT, ConceptTables
from fit.io.parquet import read
from fit.scores.evidence import read_pictures
from fit.scores.fixed import cosines_to, fixed_scores, fixed_sizes, fixed_weights
from fit.scores.prompts import prompt_places
from fit.scores.settings import FixedTargetSettings, NullSettings, ScoreSettings

OF_PICTURES = pa.schema(
    [
        CONCEPT,
        ("effective_count", pa.int64()),
        ("prompt", pa.string()),
        ("place", pa.int32()),
        ("images", pa.int32()),
        ("mean", pa.list_(pa.float32())),
    ]
)
"""A row a concept and prompt. effective_count: null if unknown. place: of the prompt, the same for every concept.
images: that can be used. mean: of their vectors, null where there is none."""

OF_NULL = pa.schema(
    [
        CONCEPT,
        ("prompt", pa.string()),
        ("other", pa.string()),
        ("score", pa.float64()),
        ("fixed_sizes", pa.list_(pa.int32())),
        ("fixed_scores", pa.list_(pa.float64())),
    ]
)
"""A row a prompt and other concept: the scores of the other's pictures on the targets of `concept`, published (`score`)
and at each fixed number of targets (fit.scores.imitation.OF_PROMPT)."""


def gather_pictures(
    concepts: list[str], generated: ConceptTables, embeddings: ConceptTables, counts: str | Path
) -> pa.Table:
    """Gather the mean vectors of all concepts' generated pictures, prompt by prompt: all that a null needs of them.

    Args:
        concepts: slugs.
        generated: image tables of generated pictures.
        embeddings: embeddings of the same pictures.
        counts: path of effective counts.

    Returns:
        Arrow table of the schema OF_PICTURES.

    Raises:
        DataError: a table lacks a concept, or embeddings are of other pictures.
    """
    count_of = read_counts_of(counts, ("effective_count",))
    pictures_of = {}
    for concept in concepts:
        pictures = read_pictures(generated, embeddings, concept)
        pictures_of[concept] = {
            prompt: (len(vectors), vectors.mean(axis=0, dtype=np.float64) if len(vectors) else None)
            for prompt, vectors in pictures.items()
        }
    places = prompt_places(pictures_of)
    rows = [
        {
            "concept": concept,
            "effective_count": count_of[concept]["effective_count"] if concept in count_of else None,
            "prompt": prompt,
            "place": places[concept][prompt],
            "images": number,
            "mean": mean,
        }
        for concept, of_prompts in pictures_of.items()
        for prompt, (number, mean) in of_prompts.items()
    ]
    return pa.Table.from_pylist(rows, schema=OF_PICTURES)


class Gathered:
    """The table of gather_pictures, read once."""

    def __init__(self, path: str | Path):
        """Read the table at `path`.

        Raises:
            ImageTableError: it is missing, or not such a table.
        """
        self.path = path
        self.places: dict[str, dict[str, int]] = {}
        """Concept -> {prompt: its place}."""
        self.means: dict[str, dict[int, np.ndarray]] = {}
        """Concept -> {place: mean vector [D] of its pictures}, where it has any."""
        self.count_of: dict[str, int] = {}
        """Concept that has pictures and a count -> its effective count."""
        for row in read(path, OF_PICTURES.names, schema=OF_PICTURES).to_pylist():
            self.places.setdefault(row["concept"], {})[row["prompt"]] = row["place"]
            if row["images"]:
                self.means.setdefault(row["concept"], {})[row["place"]] = np.array(row["mean"], np.float64)
                if row["effective_count"] is not None:
                    self.count_of[row["concept"]] = row["effective_count"]


def choose_others(concept: str, count_of: Mapping[str, int], number: int, seed: int) -> list[str]:
    """Choose the concepts whose pictures make the null of `concept`.

    The others are cut into `number` strata of like size in order of count, and one is drawn of each. So the nulls of
    all concepts are made of the same mixture of rare and frequent ones, and differ by the targets alone. What is drawn
    follows from the concept and the seed.

    Args:
        concept: its slug.
        count_of: concept -> effective count, of all that have pictures.
        number: how many; all others where there are no more.
        seed: of the study.
    """
    others = sorted((count, other) for other, count in count_of.items() if other != concept)
    rng = np.random.default_rng([seed, int.from_bytes(sha256(concept.encode()).digest()[:8], "big")])
    strata = [part for part in np.array_split(np.arange(len(others)), number) if len(part)]
    return [others[int(rng.choice(part))][1] for part in strata]


def null_scores(
    concept: str,
    targets: np.ndarray,
    gathered: Gathered,
    settings: ScoreSettings,
    fixed: FixedTargetSettings,
    null: NullSettings,
    seed: int,
) -> pa.Table:
    """Score other concepts' pictures on the targets [T, D] of a concept, prompt by prompt.

    Returns:
        Arrow table of the schema OF_NULL, without the column `concept`; without a row if there is no target.

    Raises:
        DataError: the gathered pictures lack the concept.
    """
    if concept not in gathered.places:
        raise DataError(f"{gathered.path}: no pictures of {concept!r}; ask snakemake for both")
    pairs = [
        (prompt, other, gathered.means[other][place])
        for prompt, place in gathered.places[concept].items()
        for other in choose_others(concept, gathered.count_of, null.null_concepts, seed)
        if place in gathered.means[other]
    ]
    if not len(targets) or not pairs:
        return OF_NULL.remove(0).empty_table()
    cosines = cosines_to(targets, np.array([mean for *_, mean in pairs]))
    top_k = min(settings.top_k, len(targets))
    published = np.partition(cosines, -top_k, axis=0)[-top_k:].mean(axis=0)
    sizes = fixed_sizes(len(targets), settings.top_k, fixed.fixed_targets)
    at_sizes = fixed_scores(cosines, fixed_weights(len(targets), sizes, settings.top_k))
    rows = [
        {"prompt": prompt, "other": other, "score": score, "fixed_sizes": sizes, "fixed_scores": of_sizes}
        for (prompt, other, _), score, of_sizes in zip(pairs, published.tolist(), at_sizes.T.tolist(), strict=True)
    ]
    return pa.Table.from_pylist(rows, schema=OF_NULL.remove(0))
