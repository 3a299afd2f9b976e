"""Text of strangers, such as names and captions, in files that another program interprets.

A spreadsheet computes a cell that begins with `=`, Markdown shows HTML and links, LaTeX runs commands. These functions
change a text so that each program shows it as it is.
"""

import csv
import re
from collections.abc import Iterable

# The default of the csv module, 131,072 characters, is too small for a cell of image scores.
csv.field_size_limit(2**31 - 1)

_APOSTROPHES_AND_FORMULA = re.compile("'*[=+\\-@\t\r\n\uff1d\uff0b\uff0d\uff20]")
"""Signs with which a formula begins, also in double width (OWASP, "CSV Injection"), after any apostrophes."""
_NUMBER = re.compile(r"'*[+-](\d+\.?\d*|\.\d+)(e[+-]?\d+)?\s*%?", re.IGNORECASE)
_CONTROLS = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]+")
_MARKDOWN = re.compile(r"[\\`*\[\]<>|~$&#]|(?<![^\W_])_|_(?![^\W_])")  # _ within a word is no markup
_ENTITIES = {"<": "&lt;", ">": "&gt;", "&": "&amp;"}
_LATEX = {
    "\\": r"\textbackslash{}",
    "^": r"\textasciicircum{}",
    "~": r"\textasciitilde{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    # After the end of a row, LaTeX would read these two as its argument.
    "[": "{[}",
    "*": "{*}",
} | {sign: f"\\{sign}" for sign in "{}$&#%_"}


def _is_formula(text: str) -> bool:
    return bool(_APOSTROPHES_AND_FORMULA.match(text)) and not _NUMBER.fullmatch(text)


def cell(value: object) -> object:
    """Return `value` as a cell of CSV or TSV: text that a spreadsheet would compute gets an apostrophe in front.

    Numbers stay as they are, also as text ("-0.3"). Text that has apostrophes and then such a sign gets one more, so
    that `uncell` returns the original.
    """
    return f"'{value}" if isinstance(value, str) and _is_formula(value) else value


def uncell(text: str) -> str:
    """Return the text that `cell` made `text` of."""
    return text[1:] if text.startswith("'") and _is_formula(text) else text


def delimited(rows: Iterable[Iterable[object]], delimiter: str = "\t") -> str:
    """Return rows of cells as text: each as `cell` returns it, quoted if it has a delimiter, a quote or a line end."""
    return "".join(f"{delimiter.join(_quoted(value, delimiter) for value in row)}\n" for row in rows)


def _quoted(value: object, delimiter: str) -> str:
    # csv.writer does not quote a carriage return, at which its own reader ends the row.
    text = "" if value is None else str(cell(value))
    if any(sign in text for sign in (delimiter, '"', "\n", "\r")):
        return '"{}"'.format(text.replace('"', '""'))
    return text


def _one_line(text: str) -> str:
    """Return `text` with a space for line ends and other control characters."""
    return " ".join(_CONTROLS.sub(" ", text).split())


def markdown(text: str) -> str:
    """Return `text` for a line, or a cell of a table, of Markdown: no part of it is markup, HTML or a link."""
    return _MARKDOWN.sub(lambda sign: _ENTITIES.get(sign[0], f"\\{sign[0]}"), _one_line(text))


def latex(text: str) -> str:
    """Return `text` for a paragraph or a table of LaTeX: no sign of it is a command."""
    return "".join(_LATEX.get(sign, sign) for sign in _one_line(text))
