"""Reads and writes Parquet tables: whole or not at all, with columns of the right type."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from fit.errors import ImageTableError, again
from fit.io.files import atomic_write

ROW_GROUP = 64


GROUP_BYTES = 32 << 20
"""Bytes of pictures from which on a row group ends before it has ROW_GROUP rows: whoever reads has one in memory."""


def write(table, path, row_group=ROW_GROUP):
    """Write an Arrow table to `path` as Parquet, whole or not at all.

    Row groups have `row_group` rows; in an image table fewer, where these have more than GROUP_BYTES bytes.
    """
    with atomic_write(path) as part:
        if "bytes" not in table.schema.names or table.nbytes <= GROUP_BYTES:
            pq.write_table(table, part, row_group_size=row_group, compression="zstd")
            return
        with pq.ParquetWriter(part, table.schema, compression="zstd") as writer:
            write_groups(writer, (table.slice(row, 1) for row in range(len(table))), row_group)


def write_groups(writer, rows, row_group=ROW_GROUP):
    """Write `rows`, Arrow tables of one row each, to a ParquetWriter in row groups as `write` makes them."""
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


def is_text(of_type):
    """Whether a column of an Arrow type holds text."""
    return kind_of_column(of_type) == "text"


def kind_of_column(of_type):
    """What a column of an Arrow type holds, in words; None for what no table of ours has."""
    value = of_type.value_type if pa.types.is_dictionary(of_type) else of_type
    return next((name for name, holds in _KINDS if holds(value)), None)


def check_columns(found, path, columns, schema=None, *, error=ImageTableError):
    """Check that an Arrow schema has `columns`, each once, of the types that `schema` gives them, where it does.

    Whole numbers do for numbers, and a column of nothing but nulls does for any.

    Raises:
        ImageTableError, or `error`: it does not; the column is named.
    """
    for column in columns:
        times = found.names.count(column)
        if times == 0:
            raise error(f"{path}: no column {column!r}; it has {', '.join(found.names)}")
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


def open_parquet(path):
    """The Parquet file `path` as a pyarrow.parquet.ParquetFile, of which nothing but the metadata has been read.

    Raises:
        ImageTableError: it is missing, or no Parquet.
    """
    try:
        return pq.ParquetFile(path)
    except FileNotFoundError:
        raise ImageTableError(f"{path}: there is no such file; ask snakemake for it, or mend the path") from None
    except (pa.ArrowException, OSError) as error:
        raise ImageTableError(f"{path}: not a readable Parquet file ({error}); {again(path)}") from None


def read(path, columns=None, only=None, schema=None):
    """Read a Parquet file as an Arrow table.

    Args:
        path: of the file; columns: names of those to read, None for all.
        only: column -> values; rows with other values are left out, and where possible not read.
        schema: Arrow schema that says of which types its columns, as far as they are read, have to be.

    Raises:
        ImageTableError: it is missing, no Parquet, damaged, or lacks one of `columns`; it has one twice; one is of
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


def _read_of_views(file, columns, only):
    """read, where Arrow has no filter for the type of a column of `only`, string_view."""
    rows = file.read(columns=list(dict.fromkeys([*columns, *only])))
    wanted = np.ones(len(rows), bool)
    for column, values in only.items():
        among = set(values)
        wanted &= np.array([value in among for value in rows.column(column).to_pylist()], bool)
    # Arrow can't take or filter rows of a string_view either; slices can be joined.
    found = [rows.slice(row, 1) for row in np.flatnonzero(wanted).tolist()]
    return (pa.concat_tables(found) if found else rows.slice(0, 0)).select(columns)
