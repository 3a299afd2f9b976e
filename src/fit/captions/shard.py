"""One file of a corpus while threads count its pieces, and what they add up to."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from threading import Lock
from typing import Any

import numpy as np
import pyarrow as pa

from fit.captions.phrases import Phrases
from fit.captions.sources import open_captions
from fit.captions.sources.base import CaptionFile, shard_name
from fit.captions.tables import SHARDS
from fit.errors import CorpusError


@dataclass
class Tally:
    """What captions add up to."""

    of_names: np.ndarray
    """[names] int64, captions that mention each; the next two are of the same shape, see fit.captions.tables.NAMES."""
    capitalising: np.ndarray
    in_lower_case: np.ndarray
    of_concepts: np.ndarray
    """[concepts] int64."""
    rows: int = 0
    null_captions: int = 0
    malformed_captions: int = 0

    @classmethod
    def of(cls, phrases: Phrases) -> "Tally":
        """Begin with nothing."""
        names, concepts = len(phrases.names), len(phrases.concepts)
        of_names, capitalising, in_lower_case = (np.zeros(names, np.int64) for _ in range(3))
        return cls(of_names, capitalising, in_lower_case, np.zeros(concepts, np.int64))

    def add(self, other: "Tally") -> None:
        """Add what other captions add up to."""
        for name in ("of_names", "capitalising", "in_lower_case", "of_concepts"):
            getattr(self, name)[:] += getattr(other, name)
        self.rows += other.rows
        self.null_captions += other.null_captions
        self.malformed_captions += other.malformed_captions


class Shard:
    """A file while threads count its pieces. It is whole or broken once all of them have ended."""

    def __init__(self, path: str, pieces: int):
        """Take the file at `path`, to be counted in at most `pieces` pieces, whose numbers begin at 0."""
        self.path, self.name, self.count = path, shard_name(path), pieces
        self.tally: Tally | None = None
        """Of the pieces that have ended; None before."""
        self._lock, self._unfinished = Lock(), pieces
        self._file: CaptionFile | None = None
        self._pieces: list[tuple[int, Iterator[pa.RecordBatch]]] | None = None
        self._rows: int | None = None
        self._first_problem: tuple[int, str] | None = None

    def piece(self, number: int, columns: Sequence[str], encoding: str) -> tuple[int, Iterator[pa.RecordBatch]]:
        """Return the number of a piece's first row, and its batches; the first thread that asks opens the file.

        Raises:
            CorpusError: the file is not usable.
        """
        with self._lock:
            if self._pieces is None:
                self._file = open_captions(self.path, encoding)
                self._rows = self._file.rows
                self._file.check(columns, columns[:1])
                self._pieces = self._file.pieces(columns, self.count)
        # A file may have fewer pieces than were expected.
        return self._pieces[number] if number < len(self._pieces) else (0, iter(()))

    def fail(self, number: int, error: CorpusError) -> None:
        """Note that a piece is broken. Of several such pieces, the first in the file says what is wrong with it."""
        with self._lock:
            if not self.is_broken_before(number):
                self._first_problem = number, str(error)

    def is_broken_before(self, number: int) -> bool:
        """Return whether an earlier piece is broken, so that nothing is learnt from this one."""
        return self._first_problem is not None and self._first_problem[0] < number

    @property
    def is_broken(self) -> bool:
        """Return whether a piece is broken."""
        return self._first_problem is not None

    def end_piece(self, tally: Tally) -> bool:
        """Add what a piece adds up to; return whether all pieces have ended."""
        with self._lock:
            self._unfinished -= 1
            if self.tally is None:
                self.tally = tally
            else:
                self.tally.add(tally)
            return self._unfinished == 0

    def check_captions(self) -> None:
        """Check the captions of all pieces together; raises CorpusError as CaptionFile.check_captions does."""
        if self._file and self.tally:
            self._file.check_captions(self.tally.rows, self.tally.null_captions)

    def close(self) -> None:
        """Close the file, all of whose pieces have ended."""
        self._file = self._pieces = None

    def row(self) -> dict[str, Any]:
        """Return its row of SHARDS, after all pieces have ended."""
        values: tuple[Any, ...] = ("skipped", self._rows, None, None, self._first_problem and self._first_problem[1])
        if not self.is_broken and (tally := self.tally):
            values = ("ok", tally.rows, tally.null_captions, tally.malformed_captions, None)
        return dict(zip(SHARDS.names, (self.name, *values), strict=True))
