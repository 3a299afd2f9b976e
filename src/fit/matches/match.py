"""Matches: which training images of a concept show it."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from fit.errors import DataError
from fit.io.concept_tables import CONCEPT, ConceptTables
from fit.matches.similarity import highest_similarities
from fit.references.kept import kept_vectors

_SIMILARITY = (CONCEPT, pa.field("image_id", pa.string()), pa.field("similarity", pa.float32()))
_MATCH = pa.field("match", pa.bool_())
MATCHES = pa.schema([*_SIMILARITY, _MATCH])
"""Similarity: the highest cosine to a kept reference; match: whether the image shows its concept."""
MATCHES_OF_ART = pa.schema([*_SIMILARITY, pa.field("art_similarity", pa.float32()), _MATCH])
"""As MATCHES, where an art filter was used; art_similarity: the highest cosine to one of its texts."""


@dataclass(frozen=True, kw_only=True)
class ArtFilter:
    """What tells artworks from photographs."""

    embeddings: ConceptTables
    """Embeddings of the training images by the embedder of the filter."""
    texts: np.ndarray
    """[T, D] embeddings of the texts by the same embedder."""
    threshold: float
    """Cosine to a text above which an image is an artwork."""


def match_images(
    images: str | Path,
    concept: str,
    references: np.ndarray,
    match_threshold: float,
    art_filter: ArtFilter | None = None,
) -> pa.Table:
    """Say of each training face or image of a concept whether it shows the concept.

    Args:
        images: path of the embeddings of training images.
        concept: its slug.
        references: [R, D] vectors of its kept references.
        match_threshold: cosine above which two images show the same concept.
        art_filter: for styles.

    Returns:
        Arrow table of the schema MATCHES, or MATCHES_OF_ART, without the column `concept`: a row per embedding, in the
        order of `images`.

    Raises:
        DataError: the embeddings of the art filter are of other images.
    """
    names, similarity = highest_similarities(images, references, concept)
    match = similarity > match_threshold
    columns = {"image_id": pa.array(names.tolist(), pa.string()), "similarity": pa.array(similarity)}
    if art_filter:
        art_embeddings = art_filter.embeddings.path(concept)
        art_names, art_similarity = highest_similarities(art_embeddings, art_filter.texts, concept)
        if names.tolist() != art_names.tolist():
            raise DataError(
                f"{art_embeddings}, concept {concept!r}: not of the same images as {images}; remove both files and run "
                "again"
            )
        match &= art_similarity > art_filter.threshold
        columns["art_similarity"] = pa.array(art_similarity)
    return pa.table(columns | {"match": pa.array(match)})


def find_matches(
    concept: str,
    images: ConceptTables,
    references: ConceptTables,
    reference_embeddings: ConceptTables,
    match_threshold: float,
    art_filter: ArtFilter | None = None,
) -> pa.Table:
    """Find the matches of a concept in tables, as match_images returns them.

    Args:
        concept: its slug.
        images: embeddings of the training images.
        references: image tables with the column `kept`.
        reference_embeddings: embeddings of the references.
        match_threshold: cosine above which two images show the same concept.
        art_filter: for styles.

    Raises:
        DataError: a table lacks the concept, or the embeddings of the art filter are of other images.
    """
    kept = kept_vectors(references, reference_embeddings, concept)
    return match_images(images.path(concept), concept, kept, match_threshold, art_filter)
