"""Ratings on disk: a CSV with a row per answer, to which rows are only ever added."""

import csv
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import astuple, dataclass
from io import StringIO
from pathlib import Path
from typing import Any, Self

from fit.errors import DataError
from fit.io.appended import AppendedFile
from fit.io.escaping import delimited, uncell
from fit.io.numbers import as_number
from fit.io.shown import plain, shown
from fit.io.user_tables import read_user_table

SCALE = (1, 2, 3, 4, 5)
"""The ratings: 1 is not alike at all, 5 is the same."""

COLUMNS = ("rater", "concept", "prompt", "image_id", "rating", "time", "seed")


@dataclass(frozen=True)
class Rating:
    """A row: what a rater said of a generated picture. Texts other than the rater and the concept may be empty."""

    rater: str
    concept: str
    prompt: str
    image_id: str
    """Empty if the concept was rated as a whole."""
    rating: int | None
    """One of SCALE; None if the rater skipped the picture."""
    time: str = ""
    """UTC, ISO 8601."""
    seed: str = ""
    """Of the sample that the picture was in."""

    @property
    def about(self) -> tuple[str, str, str]:
        """Return (rater, concept, image_id): a later row about the same replaces an earlier one."""
        return self.rater, self.concept, self.image_id

    @property
    def given(self) -> int:
        """Return the rating of a picture that was not skipped."""
        assert self.rating is not None
        return self.rating


def _rating(row: Mapping[str, Any], where: str) -> Rating:
    cells = {column: (row.get(column) or "").strip() for column in COLUMNS}
    for column, cell in cells.items():
        if not cell and column in ("rater", "concept"):
            raise DataError(f"{where}: {column} is empty; write who rated, and which concept")
        if not cell.isprintable():
            raise DataError(
                f"{where}: {column} is {shown(cell)}, which has a line break or a control character; take it out"
            )
    rating = None
    if cells["rating"]:
        try:
            number = as_number(cells["rating"], f"{where}: rating")  # 4.0 is how some tables write a 4
        except DataError:
            number = 0.0
        if number not in SCALE:
            raise DataError(
                f"{where}: rating is {shown(cells['rating'])}, not one of 1, 2, 3, 4, 5; correct it, or leave it "
                "empty for a picture that was skipped"
            )
        rating = int(number)
    return Rating(rating=rating, **{column: cell for column, cell in cells.items() if column != "rating"})


def _without_torn_row(data: bytes) -> bytes:
    """Return `data` without the last row if a crash left only a part of it: no line end, and cells missing."""
    if data.endswith(b"\n"):
        return data
    header, last = (part.decode(errors="replace") for part in (data.split(b"\n", 1)[0], data.rpartition(b"\n")[2]))
    width, there = (len(next(csv.reader([line]), [])) for line in (header, last))
    return data if b"\n" in data and there >= width else data[: data.rfind(b"\n") + 1]


def _read(path: str | Path) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise DataError(f"{path}: can't be read ({error.strerror}); name a CSV of ratings") from None


def _parse(data: bytes, path: str | Path) -> tuple[tuple[str, ...], list[tuple[int, Rating]]]:
    """Return (header, list of (line, Rating)) of a CSV."""
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: byte {error.start} is not UTF-8; save it as UTF-8") from None
    rows = csv.DictReader(StringIO(text, newline=""))
    for column in ("rater", "concept", "rating"):
        if column not in (rows.fieldnames or []):
            raise DataError(
                f"{path}, line 1: no column {column!r}; the header needs rater, concept and rating, separated by "
                f"commas (found: {plain(rows.fieldnames or [])})"
            )
    ratings = []
    for row in rows:
        if None in row:
            raise DataError(f"{path}, line {rows.line_num}: more cells than the header has columns; quote the commas")
        cells = {column: uncell(text or "") for column, text in row.items()}
        ratings.append((rows.line_num, _rating(cells, f"{path}, line {rows.line_num}")))
    return tuple(rows.fieldnames or ()), ratings


def read_ratings(path: str | Path) -> list[Rating]:
    """Read a CSV of ratings, with the columns rater, concept, rating, and optionally the others of COLUMNS.

    Returns:
        A list of Rating, a row each, in the file's order. A last row that a crash cut short is left out.

    Raises:
        DataError: it can't be read, lacks a column, or a row has no rater, no concept, or a rating that is not valid.
    """
    return [rating for _, rating in _parse(_without_torn_row(_read(path)), path)[1]]


def latest(ratings: Iterable[Rating]) -> list[Rating]:
    """Return the last Rating of each rater about each picture, without pictures that were skipped at last."""
    last = {rating.about: rating for rating in ratings}
    return [rating for rating in last.values() if rating.rating is not None]


class Answers:
    """A CSV of ratings that is open for more; one process at a time has it.

    A row is on disk when `add` returns, and a crash can't leave half of one before a later one.
    """

    def __init__(self, path: str | Path):
        """Open `path`, or begin it.

        Raises:
            DataError: it is not such a file, can't be written, or another process adds to it.
        """
        self.path = Path(path)
        self._file = AppendedFile(path)
        try:
            self.ratings = self._repair()
        except BaseException:
            self.close()
            raise

    def _repair(self) -> list[Rating]:
        """Read the rows that are there; end the last one, or take it out if it is cut short."""
        kept = _without_torn_row(_read(self.path))
        if not kept:
            self._file.truncate(0)
            self._append([COLUMNS])
            return []
        header, ratings = _parse(kept, self.path)
        if header != COLUMNS:
            raise DataError(
                f"{self.path}, line 1: the columns are {', '.join(header)}, not {', '.join(COLUMNS)}; "
                "name a new file, and take this one into it with `fit ratings import`"
            )
        self._file.truncate(len(kept))
        if not kept.endswith(b"\n"):
            self._file.append(b"\n")
        return [rating for _, rating in ratings]

    def _append(self, rows: Iterable[Sequence[object]]) -> None:
        self._file.append(delimited(rows, ",").encode())

    def add(self, ratings: Sequence[Rating]) -> None:
        """Add Ratings, all or none.

        Raises:
            DataError: they can't be written.
        """
        self._append([["" if cell is None else cell for cell in astuple(rating)] for rating in ratings])
        self.ratings += ratings

    def close(self) -> None:
        """Close the file, so that another process may add to it."""
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def import_ratings(source: str | Path, out: str | Path) -> tuple[int, int]:
    """Add the ratings in the CSV `source`, made elsewhere, to those in `out`.

    Rows that `out` has already are not added again.

    Returns:
        How many were added, and how many `source` has.

    Raises:
        DataError: as read_ratings; or `source` rates a picture twice by one rater and doesn't say when.
    """
    table = read_user_table(source, ("rater", "concept", "rating"), empty=True)
    rows = [
        (line, _rating({key: str(value or "") for key, value in row.items()}, table.where(index)))
        for index, (line, row) in enumerate(zip(table.lines, table.rows, strict=True))
    ]
    line_of: dict[tuple[str, str, str], int] = {}
    for line, rating in rows:
        if not rating.time and rating.about in line_of:
            raise DataError(
                f"{source}, line {line}: {rating.rater!r} rates concept {rating.concept!r}, image_id "
                f"{rating.image_id!r} in line {line_of[rating.about]} too; give each picture its image_id, "
                "or keep one of the lines"
            )
        line_of[rating.about] = line
    with Answers(out) as answers:
        there = set(answers.ratings)
        new = [rating for _, rating in rows if rating not in there]
        answers.add(new)
    return len(new), len(rows)
