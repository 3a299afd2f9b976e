"""Blocks of a datasheet, which HTML and PDF lay out alike, and the texts in them."""

import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, fields, is_dataclass
from typing import Any, Literal

from fit.explorer.contents import Interval, Part
from fit.explorer.words import unbroken

LONGEST = 600
"""Characters of a text of strangers, such as a name or a caption, that is shown."""


@dataclass(frozen=True)
class Text:
    """A paragraph."""

    text: str
    kind: Literal["text", "answer", "warning", "note"] = "text"


@dataclass(frozen=True)
class Bullets:
    """A list."""

    items: tuple[str, ...]


@dataclass(frozen=True)
class Code:
    """Lines that a reader may run."""

    lines: tuple[str, ...]


@dataclass(frozen=True)
class Grid:
    """A table."""

    columns: tuple[str, ...]
    """Empty texts: no line of headings."""
    rows: tuple[tuple[str, ...], ...]
    widths: tuple[int, ...]
    """Of the columns, relative to each other."""
    numbers: frozenset[int] = frozenset()
    """Columns that are aligned to the right."""
    code: frozenset[int] = frozenset()
    """Columns in a font of equal widths."""


@dataclass(frozen=True)
class Figure:
    """A figure."""

    svg: str
    caption: str
    alt: str
    """What it shows, for those who do not see it."""


@dataclass(frozen=True)
class Thumbnail:
    """A picture."""

    data: bytes
    """Of a WebP file."""
    caption: str
    alt: str


@dataclass(frozen=True)
class Thumbnails:
    """Groups of pictures beside each other, each group under its label."""

    title: str
    groups: tuple[tuple[str, tuple[Thumbnail, ...]], ...]


Block = Text | Bullets | Code | Grid | Figure | Thumbnails


@dataclass(frozen=True)
class Section:
    """A heading and what is below it."""

    title: str
    blocks: list[Block] = field(default_factory=list)
    inside: list["Section"] = field(default_factory=list)


@dataclass(frozen=True)
class Datasheet:
    """A whole datasheet."""

    title: str
    study: str
    date: str
    """YYYY-MM-DD."""
    author: str
    """Who hands it over; may be empty."""
    fit: str
    facts: Grid
    sections: list[Section]

    def texts(self) -> Iterator[str]:
        """Yield every text of it; not those within figures."""
        yield from _texts(self)


def _texts(of: object) -> Iterator[str]:
    if isinstance(of, str):
        yield of
    elif isinstance(of, (list, tuple)):
        for one in of:
            yield from _texts(one)
    elif is_dataclass(of):
        for each in fields(of):
            if each.name not in ("svg", "kind"):
                yield from _texts(getattr(of, each.name))


def visible(text: str) -> str:
    """Return a text of strangers in one line, with invisible characters as [U+202E], and not longer than LONGEST.

    Characters that turn the direction of writing, for example, could make a name read as another.
    """
    text = re.sub(r"\s+", " ", text).strip()
    text = unbroken(text)
    more = f" ... ({len(text):,} characters)" if len(text) > LONGEST else ""
    hidden = ("Cc", "Cf", "Co", "Cs", "Zl", "Zp")
    shown = [f"[U+{ord(sign):04X}]" if unicodedata.category(sign) in hidden else sign for sign in text[:LONGEST]]
    return "".join(shown) + more


def as_sentence(text: str) -> str:
    """Return an answer as a sentence. Its first word may be the name of a model, which stays as it is."""
    text = visible(text)
    text = f"N{text[1:]}" if text.startswith("no imitation") else f"I{text[1:]}" if text.startswith("imit") else text
    return text if text.endswith((".", "!", "?")) else f"{text}."


def in_images(value: float | None) -> str:
    return "-" if value is None else f"{value:,.0f}"


def in_a_span(interval: Interval | None) -> str:
    return "-" if interval is None else f"{interval[0]:,.0f} to {interval[1]:,.0f}"


def shown_score(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def facts_of(rows: Sequence[tuple[str, str]]) -> Grid:
    return Grid(("", ""), tuple((label, visible(value)) for label, value in rows), (4, 9))


def grid_of(columns: Sequence[str], rows: Sequence[Sequence[str]], widths: Sequence[int], **more: Any) -> Grid:
    return Grid(tuple(columns), tuple(tuple(map(visible, row)) for row in rows), tuple(widths), **more)


def shown_time(time: str) -> str:
    """Return a date and time as one reads it: ISO's "T" and offset of UTC in words."""
    return re.sub(r"^(\d{4}-\d\d-\d\d)T([\d:.]+)(?:\+00:00|Z)$", r"\1 \2 UTC", time)


def name_of(part: Part) -> str:
    """Return what a part is called."""
    return f"{visible(part.model)} in {visible(part.domain)}"
