"""Cosines of vectors to references, and to texts."""

from pathlib import Path

import numpy as np

from fit.embeddings.files import stream_embeddings


def highest_similarity(vectors: np.ndarray, references: np.ndarray) -> np.ndarray:
    """Return the highest cosine of each vector to any reference, [N]; -1 where there is no reference.

    Args:
        vectors: [N, D] unit vectors.
        references: [R, D] unit vectors.
    """
    if not len(vectors) or not len(references):
        return np.full(len(vectors), -1.0, np.float32)
    return (vectors @ references.T).max(axis=1)


def highest_similarities(
    embeddings: str | Path, references: np.ndarray, concept: str | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Return (image_ids [N], highest_similarity [N]) of a file of embeddings of any length.

    Args:
        embeddings: path of the file.
        references: [R, D] unit vectors.
        concept: only its rows; None for all rows.
    """
    names, similarities = [np.zeros(0, object)], [np.zeros(0, np.float32)]
    for of_batch, vectors in stream_embeddings(embeddings, concept):
        names.append(of_batch)
        similarities.append(highest_similarity(vectors, references))
    return np.concatenate(names), np.concatenate(similarities)
