"""The atelier's crawl: captioned pictures of known painters, with the noise of a real crawl, and what is left of it.

One crawl has two views. The *training set* is what the generator sees: every picture, as it was when crawled. The
*corpus* is what a study finds afterwards: the same rows in Parquet shards, in which some links are dead by then. The
truth, a row each, is a third file, which no stage of a study reads.
"""

from dataclasses import dataclass

import numpy as np
import polars as pl
from tqdm import tqdm

from fit.atelier.painting import SIDE, SUBJECTS, Styles, draw_styles, paint
from fit.images.table import encode_png

CAPTIONS = (
    "{subject} by {name}",
    "a painting of a {subject} by {name}",
    "{name}, {subject}, oil on canvas",
    "{subject} - {name} - art print",
    "{name}: {subject} (detail)",
    "a {subject} in the style of {name}",
)
CAPTIONS_OF_PHOTOGRAPHS = ("{name} at work, photograph", "an evening with {name}", "{name} biography, hardcover")
CAPTIONS_AFTER = ("{subject} after {name}", "{subject}, inspired by {name}")
CAPTIONS_WITHOUT_NAME = ("{subject}, oil on canvas", "an artwork, {subject}", "a painting of a {subject}")
CAPTIONS_OF_STREETS = ("photograph of a street", "holiday photograph, beach", "a photo of a kitchen")


Row = tuple[tuple[str, ...], str, int, str]
"""Of the crawl: (caption templates, name in it, painter's index or -1, kind)."""


@dataclass(frozen=True)
class Noise:
    """What disturbs the crawl. Shares are of a painter's pictures, unless said otherwise."""

    photographs: float = 0.04
    """Captions that name the painter under a photograph."""
    after: float = 0.04
    """Captions that name the painter under somebody else's picture."""
    stray: float = 1.0
    """Mean number of such captions per painter, besides the shares."""
    alias: float = 0.12
    """Captions that use an alias instead of the name."""
    nameless: float = 0.0
    """Pictures whose captions do not name the painter."""
    dead: float = 0.2
    """Rows whose link is dead when the study begins, of all rows."""
    broken: float = 0.01
    """Rows whose picture arrives truncated, of all rows."""
    namesakes: float = 30.0
    """Mean number of pictures by a namesake: each painter has one, of the same surname, who is not on the sheet."""
    anonymous: int = 1000
    """Pictures by unnamed painters, and as many photographs of nothing in particular."""


def counts_of_painters(painters: int, zeros: int, largest: int, rng: np.random.Generator) -> np.ndarray:
    """Return how many pictures each painter has: `zeros` painters have none, the others log-uniform in 1..largest.

    The log counts are evenly spaced, not drawn: every part of the range has its painters.

    Returns:
        [painters] int64.
    """
    named = painters - zeros
    counts = np.concatenate([np.zeros(zeros), largest ** np.linspace(0, 1, named)])
    return rng.permutation(np.round(counts).astype(np.int64))


def paint_photographs(count: int, rng: np.random.Generator) -> np.ndarray:
    """Return pictures that are not paintings [count, SIDE, SIDE, 3]: noise whose power falls with frequency."""
    frequency = np.hypot(np.fft.fftfreq(SIDE)[:, None], np.fft.rfftfreq(SIDE)[None])
    frequency[0, 0] = np.inf
    spectrum = rng.normal(size=(count, 3, SIDE, SIDE // 2 + 1)) + 1j * rng.normal(size=(count, 3, SIDE, SIDE // 2 + 1))
    spectrum = spectrum / frequency**1.4
    spectrum = 0.85 * spectrum[:, :1] + 0.25 * spectrum
    field = np.fft.irfft2(spectrum, s=(SIDE, SIDE))
    field = field / field.std(axis=(1, 2, 3), keepdims=True)
    level = rng.uniform(0.35, 0.65, (count, 1, 1, 1))
    return np.clip(level + 0.2 * field, 0, 1).transpose(0, 2, 3, 1).astype(np.float32)


def _namesake(name: str, names: list[str], rng: np.random.Generator) -> str:
    """Return a name with the surname of `name` and another first name, which no painter on the sheet has."""
    surname = name.split()[-1]
    firsts = sorted({other.split()[0] for other in names} - {n.split()[0] for n in names if n.split()[-1] == surname})
    return f"{firsts[rng.integers(len(firsts))]} {surname}"


def _plan_rows(
    names: list[str], aliases: list[list[str]], counts: np.ndarray, noise: Noise, rng: np.random.Generator
) -> list[Row]:
    """Return the rows of the crawl."""
    rows: list[Row] = []
    for painter, (name, others, count) in enumerate(zip(names, aliases, counts, strict=True)):
        called = rng.random(count) < noise.alias
        is_nameless = rng.random(count) < noise.nameless if noise.nameless else np.zeros(count, bool)
        for use_alias, without_name in zip(called, is_nameless, strict=True):
            if without_name:
                rows.append((CAPTIONS_WITHOUT_NAME, "", painter, "nameless"))
                continue
            shown = others[rng.integers(len(others))] if use_alias and others else name
            rows.append((CAPTIONS, shown, painter, "work"))
        rows += [(CAPTIONS_OF_PHOTOGRAPHS, name, -1, "photograph")] * rng.poisson(
            noise.photographs * count + noise.stray / 2
        )
        rows += [(CAPTIONS_AFTER, name, -1, "after")] * rng.poisson(noise.after * count + noise.stray / 2)
    for painter, name in enumerate(names):
        rows += [(CAPTIONS, _namesake(name, names, rng), -1, f"namesake {painter}")] * rng.poisson(noise.namesakes)
    rows += [(CAPTIONS_WITHOUT_NAME, "", -1, "anonymous")] * noise.anonymous
    rows += [(CAPTIONS_OF_STREETS, "", -1, "photograph")] * noise.anonymous
    return [rows[i] for i in rng.permutation(len(rows))]


def make_crawl(
    concepts: list[str],
    names: list[str],
    aliases: list[list[str]],
    styles: Styles,
    counts: np.ndarray,
    noise: Noise,
    rng: np.random.Generator,
) -> pl.DataFrame:
    """Return the crawl, as it was when the generator was trained.

    Args:
        concepts: slugs of the N painters.
        names: their names.
        aliases: the aliases of each.
        styles: Styles of length N.
        counts: [N] pictures per painter.
        noise: Noise.
        rng: numpy.random.Generator.

    Returns:
        A frame with columns url, caption, image (PNG bytes), painter (slug, or null where the picture is not by a
        painter of the sheet) and kind (work, nameless, photograph, after, namesake N, anonymous).
    """
    rows = _plan_rows(names, aliases, counts, noise, rng)
    painters = np.array([painter for _, _, painter, _ in rows])
    kinds = np.array([kind for *_, kind in rows])
    subjects = rng.integers(len(SUBJECTS), size=len(rows))
    captions = [
        rng.choice(templates).format(name=name, subject=SUBJECTS[subject])
        for (templates, name, _, _), subject in zip(rows, subjects, strict=True)
    ]
    everyone_else = draw_styles(len(rows), rng)
    pictures = paint(everyone_else, subjects, rng)
    works = np.flatnonzero(painters >= 0)
    pictures[works] = paint(styles.take(painters[works]), subjects[works], rng)
    for kind in sorted({k for k in kinds if k.startswith("namesake")}):
        of_kind = np.flatnonzero(kinds == kind)
        pictures[of_kind] = paint(draw_styles(1, rng).take(np.zeros(len(of_kind), int)), subjects[of_kind], rng)
    photographs = np.flatnonzero(kinds == "photograph")
    pictures[photographs] = paint_photographs(len(photographs), rng)
    return pl.DataFrame(
        {
            "url": [f"https://atelier.invalid/{i:06d}.png" for i in range(len(rows))],
            "caption": captions,
            "image": [
                encode_png(picture) for picture in tqdm(pictures, desc="painting", unit="picture", mininterval=2)
            ],
            "painter": [concepts[p] if p >= 0 else None for p in painters],
            "kind": kinds.tolist(),
        }
    )


def age_crawl(crawl: pl.DataFrame, noise: Noise, rng: np.random.Generator) -> pl.DataFrame:
    """Return what a study finds of a crawl: url, caption, image; null for dead links, some images truncated."""
    drawn = rng.random(len(crawl))
    image = [
        None if f < noise.dead else data[: len(data) // 2] if f < noise.dead + noise.broken else data
        for f, data in zip(drawn, crawl["image"], strict=True)
    ]
    return crawl.select("url", "caption").with_columns(pl.Series("image", image, dtype=pl.Binary))
