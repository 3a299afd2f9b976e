"""Makes the files of the atelier: its corpus and references, its encoders, its text-to-image pipeline."""

import numpy as np
import polars as pl

from fit.atelier.corpus import Noise, age_crawl, counts_of_painters, make_crawl, paint_photographs
from fit.atelier.painting import SUBJECTS, draw_styles, paint
from fit.concepts.sheet import read_sheet
from fit.errors import ConfigError
from fit.images.table import encode_png
from fit.io.files import atomic_write, check_replaceable

STYLE_ENCODER = {"painters_per_step": 48, "pictures_per_painter": 4, "temperature": 0.1, "learning_rate": 3e-3}
ART_FILTER = {"batch_size": 64, "learning_rate": 3e-3}
GENERATOR = {"learning_rate": 1.5e-3, "averaging": 0.99}


def _write(frame, path, row_group=512):
    with atomic_write(path) as part:
        frame.write_parquet(part, row_group_size=row_group, compression="zstd")


def paint_world(
    sheet,
    *,
    seed,
    zeros,
    largest,
    references,
    photographs,
    anonymous,
    training_set,
    shards,
    truth,
    references_file,
    photographs_file,
):
    """Paint the corpus of the painters on `sheet`, their references, and ordinary photographs.

    Args:
        seed: of everything; zeros: painters without pictures; largest: pictures of the most frequent one.
        references: pictures per painter for reference; photographs: how many; anonymous: see fit.atelier.corpus.Noise.
        training_set: Parquet file to write with url, caption and image: what the generator sees.
        shards: Parquet files to write with the same columns, dead links null: what a study finds.
        truth: Parquet file to write with url, painter and kind, and per painter the true count; read by no stage.
        references_file, photographs_file: Parquet files to write with concept and bytes, image_id and bytes.

    Raises:
        ConfigError: there are no more painters than `zeros`.
    """
    painters = read_sheet(sheet)
    if zeros >= len(painters):
        raise ConfigError(
            f"config.yaml: `atelier.painters_without_pictures` is {zeros}, but {sheet} "
            f"has {len(painters)} painters; lower it"
        )
    slugs = [painter.slug for painter in painters]
    rng = np.random.default_rng(seed)
    noise = Noise(anonymous=anonymous)
    styles = draw_styles(len(painters), rng)
    counts = counts_of_painters(len(painters), zeros, largest, rng)
    crawl = make_crawl(
        slugs, [p.name for p in painters], [list(p.aliases) for p in painters], styles, counts, noise, rng
    )
    _write(crawl.select("url", "caption", "image"), training_set)
    _write(crawl.select("url", "painter", "kind"), truth)
    found = age_crawl(crawl, noise, rng)
    edges = np.linspace(0, len(found), len(shards) + 1).astype(int)
    for path, start, stop in zip(shards, edges[:-1], edges[1:], strict=True):
        _write(found[int(start) : int(stop)], path)

    owners = np.repeat(np.arange(len(painters)), references)
    pictures = paint(styles.take(owners), rng.integers(len(SUBJECTS), size=len(owners)), rng)
    _write(
        pl.DataFrame({"concept": [slugs[i] for i in owners], "bytes": [encode_png(picture) for picture in pictures]}),
        references_file,
    )
    pictures = paint_photographs(photographs, rng)
    names = [f"photograph-{i:04d}" for i in range(photographs)]
    _write(pl.DataFrame({"image_id": names, "bytes": [encode_png(picture) for picture in pictures]}), photographs_file)


def build_style_encoder(folder, *, steps, seed):
    """Train the style encoder and save it to `folder` for open_clip."""
    from fit.atelier.encoders import save_encoder, train_style_encoder

    with atomic_write(folder) as part:
        model, config = train_style_encoder(steps=steps, seed=seed, **STYLE_ENCODER)
        save_encoder(model, config, part)


def build_art_filter(folder, *, steps, seed):
    """Train the art filter and save it to `folder` for open_clip."""
    from fit.atelier.encoders import save_encoder, train_art_filter

    with atomic_write(folder) as part:
        model, config = train_art_filter(steps=steps, seed=seed, **ART_FILTER)
        save_encoder(model, config, part)


def build_generator(training_set, folder, *, autoencoder_steps, steps, batch_size, seed):
    """Train the text-to-image pipeline on a file of captioned pictures and save it to `folder` in diffusers' format.

    Raises:
        ImageTableError: the file is missing, no Parquet, lacks `caption` or `image`, or holds what is no picture.
        PlaceError: `folder` is one that FIT did not make.
    """
    import torch

    from fit.atelier.generator import train_generator
    from fit.images.table import decode
    from fit.io.parquet import read

    check_replaceable(folder)
    crawl = read(training_set, ["caption", "image"]).to_pydict()
    pictures = np.stack([np.asarray(decode(data, training_set)) for data in crawl["image"]])
    pipeline = train_generator(
        torch.from_numpy(pictures).permute(0, 3, 1, 2).float() / 127.5 - 1,
        crawl["caption"],
        autoencoder_steps=autoencoder_steps,
        steps=steps,
        batch_size=batch_size,
        seed=seed,
        **GENERATOR,
    )
    with atomic_write(folder) as part:
        pipeline.save_pretrained(part)
