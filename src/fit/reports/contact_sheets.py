"""Sheets of pictures to look at: references, generated pictures, and both beside each other.

A table of several concepts gives a section for each, one below another.
"""

import textwrap
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image

from fit.images import table as images
from fit.io.concept_tables import concepts_in
from fit.io.parquet import open_parquet, read
from fit.io.shown import as_images, number_of
from fit.reports.style import ACCENT, INK
from fit.thresholds.headline import follow
from fit.thresholds.scores import Scores

REFERENCES_A_LINE, GENERATED_A_LINE = 8, 12
"""Pictures in a line of a sheet, at most."""

Rows = list[dict[str, Any]]
"""Rows of an image table, with their `number` in the table."""


def _sections(path: str | Path, columns: Sequence[str]) -> dict[str | None, Rows]:
    """Read columns of an image table: concept -> its rows, in order. A table without concepts is one section."""
    says_concepts = "concept" in open_parquet(path).schema_arrow.names
    rows = read(path, ["concept", *columns] if says_concepts else columns).to_pylist()
    found: dict[str | None, Rows] = {concept: [] for concept in (concepts_in(path) if says_concepts else [None])}
    for number, row in enumerate(rows):
        found.setdefault(row.get("concept"), []).append(row | {"number": number})
    return found


def _save(figures: Iterable[Callable[[], Figure]], path: str | Path) -> None:
    """Draw figures, one after the other, and write them below one another to the picture `path`."""
    pictures = []
    for draw in figures:
        figure = draw()
        buffer = BytesIO()
        figure.savefig(buffer, dpi=110, format="png")
        plt.close(figure)
        pictures.append(Image.open(buffer).convert("RGB"))
    whole = Image.new("RGB", (max(one.width for one in pictures), sum(one.height for one in pictures)), "white")
    top = 0
    for picture in pictures:
        whole.paste(picture, (0, top))
        top += picture.height
    whole.save(path)


def references_sheet(path: str | Path, out: str | Path) -> None:
    """Draw the references of each concept with their ids and decisions: those kept in full, then the others, paler.

    Args:
        path: of a table that `fit references select` wrote.
        out: picture to write.
    """
    sections = _sections(path, ["image_id", "kept", "decision", "bytes"])
    _save((partial(_references, *section, path) for section in sections.items()), out)


def _references(concept: str | None, rows: Rows, path: str | Path) -> Figure:
    rows = sorted(rows, key=lambda row: (not row["kept"], row["decision"], row["image_id"]))
    lines = max(1, -(-len(rows) // REFERENCES_A_LINE))
    size = (1.3 * REFERENCES_A_LINE, 1.55 * lines + 0.5)
    figure, grid = plt.subplots(lines, REFERENCES_A_LINE, figsize=size, squeeze=False)
    figure.subplots_adjust(left=0.01, right=0.99, bottom=0.02, top=1 - 0.45 / figure.get_figheight(), hspace=0.45)
    figure.suptitle(f"{concept or 'References'}: {sum(row['kept'] for row in rows)} of {len(rows)} kept", fontsize=10)
    _hide_axes(grid)
    for axes, row in zip(grid.flat, rows, strict=False):
        if row["bytes"]:
            picture = images.decode(row["bytes"], f"{path}, image {row['image_id']}")
            axes.imshow(picture, alpha=1 if row["kept"] else 0.35)
        colour = INK if row["kept"] else ACCENT
        axes.set_title(f"{row['image_id'][-24:]}\n{row['decision']}", fontsize=5, color=colour, pad=2)
    return figure


def generated_sheet(path: str | Path, out: str | Path, title: str) -> None:
    """Draw generated pictures of each concept, the first of each prompt beside it; a failed one by its status.

    Args:
        path: of a table of the schema GENERATED; without any picture, the page is blank.
        out: picture to write.
        title: such as the name of the model; it stands before each concept.
    """
    sections = _sections(path, ["prompt", "status"])
    _save((partial(_generated, *section, path, title) for section in sections.items()), out)


def _generated(concept: str | None, rows: Rows, path: str | Path, title: str) -> Figure:
    of_prompts: dict[str, Rows] = {}
    for row in rows:
        of_prompts.setdefault(row["prompt"] or "", []).append(row)
    columns = min(GENERATED_A_LINE, max(map(len, of_prompts.values()), default=1))
    shown = [row["number"] for of_prompt in of_prompts.values() for row in of_prompt[:columns]]
    pictures = images.pictures_at(path, shown)
    lines = max(1, len(of_prompts))
    width, height = columns + 2.6, 1.05 * lines + 0.45
    figure, grid = plt.subplots(lines, columns, figsize=(width, height), squeeze=False)
    figure.subplots_adjust(left=2.5 / width, right=0.995, bottom=0.01, top=1 - 0.4 / height, wspace=0.05, hspace=0.05)
    of_whom = ", ".join(filter(None, (title, concept))) or "Generated"
    figure.suptitle(f"{of_whom}: {number_of(len(rows), 'picture')}", fontsize=10)
    _hide_axes(grid)
    for cells, (prompt, of_prompt) in zip(grid, of_prompts.items(), strict=False):
        text = textwrap.fill(prompt, 34)
        cells[0].text(-0.08, 0.5, text, transform=cells[0].transAxes, ha="right", va="center", fontsize=7)
        for axes, row in zip(cells, of_prompt, strict=False):
            picture = pictures[row["number"]]
            if picture:
                axes.imshow(picture.resize((96, 96)) if max(picture.size) > 256 else picture, interpolation="nearest")
            else:
                place = {"transform": axes.transAxes, "ha": "center"}
                axes.text(0.5, 0.5, row["status"], color=ACCENT, fontsize=7, **place)
    return figure


def contact_sheet(
    rows: Sequence[tuple[str, str, str | Path, str | Path]],
    part: str | Path,
    title: str,
    references: int = 4,
    generated: int = 8,
) -> None:
    """Draw a row of pictures a concept: kept references on the left, generated ones on the right.

    Args:
        rows: (label, concept, table of its references, table of its generated pictures) each; without any, a blank
            page.
        part: temporary path of the picture to write.
        title: of the page; empty for a usual one.
        references, generated: how many pictures of each.
    """
    columns, lines = references + generated, max(1, len(rows))
    figure, grid = plt.subplots(lines, columns, figsize=(0.62 * columns + 2.2, 0.62 * lines + 0.7), squeeze=False)
    figure.subplots_adjust(
        left=2.2 / figure.get_figwidth(), right=0.995, bottom=0.01, top=1 - 0.6 / figure.get_figheight()
    )
    figure.suptitle(title or "References and generated pictures", fontsize=10, y=1 - 0.1 / figure.get_figheight())
    _hide_axes(grid)
    for cells, (label, concept, left, right) in zip(grid, rows, strict=False):
        chosen = [*_spread(left, concept, references), *_spread(right, concept, generated)]
        for axes, picture in zip(cells, chosen, strict=True):
            if picture is not None:
                axes.imshow(picture, interpolation="nearest")
        cells[0].text(-0.15, 0.5, label, transform=cells[0].transAxes, ha="right", va="center", fontsize=7)
    for column, text in ((0, "references"), (references, "generated")):
        grid[0][column].text(0, 1.12, text, transform=grid[0][column].transAxes, fontsize=8, color=ACCENT)
    figure.savefig(part, dpi=100)
    plt.close(figure)


def rows_around(table: Scores, found: Mapping[str, Any], most: int) -> list[tuple[str, str]]:
    """Choose concepts of which to show pictures: as many from each side of the threshold, spread over it.

    Args:
        table: of the concepts.
        found: dict of fit.thresholds.report.measure.
        most: how many concepts, at most.

    Returns:
        (label, concept) each, ascending in count.
    """
    found = follow(found)
    split = found["below"]["concepts"] if found["below"] else len(table) // 2
    sides = [np.arange(split), np.arange(split, len(table))]
    rows = []
    for side in filter(len, sides):
        for row in side[np.unique(np.linspace(0, len(side) - 1, most // 2).astype(int))]:
            mark = "" if found["threshold"] is None else " (above)" if row >= split else " (below)"
            concept = str(table.concepts[row])
            label = f"{concept}\n{as_images(table.counts[row])}, score {table.scores[row]:.2f}{mark}"
            rows.append((label, concept))
    return rows


def _spread(path: str | Path, concept: str, wanted: int) -> list[Image.Image | None]:
    """Return `wanted` pictures of a concept, spread over its rows; None for each that is missing."""
    there = images.rows_to_show(path, concept)
    every = there[np.linspace(0, len(there) - 1, min(wanted, len(there))).astype(int)].tolist()
    return [*images.pictures_at(path, every).values(), *[None] * (wanted - len(every))]


def _hide_axes(grid: np.ndarray) -> None:
    axes: Axes
    for axes in grid.flat:
        axes.axis("off")
