"""Which training images show a concept: the match threshold on similarity, the matches above it, and the effective count."""

import pyarrow as pa

from fit.embeddings.files import read_embeddings
from fit.errors import DataError
from fit.matches.similarity import highest_similarities
from fit.references.kept import kept_vectors


def match_images(images, references, reference_embeddings, match_threshold, filtering=None):
    """Say of each training face or image of a concept whether it shows the concept.

    Args:
        images: embeddings of the training images; references, reference_embeddings: as kept_vectors takes them; paths.
        match threshold: cosine above which two images show the same concept.
        filtering: for styles, (embeddings of the same images by the art filter, embeddings of its texts, its match threshold).

    Returns:
        Arrow table with a row per row of `images`, in their order: image_id, similarity, match, and art_similarity
        where there is a filter.

    Raises:
        DataError: the art filter's embeddings are of other images.
    """
    names, similarity = highest_similarities(images, kept_vectors(references, reference_embeddings))
    match = similarity > match_threshold
    columns = {"image_id": pa.array(names.tolist(), pa.string()), "similarity": pa.array(similarity)}
    if filtering:
        art_embeddings, texts, art_threshold = filtering
        art_names, art_similarity = highest_similarities(art_embeddings, read_embeddings(texts)[1])
        if names.tolist() != art_names.tolist():
            raise DataError(f"{art_embeddings}: not of the same images as {images}; remove both and run again")
        match &= art_similarity > art_threshold
        columns["art_similarity"] = pa.array(art_similarity)
    return pa.table(columns | {"match": pa.array(match)})
