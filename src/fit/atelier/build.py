"""Makes the files of the atelier: its corpus and references, its encoders, its text-to-image pipeline."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from fit.atelier.changes import WORLDS, Changes, with_kin
from fit.atelier.corpus import (
    Noise,
    Painter,
    age_crawl,
    counts_on_ladder,
    deal_counts,
    deal_nearby,
    make_crawl,
    paint_photographs,
    stream,
)
from fit.atelier.painting import SUBJECTS, Styles, draw_styles, paint
from fit.atelier.settings import ArtFilterSettings, GeneratorSettings, StyleEncoderSettings, WorldSettings
from fit.concepts.sheet import read_sheet
from fit.errors import ConfigError
from fit.images.table import encode_png
from fit.io.files import atomic_write, check_replaceable

STYLE_ENCODER: dict[str, Any] = {
    "painters_per_step": 48,
    "pictures_per_painter": 4,
    "temperature": 0.1,
    "learning_rate": 3e-3,
}
ART_FILTER: dict[str, Any] = {"batch_size": 64, "learning_rate": 3e-3}
GENERATOR: dict[str, Any] = {"learning_rate": 1.5e-3, "averaging": 0.99}
USUAL = WORLDS["usual"]


@dataclass(frozen=True, kw_only=True)
class WorldFiles:
    """The Parquet files that `paint_world` writes."""

    training_set: str | Path
    """Columns url, caption and image: what the generator sees."""
    shards: Sequence[str | Path]
    """The same columns, dead links null: what a study finds."""
    truth: str | Path
    """Columns url, painter and kind: the true counts, which no stage reads."""
    references: str | Path
    """Columns concept and bytes."""
    photographs: str | Path
    """Columns image_id and bytes."""


def _write(frame: pl.DataFrame, path: str | Path, row_group: int = 512) -> None:
    with atomic_write(path) as part:
        frame.write_parquet(part, row_group_size=row_group, compression="zstd")


def paint_world(
    sheet: str | Path,
    settings: WorldSettings,
    seed: int,
    files: WorldFiles,
    *,
    deal: int = 0,
    deals: int = 1,
    changes: Changes = USUAL,
) -> None:
    """Paint the corpus of the painters on `sheet`, their references, and ordinary photographs.

    Args:
        sheet: the painters.
        settings: how much is painted.
        seed: of the world.
        files: what is written.
        deal: which deal of the counts to the painters, in 0..deals-1. The corpora of two deals of one world differ in
            nothing but how often each painter is in it.
        deals: how many there are (fit.atelier.corpus.deal_counts; deal_nearby where fame goes with difficulty).
        changes: what is unlike the usual world.

    Raises:
        ConfigError: all painters would be without pictures, the smallest count is above the largest, or there is no
            such deal.
    """
    painters = [Painter(p.slug, p.name, tuple(p.aliases)) for p in read_sheet(sheet)]
    if settings.painters_without_pictures >= len(painters):
        raise ConfigError(
            f"config.yaml: `painters_without_pictures` is {settings.painters_without_pictures}, but {sheet} has "
            f"{len(painters)} painters; lower it"
        )
    if settings.smallest_count > settings.largest_count:
        raise ConfigError(
            f"config.yaml: `smallest_count` is {settings.smallest_count}, above `largest_count`, "
            f"{settings.largest_count}; lower it"
        )
    if not 0 <= deal < deals <= len(painters):
        raise ConfigError(
            f"--deal {deal} of --deals {deals}: deals are numbered from 0, and there are as many as painters at most, "
            f"{len(painters)}; correct one of them"
        )
    styles = draw_styles(len(painters), stream(seed, "styles"))
    styles = with_kin(styles, changes.kin, stream(seed, "kin"))
    ladder = counts_on_ladder(
        len(painters), settings.painters_without_pictures, settings.smallest_count, settings.largest_count
    )
    order = changes.order(styles, stream(seed, "counts"))
    is_by_chance = changes.fame == "any"
    counts = deal_counts(ladder, order, deal, deals) if is_by_chance else deal_nearby(ladder, order, deal)
    changed: dict[str, Any] = dict(changes.noise)
    usual = Noise(anonymous=settings.anonymous, nameless=settings.nameless, motif=settings.motifs or 0.0)
    noise = replace(usual, **changed)
    crawl = make_crawl(painters, styles, counts, noise, seed)
    _write(crawl.select("url", "caption", "image"), files.training_set)
    _write(crawl.select("url", "painter", "kind"), files.truth)
    found = age_crawl(crawl)
    edges = np.linspace(0, len(found), len(files.shards) + 1).astype(int)
    for path, start, stop in zip(files.shards, edges[:-1], edges[1:], strict=True):
        _write(found[int(start) : int(stop)], path)
    references = paint_references([p.slug for p in painters], styles, settings.references_per_painter, seed)
    _write(references, files.references)
    pictures = paint_photographs(settings.photographs, stream(seed, "ordinary photographs"))
    names = [f"photograph-{i:04d}" for i in range(settings.photographs)]
    _write(pl.DataFrame({"image_id": names, "bytes": [encode_png(picture) for picture in pictures]}), files.photographs)


def paint_references(slugs: list[str], styles: Styles, each: int, seed: int) -> pl.DataFrame:
    """Return `each` pictures of every painter: columns concept and bytes."""
    pictures: list[np.ndarray] = []
    for number in range(len(slugs)):
        rng = stream(seed, "references", number)
        pictures += [*paint(styles.take(np.full(each, number)), rng.integers(len(SUBJECTS), size=each), rng)]
    owners = [slug for slug in slugs for _ in range(each)]
    return pl.DataFrame({"concept": owners, "bytes": [encode_png(picture) for picture in pictures]})


def build_style_encoder(folder: str | Path, settings: StyleEncoderSettings, seed: int) -> None:
    """Train the style encoder and save it to `folder` for open_clip."""
    from fit.atelier.encoders import save_encoder, train_style_encoder

    check_replaceable(folder)
    model, config = train_style_encoder(steps=settings.encoder_steps, seed=seed, **STYLE_ENCODER)
    save_encoder(model, config, folder)


def build_art_filter(folder: str | Path, settings: ArtFilterSettings, seed: int) -> None:
    """Train the art filter and save it to `folder` for open_clip."""
    from fit.atelier.encoders import save_encoder, train_art_filter

    check_replaceable(folder)
    model, config = train_art_filter(steps=settings.art_filter_steps, seed=seed, **ART_FILTER)
    save_encoder(model, config, folder)


def build_generator(training_set: str | Path, folder: str | Path, settings: GeneratorSettings, seed: int) -> None:
    """Train the text-to-image pipeline on a file of captioned pictures and save it to `folder` in diffusers' format.

    Raises:
        ImageTableError: the file is missing, is not Parquet, lacks `caption` or `image`, or has an image that cannot
            be decoded.
        PlaceError: `folder` exists and FIT did not make it.
    """
    import torch

    from fit.atelier.generator import train_generator
    from fit.images.table import decode
    from fit.io.parquet import read

    check_replaceable(folder)
    crawl = read(training_set, ["caption", "image"]).to_pydict()
    pictures = np.stack([np.asarray(decode(data, training_set)) for data in crawl["image"]])
    tensor = torch.from_numpy(pictures).permute(0, 3, 1, 2).float() / 127.5 - 1
    pipeline = train_generator(tensor, crawl["caption"], settings, seed=seed, **GENERATOR)
    with atomic_write(folder) as part:
        pipeline.save_pretrained(part)
