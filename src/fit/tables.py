"""Tables of results, each number read from a file that a stage wrote."""

import csv
import io
from pathlib import Path

from fit.errors import DataError


def read_frame(path, columns, as_text=False):
    """Read a table that a user gives, as a polars DataFrame: Parquet, TSV (`.tsv`), or else CSV.

    Args:
        columns: names of those that it must have; as_text: whether cells of a text file stay text.

    Raises:
        DataError: it is missing, can't be read, or lacks a column.
    """
    import polars as pl

    suffix = Path(path).suffix
    if not Path(path).is_file():
        raise DataError(f"{path}: there is no such file; mend the path")
    try:
        if suffix == ".parquet":
            table = pl.read_parquet(path)
        else:
            separator = "\t" if suffix == ".tsv" else ","
            table = pl.read_csv(path, separator=separator, infer_schema=not as_text)
    except (OSError, pl.exceptions.PolarsError) as error:
        why = str(error).partition("\n")[0]
        raise DataError(
            f"{path}: neither Parquet nor CSV that can be read ({why}); cells are separated by commas, by tabs in a "
            ".tsv, and quoted where they have one"
        ) from None
    for column in columns:
        if column not in table.columns:
            raise DataError(f"{path}: no column {column!r}; it has {', '.join(table.columns)}")
    return table


def as_count(value, rounded, where):
    """`value`, a number or its text, as a count; None for an empty cell.

    Args:
        rounded: function from a float to an integer, for what is not whole; where: file, concept and column.

    Raises:
        DataError: it is no number, or negative.
    """
    if value is None or value == "":
        return None
    try:
        count = rounded(float(value))
    except (TypeError, ValueError, OverflowError):
        count = -1
    if count < 0:
        raise DataError(f"{where} is {value!r}, not a count; mend it")
    return count


def _number(value):
    return "" if value is None else f"{value:.4f}"


def _share(row, rate):
    if row[rate] is None:
        return ""
    return f"{row[rate]:.4f} ({row[f'{rate}_low']:.4f} to {row[f'{rate}_high']:.4f})"


def recognisers(assessed):
    """The table of recognisers' errors by group, as tab-separated text; intervals of 95 % in brackets.

    Args:
        assessed: list of (embedder's folder, *what fit.recognition.assess returns).
    """
    columns = (
        "recogniser",
        "group",
        "concepts",
        "cut",
        "ROC AUC",
        "equal error rate",
        "false non-matches",
        "false matches",
    )
    text = io.StringIO()
    writer = csv.writer(text, delimiter="\t", lineterminator="\n")
    writer.writerow(columns)
    for name, found, rows in assessed:
        for row in rows:
            quality = (_number(found[key]) for key in ("cut", "roc_auc", "equal_error_rate"))
            writer.writerow((name, row["group"], row["concepts"], *quality, _share(row, "fnmr"), _share(row, "fmr")))
    return text.getvalue()


def aligned(text):
    """Tab-separated text in columns for a terminal, under a ruled header."""
    rows = list(csv.reader(io.StringIO(text), delimiter="\t"))
    # A line of a user's table may have fewer cells than others; an empty line has none.
    columns = max(map(len, rows))
    rows = [row + [""] * (columns - len(row)) for row in rows]
    widths = [max(len(row[i]) for row in rows) for i in range(columns)]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    return "\n".join([lines[0], "  ".join("-" * width for width in widths), *lines[1:]])
