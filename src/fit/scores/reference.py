"""The imitation score against references only: its targets are the same whatever the count."""

import numpy as np

from fit.errors import DataError
from fit.io.concept_tables import ConceptTables
from fit.references.kept import kept_vectors
from fit.scores.evidence import read_pictures
from fit.scores.imitation import imitation_score


def reference_score(
    generated: ConceptTables,
    generated_embeddings: ConceptTables,
    references: ConceptTables,
    reference_embeddings: ConceptTables,
    concept: str,
    top_k: int,
) -> float:
    """Return a concept's imitation score with the kept references as the only targets.

    Raises:
        DataError: a table lacks the concept, or no picture of it can be used.
    """
    targets = kept_vectors(references, reference_embeddings, concept)
    pictures = read_pictures(generated, generated_embeddings, concept).values()
    scores = [imitation_score(of_prompt, targets, top_k) for of_prompt in pictures if len(of_prompt)]
    if not scores:
        raise DataError(f"concept {concept!r}: no generated picture can be used; ask snakemake for its pictures")
    return float(np.mean(scores))
