"""Files of embeddings: a row per face, or per image.

A file holds the rows of one concept or of several. An image_id is unique within its concept only. This module imports
no torch, so that a stage that only compares vectors starts fast.
"""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from fit.errors import ImageTableError, again
from fit.io import parquet
from fit.io.concept_tables import CONCEPT, concepts_in, with_concepts
from fit.io.shown import number_of

if TYPE_CHECKING:
    from fit.embeddings.base import Embedding

BATCH = 8192
UNIT_WITHIN = 1e-3
"""How far the length of a unit vector may be from 1: half precision rounds it by less."""
Vectors = tuple[np.ndarray, np.ndarray]
"""(image_ids, vectors): [N] array of strings and [N, D] float32, a face or image each; D is 0 where N is."""


# --- writing ----------------------------------------------------------------------------------------------------------


def schema(dimension: int) -> pa.Schema:
    """Return the Arrow schema of embeddings of `dimension` numbers.

    `box` (left, top, right, bottom), `area` (of the box, pixels squared), `probability` and `landmarks` (x and y of
    five points) are null where whole images were embedded; fit.embeddings.base.Embedding says what they mean.
    `concept` is null where the image table does not name it.
    """
    return pa.schema(
        [
            CONCEPT,
            ("image_id", pa.string()),
            ("face", pa.int32()),
            ("box", pa.list_(pa.float32(), 4)),
            ("area", pa.float32()),
            ("probability", pa.float32()),
            ("landmarks", pa.list_(pa.float32(), 10)),
            ("embedding", pa.list_(pa.float32(), dimension)),
        ]
    )


def writer(part: str | Path, dimension: int, concepts: Iterable[str] | None = None) -> pq.ParquetWriter:
    """Return a writer of embeddings of `dimension` numbers.

    Vectors are not compressed: compression shortens them by a tenth and doubles the time that reading takes
    (benchmarks/matching.py).

    Args:
        part: temporary path of the file.
        dimension: D.
        concepts: those that the table is of, for its metadata; None if unknown.
    """
    of_file = schema(dimension)
    return pq.ParquetWriter(
        part,
        of_file if concepts is None else with_concepts(of_file, concepts),
        compression={"concept": "zstd", "image_id": "zstd", "embedding.list.element": "none"},
        use_dictionary=["concept", "image_id"],
    )


def dimension_of(table: pa.Table) -> int:
    """Return how many numbers each vector of a table that `rows` made has."""
    return table.schema.field("embedding").type.list_size


def rows(
    names: Iterable[str], found: Iterable[Sequence["Embedding"]], dimension: int, concept: str | None = None
) -> pa.Table:
    """Return the Arrow table of embeddings with the schema above.

    Args:
        names: image_id of each image.
        found: what was found in each image.
        dimension: D of the vectors.
        concept: that of all rows; None if unknown.
    """
    faces = [(name, i, face) for name, of_image in zip(names, found, strict=True) for i, face in enumerate(of_image)]
    return pa.Table.from_pydict(
        {
            "concept": [concept] * len(faces),
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


def first_not_unit(vectors: np.ndarray) -> tuple[int, str] | None:
    """Return (row, what is wrong) of the first of `vectors` [N, D] that is not a unit vector; None if all are."""
    lengths = np.sqrt(np.einsum("nd,nd->n", vectors, vectors))
    bad = ~(np.abs(lengths - 1) <= UNIT_WITHIN)  # a length that is NaN is bad too
    if not bad.any():
        return None
    row = int(bad.argmax())
    if not np.isfinite(vectors[row]).all():
        return row, "is not finite (it has NaN or infinity)"
    return row, f"has length {np.linalg.norm(vectors[row].astype(np.float64)):.4g}, not 1"


# --- reading ----------------------------------------------------------------------------------------------------------


def _open(path: str | Path) -> pq.ParquetFile:
    """Return a file of embeddings whose columns are of the right types; the file is mapped to memory."""
    metadata = parquet.open_parquet(path).metadata
    file = pq.ParquetFile(path, memory_map=True, metadata=metadata)
    found = file.schema_arrow
    checked = [column for column in ("image_id", "concept") if column in found.names]
    parquet.check_columns(found, path, checked, schema(1))
    for column in ("image_id", "embedding"):
        if column not in found.names:
            raise ImageTableError(f"{path}: no column {column!r}, so this is not a file of embeddings; {again(path)}")
    of_type = found.field("embedding").type
    if not pa.types.is_fixed_size_list(of_type) or not pa.types.is_floating(of_type.value_type):
        raise ImageTableError(
            f"{path}: column 'embedding' holds {of_type}, not vectors of one length; name a file of `fit embeddings`"
        )
    return file


def _row_groups(file: pq.ParquetFile, concept: str) -> tuple[list[int], bool]:
    """Return the row groups that may have rows of `concept`, as their statistics tell; whether they have no others."""
    schema_of_file = file.schema
    column = next(i for i in range(len(schema_of_file)) if schema_of_file.column(i).path == "concept")
    found, are_pure = [], True
    for group in range(file.num_row_groups):
        statistics = file.metadata.row_group(group).column(column).statistics
        if statistics is not None and statistics.has_min_max:
            if not statistics.min <= concept <= statistics.max:
                continue
            is_pure = statistics.min == statistics.max and statistics.has_null_count and statistics.null_count == 0
        else:
            is_pure = False
        found.append(group)
        are_pure = are_pure and is_pure
    return found, are_pure


def _stream(
    path: str | Path, concept: str | None, with_concepts: bool
) -> Iterator[tuple[np.ndarray | None, np.ndarray, np.ndarray]]:
    """Yield (concepts or None, image_ids, vectors) of a file of embeddings, or of its rows of one concept.

    Args:
        path: of the file.
        concept: the concept whose rows are read; None for all rows.
        with_concepts: whether to read the concept of each row.
    """
    file = _open(path)
    groups, are_pure = list(range(file.num_row_groups)), True
    if concept is not None:
        parquet.check_columns(file.schema_arrow, path, ["concept"], schema(1))
        groups, are_pure = _row_groups(file, concept)
    has_concepts = not are_pure or (with_concepts and "concept" in file.schema_arrow.names)
    columns = ["image_id", "embedding", *(["concept"] if has_concepts else [])]
    for batch in file.iter_batches(BATCH, row_groups=groups, columns=columns, use_threads=False):
        concepts = np.asarray(batch.column("concept").to_pylist(), dtype=object) if has_concepts else None
        if not are_pure:
            batch = batch.filter(pa.array(concepts == concept))
            concepts = np.full(len(batch), concept, dtype=object)
        if not len(batch):
            continue
        names, column = batch.column("image_id").to_pylist(), batch.column("embedding")
        if column.null_count:
            raise _not_usable(path, names[column.is_null().to_pylist().index(True)], "is missing")
        vectors = np.asarray(column.flatten().to_numpy(zero_copy_only=False), np.float32).reshape(len(batch), -1)
        if found := first_not_unit(vectors):
            raise _not_usable(path, names[found[0]], found[1])
        yield concepts, np.asarray(names, dtype=object), vectors


def stream_embeddings(path: str | Path, concept: str | None = None) -> Iterator[Vectors]:
    """Yield (image_ids, vectors) of a file of embeddings, some thousands at a time, as read_embeddings returns them.

    Every stage reads embeddings here, so none computes with a vector that is not finite or not of length 1.

    Args:
        path: of the file.
        concept: the concept whose rows are read; other row groups are not. None for all rows.
    """
    for _, names, vectors in _stream(path, concept, with_concepts=False):
        yield names, vectors


def _not_usable(path: str | Path, name: str, problem: str) -> ImageTableError:
    return ImageTableError(
        f"{path}: the vector of image {name!r} {problem}; remove the file and run again, so that it is embedded again"
    )


def _joined(batches: Sequence[Vectors]) -> Vectors:
    if not batches:
        return np.zeros(0, dtype=object), np.zeros((0, 0), np.float32)
    names, vectors = zip(*batches, strict=True)
    return np.concatenate(names), np.concatenate(vectors)


def read_embeddings(path: str | Path, concept: str | None = None) -> Vectors:
    """Read a file of embeddings, or its rows of one concept.

    Returns:
        (image_ids, vectors): [N] array of strings and [N, D] float32, a face or image each; D is 0 where N is.

    Raises:
        ImageTableError: the file is missing, not Parquet, lacks a column, or a vector in it is not finite or not of
            length 1.
    """
    return _joined(list(stream_embeddings(path, concept)))


def read_embeddings_by_concept(path: str | Path) -> dict[str, Vectors]:
    """Read a small file of embeddings once: concept -> (image_ids, vectors), as read_embeddings returns them.

    The concepts are in the order of the file's metadata, also those without a row. Rows without a concept are left out.

    Raises:
        ImageTableError: as read_embeddings; or the file has no column `concept`.
    """
    found: dict[str, list[Vectors]] = {concept: [] for concept in concepts_in(path) if concept is not None}
    for concepts, names, vectors in _stream(path, None, with_concepts=True):
        assert concepts is not None  # concepts_in has looked for the column
        for concept in dict.fromkeys(concepts.tolist()):
            if concept is not None:
                here = concepts == concept
                found.setdefault(concept, []).append((names[here], vectors[here]))
    return {concept: _joined(batches) for concept, batches in found.items()}


def read_rows(path: str | Path, wanted: np.ndarray, concept: str | None = None) -> np.ndarray:
    """Return the vectors [M, D] of the rows of a file of embeddings where `wanted` [N] is True.

    No others stay in memory.

    Args:
        path: of the file.
        wanted: [N] booleans, for each row of the file, or of the concept.
        concept: the concept whose rows are read; None for all rows.

    Raises:
        ImageTableError: as read_embeddings, or the number of rows is not N.
    """
    parts, start = [np.zeros((0, 0), np.float32)], 0
    for _, vectors in stream_embeddings(path, concept):
        here = wanted[start : start + len(vectors)]
        parts.append(vectors[: len(here)][here])
        start += len(vectors)
    if start != len(wanted):
        of_concept = f" of {concept}" if concept else ""
        raise ImageTableError(
            f"{path}: {number_of(start, 'row')}{of_concept}, where {len(wanted)} were matched; ask snakemake for the "
            "matches"
        )
    return np.concatenate(parts[1:] or parts)


def _single(found: Vectors, keys: np.ndarray | None = None) -> Vectors:
    """Return the rows whose key occurs once; a key is the image_id, where `keys` [N] are not given."""
    names, vectors = found
    keys = (names if keys is None else keys).astype(str)
    once, counts = np.unique(keys, return_counts=True)
    is_single = np.isin(keys, once[counts == 1])
    return names[is_single], vectors[is_single]


def read_single_faces(path: str | Path, concept: str | None = None) -> Vectors:
    """Read images with exactly one face (every image, where whole images were embedded), as read_embeddings does."""
    batches = list(_stream(path, concept, with_concepts=concept is None))
    found = _joined([(names, vectors) for _, names, vectors in batches])
    # Two concepts may have images of the same name.
    keys = [
        f"{of_row}\0{name}"
        for concepts, names, _ in batches
        if concepts is not None
        for of_row, name in zip(concepts, names, strict=True)
    ]
    return _single(found, np.asarray(keys, dtype=object) if keys else None)


def read_single_faces_by_concept(path: str | Path) -> dict[str, Vectors]:
    """Read a small file once: as read_embeddings_by_concept, but only images with exactly one face."""
    return {concept: _single(found) for concept, found in read_embeddings_by_concept(path).items()}
