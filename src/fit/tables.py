"""Tables of results, each number read from a file that a stage wrote."""

import csv
import io

PUBLISHED = {
    ("sd1.1", "celebrities"): 364,
    ("sd1.1", "politicians"): 234,
    ("sd1.1", "classical_artists"): 112,
    ("sd1.1", "modern_artists"): 198,
}
"""Thresholds in the paper's table (arXiv 2410.15002, table 2), for comparison."""

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
        "published": PUBLISHED.get((model, domain), ""),
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


def aligned(text):
    """Tab-separated text in columns for a terminal, under a ruled header."""
    rows = list(csv.reader(io.StringIO(text), delimiter="\t"))
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    return "\n".join([lines[0], "  ".join("-" * width for width in widths), *lines[1:]])
