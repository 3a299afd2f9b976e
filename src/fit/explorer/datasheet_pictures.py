"""The pictures of a datasheet: thumbnails from the tables beside study.json."""

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, UnidentifiedImageError

from fit.errors import ImageTableError
from fit.explorer.contents import PICTURES, Concept, Part, Study
from fit.explorer.datasheet_blocks import Block, Text, Thumbnail, Thumbnails, shown_score, visible
from fit.explorer.reading import COMMAND
from fit.io.concept_tables import ConceptTables
from fit.io.digest import sha256_of
from fit.io.shown import number_of


class Pictures:
    """The thumbnails of a study that a datasheet may show."""

    def __init__(self, study: Study, folder: str | Path, shown: str):
        """`folder`: of the tables, {model}/{domain}/*.parquet; `shown`: DatasheetSettings.pictures."""
        self._folder, self._shown, self._left_out = Path(folder), shown, study.pictures_left_out
        self._known = {source.file: source.sha256 for source in study.sources}
        self._tables: dict[tuple[str, str], ConceptTables | None] = {}
        self.used: dict[str, str] = {}
        """Tables that pictures were read from -> their SHA-256."""

    @property
    def others(self) -> list[str]:
        """Tables that pictures were read from, and that are not the ones that the study was made with."""
        return [table for table, sha256 in self.used.items() if self._sources_of(table) not in (set(), {sha256})]

    def _sources_of(self, table: str) -> set[str]:
        return {sha256 for file, sha256 in self._known.items() if file.endswith(f"explorer/{table}")}

    def _is_shown_by_study(self, part: Part) -> bool:
        """Whether the study shows pictures of a part: then their tables are among its sources."""
        inside = f"explorer/pictures/{part.model}/{part.domain}/"
        return not self._left_out or any(inside in file for file in self._known)

    def why_none(self, part: Part) -> str:
        """Say why a part is shown without pictures; empty if it has some."""
        if self._shown == "none":
            return "Pictures are left out of this datasheet."
        if self._shown == "without_people" and part.is_of_people:
            return "Pictures of people are left out of this datasheet."
        if not self._is_shown_by_study(part):
            return self._left_out
        if self._of(part) is None:
            return f"The tables of pictures were not found in {self._folder.name}/{part.model}/{part.domain}."
        return ""

    def _of(self, part: Part) -> ConceptTables | None:
        key = (part.model, part.domain)
        if key not in self._tables:
            place = Path(self._folder, *key)
            there = place.is_dir() and any(place.glob("*.parquet"))
            self._tables[key] = ConceptTables([place]) if there else None
        return self._tables[key]

    def has(self, part: Part, concept: Concept) -> bool:
        """Whether there may be pictures of a concept."""
        tables = None if self.why_none(part) else self._of(part)
        return tables is not None and concept.slug in tables

    def read(self, part: Part, concept: Concept) -> list[dict[str, Any]]:
        """Return the rows of a concept, by role and rank.

        Raises:
            ImageTableError: a picture can't be decoded.
        """
        tables = self._of(part)
        if tables is None or not self.has(part, concept):
            return []
        path = tables.path(concept.slug)
        rows: list[dict[str, Any]] = tables.read(concept.slug, PICTURES.names, PICTURES).to_pylist()
        for row in rows:
            try:
                with Image.open(io.BytesIO(row["bytes"]), formats=["WEBP"]) as picture:
                    picture.load()
            except (UnidentifiedImageError, OSError, ValueError, Image.DecompressionBombError) as error:
                raise ImageTableError(
                    f"{path}: the thumbnail {row['image_id']!r} of {concept.slug!r} can't be decoded ({error}); "
                    f"remove the table and run `{COMMAND}`"
                ) from None
        name = path.relative_to(self._folder.parent).as_posix()
        self.used.setdefault(name, sha256_of(path))
        return sorted(rows, key=lambda row: (row["role"], row["rank"]))


def thumbnail_of(row: dict[str, Any], concept: Concept, caption: str) -> Thumbnail:
    what = {"reference": "Reference", "generated": "Generated picture", "target": "Target"}[row["role"]]
    return Thumbnail(row["bytes"], visible(caption), f"{what} of {visible(concept.name)}")


def _beside(rows: list[dict[str, Any]], concept: Concept, title: str) -> Thumbnails | None:
    """Show references beside generated pictures."""
    of_role = {role: [row for row in rows if row["role"] == role] for role in ("reference", "generated")}
    groups = [
        (label, tuple(thumbnail_of(row, concept, "") for row in of_role[role][:most]))
        for role, label, most in (("reference", "references", 2), ("generated", "generated by the model", 4))
        if of_role[role]
    ]
    return Thumbnails(title, tuple(groups)) if groups else None


def _spread(concepts: Sequence[Concept], number: int) -> list[Concept]:
    """Return `number` of concepts, spread evenly over their ranks in count."""
    if len(concepts) <= number:
        return list(concepts)
    return [concepts[at] for at in np.unique(np.linspace(0, len(concepts) - 1, number).round().astype(int))]


def examples_of(part: Part, pictures: Pictures, number: int) -> list[Block]:
    why = pictures.why_none(part)
    if why or not number:
        return [Text(visible(why or "Pictures are left out of this datasheet."), "note")]
    scored = [one for one in part.concepts if one.count is not None and pictures.has(part, one)]
    chosen = _spread(scored, number)
    blocks: list[Block] = []
    for concept in chosen:
        score = shown_score(concept.scores.get("score"))
        assert concept.count is not None  # of those that were chosen
        title = f"{concept.name}: {number_of(concept.count, 'training image')}, score {score}"
        if shown := _beside(pictures.read(part, concept), concept, visible(title)):
            blocks.append(shown)
    if not blocks:
        return [Text("No concept of this part has pictures.", "note")]
    rule = (
        f"{number_of(len(blocks), 'concept')}, evenly spaced in the order of their counts, and chosen by count alone. "
        "Of each, the first references and generated pictures of the study's thumbnails."
    )
    return [Text(rule), *blocks]
