"""Concept sheets: a tab-separated file per domain, a row a concept.

Columns: `concept` (a slug of a-z, 0-9 and -), `name`, and optionally `aliases` (separated by |) and `group`.
"""

import csv
import re
from dataclasses import dataclass
from pathlib import Path

from fit.errors import SheetError

SLUG = re.compile(r"[a-z0-9-]+")


@dataclass(frozen=True)
class Concept:
    """A person or a style, as captions name it."""

    concept: str
    name: str
    aliases: tuple[str, ...] = ()
    group: str = ""

    @property
    def names(self):
        """The name and its aliases."""
        return (self.name, *self.aliases)


def read_sheet(path):
    """Read a concept sheet.

    Returns:
        A list of Concept, in the sheet's order.

    Raises:
        SheetError: the file is missing or empty, lacks a column, or a row has a bad or repeated slug or an empty name.
    """
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise SheetError(
            f"{path}: there is no such concept sheet; write one, or mend `concepts` in config.yaml"
        ) from None
    except UnicodeDecodeError as error:
        raise SheetError(f"{path}: byte {error.start} is not UTF-8; save the sheet as UTF-8") from None
    lines = csv.DictReader(text.splitlines(), delimiter="\t", quoting=csv.QUOTE_NONE)
    columns = lines.fieldnames or []
    for column in ("concept", "name"):
        if column not in columns:
            raise SheetError(
                f"{path}, line 1: no column `{column}`; the header needs concept and name, separated by tabs "
                f"(found: {', '.join(columns) or 'nothing'})"
            )
    concepts: list[Concept] = []
    line_of: dict[str, int] = {}
    for row in lines:
        line = lines.line_num
        if not any((value or "").strip() for value in row.values() if isinstance(value, str)):
            continue
        if None in row:
            raise SheetError(f"{path}, line {line}: more cells than the header has columns; take out the extra tabs")
        slug, name = (row["concept"] or "").strip(), (row["name"] or "").strip()
        if not SLUG.fullmatch(slug):
            raise SheetError(f"{path}, line {line}: concept {slug!r} is no slug; use only a-z, 0-9 and -")
        if not name:
            raise SheetError(f"{path}, line {line}: concept {slug!r} has an empty name; write the name captions use")
        if slug in line_of:
            raise SheetError(
                f"{path}, line {line}: concept {slug!r} stands in line {line_of[slug]} too; "
                "give one of them another slug, or unite their rows"
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
    by_slug = {concept.concept: concept for concept in read_sheet(sheet)}
    for slug in slugs:
        if slug not in by_slug:
            raise SheetError(f"{sheet}: there is no concept {slug!r}; add a row for it, or name one that is there")
    return [by_slug[slug] for slug in slugs]
