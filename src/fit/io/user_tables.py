"""Reads tables that a user writes, exports from a spreadsheet or gets from a colleague.

CSV, tab-separated, semicolon-separated and Parquet. A row that can be read in two ways is refused, with both readings.
"""

import csv
import difflib
import io
import re
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fit.errors import DataError, FitError, say_once
from fit.io.escaping import uncell
from fit.io.folders import what_begins
from fit.io.nearby import paired
from fit.io.numbers import as_count
from fit.io.shown import SHOWN, number_of, plain, shown

if TYPE_CHECKING:
    import pyarrow as pa

PARQUET = (".parquet", ".pq")
_TABS = (".tsv", ".tab", ".txt")
_NAMES = {"\t": "tabs", ",": "commas", ";": "semicolons"}
_BOMS: tuple[tuple[bytes, str], ...] = (
    (b"\xef\xbb\xbf", "utf-8"),
    (b"\xff\xfe\0\0", "utf-32"),
    (b"\0\0\xfe\xff", "utf-32"),
)
_BOMS += ((b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"))
_QUOTED = re.compile(r'"((?:[^"]|"")*)"')


def misspelt(names: Sequence[str], known: Sequence[str]) -> dict[str, str]:
    """Return column -> the one of `known` that it means: columns whose names are nearly that of one that is lacking.

    A column with an unknown name may hold notes. One with nearly a known name would be ignored without a word.
    """
    lacking = [column for column in known if column not in names]
    found: dict[str, str] = {}
    for name in names:
        if name and name not in known:
            close = difflib.get_close_matches(name.strip().casefold(), lacking, n=1, cutoff=0.82)
            found |= {name: close[0]} if close else {}
    return found


@dataclass(frozen=True)
class UserTable:
    """N rows, and where each is in its file."""

    path: str
    columns: list[str]
    rows: list[dict[str, Any]]
    """Column -> text; of Parquet also numbers, lists and None."""
    lines: list[int]
    """[N] line of a text file where the row begins, or row of a Parquet file, from 1."""
    unit: str
    """"line" or "row"."""
    types: dict[str, str] = field(default_factory=dict)
    """Column -> type, of columns of Arrow that are not text; empty of a text file."""

    def __str__(self) -> str:
        """Return its path, or what it is called where it is in memory, for errors."""
        return self.path

    def where(self, index: int) -> str:
        """Return the place of a row, for errors."""
        return f"{self.path}, {self.unit} {self.lines[index]}"

    def values(self, column: str) -> list[Any]:
        """Return the cells of a column, top to bottom."""
        return [row[column] for row in self.rows]


Source = str | Path | UserTable
"""Where a user's table is: a path, or the table itself, in memory."""


def read_user_table(
    path: Source,
    columns: Sequence[str],
    *,
    optional: Sequence[str] = (),
    error: type[FitError] = DataError,
    separator: str = "",
    short_rows: bool = False,
    empty: bool = False,
    missing: str = "",
) -> UserTable:
    """Read a table: Parquet, or text. The separator, byte order mark and line ends of text are detected.

    Args:
        path: of the file; or a table in memory (`in_memory`), which is checked alike.
        columns: names of columns that it must have.
        optional: names of columns that it may have. A column whose name is nearly one of all these is an error; any
            other is ignored.
        error: the class of errors to raise.
        separator: what separates its cells, if the file's suffix does not say.
        short_rows: whether a row may lack its last cells, which are then empty.
        empty: whether it may have only a header.
        missing: what to do about a file that does not exist, for the error.

    Returns:
        UserTable. Another separator than the suffix promises is said on stderr. An apostrophe that keeps a spreadsheet
        from computing a cell is not a part of its text (fit.io.escaping.uncell).

    Raises:
        error: the file is missing, compressed or not such a table; it lacks a column, has one twice or one with a
            misspelt name; or a row can be read in two ways.
    """
    if isinstance(path, UserTable):
        _check_arrow(path, columns, error)
        return _checked(path, columns, optional, error, empty)
    try:
        data = Path(path).read_bytes()
    except FileNotFoundError:
        raise error(f"{path}: there is no such file; {missing or 'check the path'}") from None
    except IsADirectoryError:
        raise error(f"{path}: this is a folder; name the file in it") from None
    except OSError as problem:
        raise error(f"{path}: can't be read ({problem.strerror}); check the path and its permissions") from None
    if not data.strip():
        raise error(f"{path}: the file is empty; it needs a header with {', '.join(columns)}, and a row for each")
    if data[:4] == b"PAR1" or Path(path).suffix.lower() in PARQUET:
        table = _parquet(path, columns, error)
    else:
        table = _text(path, _decoded(data, path, error), columns, error, separator, short_rows)
    return _checked(table, columns, optional, error, empty)


def _checked(
    table: UserTable, columns: Sequence[str], optional: Sequence[str], error: type[FitError], empty: bool
) -> UserTable:
    """Return `table` after a check of the names of its columns, and that it has a row unless it may be `empty`."""
    path = table.path
    for name, meant in misspelt(table.columns, [*columns, *optional]).items():
        raise error(f"{path}: column {shown(name)} is not one that is read; did you mean {meant!r}? Rename or drop it")
    if not table.rows and not empty:
        raise error(f"{path}: it has a header and no row below it; add a row for each concept")
    return table


def _check_columns(
    path: str | Path,
    names: Sequence[str],
    columns: Sequence[str],
    error: type[FitError],
    where: str = "",
    hint: str = "",
) -> None:
    for name, times in Counter(names).items():
        if times > 1 and name:
            raise error(f"{path}{where}: {times} columns are named {shown(name)}; keep one")
    for column in columns:
        if column not in names:
            near = next((name for name in names if name.lower().strip("\ufeff\u200b ") == column), None)
            remedy = f"; rename {shown(near)}" if near else hint
            has = plain(names)
            raise error(
                f"{path}{where}: no column {column!r}; the header needs {', '.join(columns)} (found: {has}){remedy}"
            )


def _parquet(path: str | Path, columns: Sequence[str], error: type[FitError]) -> UserTable:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        file = pq.ParquetFile(path)
        _check_columns(path, file.schema_arrow.names, columns, error)
        table = in_memory(file.read(), str(path))
    except (pa.ArrowException, OSError) as problem:
        why = str(problem).partition("\n")[0]
        raise error(f"{path}: not a Parquet file that can be read ({why}); write it again, or give a CSV") from None
    _check_arrow(table, columns, error)
    return table


def in_memory(table: "pa.Table", name: str) -> UserTable:
    """Return an Arrow table as a user's table, which errors call `name`."""
    import pyarrow as pa

    types = {}
    for column in table.schema:
        value = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
        if pa.types.is_null(value):  # of a table without a row, or a column without a value
            continue
        if not (pa.types.is_string(value) or pa.types.is_large_string(value) or pa.types.is_string_view(value)):
            types[column.name] = str(column.type)
    rows = table.to_pylist()
    return UserTable(name, table.schema.names, rows, list(range(1, len(rows) + 1)), "row", types)


def _check_arrow(table: UserTable, columns: Sequence[str], error: type[FitError]) -> None:
    """Check that a table of Arrow has `columns`, and text where a concept or image is named.

    Raises:
        error: it does not.
    """
    _check_columns(table.path, table.columns, columns, error)
    for column in ("concept", "image_id"):
        if column in columns and column in table.types:
            raise error(
                f"{table.path}: column {column!r} holds {table.types[column]}, not text; write it as text (a number "
                "forgets that '007' begins with zeros)"
            )


def _decoded(data: bytes, path: str | Path, error: type[FitError]) -> str:
    """Return the text of a file, with line ends as newlines."""
    if data[:4] == b"PK\3\4" or data[:4] == b"\xd0\xcf\x11\xe0":
        raise error(f"{path}: this is a spreadsheet's workbook; save the sheet as CSV (UTF-8)")
    if found := what_begins(data[:16]):
        raise error(f"{path}: its first bytes are those of {found[0]}; decompress it, and give the table itself")
    encoding = next((name for bom, name in _BOMS if data.startswith(bom)), "")
    try:
        text = data.decode({"": "utf-8", "utf-8": "utf-8-sig"}.get(encoding, encoding))
    except UnicodeDecodeError as problem:
        line = data[: problem.start].count(b"\n") + 1
        raise error(
            f"{path}, line {line}: byte {problem.start} is not {(encoding or 'utf-8').upper()}; save the file as UTF-8 "
            "(spreadsheets call it 'CSV UTF-8')"
        ) from None
    if "\0" in text:
        line = text[: text.index("\0")].count("\n") + 1
        raise error(
            f"{path}, line {line}: it has NUL bytes, so it is not text in UTF-8 (UTF-16 without a byte order mark?); "
            "save it as UTF-8"
        )
    # Two programs may each have written a byte order mark: decoding removes only one.
    return text.lstrip("\ufeff").replace("\r\n", "\n").replace("\r", "\n")


def _split(line: str, separator: str) -> list[str] | None:
    """Return the cells of one line; None if quotes are not closed, or closed in the middle of a cell."""
    if separator == "\t":
        return [_unquoted(cell) for cell in line.split("\t")]
    try:
        return next(csv.reader([line], delimiter=separator, strict=True), [])
    except csv.Error:
        return None


def _unquoted(cell: str) -> str:
    """Return a tab-separated cell without the quotes that a spreadsheet put around it.

    A program quotes a cell from its first to its last character and doubles every quote inside. Any other quote is a
    part of the text.
    """
    found = _QUOTED.fullmatch(cell.strip(" "))
    return found.group(1).replace('""', '"') if found else cell


def _find_separator(path: str | Path, header: str, columns: Sequence[str], given: str) -> str:
    promised = given or ("\t" if Path(path).suffix.lower() in _TABS else ",")
    if Path(path).suffix.lower() == ".csv":
        promised = ","
    candidates = [promised, *(sign for sign in _NAMES if sign != promised)]
    wide = [
        sign
        for sign in candidates
        if set(columns) <= {cell.strip() for cell in _split(header, sign) or []}
        and (sign in header or sign == promised)
    ]
    if wide and wide[0] != promised:
        say_once(f"{path}: its cells are separated by {_NAMES[wide[0]]}, not {_NAMES[promised]}; it is read so")
    return wide[0] if wide else max(candidates, key=lambda sign: (header.count(sign), sign == promised))


def _text(
    path: str | Path, text: str, columns: Sequence[str], error: type[FitError], given: str, short_rows: bool
) -> UserTable:
    lines = text.split("\n")
    first = next(number for number, line in enumerate(lines) if line.strip())
    separator = ""
    if told := re.fullmatch(r'"?sep=([,;\t])"?[,;\t]*', lines[first].strip(" ")):  # a spreadsheet's own note
        separator, first = told.group(1), first + 1
    header_line = lines[first] if first < len(lines) else ""
    separator = separator or _find_separator(path, header_line, columns, given)
    header = [cell.strip() for cell in _split(header_line, separator) or [header_line]]
    by = f", separated by {_NAMES[given or separator]}"
    _check_columns(path, header, columns, error, f", line {first + 1}", by)
    rows, numbers = [], []
    for number, cells in _records(path, lines, first + 1, separator, len(header), error):
        while len(cells) > len(header) and not cells[-1].strip():
            cells.pop()
        if not any(cell.strip() for cell in cells):
            continue
        if len(cells) > len(header):
            raise error(
                f"{path}, line {number}: {number_of(len(cells), 'cell')}, but the header has "
                f"{number_of(len(header), 'column')}: more cells than the header has; take out the extra "
                f"{_NAMES[separator]}, or quote the cell that has one"
            )
        if len(cells) < len(header):
            if not short_rows:
                raise error(
                    f"{path}, line {number}: {number_of(len(cells), 'cell')}, but the header has "
                    f"{number_of(len(header), 'column')}; add what is missing (an empty cell, where nothing is known)"
                )
            cells += [""] * (len(header) - len(cells))
        rows.append(dict(zip(header, map(uncell, cells), strict=True)))
        numbers.append(number)
    return UserTable(str(path), header, rows, numbers, "line")


def _records(
    path: str | Path, lines: list[str], start: int, separator: str, width: int, error: type[FitError]
) -> Iterator[tuple[int, list[str]]]:
    """Yield (line number, cells) of each row; a quoted cell may have line ends if its lines are not rows themselves."""
    at = start
    while at < len(lines):
        line, begin = lines[at], at
        at += 1
        cells = _split(line, separator)
        if separator == "\t":
            assert cells is not None  # tabs always split
            if '"' in line and (len(cells) > width or (len(cells) < width and _is_open(line))):
                quoted, end = _multiline(lines, begin, separator)
                if quoted is not None and len(quoted) == width:
                    cells, at = quoted, end
            yield begin + 1, cells
            continue
        if cells is None or _is_open_csv(line, separator):
            quoted, end = _multiline(lines, begin, separator)
            inside = lines[begin:end]
            plain = [one.split(separator) for one in inside if one.strip()]
            if quoted is None or (end - begin > 1 and all(len(one) == width for one in plain)):
                cell = next((cell for cell in line.split(separator) if '"' in cell), line).strip()
                doubled = cell[:SHOWN].replace('"', '""') + ("..." if len(cell) > SHOWN else "")
                other = f"one cell down to line {end}" if quoted is not None else "the beginning of a quoted cell"
                raise error(
                    f"{path}, line {begin + 1}: the quotes of {shown(cell)} can be read as {other}, or as quotes in "
                    f'the text; for quotes in the text write "{doubled}", for a quoted cell close it before the '
                    "separator"
                )
            cells, at = quoted, end
        assert cells is not None
        yield begin + 1, cells


def _is_open(line: str) -> bool:
    return line.count('"') % 2 == 1


def _is_open_csv(line: str, separator: str) -> bool:
    try:
        next(csv.reader([line], delimiter=separator, strict=True), [])
    except csv.Error:
        return True
    return False


def _multiline(lines: list[str], begin: int, separator: str) -> tuple[list[str] | None, int]:
    """Return (cells, the line after) of a row that begins at `begin` and may have quoted line ends; or (None, ...)."""
    reader = csv.reader(io.StringIO("\n".join(lines[begin:]), newline=""), delimiter=separator, strict=True)
    try:
        cells = next(reader)
    except (csv.Error, StopIteration):
        return None, begin + 1
    return cells, begin + reader.line_num


def once(table: UserTable, column: str = "concept", error: type[FitError] = DataError) -> list[str]:
    """Return the cells of `column`, stripped, after a check that none is empty or repeated.

    Raises:
        error: a cell is empty, or in two rows; the message names both.
    """
    row_of: dict[str, int] = {}
    for index, value in enumerate(table.values(column)):
        name = (value or "").strip()
        if not name:
            raise error(f"{table.where(index)}: {column} is empty, a row without a name; write it, or drop the row")
        if name in row_of:
            raise error(
                f"{table.where(index)}: {column} {shown(name)} is in {table.unit} {table.lines[row_of[name]]} too, a "
                f"repeated {column}; keep one of the rows"
            )
        row_of[name] = index
    return list(row_of)


def read_counts(path: str | Path, concepts: Sequence[str], column: str = "effective_count") -> dict[str, int]:
    """Read counts that someone already has.

    Args:
        path: CSV, TSV or Parquet with the columns concept and `column`.
        concepts: slugs.

    Returns:
        concept -> count.

    Raises:
        DataError: it can't be read, lacks a column or a concept, or has a concept twice; a count is not a whole
            number.
    """
    table = read_user_table(path, ("concept", column))
    counts = {}
    for index, concept in enumerate(once(table)):
        where = f"{table.where(index)}, concept {shown(concept)}: {column}"
        count = as_count(table.rows[index][column], where)
        if count is None:
            raise DataError(f"{where} is empty, not a count; write 0 where there is none")
        counts[concept] = count
    missing = [concept for concept in concepts if concept not in counts]
    others = [concept for concept in counts if concept not in set(concepts)]
    if missing:
        meant = [f"{plain([other])} for {concept}" for concept, other in paired(missing[:5], others).items()]
        said = f" (it has {', '.join(meant)})" if meant else ""
        raise DataError(
            f"{path}: no count of {plain(missing, 5)}{said}; add a row for each, or take them off the sheet"
        )
    if others:
        print(
            f"fit: {path}: counts of concepts that the sheet does not have: {len(others)} ({plain(others, 5)})",
            file=sys.stderr,
        )
    return {concept: counts[concept] for concept in concepts}
