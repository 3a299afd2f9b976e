"""Cosines of vectors to references, and to texts."""

import numpy as np

from fit.embeddings.files import stream_embeddings


def highest_similarity(vectors, references):
    """The highest cosine of each of `vectors` [N, D] to any of `references` [R, D]; [N], -1 where there are none."""
    if not len(vectors) or not len(references):
        return np.full(len(vectors), -1.0, np.float32)
    return (vectors @ references.T).max(axis=1)


def highest_similarities(embeddings, references):
    """As highest_similarity, of a file of embeddings (a path) of any length, together with their image_ids [N]."""
    names, similarities = [np.zeros(0, object)], [np.zeros(0, np.float32)]
    for of_batch, vectors in stream_embeddings(embeddings):
        names.append(of_batch)
        similarities.append(highest_similarity(vectors, references))
    return np.concatenate(names), np.concatenate(similarities)
