"""The vectors of the references that were kept."""

import pyarrow.compute as pc

from fit.embeddings.files import read_single_faces
from fit.images.table import REFERENCES
from fit.io.parquet import read


def kept_vectors(references, embeddings):
    """Vectors [R, D] of the references that were kept and show exactly one face (or are embedded whole).

    Args:
        references: image table with `kept`; embeddings: of its candidates; paths.
    """
    table = read(references, ["image_id", "kept"], schema=REFERENCES)
    kept = set(table.filter(pc.field("kept")).column("image_id").to_pylist())
    names, vectors = read_single_faces(embeddings)
    return vectors[[name in kept for name in names]]
