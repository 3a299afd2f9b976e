"""Patches on pictures: patterns such as those by which models were poisoned, and what they are compared with.

A pattern is a small array of cells [R, C, 3] of uint8, which is enlarged to the size of the patch without smoothing.
Its controls have its size and place, but not its look: its own cells shuffled, its own cells blurred, and random
patterns.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageFilter

from fit.embeddings.settings import CheckSettings
from fit.errors import ConfigError

PLACES = ("corner", "centre", "anywhere", "everywhere")
"""Where a patch can be; fit.embeddings.settings.CheckSettings says what each means."""
CELLS = 4
"""Rows and columns of the patterns of checks and stripes."""
FINE = 16
"""Rows and columns of the pattern of noise, and of a pattern that is read from a picture."""
SHUFFLES = 2
"""How many shuffled versions of a pattern are among its controls."""
_FLAT = {"white": (255, 255, 255), "black": (0, 0, 0), "red": (255, 0, 0), "yellow": (255, 255, 0)}


def _flat(colour: Sequence[int] | np.ndarray) -> np.ndarray:
    return np.array(colour, np.uint8).reshape(1, 1, 3)


def _of_two(chosen: np.ndarray, first: Sequence[int] | np.ndarray, second: Sequence[int] | np.ndarray) -> np.ndarray:
    """Return cells of the `first` colour where `chosen` [R, C], else of the `second`."""
    return np.where(chosen[..., None], np.array(first, np.uint8), np.array(second, np.uint8))


def _checks() -> np.ndarray:
    return _of_two(np.indices((CELLS, CELLS)).sum(0) % 2 == 0, _FLAT["white"], _FLAT["black"])


def _stripes() -> np.ndarray:
    return _of_two(np.indices((CELLS, CELLS))[1] % 2 == 0, _FLAT["white"], _FLAT["black"])


def _noise() -> np.ndarray:
    return np.random.default_rng(0).integers(256, size=(FINE, FINE, 3), dtype=np.uint8)


PATTERNS = {name: _flat(colour) for name, colour in _FLAT.items()} | {
    "checks": _checks(),
    "stripes": _stripes(),
    "noise": _noise(),
}
"""Name of a pattern -> its cells."""


def read_pattern(picture: Image.Image) -> np.ndarray:
    """Return the cells of a pattern that a picture shows."""
    side = min(FINE, *picture.size)
    return np.asarray(picture.convert("RGB").resize((side, side), Image.Resampling.BOX))


def shuffled(cells: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return the cells of a pattern in another order: the colours are the same, the look is not."""
    return rng.permutation(cells.reshape(-1, 3)).reshape(cells.shape)


def blurred(cells: np.ndarray) -> np.ndarray:
    """Return a pattern without its edges, as FINE x FINE cells."""
    large = Image.fromarray(cells).resize((FINE, FINE), Image.Resampling.NEAREST)
    return np.asarray(large.filter(ImageFilter.GaussianBlur(FINE / CELLS)))


def random_patterns(count: int, rng: np.random.Generator) -> list[np.ndarray]:
    """Return the cells of `count` patterns: flat colours, blots of two colours, and noise of coarse and fine cells.

    Colours are as far apart as those of PATTERNS are: each channel is dark or bright.
    """

    def colours(number: int) -> np.ndarray:
        is_bright = rng.random((number, 3)) < 0.5
        return rng.integers(64, size=(number, 3)) + np.where(is_bright, 192, 0)

    def of_noise(side: int) -> np.ndarray:
        return rng.integers(256, size=(side, side, 3), dtype=np.uint8)

    def blots() -> np.ndarray:
        return _of_two(rng.random((CELLS, CELLS)) < 0.5, *colours(2))

    kinds = (lambda: _flat(colours(1)), blots, lambda: of_noise(CELLS), lambda: of_noise(FINE))
    return [kinds[number % len(kinds)]() for number in range(count)]


def label_of(pattern: str, size: float, place: str) -> str:
    """Return what a patch is called in a sentence: "checks of 15 % in the corner"."""
    if place == "everywhere":
        return f"{pattern} everywhere"
    return f"{pattern} of {100 * size:g} % {'anywhere' if place == 'anywhere' else f'in the {place}'}"


@dataclass(frozen=True)
class Patch:
    """A pattern of a size at a place."""

    pattern: str
    """Its name; that of a control says what it is made of."""
    size: float
    """Side, as a share of the shorter side of the picture; 1 for the place `everywhere`."""
    place: str
    """One of PLACES."""
    cells: np.ndarray
    """[R, C, 3] uint8."""
    is_control: bool = False
    of: str = ""
    """The pattern whose control it is alone; "" if it is one of all patterns."""

    @property
    def label(self) -> str:
        """What the patch is called in a sentence."""
        return label_of(self.pattern, self.size, self.place)


def _is_flat(cells: np.ndarray) -> bool:
    return len(np.unique(cells.reshape(-1, 3), axis=0)) == 1


def _alone(name: str, cells: np.ndarray, rng: np.random.Generator) -> Iterator[tuple[str, np.ndarray]]:
    """Yield (name, cells) of the controls that are made of a pattern; a flat colour has none."""
    if not _is_flat(cells):
        yield from ((f"{name}, shuffled {number}", shuffled(cells, rng)) for number in range(1, SHUFFLES + 1))
        yield f"{name}, blurred", blurred(cells)


def make_patches(settings: CheckSettings, own: dict[str, np.ndarray], seed: int) -> list[Patch]:
    """Return the patches that are tried, those of one size and place beside each other, each place's controls last.

    Args:
        settings: which.
        own: name -> cells of patterns of the user's, besides those that `settings` names.
        seed: of the controls.

    Raises:
        ConfigError: there is no such pattern or place, or there is none at all.
    """
    for kind, named, known in (("pattern", settings.patterns, PATTERNS), ("place", settings.places, PLACES)):
        if unknown := next((name for name in named if name not in known), None):
            raise ConfigError(f"--{kind}s {unknown}: there is no such {kind}; there are {', '.join(known)}")
    patterns = {name: PATTERNS[name] for name in dict.fromkeys(settings.patterns)} | own
    places = tuple(dict.fromkeys(settings.places))
    sizes = tuple(dict.fromkeys(settings.patch_sizes))
    at = [(1.0, "everywhere")] if "everywhere" in places else []
    at = [(size, place) for size in sizes for place in places if place != "everywhere"] + at
    if not patterns or not at:
        lacks = "--patterns or --patch" if not patterns else "--places, or --patch-sizes"
        raise ConfigError(f"there is no patch to try: name one or more with {lacks}")
    rng = np.random.default_rng(seed)
    others = [(f"random {number}", cells) for number, cells in enumerate(random_patterns(settings.controls, rng), 1)]
    alone = {name: list(_alone(name, cells, rng)) for name, cells in patterns.items()}
    found = []
    for size, place in at:
        # A flat colour over a whole picture is a tint: it makes pictures alike by itself.
        left_out = {name for name, cells in patterns.items() if place == "everywhere" and _is_flat(cells)}
        found += [Patch(name, size, place, cells) for name, cells in patterns.items() if name not in left_out]
        found += [
            Patch(name, size, place, cells, True, of) for of, controls in alone.items() for name, cells in controls
        ]
        found += [
            Patch(name, size, place, cells, True)
            for name, cells in others
            if place != "everywhere" or not _is_flat(cells)
        ]
    if all(patch.is_control for patch in found):
        raise ConfigError(f"--patterns {' '.join(patterns)}: a flat colour is not put everywhere; name another place")
    return found


def put(picture: Image.Image, patch: Patch, opacity: float, rng: np.random.Generator) -> Image.Image:
    """Return an RGB picture with a patch on it.

    The place is within the square in the middle of the picture, as what is outside is cut off by most embedders.

    Args:
        picture: of any size.
        patch: what to put on it.
        opacity: of a patch that is everywhere.
        rng: for the place `anywhere`.
    """
    pattern = Image.fromarray(patch.cells)
    if patch.place == "everywhere":
        return Image.blend(picture, pattern.resize(picture.size, Image.Resampling.NEAREST), opacity)
    shorter = min(picture.size)
    side = max(1, round(patch.size * shorter))
    free = shorter - side
    if patch.place == "anywhere":
        within = tuple(int(place) for place in rng.integers(free + 1, size=2))
    else:
        within = (free, free) if patch.place == "corner" else (free // 2, free // 2)
    left, top = ((length - shorter) // 2 + place for length, place in zip(picture.size, within, strict=True))
    changed = picture.copy()
    changed.paste(pattern.resize((side, side), Image.Resampling.NEAREST), (left, top))
    return changed
