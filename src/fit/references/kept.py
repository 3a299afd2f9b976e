"""The vectors of the references that were kept."""

import numpy as np
import pyarrow.compute as pc

from fit.embeddings.files import Vectors, read_single_faces
from fit.images.table import REFERENCES
from fit.io.concept_tables import ConceptTables


def kept_references(references: ConceptTables, embeddings: ConceptTables, concept: str) -> Vectors:
    """Return a concept's kept references that show exactly one face, or are embedded whole.

    Args:
        references: image tables with the column `kept`.
        embeddings: embeddings of the same images.
        concept: its slug.

    Returns:
        (image_ids [R], vectors [R, D]).

    Raises:
        DataError: a table lacks the concept.
    """
    table = references.read(concept, ["image_id", "kept"], schema=REFERENCES)
    kept = set(table.filter(pc.field("kept")).column("image_id").to_pylist())
    names, vectors = read_single_faces(embeddings.path(concept), concept)
    is_kept = np.array([name in kept for name in names], bool)
    return names[is_kept], vectors[is_kept]


def kept_vectors(references: ConceptTables, embeddings: ConceptTables, concept: str) -> np.ndarray:
    """Return the vectors [R, D] of kept_references."""
    return kept_references(references, embeddings, concept)[1]
