"""Files of embeddings: a row per face, or per image. Imports no torch, so that whoever compares vectors starts fast."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from fit.errors import ImageTableError, again
from fit.io import parquet

BATCH = 8192
UNIT_WITHIN = 1e-3
"""How far the length of a unit vector may be from 1: half precision rounds it by less."""


def schema(dimension):
    """The Arrow schema of embeddings of `dimension` numbers.

    `box` (left, top, right, bottom), `area` (of the box, pixels squared), `probability` and `landmarks` (x and y of
    five points) are null where whole images were embedded; fit.embeddings.base.Found says what they mean.
    """
    return pa.schema(
        [
            ("image_id", pa.string()),
            ("face", pa.int32()),
            ("box", pa.list_(pa.float32(), 4)),
            ("area", pa.float32()),
            ("probability", pa.float32()),
            ("landmarks", pa.list_(pa.float32(), 10)),
            ("embedding", pa.list_(pa.float32(), dimension)),
        ]
    )


def writer(path, dimension):
    """A pyarrow ParquetWriter of embeddings of `dimension` numbers.

    Vectors are written as they are: compression shortens them by a tenth and doubles the time that reading takes
    (benchmarks/matching.py).
    """
    return pq.ParquetWriter(
        path,
        schema(dimension),
        compression={"image_id": "zstd", "embedding.list.element": "none"},
        use_dictionary=["image_id"],
    )


def rows(names, found, dimension):
    """Arrow table of `found` (a list of fit.embeddings.base.Found per image of `names`), with the schema above."""
    faces = [(name, i, face) for name, of_image in zip(names, found, strict=True) for i, face in enumerate(of_image)]
    return pa.Table.from_pydict(
        {
            "image_id": [name for name, _, _ in faces],
            "face": [i for _, i, _ in faces],
            "box": [face.box for _, _, face in faces],
            "area": [face.box and (face.box[2] - face.box[0]) * (face.box[3] - face.box[1]) for _, _, face in faces],
            "probability": [face.probability for _, _, face in faces],
            "landmarks": [None if face.landmarks is None else np.ravel(face.landmarks) for _, _, face in faces],
            "embedding": [face.vector for _, _, face in faces],
        },
        schema=schema(dimension),
    )


def first_not_unit(vectors):
    """(row, what is wrong) of the first of `vectors` [N, D] that is not a unit vector, or None."""
    lengths = np.sqrt(np.einsum("nd,nd->n", vectors, vectors))
    bad = ~(np.abs(lengths - 1) <= UNIT_WITHIN)  # a length that is NaN is bad too
    if not bad.any():
        return None
    row = int(bad.argmax())
    if not np.isfinite(vectors[row]).all():
        return row, "is not finite (it has NaN or infinity)"
    return row, f"has length {np.linalg.norm(vectors[row].astype(np.float64)):.4g}, not 1"


def stream_embeddings(path):
    """Yield (image_ids, vectors) of a file of embeddings, some thousands at a time, as read_embeddings returns them.

    Every stage reads embeddings here, so none computes with a vector that is not finite or not of length 1.
    """
    parquet.read(path, [])
    file = pq.ParquetFile(path, memory_map=True)
    parquet.check_columns(
        file.schema_arrow, path, [c for c in ("image_id",) if c in file.schema_arrow.names], schema(1)
    )
    for column in ("image_id", "embedding"):
        if column not in file.schema_arrow.names:
            raise ImageTableError(f"{path}: no column {column!r}, so this is no file of embeddings; {again(path)}")
    of_type = file.schema_arrow.field("embedding").type
    if not pa.types.is_fixed_size_list(of_type) or not pa.types.is_floating(of_type.value_type):
        raise ImageTableError(
            f"{path}: column 'embedding' holds {of_type}, not vectors of one length; name a file of `fit embeddings`"
        )
    for batch in file.iter_batches(BATCH, columns=["image_id", "embedding"], use_threads=False):
        names, column = batch.column("image_id").to_pylist(), batch.column("embedding")
        if column.null_count:
            raise _not_usable(path, names[column.is_null().to_pylist().index(True)], "is missing")
        vectors = np.asarray(column.flatten().to_numpy(zero_copy_only=False), np.float32).reshape(len(batch), -1)
        if found := first_not_unit(vectors):
            raise _not_usable(path, names[found[0]], found[1])
        yield np.asarray(names, dtype=object), vectors


def _not_usable(path, name, problem):
    return ImageTableError(
        f"{path}: the vector of image {name!r} {problem}; remove the file and run again, so that it is embedded again"
    )


def read_embeddings(path):
    """Read a file of embeddings.

    Returns:
        (image_ids, vectors): [N] array of strings and [N, D] float32, one a face or image; D is 0 where there is none.

    Raises:
        ImageTableError: the file is missing, no Parquet, lacks a column, or a vector in it is not finite or not of
            length 1.
    """
    batches = list(stream_embeddings(path))
    if not batches:
        return np.zeros(0, dtype=object), np.zeros((0, 0), np.float32)
    names, vectors = zip(*batches, strict=True)
    return np.concatenate(names), np.concatenate(vectors)


def read_rows(path, wanted):
    """Vectors [M, D] of the rows of a file of embeddings where `wanted` [N] is True; no others stay in memory.

    Raises:
        ImageTableError: as read_embeddings, or the file has another number of rows.
    """
    parts, start = [np.zeros((0, 0), np.float32)], 0
    for _, vectors in stream_embeddings(path):
        here = wanted[start : start + len(vectors)]
        parts.append(vectors[: len(here)][here])
        start += len(vectors)
    if start != len(wanted):
        raise ImageTableError(f"{path}: {start} rows, where {len(wanted)} were matched; ask snakemake for the matches")
    return np.concatenate(parts[1:] or parts)


def read_single_faces(path):
    """As read_embeddings, but only images with exactly one face (every image, where whole images were embedded)."""
    names, vectors = read_embeddings(path)
    once, counts = np.unique(names.astype(str), return_counts=True)
    single = np.isin(names.astype(str), once[counts == 1])
    return names[single], vectors[single]
