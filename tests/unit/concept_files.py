"""Writes tables of concepts for tests, as the stages leave them."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from fit.embeddings import files
from fit.embeddings.base import Embedding
from fit.io.concept_tables import write_concepts


def unit(vectors: Any) -> np.ndarray:
    """Return vectors [..., D] of length 1 in their directions."""
    vectors = np.asarray(vectors, np.float64)
    return (vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)).astype(np.float32)


def write_rows(path: str | Path, rows_of: Mapping[str, Sequence[dict[str, Any]]], schema: pa.Schema) -> Path:
    """Write one table of several concepts; columns that rows lack are null."""
    without = schema.remove(0)
    tables = [(concept, pa.Table.from_pylist(list(rows), schema=without)) for concept, rows in rows_of.items()]
    write_concepts(tables, path, schema)
    return Path(path)


def write_vectors(path: str | Path, vectors_of: Mapping[str, tuple[Sequence[str], Any]], dimension: int) -> Path:
    """Write embeddings of several concepts: concept -> (image_ids, vectors [N, D])."""
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    with files.writer(path, dimension, vectors_of) as writer:
        for concept, (names, vectors) in vectors_of.items():
            found = [[Embedding(np.asarray(vector, np.float32))] for vector in vectors]
            writer.write_table(files.rows(names, found, dimension, concept))
    return Path(path)


def write_plain_vectors(path: str | Path, names: Sequence[str], vectors: Any, dimension: int) -> Path:
    """Write embeddings of no concept, such as of texts."""
    with files.writer(path, dimension) as writer:
        writer.write_table(files.rows(names, [[Embedding(np.asarray(v, np.float32))] for v in vectors], dimension))
    return Path(path)
