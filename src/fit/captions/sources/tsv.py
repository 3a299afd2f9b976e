"""Captions in tab-separated text."""

from fit.captions.sources.csv import CsvCaptions
from fit.errors import say_once

QUOTED_SHARE = 0.2
"""Share of the first cells in quotes from which on a file looks as if a program had quoted it."""


class TsvCaptions(CsvCaptions):
    """Tab-separated, with a header. A quote is a character like any other: the format has no quoting."""

    _delimiter = "\t"
    _quote = ""

    def _find_delimiter(self) -> None:
        """Say on stderr where cells look as if a program had quoted them; the delimiter is always a tab."""
        lines = self._beginning.decode(self._codec, "replace").splitlines()[1:-1]
        cells = [cell for line in lines for cell in line.split("\t") if cell]
        quoted = sum(len(cell) > 1 and cell[0] == cell[-1] == '"' for cell in cells)
        if quoted > QUOTED_SHARE * len(cells):
            say_once(
                f"{self.path}: {quoted / len(cells):.0%} of its first cells begin and end with a quote, which are "
                "taken as they are, since tab-separated captions do not quote; if a program put them there, and line "
                "ends or tabs into cells, save the file as CSV"
            )
