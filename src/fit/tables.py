"""Tables of results, each number read from a file that a stage wrote."""

import csv
import io

from fit.published import THRESHOLDS

COLUMNS = (
    "model",
    "domain",
    "concepts",
    "threshold",
    "interval",
    "best split",
    "score below",
    "score above",
    "published",
)


def _row(model, domain, found):
    below, above, interval = found["below"], found["above"], found["interval"]
    return {
        "model": model,
        "domain": domain,
        "concepts": found["concepts"],
        "threshold": "no change point" if found["threshold"] is None else found["threshold"],
        "interval": f"{interval[0]:.0f} to {interval[1]:.0f}" if interval else "",
        "best split": "" if found["single"]["threshold"] is None else found["single"]["threshold"],
        "score below": f"{below['mean_score']:.3f}" if below else "",
        "score above": f"{above['mean_score']:.3f}" if above else "",
        "published": THRESHOLDS.get((model, domain), ""),
    }


def thresholds(found):
    """The table of thresholds as tab-separated text.

    Args:
        found: list of (model, domain, dict as fit.threshold.detect returns it).
    """
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, delimiter="\t", lineterminator="\n")
    writer.writeheader()
    writer.writerows(_row(*one) for one in found)
    return text.getvalue()


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
            quality = (f"{found[key]:.4f}" for key in ("cut", "roc_auc", "equal_error_rate"))
            writer.writerow((name, row["group"], row["concepts"], *quality, _share(row, "fnmr"), _share(row, "fmr")))
    return text.getvalue()


def aligned(text):
    """Tab-separated text in columns for a terminal, under a ruled header."""
    rows = list(csv.reader(io.StringIO(text), delimiter="\t"))
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    return "\n".join([lines[0], "  ".join("-" * width for width in widths), *lines[1:]])
