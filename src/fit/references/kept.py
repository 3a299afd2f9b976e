"""The vectors of the references that were kept."""

import numpy as np
import pyarrow.compute as pc

from fit.embeddings.files import read_single_faces
from fit.images.table import REFERENCES
from fit.io.concept_tables import ConceptTables


def kept_vectors(references: ConceptTables, embeddings: ConceptTables, concept: str) -> np.ndarray:
    """Return the vectors [R, D] of a concept's kept references that show exactly one face, or are embedded whole.

    Args:
        references: image tables with the column `kept`.
        embeddings: embeddings of the same images.
        concept: its slug.

    Raises:
        DataError: a table lacks the concept.
    """
    table = references.read(concept, ["image_id", "kept"], schema=REFERENCES)
    kept = set(table.filter(pc.field("kept")).column("image_id").to_pylist())
    names, vectors = read_single_faces(embeddings.path(concept), concept)
    return vectors[[name in kept for name in names]]
