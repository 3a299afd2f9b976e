"""Tables that a user writes, exports from a spreadsheet or gets from a colleague: one reader for all of them.

CSV, tab-separated, semicolon-separated and Parquet. A row that can be read in two ways is refused, with both readings.
"""

import csv
import difflib
import io
import math
import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fit.errors import DataError, FitError, say_once
from fit.io.escaping import uncell
from fit.io.folders import what_begins

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
SHOWN = 80
"""Characters of a cell that an error shows."""


def shown(value):
    """`value` as an error shows it: as Python writes it, so that invisible characters are escapes, and not too long."""
    if isinstance(value, str) and len(value) > SHOWN:
        return f"{value[:SHOWN]!r}... ({len(value):,} characters)"
    text = repr(value)
    return text if len(text) <= 2 * SHOWN else f"{text[:SHOWN]}..."


def plain(names, most=20):
    """Names in a line, each as it is, or as `shown` has it where it has invisible characters or is long."""
    names = [name for name in names if name]
    few = [name if name.isprintable() and len(name) <= SHOWN else shown(name) for name in names[:most]]
    return ", ".join(few) + (f" and {len(names) - most} more" if len(names) > most else "") or "nothing"


def misspelt(names, known):
    """Columns that are not in `known` but nearly so, for one of `known` that is not there: name -> the one meant.

    A column of a name that nothing knows may hold notes; one of nearly a known name would be passed over in silence.
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

    def where(self, index):
        """The place of a row, for errors."""
        return f"{self.path}, {self.unit} {self.lines[index]}"

    def values(self, column):
        """The cells of a column, top to bottom."""
        return [row[column] for row in self.rows]


def read_user_table(
    path,
    columns,
    *,
    optional=(),
    error: type[FitError] = DataError,
    separator="",
    short_rows=False,
    empty=False,
    missing="",
):
    """Read a table: Parquet, or text whose separator, byte order mark and line ends are found by themselves.

    Args:
        path: of the file.
        columns: names of columns that it must have; optional: of those that it may have. A column whose name is nearly
            one of them is an error, any other is passed over.
        error: the class of errors to raise.
        separator: what separates its cells, where the file's suffix does not say.
        short_rows: whether a row may lack its last cells, which are empty then.
        empty: whether there may be a header only.
        missing: what to do about a file that is not there, for the error.

    Returns:
        UserTable. Another separator than the suffix promises is said on stderr. An apostrophe that keeps a spreadsheet
        from computing a cell is not a part of its text (fit.io.escaping.uncell).

    Raises:
        error: the file is missing, compressed, no such table, lacks a column, has one twice or one with a misspelt
            name, or a row can't be read for sure.
    """
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
    for name, meant in misspelt(table.columns, [*columns, *optional]).items():
        raise error(f"{path}: column {shown(name)} is not one that is read; did you mean {meant!r}? Rename or drop it")
    if not table.rows and not empty:
        raise error(f"{path}: it has a header and no row below it; add a row for each concept")
    return table


def _check_columns(path, names, columns, error, where="", hint=""):
    twice = [name for name, times in Counter(names).items() if times > 1 and name]
    if twice:
        raise error(
            f"{path}{where}: {len([n for n in names if n == twice[0]])} columns are named {shown(twice[0])}; keep one"
        )
    for column in columns:
        if column not in names:
            near = next((name for name in names if name.lower().strip("\ufeff\u200b ") == column), None)
            remedy = f"; rename {shown(near)}" if near else hint
            has = plain(names)
            raise error(
                f"{path}{where}: no column {column!r}; the header needs {', '.join(columns)} (found: {has}){remedy}"
            )


def _parquet(path, columns, error):
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        file = pq.ParquetFile(path)
        names = file.schema_arrow.names
        _check_columns(path, names, columns, error)
        rows = file.read().to_pylist()
    except (pa.ArrowException, OSError) as problem:
        why = str(problem).partition("\n")[0]
        raise error(f"{path}: not a Parquet file that can be read ({why}); write it again, or give a CSV") from None
    for column in ("concept", "image_id"):
        if column not in columns:
            continue
        kind = file.schema_arrow.field(column).type
        value = kind.value_type if pa.types.is_dictionary(kind) else kind
        if not (pa.types.is_string(value) or pa.types.is_large_string(value) or pa.types.is_string_view(value)):
            raise error(
                f"{path}: column {column!r} holds {kind}, not text; write it as text (a number forgets that '007' "
                "begins with zeros)"
            )
    return UserTable(str(path), names, rows, list(range(1, len(rows) + 1)), "row")


def _decoded(data, path, error):
    """The text of a file (bytes), with line ends as newlines."""
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
            f"{path}, line {line}: it has NUL bytes, so it is no text in UTF-8 (UTF-16 without a byte order mark?); "
            "save it as UTF-8"
        )
    # Of two programs that write a byte order mark each, the second's mark is left.
    return text.lstrip("\ufeff").replace("\r\n", "\n").replace("\r", "\n")


def _split(line, separator):
    """The cells of one line; None where its quotes are not closed or closed in the middle of a cell."""
    if separator == "\t":
        return [_unquoted(cell) for cell in line.split("\t")]
    try:
        return next(csv.reader([line], delimiter=separator, strict=True), [])
    except csv.Error:
        return None


def _unquoted(cell):
    """A tab-separated cell as it is meant: without the quotes that a spreadsheet put around it.

    Only a cell that is quoted from its first to its last character, with every quote inside doubled, was quoted by a
    program; any other quote is a part of the text.
    """
    found = _QUOTED.fullmatch(cell.strip(" "))
    return found.group(1).replace('""', '"') if found else cell


def _find_separator(path, header, columns, given):
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


def _text(path, text, columns, error, given, short_rows):
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
                f"{path}, line {number}: {len(cells)} cells, but the header has {len(header)} columns: more cells than "
                f"the header has; take out the extra {_NAMES[separator]}, or quote the cell that has one"
            )
        if len(cells) < len(header):
            if not short_rows:
                raise error(
                    f"{path}, line {number}: {len(cells)} cells, but the header has {len(header)} columns; add what is "
                    "missing (an empty cell, where nothing is known)"
                )
            cells += [""] * (len(header) - len(cells))
        rows.append(dict(zip(header, map(uncell, cells), strict=True)))
        numbers.append(number)
    return UserTable(str(path), header, rows, numbers, "line")


def _records(path, lines, start, separator, width, error):
    """(line number, cells) of each row; a quoted cell may hold line ends where its lines are no rows themselves."""
    at = start
    while at < len(lines):
        line, begin = lines[at], at
        at += 1
        cells = _split(line, separator)
        if separator == "\t":
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
        yield begin + 1, cells


def _is_open(line):
    return line.count('"') % 2 == 1


def _is_open_csv(line, separator):
    try:
        next(csv.reader([line], delimiter=separator, strict=True), [])
    except csv.Error:
        return True
    return False


def _multiline(lines, begin, separator):
    """(cells, the line after) of a row that begins at `begin` and may have quoted line ends; or (None, ...)."""
    reader = csv.reader(io.StringIO("\n".join(lines[begin:]), newline=""), delimiter=separator, strict=True)
    try:
        cells = next(reader)
    except (csv.Error, StopIteration):
        return None, begin + 1
    return cells, begin + reader.line_num


# --- numbers ----------------------------------------------------------------------------------------------------------

_SPACES = "\u00a0\u202f\u2009 "
_POINTS = re.compile(r"[+-]?[1-9]\d{0,2}(\.\d{3})+")
_GROUPS = re.compile(rf"[+-]?[1-9]\d{{0,2}}(?:[{_SPACES}'’_]\d{{3}})+(?:[.,]\d+)?")
_COMMAS = re.compile(r"[+-]?[1-9]\d{0,2}(?:,\d{3})+(?:\.\d+)?")
_DECIMAL_COMMA = re.compile(r"[+-]?\d*(?:\.\d{3})*,\d+")


def _readings(text):
    """What a cell that is no plain number may be meant as: words for an error, or None."""
    if _POINTS.fullmatch(text):
        plain = text.replace(".", "")
        decimal = f", or {float(text)} (a decimal point)" if text.count(".") == 1 else ""
        return f"is it {plain} (points between thousands){decimal}?"
    if _COMMAS.fullmatch(text):
        decimal = f", or {text.replace(',', '.')} (a decimal comma)" if text.count(",") == 1 and "." not in text else ""
        return f"is it {text.replace(',', '')} (commas between thousands){decimal}?"
    if _GROUPS.fullmatch(text):
        plain = re.sub(rf"[{_SPACES}'’_]", "", text).replace(",", ".")
        return f"is it {plain} (written with signs between thousands)?"
    if _DECIMAL_COMMA.fullmatch(text):
        return f"is it {text.replace('.', '').replace(',', '.')} (a decimal comma)?"
    return None


_WHOLE = re.compile(r"[+-]?\d{1,30}")
LARGEST_COUNT = 2**63 - 1
"""What the tables of results can hold."""
LARGEST_SCORE = 1e30
"""Powers of scores, and sums of them, have to be finite."""


def as_number(value, where, whole=False):
    """`value`, a number or its text, as a float; None for an empty cell.

    Args:
        where: file, line, concept and column, for errors; whole: whether it is a count, or an end of its interval, in
            which points between thousands are possible.

    Raises:
        DataError: it is no number, not finite, could be read as two, or is larger than any count or score is.
    """
    if value is None or (isinstance(value, str) and not value.strip(_SPACES)):
        return None
    text = value
    if isinstance(value, str):
        text = value.strip(_SPACES)
        if (whole or not _POINTS.fullmatch(text) or text.count(".") > 1) and (readings := _readings(text)):
            raise DataError(f"{where} is {shown(text)}: {readings} Write digits, and a point only before decimals")
    try:
        number = math.nan if isinstance(text, str) and "_" in text else float(text)
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if isinstance(value, bool) or not math.isfinite(number):
        raise DataError(f"{where} is {shown(value)}, not a number; write one with digits, or drop the row")
    if whole and abs(number) > LARGEST_COUNT:
        raise DataError(f"{where} is {shown(value)}, more than any count is ({LARGEST_COUNT:,}); correct the row")
    if abs(number) > LARGEST_SCORE:
        raise DataError(f"{where} is {shown(value)}, beyond {LARGEST_SCORE:g}; correct the row")
    return number


def as_count(value, where):
    """`value`, a number or its text, as a whole count of 0 to LARGEST_COUNT; None for an empty cell.

    12.0 and 1e3 are whole; 1.000 may be a thousand, and is refused. Digits are kept as they are, also those that a
    float has no room for.

    Raises:
        DataError: it is no number, not whole, negative, too large, or could be read as two numbers.
    """
    number: float | int | None
    if isinstance(value, int) and not isinstance(value, bool):
        number = value
    elif isinstance(value, str) and _WHOLE.fullmatch(value.strip(_SPACES)):
        number = int(value.strip(_SPACES))
    else:
        number = as_number(value, where, whole=True)
    if number is None:
        return None
    if number < 0:
        raise DataError(f"{where} is {shown(value)}, not a count, since it is below 0; correct the row")
    if number > LARGEST_COUNT or int(number) > LARGEST_COUNT:
        raise DataError(f"{where} is {shown(value)}, more than any count is ({LARGEST_COUNT:,}); correct the row")
    if number != int(number):
        raise DataError(
            f"{where} is {shown(value)}, not a count, since it is not whole: is it {math.floor(number)} or "
            f"{math.ceil(number)}, or were points between thousands lost? Write a whole number"
        )
    return int(number)


def as_interval(row, count, where):
    """The ends of the interval of a count, in the columns low and high of its row: (low, high), floats, None each
    where both are empty or missing.

    Where a table says that more faces match than images were downloaded, the count may exceed its interval, which is
    one of images (fit.counts.estimate.effective_count).

    Args:
        row: column -> cell; count: as as_count returns it, None where it is not known; where: file, line and concept.

    Raises:
        DataError: an end is no number or below 0, only one is there, or they do not enclose the count.
    """
    low, high = (as_number(row.get(name), f"{where}: {name}", whole=True) for name in ("low", "high"))
    if low is None and high is None:
        return None, None
    if low is None or high is None:
        there, lacks = ("high", "low") if low is None else ("low", "high")
        raise DataError(f"{where}: it has {there} but no {lacks}; write both ends of the interval, or neither")
    if low < 0:
        raise DataError(f"{where}: low is {low:g} and high {high:g}; a count is not below 0; correct the row")
    if low > high:
        raise DataError(f"{where}: low, {low:g}, is above high, {high:g}; are they exchanged?")
    if count is None:
        return low, high
    matches, downloaded = (as_number(row.get(name), f"{where}: {name}") for name in ("matches", "downloaded"))
    several_faces = matches is not None and downloaded is not None and matches > downloaded
    if count < low or (count > high and not several_faces):
        raise DataError(
            f"{where}: the count {count:,} is not within its interval, low {low:g} to high {high:g}; correct the row, "
            "or take the interval out"
        )
    return low, high


def once(table, column="concept", error: type[FitError] = DataError):
    """The cells of `column`, stripped, after a check that each is there and none twice.

    Raises:
        error: a cell is empty, or in two rows; both are named.
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
