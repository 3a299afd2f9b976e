"""Which pictures of a concept the explorer shows: references, generated pictures, and the nearest targets of these.

No picture is chosen for its score: a reader would take the best for the usual.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from PIL import Image

from fit.embeddings.files import read_single_faces
from fit.explorer.contents import PICTURES
from fit.explorer.settings import PictureSettings
from fit.images.table import COLLECTED, GENERATED, pictures_at
from fit.io.concept_tables import ConceptTables, write_concepts
from fit.io.parquet import read
from fit.matches.match import MATCHES
from fit.references.kept import kept_references
from fit.scores.evidence import read_training
from fit.scores.targets import choose_targets

SEVERAL = 15
"""Thumbnails of a concept from which on each generated picture has two targets."""
TRAINING, REFERENCE = "training", "reference"
"""What a target is."""


@dataclass(frozen=True, kw_only=True)
class PicturePlaces:
    """The tables that hold the pictures of concepts, and their vectors."""

    generated: ConceptTables
    """Image tables of generated pictures."""
    generated_embeddings: ConceptTables
    references: ConceptTables
    """Image tables of references, with the column `kept`."""
    reference_embeddings: ConceptTables
    image_tables: ConceptTables | None = None
    """Image tables of training images; None without any."""
    images: ConceptTables | None = None
    """Embeddings of the same images."""
    matches: ConceptTables | None = None
    """Which of them match, row by row of the embeddings."""


@dataclass(frozen=True)
class Shares:
    """How many pictures of each role a concept has."""

    references: int
    generated: int
    targets_of_each: int
    """Of each generated picture."""


def shares(total: int) -> Shares:
    """Share `total` pictures, 3 or more, among the roles: about a fifth are references."""
    each = 1 if total < SEVERAL else 2
    generated = max(1, (total - max(1, total // 5)) // (1 + each))
    return Shares(total - generated * (1 + each), generated, each)


def spread_over_prompts(prompts: Sequence[str], number: int) -> list[int]:
    """Choose pictures that are spread over prompts: the first of each prompt, then the second ...

    Args:
        prompts: [N] of each picture, in the order in which they were made.
        number: how many to choose, at most.

    Returns:
        Rows, prompt by prompt. Where there are fewer than prompts, those of every second, third ... prompt.
    """
    rows_of: dict[str, list[int]] = {}
    for row, prompt in enumerate(prompts):
        rows_of.setdefault(prompt, []).append(row)
    by_turn = [(turn, place, row) for place, rows in enumerate(rows_of.values()) for turn, row in enumerate(rows)]
    turns = sorted(by_turn)
    if number < len(rows_of):
        firsts = [row for turn, _, row in turns if not turn]
        return [firsts[at] for at in np.linspace(0, len(firsts) - 1, number).astype(int)]
    return [row for _, _, row in sorted(turns[:number], key=lambda one: (one[1], one[0]))]


def nearest_targets(
    picture: np.ndarray, targets: np.ndarray, names: Sequence[tuple[str, str]], number: int
) -> list[tuple[int, float]]:
    """Find the targets nearest to a generated picture.

    Args:
        picture: unit vector [D].
        targets: [T, D] unit vectors.
        names: [T] (TRAINING or REFERENCE, image_id); an image of several faces is there several times.
        number: how many images to find, at most.

    Returns:
        (row of `targets`, cosine) each, the nearest first; of an image with several faces, its nearest.
    """
    cosines = targets.astype(np.float64) @ picture.astype(np.float64)
    found: dict[tuple[str, str], tuple[int, float]] = {}
    for row in np.argsort(-cosines, kind="stable").tolist():
        if len(found) == number:
            break
        found.setdefault(names[row], (row, float(cosines[row])))
    return list(found.values())


def thumbnail(picture: Image.Image, settings: PictureSettings) -> tuple[bytes, int, int]:
    """Return (WebP bytes, width, height) of an RGB picture, made smaller if it is larger than `thumbnail_px`."""
    small = picture.copy()
    small.thumbnail((settings.thumbnail_px, settings.thumbnail_px), Image.Resampling.LANCZOS)
    buffer = BytesIO()
    small.save(buffer, "WEBP", quality=settings.thumbnail_quality, method=6)
    return buffer.getvalue(), *small.size


def _targets(places: PicturePlaces, concept: str, rule: str) -> tuple[np.ndarray, list[tuple[str, str]]]:
    """Return the targets of a concept's score: (vectors [T, D], (TRAINING or REFERENCE, image_id) of each)."""
    kept_names, kept = kept_references(places.references, places.reference_embeddings, concept)
    of_references = [(REFERENCE, str(name)) for name in kept_names]
    matched, of_matched = kept[:0], []
    if places.images is not None and places.matches is not None:
        training = read_training(places.images, places.matches, concept)
        names = places.matches.read(concept, ["image_id"], schema=MATCHES).column("image_id").to_pylist()
        of_matched = [(TRAINING, name) for name, match in zip(names, training.match, strict=True) if match]
        matched = training.matched
    # The rule looks at nothing but how many there are: it chooses among places as it does among vectors.
    first = len(of_matched)
    at = choose_targets(np.arange(first)[:, None], first + np.arange(len(of_references))[:, None], rule).ravel()
    vectors = choose_targets(matched, kept, rule)
    names_of = [*of_matched, *of_references]
    return vectors, [names_of[place] for place in at.tolist()]


class _Table:
    """The pictures of a concept in an image table, found by their ids without reading others."""

    def __init__(self, tables: ConceptTables, concept: str):
        self._path = tables.path(concept)
        found = read(self._path, ["concept", "image_id"], schema=COLLECTED)
        concepts, names = (found.column(name).to_pylist() for name in ("concept", "image_id"))
        self._row_of: dict[str, int] = {}
        for row, (of, name) in enumerate(zip(concepts, names, strict=True)):
            if of == concept:
                self._row_of.setdefault(name, row)

    def pictures(self, names: Sequence[str]) -> dict[str, Image.Image]:
        """Return image_id -> picture; those without bytes are left out."""
        rows = {self._row_of[name]: name for name in names if name in self._row_of}
        return {rows[row]: one for row, one in pictures_at(self._path, sorted(rows)).items() if one is not None}


def _tables_of(places: PicturePlaces, concept: str) -> dict[str, _Table]:
    """Return the image tables that targets may be in, by what a target is."""
    tables = {REFERENCE: _Table(places.references, concept)}
    if places.image_tables is not None:
        tables[TRAINING] = _Table(places.image_tables, concept)
    return tables


def _row(
    role: str, rank: int, name: str, picture: Image.Image, settings: PictureSettings, **more: Any
) -> dict[str, Any]:
    data, width, height = thumbnail(picture, settings)
    of_all = {"role": role, "rank": rank, "image_id": name, "width": width, "height": height, "bytes": data}
    return {"prompt": None, "cosine": None, "near": None} | of_all | more


def select_pictures(places: PicturePlaces, concept: str, rule: str, settings: PictureSettings) -> pa.Table:
    """Select the pictures of a concept that the explorer shows, as thumbnails.

    Args:
        places: the tables that hold them.
        concept: its slug.
        rule: of TargetSettings.targets: what its score compares generated pictures with.
        settings: how many, and how large.

    Returns:
        Arrow table of the schema PICTURES, without the column `concept`: references, spread over those kept; generated
        pictures, spread over prompts, of those that the score uses if there are any; and the targets nearest to each.

    Raises:
        ImageTableError: a table is missing, or it cannot be read; a picture cannot be decoded.
        DataError: a table lacks the concept.
    """
    share = shares(settings.pictures_per_concept)
    targets, names = _targets(places, concept, rule)
    tables = _tables_of(places, concept)
    kept = places.references.read(concept, ["image_id", "kept"]).to_pylist()
    kept_ids = [row["image_id"] for row in kept if row["kept"]]
    spread = np.unique(np.linspace(0, len(kept_ids) - 1, min(share.references, len(kept_ids))).astype(int)).tolist()
    references = [kept_ids[at] for at in spread]
    rows = [
        _row("reference", rank, name, picture, settings)
        for rank, (name, picture) in enumerate(_in_order(tables[REFERENCE], references))
    ]
    generated = places.generated.read(concept, ["image_id", "prompt", "status"], schema=GENERATED).to_pylist()
    vector_names, vectors = read_single_faces(places.generated_embeddings.path(concept), concept)
    vector_of = dict(zip(vector_names.tolist(), vectors, strict=True))
    ok = [row for row in generated if row["status"] == "ok"]
    usable = [row for row in ok if row["image_id"] in vector_of] or ok
    chosen = [usable[at] for at in spread_over_prompts([row["prompt"] or "" for row in usable], share.generated)]
    prompt_of = {row["image_id"]: row["prompt"] for row in chosen}
    near: list[tuple[str, str, str, float]] = []
    for rank, (name, picture) in enumerate(_in_order(_Table(places.generated, concept), list(prompt_of))):
        rows.append(_row("generated", rank, name, picture, settings, prompt=prompt_of[name]))
        if name in vector_of and len(targets):
            found = nearest_targets(vector_of[name], targets, names, share.targets_of_each)
            near += [(*names[row], name, cosine) for row, cosine in found]
    shown = {
        kind: table.pictures([name for of_kind, name, *_ in near if of_kind == kind]) for kind, table in tables.items()
    }
    there = [(shown[kind][name], name, of, cosine) for kind, name, of, cosine in near if name in shown.get(kind, {})]
    rows += [
        _row("target", rank, name, picture, settings, near=of, cosine=cosine)
        for rank, (picture, name, of, cosine) in enumerate(there)
    ]
    return pa.Table.from_pylist(rows, schema=PICTURES.remove(0))


def _in_order(table: _Table, names: Sequence[str]) -> list[tuple[str, Image.Image]]:
    pictures = table.pictures(names)
    return [(name, pictures[name]) for name in names if name in pictures]


def write_pictures(
    places: PicturePlaces, concepts: Sequence[str], rule: str, settings: PictureSettings, out: str | Path
) -> None:
    """Write the pictures of concepts as a table of the schema PICTURES."""
    tables = ((concept, select_pictures(places, concept, rule, settings)) for concept in concepts)
    write_concepts(tables, out, PICTURES, row_group=64)
