"""Tables of results, each number read from a file that a stage wrote."""

import csv
import io


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
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    return "\n".join([lines[0], "  ".join("-" * width for width in widths), *lines[1:]])
