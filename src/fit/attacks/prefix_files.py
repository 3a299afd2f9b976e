"""Reads the pictures that a prefix is found with, and writes it."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image

from fit.errors import DataError
from fit.images.table import decode
from fit.io.concept_tables import ConceptTables
from fit.io.files import atomic_write
from fit.io.parquet import open_parquet

if TYPE_CHECKING:
    import torch


def read_pictures(places: Sequence[str | Path], concept: str) -> list[Image.Image]:
    """Return the pictures of a concept: the kept ones of references, those that are "ok" of generated pictures.

    Args:
        places: image tables, and folders of such.
        concept: its slug.

    Raises:
        DataError: no table has the concept, or no picture of it can be used.
    """
    tables = ConceptTables(places)
    path = tables.path(concept)
    known = open_parquet(path).schema_arrow.names
    columns = [name for name in ("bytes", "kept", "status") if name in known]
    if "bytes" not in columns:
        raise DataError(f"{path}: no column 'bytes', so it has no pictures; name an image table")
    rows = tables.read(concept, columns).to_pylist()
    found = [
        decode(row["bytes"], path)
        for row in rows
        if row["bytes"] is not None and row.get("kept", True) and row.get("status") in (None, "ok")
    ]
    if not found:
        raise DataError(
            f"{path}: no picture of {concept} can be used; name a table with pictures of it (references, or the "
            "pictures of a model that was not defended)"
        )
    return found


def write_prefix(vectors: "torch.Tensor", told: Mapping[str, str], path: str | Path) -> None:
    """Write a prefix [tokens, width] as diffusers loads a textual inversion.

    Args:
        vectors: float32.
        told: what is said of it in the file's metadata.
        path: of the file.
    """
    from safetensors.torch import save_file

    from fit.attacks.prefix import KEY

    with atomic_write(path) as part:
        save_file({KEY: vectors.contiguous()}, part, metadata=dict(told))
