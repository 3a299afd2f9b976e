"""Reads and writes Parquet tables: whole or not at all, with columns of the right type."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from fit.errors import FitError, ImageTableError, again
from fit.io.files import atomic_write

if TYPE_CHECKING:
    import polars as pl

ROW_GROUP = 64
"""Rows of a row group of an image table."""
GROUP_BYTES = 32 << 20
"""Bytes of pictures with which a row group ends before it has ROW_GROUP rows: a reader has a whole one in memory."""


def write(table: pa.Table, path: str | Path, row_group: int = ROW_GROUP) -> None:
    """Write an Arrow table to `path` as Parquet, whole or not at all.

    Row groups have `row_group` rows, or fewer if the pictures of an image table have more than GROUP_BYTES bytes.
    """
    with atomic_write(path) as part:
        if "bytes" not in table.schema.names or table.nbytes <= GROUP_BYTES:
            pq.write_table(table, part, row_group_size=row_group, compression="zstd")
            return
        with pq.ParquetWriter(part, table.schema, compression="zstd") as writer:
            write_groups(writer, (table.slice(row, 1) for row in range(len(table))), row_group)


def write_frame(frame: "pl.DataFrame", path: str | Path) -> None:
    """Write a polars frame to `path` as Parquet, whole or not at all; texts are of Arrow's usual type."""
    table = frame.to_arrow()
    strings = [pa.string() if pa.types.is_large_string(kind) else kind for kind in table.schema.types]
    write(table.cast(pa.schema(list(zip(table.schema.names, strings, strict=True)))), path)


def write_groups(writer: pq.ParquetWriter, rows: Iterable[pa.Table], row_group: int = ROW_GROUP) -> None:
    """Write `rows`, Arrow tables of one row each, in row groups as `write` makes them."""
    group: list[pa.Table] = []
    size = 0
    for row in rows:
        length = len(row.column("bytes")[0].as_buffer() or b"")
        if group and (len(group) == row_group or size + length > GROUP_BYTES):
            writer.write_table(pa.concat_tables(group).combine_chunks())
            group, size = [], 0
        group.append(row)
        size += length
    if group:
        writer.write_table(pa.concat_tables(group).combine_chunks())


_KINDS = (
    ("text", lambda kind: pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)),
    ("bytes", lambda kind: pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_binary_view(kind)),
    ("whole numbers", pa.types.is_integer),
    ("numbers", pa.types.is_floating),
    ("true or false", pa.types.is_boolean),
)


def is_text(of_type: pa.DataType) -> bool:
    """Whether a column of an Arrow type holds text."""
    return kind_of_column(of_type) == "text"


def kind_of_column(of_type: pa.DataType) -> str | None:
    """Return what a column of an Arrow type holds, in words; None for a type that no table of FIT has."""
    value = of_type.value_type if pa.types.is_dictionary(of_type) else of_type
    return next((name for name, holds in _KINDS if holds(value)), None)


def check_columns(
    found: pa.Schema,
    path: str | Path,
    columns: Iterable[str],
    schema: pa.Schema | None = None,
    *,
    error: type[FitError] = ImageTableError,
) -> None:
    """Check that an Arrow schema has `columns`, each once, of the types that `schema` gives them, if it does.

    Whole numbers are accepted for numbers, and a column that has only nulls for any type.

    Raises:
        ImageTableError, or `error`: it does not; the message names the column.
    """
    for column in columns:
        times = found.names.count(column)
        if times == 0:
            has = ", ".join(found.names)
            raise error(f"{path}: no column {column!r}; it has {has}; name the right file, or make this one again")
        if times > 1:
            raise error(f"{path}: {times} columns are called {column!r}; rename or remove all but one")
        if schema is None or column not in schema.names or pa.types.is_null(found.field(column).type):
            continue
        of_type, wanted = found.field(column).type, kind_of_column(schema.field(column).type)
        kind = kind_of_column(of_type)
        if wanted and kind != wanted and (kind, wanted) != ("whole numbers", "numbers"):
            raise error(
                f"{path}: column {column!r} holds {kind or of_type} ({of_type}), not {wanted}; write it as {wanted}, "
                "or name the right file"
            )


def open_parquet(path: str | Path) -> pq.ParquetFile:
    """Open a Parquet file; only its metadata are read.

    Raises:
        ImageTableError: it is missing, or not Parquet.
    """
    try:
        return pq.ParquetFile(path)
    except FileNotFoundError:
        raise ImageTableError(f"{path}: there is no such file; ask snakemake for it, or fix the path") from None
    except (pa.ArrowException, OSError) as error:
        raise ImageTableError(f"{path}: not a readable Parquet file ({error}); {again(path)}") from None


def read(
    path: str | Path,
    columns: Sequence[str] | None = None,
    only: Mapping[str, Collection[object]] | None = None,
    schema: pa.Schema | None = None,
) -> pa.Table:
    """Read a Parquet file.

    Args:
        path: of the file.
        columns: names of the columns to read; None: all.
        only: column -> values. Rows with other values are left out, and if possible not read.
        schema: the types that the columns which are read must have.

    Raises:
        ImageTableError: it is missing, not Parquet, damaged, or lacks one of `columns`; it has one twice; one is of
            another type than `schema` says.
    """
    file = open_parquet(path)
    found = file.schema_arrow
    check_columns(found, path, columns if columns is not None else dict.fromkeys(found.names), schema)
    for column, values in (only or {}).items():
        if isinstance(next(iter(values), None), str):
            check_columns(found, path, [column], pa.schema([(column, pa.string())]))
    try:
        if only is None:
            return file.read(columns=columns)
        if any(pa.types.is_string_view(found.field(column).type) for column in only):
            return _read_of_views(file, columns if columns is not None else found.names, only)
        filters = [(column, "in", list(values)) for column, values in only.items()]
        return pq.read_table(path, columns=columns, filters=filters, partitioning=None)
    except (pa.ArrowException, OSError) as error:
        raise ImageTableError(f"{path}: damaged ({error}); {again(path)}") from None


def _read_of_views(file: pq.ParquetFile, columns: Sequence[str], only: Mapping[str, Collection[object]]) -> pa.Table:
    """Read as `read` does, where a column of `only` is a string_view, a type that Arrow can't filter."""
    rows = file.read(columns=list(dict.fromkeys([*columns, *only])))
    wanted = np.ones(len(rows), bool)
    for column, values in only.items():
        among = set(values)
        wanted &= np.array([value in among for value in rows.column(column).to_pylist()], bool)
    # Arrow can't take or filter rows of a string_view either; slices can be joined.
    found = [rows.slice(row, 1) for row in np.flatnonzero(wanted).tolist()]
    return (pa.concat_tables(found) if found else rows.slice(0, 0)).select(columns)
