"""Tables of results on a terminal, in whatever format: without bytes, and no more rows than are asked for."""

import csv
import io
import json
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fit.errors import DataError
from fit.io.escaping import delimited, uncell
from fit.io.shown import number_of
from fit.io.user_tables import PARQUET
from fit.reports.tables import aligned

if TYPE_CHECKING:
    import pyarrow as pa

CELL = 60
"""Characters of a cell, at most."""


def show(path: str | Path, most: int = 100) -> Iterator[str]:
    """Yield a table in lines for a terminal.

    Args:
        path: of a file: .parquet, .json, .csv, or else tab-separated text.
        most: rows of Parquet to show; 0 for all. Text is shown whole.

    Raises:
        DataError: it is empty, or not in the format that its name says.
    """
    suffix = Path(path).suffix.lower()
    if suffix in PARQUET:
        yield from _parquet(path, most)
        return
    text = _text(path)
    if suffix == ".json":
        yield json.dumps(_json(path, text), indent=2, ensure_ascii=False)
    elif suffix == ".csv":
        yield _columns(list(csv.reader(io.StringIO(text))))
    else:
        try:
            yield aligned(text)
        except csv.Error as error:
            raise DataError(f"{path}: not a table with tabs between its cells ({error})") from None


def read_shown(path: str | Path, most: int = 100) -> Any:
    """Return what `show` shows in builtins: a dict for each row of a table, or what a file of JSON holds.

    Cells of Parquet are whole, and bytes are left out. Cells of text are text.

    Raises: as `show`.
    """
    suffix = Path(path).suffix.lower()
    if suffix in PARQUET:
        return _read_parquet(path, most)[1]
    text = _text(path)
    if suffix == ".json":
        return _json(path, text)
    try:
        header, *rows = csv.reader(io.StringIO(text), delimiter="," if suffix == ".csv" else "\t")
    except csv.Error as error:
        raise DataError(f"{path}: not a table that can be read ({error}); make it again") from None
    return [dict(zip(header, map(uncell, row), strict=False)) for row in rows]


def _text(path: str | Path) -> str:
    try:
        text = Path(path).read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(
            f"{path}: byte {error.start} is not UTF-8 text; Parquet is shown where the name ends in .parquet, pictures "
            "by `fit images show`"
        ) from None
    if not text.strip():
        raise DataError(f"{path}: nothing in it, not even a header; make it again")
    return text


def _json(path: str | Path, text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        raise DataError(f"{path}: not JSON ({error}); make it again") from None


def _columns(rows: Iterable[Sequence[object]]) -> str:
    return aligned(delimited(rows))


def _read_parquet(path: str | Path, most: int) -> tuple[list[str], list[dict[str, Any]], int, list[str]]:
    """Read (columns, rows, how many rows there are, columns of bytes, which are left out)."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    if not Path(path).is_file():
        raise DataError(f"{path}: there is no such file; fix the path")
    try:
        file = pq.ParquetFile(path)
        schema = file.schema_arrow
        left_out = [field.name for field in schema if _has_bytes(field.type)]
        names = [field.name for field in schema if not _has_bytes(field.type)]
        wanted = most or file.metadata.num_rows
        batches = file.iter_batches(min(wanted, 1024) or 1, columns=list(dict.fromkeys(names))) if names else []
        rows = list(islice((row for batch in batches for row in batch.to_pylist()), wanted))
    except (OSError, pa.ArrowException) as error:
        first = str(error).partition("\n")[0]
        raise DataError(f"{path}: not a Parquet file that can be read ({first}); make it again") from None
    return names, rows, file.metadata.num_rows, left_out


def _parquet(path: str | Path, most: int) -> Iterator[str]:
    names, rows, total, left_out = _read_parquet(path, most)
    if names:
        yield _columns([names, *([_cell(row[name]) for name in names] for row in rows)])
    if len(rows) < total and names:
        yield f"{len(rows):,} of {number_of(total, 'row')}; --rows 0 shows all"
    if left_out:
        yield (
            f"{number_of(total, 'row')}; bytes are not shown: {', '.join(left_out)} (`fit images show` draws pictures)"
        )


def _has_bytes(kind: "pa.DataType") -> bool:
    import pyarrow as pa

    if pa.types.is_nested(kind):
        return any(_has_bytes(kind.field(i).type) for i in range(kind.num_fields))
    return pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_fixed_size_binary(kind)


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        text = f"{value:.6g}"
    elif isinstance(value, list):
        inside = ", ".join(_cell(item) for item in value[:4])
        text = f"[{inside}{f', ... {len(value)} in all' if len(value) > 4 else ''}]"
    else:
        text = str(value)
    text = " ".join(text.split())
    return text if len(text) <= CELL else text[: CELL - 4] + " ..."
