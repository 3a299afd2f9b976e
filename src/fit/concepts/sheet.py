"""Concept sheets: a tab-separated file per domain, with a row per concept.

Columns: `concept` (a slug of a-z, 0-9 and -, no - first), `name`, and optionally `aliases` (separated by |) and
`group`. Cells may be quoted as spreadsheets do, and separated by commas or semicolons too (fit.io.user_tables).
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from fit.errors import SheetError
from fit.io.escaping import delimited
from fit.io.files import write_text
from fit.io.shown import shown
from fit.io.user_tables import Source, UserTable, read_user_table

SLUG = re.compile(r"[a-z0-9][a-z0-9-]*")
"""A dash is not first: a command would take the slug for an option."""
COLUMNS = ("concept", "name", "aliases", "group")
LONGEST_SLUG = 200
"""Characters: a file's name has at most 255, and the names of a concept's files are longer than its slug."""


@dataclass(frozen=True)
class Concept:
    """A person or a style, as captions name it."""

    slug: str
    """Of a-z, 0-9 and -; the column `concept` of the sheet."""
    name: str
    aliases: tuple[str, ...] = ()
    group: str = ""

    @property
    def names(self) -> tuple[str, ...]:
        """Its name and its aliases."""
        return (self.name, *self.aliases)


def _read(path: Source) -> UserTable:
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


def notes_of(path: str | Path) -> list[str]:
    """Return the names of columns of a sheet that are not read, such as notes. Raises as read_sheet does."""
    return [name for name in _read(path).columns if name and name not in COLUMNS]


def read_sheet(path: Source) -> list[Concept]:
    """Return the concepts of a sheet, in its order; `path` may be a table in memory.

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
            raise SheetError(f"{where}: concept {shown(slug)} is not a slug; use only a-z, 0-9 and -, and no - first")
        if len(slug) > LONGEST_SLUG:
            raise SheetError(
                f"{where}: concept {slug[:30]!r}... has {len(slug)} characters, too many for the name of a file; "
                f"use at most {LONGEST_SLUG}"
            )
        if not name:
            raise SheetError(f"{where}: concept {slug!r} has an empty name; write the name captions use")
        if slug in line_of:
            raise SheetError(
                f"{where}: concept {slug!r} is in {table.unit} {line_of[slug]} too; "
                "give one of them another slug, or make them one row"
            )
        if lost := next((cell for cell in (name, row.get("aliases") or "") if "\n" in cell or "\t" in cell), None):
            raise SheetError(
                f"{where}: concept {slug!r}: {shown(lost)} has a line break or a tab; remove it from the cell"
            )
        line_of[slug] = line
        aliases = tuple(alias.strip() for alias in (row.get("aliases") or "").split("|") if alias.strip())
        concepts.append(Concept(slug, name, aliases, (row.get("group") or "").strip()))
    if not concepts:
        raise SheetError(f"{path}: the sheet has no concept; add a row for each")
    return concepts


def find_concepts(sheet: str | Path, slugs: Iterable[str]) -> list[Concept]:
    """Return the concepts of `sheet` whose slugs are `slugs`, in that order.

    Raises:
        SheetError: a slug is not in the sheet.
    """
    by_slug = {concept.slug: concept for concept in read_sheet(sheet)}
    wanted = list(slugs)
    for slug in wanted:
        if slug not in by_slug:
            raise SheetError(f"{sheet}: there is no concept {slug!r}; add a row for it, or name one of the sheet")
    return [by_slug[slug] for slug in wanted]


def write_sheet(concepts: Iterable[Concept], path: str | Path) -> None:
    """Write concepts as a sheet that read_sheet reads."""
    rows = [(concept.slug, concept.name, "|".join(concept.aliases), concept.group) for concept in concepts]
    write_text(path, delimited([COLUMNS, *rows]))
