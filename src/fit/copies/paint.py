"""Paints a corpus in which painters of equal count have distinct images, or one image that is repeated."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from fit.atelier.build import paint_references
from fit.atelier.corpus import Noise, Painter, make_crawl, stream
from fit.atelier.painting import draw_styles
from fit.concepts.sheet import read_sheet
from fit.copies.settings import CopiesWorldSettings
from fit.errors import ConfigError
from fit.io.files import atomic_write

DISTINCT, REPEATED, NONE = "distinct", "repeated", "none"
"""Of what kind a painter's training images are: all different; one, repeated; there is none."""


@dataclass(frozen=True, kw_only=True)
class CopiesWorldFiles:
    """The Parquet files that `paint_copies_world` writes."""

    training_set: str | Path
    """Columns url, caption and image: what the generator sees."""
    painters: str | Path
    """Columns concept, kind (DISTINCT, REPEATED or NONE), count, and caption: that of the painter's first work."""
    prompts: str | Path
    """Columns caption and memorised: a row for each painter with images; memorised: whether its image is repeated."""
    references: str | Path
    """Columns concept and bytes."""


def deal_kinds(painters: int, settings: CopiesWorldSettings, rng: np.random.Generator) -> list[tuple[str, int]]:
    """Return (kind, count) of each painter, dealt at random; those left over have no image.

    Raises:
        ConfigError: there are too few painters.
    """
    hands = [(kind, count) for count in settings.counts for kind in (DISTINCT, REPEATED)] * settings.painters_per_count
    if len(hands) > painters:
        raise ConfigError(
            f"config.yaml: `copies.atelier` asks for {len(hands)} painters (2 x {len(settings.counts)} counts x "
            f"{settings.painters_per_count}), but the sheet has {painters}; take out some of `counts`, or lower "
            "`painters_per_count`"
        )
    hands += [(NONE, 0)] * (painters - len(hands))
    return [hands[place] for place in rng.permutation(painters)]


def paint_copies_world(sheet: str | Path, settings: CopiesWorldSettings, seed: int, files: CopiesWorldFiles) -> None:
    """Paint the corpus of the painters on `sheet`, and their references.

    The painters, their styles and the streams of random numbers are those of the built-in world of `seed`: a painter
    with distinct images has the same works as there, and one whose image is repeated has the first of them.

    Raises:
        ConfigError: there are too few painters.
    """
    painters = [Painter(p.slug, p.name, tuple(p.aliases)) for p in read_sheet(sheet)]
    styles = draw_styles(len(painters), stream(seed, "styles"))
    dealt = deal_kinds(len(painters), settings, stream(seed, "counts"))
    counts = np.array([count for _, count in dealt], np.int64)
    repeated = np.array([kind == REPEATED for kind, _ in dealt])
    # Of the usual noise, without aliases, which would hide a painter whose only caption has one; and few namesakes.
    noise = Noise(anonymous=settings.anonymous, alias=0.0, namesakes=5.0)
    crawl = make_crawl(painters, styles, counts, noise, seed, repeated)
    works = (
        crawl.filter(pl.col("kind") == "work").group_by("painter", maintain_order=True).agg(pl.col("caption").first())
    )
    table = pl.DataFrame(
        {
            "concept": [painter.slug for painter in painters],
            "kind": [kind for kind, _ in dealt],
            "count": counts,
        }
    ).join(works, left_on="concept", right_on="painter", how="left", maintain_order="left")
    prompts = table.drop_nulls("caption").select(
        "caption", memorised=(pl.col("kind") == REPEATED) & (pl.col("count") > 1)
    )
    written = {
        files.training_set: crawl.select("url", "caption", "image"),
        files.painters: table,
        files.prompts: prompts,
        files.references: paint_references([p.slug for p in painters], styles, settings.references_per_painter, seed),
    }
    for path, frame in written.items():
        with atomic_write(path) as part:
            frame.write_parquet(part, row_group_size=512, compression="zstd")
