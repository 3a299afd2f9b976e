"""Tab-separated tables, shown in columns on a terminal."""

import csv
import io
import itertools
import shutil
import sys
import textwrap
import unicodedata
from collections.abc import Sequence

from fit.io.escaping import uncell

NO_TERMINAL = 100
"""Characters of a line where the output is not a terminal: a pipe, a file, CI."""
FEW_ROWS = 3
"""Up to so many rows, a table that is too wide is turned: a line for each of its columns."""


def terminal_width() -> int:
    """Return how many characters a line of the terminal has; NO_TERMINAL if the output is not a terminal."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else NO_TERMINAL


def _pad(text: str, width: int) -> str:
    """Fill up `text` with spaces to `width` places of a terminal, where East Asian characters take two."""
    return text + " " * (width - _columns(text))


def _columns(text: str) -> int:
    return sum(0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)


def _lines(rows: Sequence[Sequence[str]], widths: Sequence[int], ruled: bool) -> list[str]:
    """Return rows of cells as lines; a cell that is wider than its column goes on in the next line."""
    lines: list[str] = []
    for number, row in enumerate(rows):
        cells = [textwrap.wrap(cell, width) or [""] for cell, width in zip(row, widths, strict=True)]
        for parts in itertools.zip_longest(*cells, fillvalue=""):
            lines.append("  ".join(_pad(part, width) for part, width in zip(parts, widths, strict=True)).rstrip())
        if ruled and number == 0:
            lines.append("  ".join("-" * width for width in widths))
    return lines


def _folded(rows: Sequence[Sequence[str]], widths: Sequence[int], width: int) -> str:
    """Return a wide table as several, one below another, each with the first column."""
    blocks: list[list[int]] = []
    chosen = [0]
    for column in range(1, len(widths)):
        if len(chosen) > 1 and sum(widths[i] + 2 for i in [*chosen, column]) - 2 > width:
            blocks.append(chosen)
            chosen = [0]
        chosen.append(column)
    return "\n\n".join(
        "\n".join(_lines([[row[i] for i in block] for row in rows], [widths[i] for i in block], True))
        for block in [*blocks, chosen]
    )


def aligned(text: str, width: int | None = None) -> str:
    """Return tab-separated text in columns for a terminal, under a ruled header, in lines that fit it.

    A table that is too wide is turned if it has few rows: a line for each column that is not empty. Else it becomes
    several tables, one below another, each with the first column. Long cells are wrapped. tabulate neither turns nor
    folds a table.

    Args:
        text: as fit.io.escaping.delimited writes it.
        width: of the lines; None: of the terminal.
    """
    width = terminal_width() if width is None else width
    rows = [[uncell(cell) for cell in row] for row in csv.reader(io.StringIO(text), delimiter="\t")]
    most = max(len(row) for row in rows)
    rows = [row + [""] * (most - len(row)) for row in rows]
    widths = [max(1, *(_columns(row[i]) for row in rows)) for i in range(most)]
    if sum(widths) + 2 * (most - 1) <= width:
        return "\n".join(_lines(rows, widths, True))
    if len(rows) - 1 <= FEW_ROWS and len(rows) > 1:
        turned = [list(column) for column in zip(*rows, strict=True) if any(column[1:])]
        name = max(_columns(column[0]) for column in turned)
        room = (width - name) // (len(rows) - 1) - 2
        if room >= 20:
            widest = (max(1, *(_columns(column[i]) for column in turned)) for i in range(1, len(rows)))
            return "\n".join(_lines(turned, [name, *(min(room, cell) for cell in widest)], False))
    # No more than a first column and one beside it have to fit.
    first = min(widths[0], width // 3)
    return _folded(rows, [first, *(min(cell, width - first - 2) for cell in widths[1:])], width)
