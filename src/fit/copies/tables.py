"""Tables of the search for copies, and the pictures in them."""

import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from fit.concepts.sheet import Concept
from fit.copies.distances import as_square
from fit.copies.prompts import PROMPTS
from fit.errors import DataError, ImageTableError
from fit.images.table import bytes_of, decode, find_pictures, stream
from fit.io.parquet import open_parquet, read
from fit.io.shown import number_of, plain

NORMS = pa.schema([("concept", pa.string()), ("norm", pa.float64()), ("norms", pa.list_(pa.float64()))])
"""norm: the mean over pictures of the mean norm of the text-conditional part; norms: that of each picture."""
FOUND = pa.schema(
    [
        *PROMPTS,
        ("pictures", pa.int64()),
        ("width", pa.float64()),
        ("is_suspect", pa.bool_()),
        ("middle", pa.string()),
        ("nearest_table", pa.string()),
        ("nearest_row", pa.int64()),
        ("distance", pa.float64()),
        ("ratio", pa.float64()),
        ("is_copy", pa.bool_()),
        ("copied_share", pa.float64()),
        ("norm", pa.float64()),
        ("is_detected", pa.bool_()),
    ]
)
"""A row is a prompt. width: the largest distance in its tightest clique; middle: the id of the clique's picture that is
nearest to the others; nearest_table, nearest_row, distance: the training image nearest to that, and its row, from 0;
ratio: that distance, over what a copy may be away; copied_share: of the compared pictures, those that are copies;
is_copy: whether a suspect's middle is one; is_detected: whether the norm is above the cut; null without a detector."""


def read_chosen(path: str | Path) -> list[dict[str, Any]]:
    """Return the rows of a table of the schema PROMPTS.

    Raises:
        DataError: it has no row.
    """
    rows = read(path, PROMPTS.names, schema=PROMPTS).to_pylist()
    if not rows:
        raise DataError(f"{path}: there is no prompt in it; make it again (`fit copies prompts`)")
    return rows


def as_concepts(rows: Sequence[dict[str, Any]], job: int = 0, jobs: int = 1) -> list[Concept]:
    """Return the prompts of one of several jobs as concepts, whose only prompt is {name}: every one in `jobs`."""
    return [Concept(row["concept"], row["caption"]) for row in rows[job::jobs]]


def read_generated(
    paths: Iterable[str | Path], side: int, concepts: Iterable[str]
) -> Iterator[tuple[str, list[str], np.ndarray]]:
    """Yield (concept, ids of its pictures, pictures [N, side, side, 3] uint8) of the tables that were generated.

    Raises:
        ImageTableError: a table is not one of pictures.
        DataError: a concept is in none of them.
    """
    wanted = set(concepts)
    for path in paths:
        of_concept: dict[str, tuple[list[str], list[np.ndarray]]] = {}
        for names, pictures in stream(path):
            for name, picture in zip(names, pictures, strict=True):
                ids, squares = of_concept.setdefault(name.rsplit("-", 2)[0], ([], []))
                ids.append(name)
                squares.append(as_square(picture, side))
            # Concepts follow one another, so all but the last are whole.
            for concept in list(of_concept)[:-1]:
                wanted.discard(concept)
                ids, squares = of_concept.pop(concept)
                yield concept, ids, np.stack(squares)
        for concept, (ids, squares) in of_concept.items():
            wanted.discard(concept)
            yield concept, ids, np.stack(squares)
    if wanted:
        raise DataError(
            f"no generated picture of {number_of(len(wanted), 'prompt')} ({plain(sorted(wanted), 5)}); ask snakemake "
            "for the pictures, or name all tables of them"
        )


class TrainingImages:
    """The training images of Parquet tables, in the order of tables and rows; decoded each time they are asked for."""

    def __init__(self, paths: Sequence[str], side: int):
        """Look at the tables' columns.

        Raises:
            ImageTableError: one is missing, or has no column of pictures.
        """
        self._side = side
        self._column = {path: find_pictures(open_parquet(path).schema_arrow, path) for path in paths}
        self.places: list[tuple[str, int]] = []
        """(table, row) of each picture, once all were read."""
        self.broken = 0
        """Pictures that can't be decoded, which are left out."""

    def __iter__(self) -> Iterator[np.ndarray]:
        """Yield each picture [side, side, 3] uint8; rows without one, and broken ones, are left out."""
        self.places, self.broken = [], 0
        for path, column in self._column.items():
            row = -1
            for batch in open_parquet(path).iter_batches(batch_size=256, columns=[column]):
                for data in bytes_of(batch.column(0))[0]:
                    row += 1
                    if data is None:
                        continue
                    try:
                        picture = as_square(decode(data, path), self._side)
                    except ImageTableError:
                        self.broken += 1
                        continue
                    self.places.append((path, row))
                    yield picture

    def report(self) -> None:
        """Say how many pictures were left out."""
        if self.broken:
            print(f"fit: {number_of(self.broken, 'training image')} can't be decoded; left out", file=sys.stderr)
