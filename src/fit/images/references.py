"""Reference images: verified pictures of a concept, of which the most mutually similar subset is kept."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from fit.errors import DataError
from fit.images.table import REFERENCES, decode, read

CANDIDATES = pa.schema([("image_id", pa.string()), ("bytes", pa.binary())])


def candidates_from_table(path, concepts):
    """Reference candidates of `concepts` (slugs) from a Parquet file with the columns concept and bytes.

    Yields:
        (concept, Arrow table of the schema CANDIDATES).

    Raises:
        DataError: a concept has no picture there.
    """
    table = read(path, ["concept", "bytes"])
    for concept in concepts:
        images = table.filter(pc.equal(table.column("concept"), concept)).column("bytes").to_pylist()
        yield concept, _candidates(concept, [(f"{concept}-{i:03d}", data) for i, data in enumerate(images)], path)


def candidates_from_folder(folder, concepts):
    """Reference candidates of `concepts` (slugs) from `folder`/<slug>/, every file in it a picture.

    Yields and raises as candidates_from_table does.
    """
    for concept in concepts:
        files = sorted(p for p in Path(folder, concept).glob("*") if p.is_file() and not p.name.startswith("."))
        yield concept, _candidates(concept, [(p.stem, p.read_bytes()) for p in files], Path(folder, concept))


def _candidates(concept, images, where):
    if not images:
        raise DataError(f"{where}: no reference image of {concept!r}; add 10 or more, or take it off the sheet")
    for name, data in images:
        decode(data, f"{where}, {name}")
    return pa.Table.from_pylist([{"image_id": name, "bytes": data} for name, data in images], schema=CANDIDATES)


def most_similar_subset(embeddings, keep):
    """Which `keep` of the images are most alike: the least similar to the rest is dropped again and again.

    Args:
        embeddings: [N, D] unit vectors.
        keep: how many to keep; all, where there are no more.

    Returns:
        [N] bool.
    """
    similarity = embeddings @ embeddings.T
    np.fill_diagonal(similarity, 0)
    kept = np.ones(len(embeddings), bool)
    while kept.sum() > keep:
        to_the_rest = np.where(kept, similarity @ kept, np.inf)
        kept[np.argmin(to_the_rest)] = False
    return kept


def select(candidates, image_ids, embeddings, keep):
    """Mark the references to keep.

    Args:
        candidates: Arrow table of the schema CANDIDATES.
        image_ids, embeddings: of the usable candidates (exactly one face, or any style image), [M] and [M, D].
        keep: how many.

    Returns:
        Arrow table of the schema REFERENCES; candidates without an embedding are not kept.
    """
    kept = {name for name, chosen in zip(image_ids, most_similar_subset(embeddings, keep), strict=True) if chosen}
    flags = [name in kept for name in candidates.column("image_id").to_pylist()]
    return pa.Table.from_arrays(
        [candidates.column("image_id"), pa.array(flags), candidates.column("bytes")], schema=REFERENCES
    )
