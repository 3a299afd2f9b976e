"""The atelier's crawl: captioned pictures of known painters, with the noise of a real crawl, and what is left of it.

One crawl has two views. The *training set* is what the generator sees: every picture, as it was when crawled. The
*corpus* is what a study finds afterwards: the same rows in Parquet shards, in which some links are dead by then. The
truth, a row each, is a third file, which no stage of a study reads.

Each painter's rows, and each kind of noise, come from a stream of random numbers of their own, in blocks that are
always drawn whole. So the first n works of a painter are the same pictures under the same captions whatever n is: two
crawls of one world differ in nothing but how many works each painter has.
"""

from collections.abc import Callable, Sequence
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
MOTIFS = (
    *(
        "lanterns",
        "herons",
        "ladders",
        "willows",
        "anchors",
        "bridges",
        "kites",
        "barrels",
        "geese",
        "candles",
        "ropes",
    ),
    *("wagons", "shells", "ravens", "umbrellas", "clocks", "fences", "baskets", "swans", "mirrors", "drums", "poppies"),
    *(
        "ships",
        "goats",
        "windmills",
        "pears",
        "bells",
        "foxes",
        "looms",
        "chairs",
        "snails",
        "violins",
        "gates",
        "stairs",
    ),
    *("carts", "thistles", "owls", "keys", "nets", "plums", "towers", "masks", "bees", "wells", "feathers", "lemons"),
)
"""Things that captions name beside the subject, where the world has motifs."""
CAPTIONS_OF_STREETS = ("photograph of a street", "holiday photograph, beach", "a photo of a kitchen")

STREAMS = (
    *("styles", "kin", "counts", "references", "ordinary photographs"),  # of the world
    *("works", "links", "strays", "photograph", "after", "namesake", "namesakes", "anonymous", "street"),  # of a crawl
    "motifs",  # of the world and of a crawl
)
"""What has random numbers of its own; a new one is added at the end, so that the others stay as they are."""
BLOCK = 32
"""Rows that are drawn at once."""
Paints = Callable[[np.ndarray, np.random.Generator], np.ndarray]
"""Makes a picture for each subject [N]: float32 [N, SIDE, SIDE, 3] in 0..1."""


def stream(seed: int, name: str, *numbers: int) -> np.random.Generator:
    """Return the random numbers of `name`, of STREAMS, and `numbers` (a painter, a block) in the world of `seed`."""
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(STREAMS.index(name), *numbers)))


@dataclass(frozen=True)
class Noise:
    """What disturbs the crawl. Shares are of a painter's pictures, unless said otherwise."""

    photographs: float = 0.04
    """Captions that name the painter under a photograph, besides the works."""
    after: float = 0.04
    """Captions that name the painter under somebody else's picture, besides the works."""
    stray: float = 1.0
    """Mean number of such captions per painter, besides the shares."""
    alias: float = 0.12
    """Captions that use an alias instead of the name."""
    nameless: float = 0.0
    """Pictures whose captions do not name the painter."""
    pseudonym: float = 0.0
    """Captions that use a name which the sheet lacks."""
    motif: float = 0.0
    """Captions, of all paintings, that name a motif too. Each painter has a few of their own, which captions of others
    rarely name."""
    copies: float = 0.0
    """Pictures that are copies of another picture of the painter."""
    joint: float = 0.0
    """Pictures by the painter and another one, whom the caption names too: each painted half of it."""
    dead: float = 0.2
    """Rows whose link is dead when the study begins, of all rows."""
    dead_spread: float = 0.0
    """How far the share of dead links of a painter's own works may be from `dead`, as a share of `dead`."""
    broken: float = 0.01
    """Rows whose picture arrives truncated, of all rows."""
    namesakes: float = 30.0
    """Mean number of pictures by a namesake: each painter has one, of the same surname, who is not on the sheet."""
    anonymous: int = 1000
    """Pictures by unnamed painters, and as many photographs of nothing in particular."""


@dataclass(frozen=True)
class Painter:
    """A painter of the sheet."""

    slug: str
    name: str
    aliases: tuple[str, ...]


def counts_on_ladder(painters: int, zeros: int, smallest: int, largest: int) -> np.ndarray:
    """Return how many pictures the painters have: `zeros` have none, the others log-uniform in smallest..largest.

    The log counts are evenly spaced, not drawn: every part of the range has its painters.

    Returns:
        [painters] int64, ascending.
    """
    rungs = np.geomspace(smallest, largest, painters - zeros)
    return np.concatenate([np.zeros(zeros, np.int64), np.round(rungs).astype(np.int64)])


def deal_counts(ladder: np.ndarray, order: np.ndarray, deal: int, deals: int) -> np.ndarray:
    """Return the count of each painter in one of several deals of the same ladder to the same painters.

    From deal to deal each painter moves on by the same number of rungs (a Latin square), so over all deals each stands
    on `deals` rungs, spread over the whole ladder, and in each deal each rung has one painter.

    Args:
        ladder: [N] counts, ascending.
        order: [N] the painters' rungs in deal 0, a permutation.
        deal: in 0..deals-1.
        deals: how many there are.

    Returns:
        [N] int64, a painter each.
    """
    return ladder[(order + deal * len(ladder) // deals) % len(ladder)]


def deal_nearby(ladder: np.ndarray, order: np.ndarray, deal: int) -> np.ndarray:
    """Return the count of each painter in a deal that leaves frequent painters frequent.

    In deal n, each n + 1 neighbours on the ladder are in the contrary order. Where who is frequent is not by chance,
    `deal_counts` would move the most frequent painters to the foot of the ladder.

    Args:
        ladder: [N] counts, ascending.
        order: [N] the painters' rungs in deal 0, a permutation.
        deal: from 0 on.

    Returns:
        [N] int64, a painter each.
    """
    first = order // (deal + 1) * (deal + 1)
    last = np.minimum(first + deal, len(ladder) - 1)
    return ladder[first + last - order]


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


def _namesake(name: str, names: Sequence[str], rng: np.random.Generator) -> str:
    """Return a name with the surname of `name` and another first name, which no painter on the sheet has."""
    surname = name.split()[-1]
    firsts = sorted({other.split()[0] for other in names} - {n.split()[0] for n in names if n.split()[-1] == surname})
    return f"{firsts[rng.integers(len(firsts))]} {surname}"


def _pseudonym(name: str) -> str:
    """Return a name that no sheet has: the letters of `name`, backwards."""
    return " ".join(word[::-1].capitalize() for word in name.split())


def _pick(choices: Sequence[str], shares: np.ndarray) -> list[str]:
    """Return the choice of each share [N] in 0..1."""
    return [choices[int(share * len(choices))] for share in shares]


MOTIFS_EACH, OWN_MOTIF = 3, 0.85
"""Motifs of a painter; and the share of the painter's motifs that are of these and not of all."""


def motifs_of(seed: int, painter: int) -> list[str]:
    """Return the motifs of a painter, by the painter's number, in the world of `seed`."""
    return [str(motif) for motif in stream(seed, "motifs", painter).choice(MOTIFS, MOTIFS_EACH, replace=False)]


def _with_motifs(subjects: np.ndarray, own: Sequence[str], share: float, rng: np.random.Generator) -> list[str]:
    """Return what captions call subjects [N], a `share` of them "SUBJECT with MOTIF"; `own`: the painter's motifs."""
    called = [SUBJECTS[subject] for subject in subjects]
    if not share:
        return called
    named, is_own, which = rng.random((3, len(called)))
    for row in np.flatnonzero(named < share):
        motifs = own if own and is_own[row] < OWN_MOTIF else MOTIFS
        called[row] += f" with {_pick(motifs, which[row : row + 1])[0]}"
    return called


def _by_anybody(subjects: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return paint(draw_styles(len(subjects), rng), subjects, rng)


def _by_a_camera(subjects: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return paint_photographs(len(subjects), rng)


def _fates(drawn: np.ndarray, dead: float, broken: float) -> np.ndarray:
    """Return what is left of each link when the study begins; `drawn` [N] in 0..1."""
    return np.select([drawn < dead, drawn < dead + broken], ["dead", "broken"], "whole")


class _Crawl:
    """The rows of a crawl, drawn block by block."""

    def __init__(self, painters: Sequence[Painter], styles: Styles, noise: Noise, seed: int):
        self._painters, self._styles, self._noise, self._seed = painters, styles, noise, seed
        self._parts: list[pl.DataFrame] = []

    def _add(
        self,
        keys: np.ndarray,
        captions: Sequence[str],
        pictures: np.ndarray,
        kinds: Sequence[str],
        fates: np.ndarray,
        slug: str | None = None,
    ) -> None:
        """Add the rows of a block, as many as `captions` are."""
        count = len(captions)
        part = {
            "key": keys[:count],
            "caption": captions,
            "image": [encode_png(picture) for picture in pictures[:count]],
            "painter": pl.Series([slug] * count, dtype=pl.String),
            "kind": kinds[:count],
            "fate": fates[:count].tolist(),
        }
        self._parts.append(pl.DataFrame(part))

    def add_noise(
        self, kind: str, name: str, templates: Sequence[str], paints: Paints, count: int, *of: int, kept_as: str = ""
    ) -> None:
        """Add `count` rows that are by no painter of the sheet.

        Args:
            kind: one of STREAMS.
            name: what captions call the painter; "" where templates have no name.
            templates: of captions.
            paints: makes the pictures.
            count: how many.
            of: the number of the painter whose noise it is.
            kept_as: the kind that the truth names, where it is not `kind`.
        """
        for block, start in enumerate(range(0, count, BLOCK)):
            rng = stream(self._seed, kind, *of, block)
            keys = rng.integers(2**63, size=BLOCK)
            template, subject, link = rng.random((3, BLOCK))
            subjects = (subject * len(SUBJECTS)).astype(int)
            kept = min(BLOCK, count - start)
            motifs = stream(self._seed, "motifs", STREAMS.index(kind), *of, block)
            shown = _with_motifs(subjects, (), self._noise.motif, motifs)
            captions = [
                text.format(name=name, subject=subject)
                for text, subject in zip(_pick(templates, template), shown, strict=True)
            ]
            fates = _fates(link, self._noise.dead, self._noise.broken)
            self._add(keys, captions[:kept], paints(subjects, rng), [kept_as or kind] * BLOCK, fates)

    def add_works(self, number: int, count: int, *, repeated: bool = False) -> None:
        """Add the first `count` works of a painter, by the painter's number; `repeated`: the first one so often."""
        noise, painter = self._noise, self._painters[number]
        spread = 2 * stream(self._seed, "links", number).random() - 1
        dead = noise.dead * (1 + noise.dead_spread * spread)
        first: tuple[str, np.ndarray, str] | None = None
        own_motifs = motifs_of(self._seed, number)
        for block, start in enumerate(range(0, count, BLOCK)):
            rng = stream(self._seed, "works", number, block)
            keys = rng.integers(2**63, size=BLOCK)
            alias, which, nameless, pseudonym, template, subject, link, copy, joint, other = rng.random((10, BLOCK))
            subjects = (subject * len(SUBJECTS)).astype(int)
            pictures = paint(self._styles.take(np.full(BLOCK, number)), subjects, rng)
            others = (other * len(self._painters)).astype(int)
            by_two = joint < noise.joint
            if by_two.any():
                halves = paint(self._styles.take(others), subjects, rng)
                pictures[by_two, :, SIDE // 2 :] = halves[by_two, :, SIDE // 2 :]
            for row in range(1, BLOCK):
                if copy[row] < noise.copies:
                    pictures[row], subjects[row], others[row] = pictures[row - 1], subjects[row - 1], others[row - 1]
                    by_two[row] = by_two[row - 1]
            is_nameless = nameless < noise.nameless
            motifs = stream(self._seed, "motifs", STREAMS.index("works"), number, block)
            shown = _with_motifs(subjects, own_motifs, noise.motif, motifs)
            captions = []
            for row in range(min(BLOCK, count - start)):
                called = painter.name
                if alias[row] < noise.alias and painter.aliases:
                    called = painter.aliases[int(which[row] * len(painter.aliases))]
                if pseudonym[row] < noise.pseudonym:
                    called = _pseudonym(painter.name)
                if by_two[row]:
                    called = f"{called} and {self._painters[others[row]].name}"
                templates = CAPTIONS_WITHOUT_NAME if is_nameless[row] else CAPTIONS
                text = templates[int(template[row] * len(templates))]
                captions.append(text.format(name=called, subject=shown[row]))
            kinds = ["nameless" if without else "work" for without in is_nameless]
            if repeated:
                first = first or (captions[0], pictures[0], kinds[0])
                captions, kinds = [first[0]] * len(captions), [first[2]] * len(kinds)
                pictures = np.broadcast_to(first[1], pictures.shape)
            self._add(keys, captions, pictures, kinds, _fates(link, dead, noise.broken), painter.slug)

    def add_noise_of(self, number: int, count: int) -> None:
        """Add what else a painter with `count` works brings: wrong captions, and the works of the namesake."""
        noise, name = self._noise, self._painters[number].name
        for kind, templates, paints, share in (
            ("photograph", CAPTIONS_OF_PHOTOGRAPHS, _by_a_camera, noise.photographs),
            ("after", CAPTIONS_AFTER, _by_anybody, noise.after),
        ):
            # Drawn work by work, so that a larger count adds rows and changes none.
            rng = stream(self._seed, "strays", number, STREAMS.index(kind))
            rows = int(rng.poisson(noise.stray / 2) + rng.poisson(share, size=count).sum())
            self.add_noise(kind, name, templates, paints, rows, number)
        rng = stream(self._seed, "namesake", number)
        style, rows = draw_styles(1, rng), rng.poisson(noise.namesakes)
        called = _namesake(name, [painter.name for painter in self._painters], rng)

        def paints_as_namesake(subjects: np.ndarray, rng: np.random.Generator) -> np.ndarray:
            return paint(style.take(np.zeros(len(subjects), int)), subjects, rng)

        self.add_noise("namesakes", called, CAPTIONS, paints_as_namesake, rows, number, kept_as=f"namesake {number}")

    def sorted(self) -> pl.DataFrame:
        """Return all rows, in an order that more rows do not change."""
        return pl.concat(self._parts).sort("key")


def make_crawl(
    painters: Sequence[Painter],
    styles: Styles,
    counts: np.ndarray,
    noise: Noise,
    seed: int,
    repeated: np.ndarray | None = None,
) -> pl.DataFrame:
    """Return the crawl, as it was when the generator was trained.

    Args:
        painters: the N painters.
        styles: Styles of length N.
        counts: [N] pictures per painter.
        noise: Noise.
        seed: of the world. Two crawls of one world differ only in how many works, and wrong captions, a painter has.
        repeated: [N] bool: painters of whom all works are the first one, under its caption; None: no painter.

    Returns:
        A frame with columns url, caption, image (PNG bytes), painter (slug, or null where the picture is not by a
        painter of the sheet), kind (work, nameless, photograph, after, namesake N, anonymous, street) and fate (whole,
        dead or broken: what a study finds of it).
    """
    crawl = _Crawl(painters, styles, noise, seed)
    for number, count in enumerate(tqdm(counts.tolist(), desc="painting", unit="painter", mininterval=2)):
        crawl.add_works(number, count, repeated=repeated is not None and bool(repeated[number]))
        crawl.add_noise_of(number, count)
    crawl.add_noise("anonymous", "", CAPTIONS_WITHOUT_NAME, _by_anybody, noise.anonymous)
    crawl.add_noise("street", "", CAPTIONS_OF_STREETS, _by_a_camera, noise.anonymous)
    url = pl.format("https://atelier.invalid/{}.png", pl.col("key"))
    return crawl.sorted().select(url.alias("url"), "caption", "image", "painter", "kind", "fate")


def age_crawl(crawl: pl.DataFrame) -> pl.DataFrame:
    """Return what a study finds of a crawl: url, caption, image; null for dead links, some images truncated."""
    image = [
        None if fate == "dead" else data[: len(data) // 2] if fate == "broken" else data
        for fate, data in zip(crawl["fate"], crawl["image"], strict=True)
    ]
    return crawl.select("url", "caption").with_columns(pl.Series("image", image, dtype=pl.Binary))
