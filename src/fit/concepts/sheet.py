"""Concept sheets: a tab-separated file per domain, a row a concept.

Columns: `concept` (a slug of a-z, 0-9 and -), `name`, and optionally `aliases` (separated by |) and `group`. Cells may
be quoted as spreadsheets do it, and separated by commas or semicolons too (fit.io.user_tables).
"""

import re
from dataclasses import dataclass

from fit.errors import SheetError
from fit.io.user_tables import read_user_table, shown

SLUG = re.compile(r"[a-z0-9-]+")
COLUMNS = ("concept", "name", "aliases", "group")
LONGEST_SLUG = 200
"""Characters; a file's name has at most 255, and those of a concept's files are longer than its slug."""


@dataclass(frozen=True)
class Concept:
    """A person or a style, as captions name it."""

    slug: str
    name: str
    aliases: tuple[str, ...] = ()
    group: str = ""

    @property
    def names(self):
        """The name and its aliases."""
        return (self.name, *self.aliases)


def _read(path):
    return read_user_table(
        path,
        COLUMNS[:2],
        optional=COLUMNS[2:],
        error=SheetError,
        separator="\t",
        short_rows=True,
        empty=True,
        missing="there is no such concept sheet: write one, or correct `concepts` in config.yaml",
    )


def notes_of(path):
    """Columns of a concept sheet that are not read, such as notes; names, in its order. Raises as read_sheet does."""
    return [name for name in _read(path).columns if name and name not in COLUMNS]


def read_sheet(path):
    """Read a concept sheet.

    Returns:
        A list of Concept, in the sheet's order.

    Raises:
        SheetError: the file is missing or empty, lacks a column or has a misspelt one, or a row has a bad or repeated
            slug or an empty name.
    """
    table = _read(path)
    concepts: list[Concept] = []
    line_of: dict[str, int] = {}
    for index, row in enumerate(table.rows):
        where, line = table.where(index), table.lines[index]
        for column in ("name", "aliases", "group"):
            if not isinstance(row.get(column) or "", str):
                raise SheetError(f"{where}: {column} is {shown(row[column])}, not text; write it as text")
        slug, name = (row["concept"] or "").strip(), (row["name"] or "").strip()
        if not SLUG.fullmatch(slug):
            raise SheetError(f"{where}: concept {shown(slug)} is no slug; use only a-z, 0-9 and -")
        if len(slug) > LONGEST_SLUG:
            raise SheetError(
                f"{where}: concept {slug[:30]!r}... has {len(slug)} characters, and no file can have so long a name; "
                f"use at most {LONGEST_SLUG}"
            )
        if not name:
            raise SheetError(f"{where}: concept {slug!r} has an empty name; write the name captions use")
        if slug in line_of:
            raise SheetError(
                f"{where}: concept {slug!r} is in {table.unit} {line_of[slug]} too; "
                "give one of them another slug, or unite their rows"
            )
        if lost := next((cell for cell in (name, row.get("aliases") or "") if "\n" in cell or "\t" in cell), None):
            raise SheetError(
                f"{where}: concept {slug!r}: {shown(lost)} has a line break or a tab; take it out of the cell"
            )
        line_of[slug] = line
        aliases = tuple(alias.strip() for alias in (row.get("aliases") or "").split("|") if alias.strip())
        concepts.append(Concept(slug, name, aliases, (row.get("group") or "").strip()))
    if not concepts:
        raise SheetError(f"{path}: the sheet has no concept; add a row for each")
    return concepts


def find_concepts(sheet, slugs):
    """The concepts of `sheet` (a path) whose slugs are `slugs`, in that order.

    Raises:
        SheetError: a slug is not in the sheet.
    """
    by_slug = {concept.slug: concept for concept in read_sheet(sheet)}
    for slug in slugs:
        if slug not in by_slug:
            raise SheetError(f"{sheet}: there is no concept {slug!r}; add a row for it, or name one that is there")
    return [by_slug[slug] for slug in slugs]
