"""A hash of how a picture looks, by which copies are found that were encoded again or resized."""

from functools import lru_cache

import numpy as np
from PIL import Image

_ROWS = 256
"""Rows that are looked at together: of a large picture, eight bytes a pixel are hundreds of megabytes."""


def perceptual_hash(picture: Image.Image) -> str:
    """Return 64 bits, as 16 hex digits, of which few change when a picture is encoded again or resized.

    The DCT hash of pHash: of the greys, the 8x8 lowest frequencies of the DCT-II but the constant ones; a bit
    says whether one is above their median. C. Zauner, "Implementation and Benchmarking of Perceptual Image Hash
    Functions" (2010), section 3.2.1; https://www.phash.org. pHash makes the picture 32x32 pixels first. Ours takes the
    frequencies of the picture itself, which a copy of another size shares: so more copies have the same hash, and
    it takes less time than a good resizing.

    A picture without any shape, such as a white page, has the hash 0: alike in this sense says little there.
    """
    width, height = picture.size
    down, across = _waves(height), _waves(width)
    rows = np.zeros((8, width))
    for top in range(0, height, _ROWS):
        bottom = min(top + _ROWS, height)
        greys = picture.crop((0, top, width, bottom)).convert("L")
        rows += down[:, top:bottom] @ np.asarray(greys, np.float64)
    # Where there is no such wave, the last digits depend on the machine; rounded, they are equal.
    strengths = np.round(64 * (rows @ across.T).ravel(), 3)
    return np.packbits(strengths > np.median(strengths)).tobytes().hex()


@lru_cache(maxsize=64)
def _waves(side: int) -> np.ndarray:
    """Return [8, side]: the rows 1 to 8 of the matrix of the DCT-II of `side` points, over `side`.

    So few points have no higher waves than side - 1; those are 0.
    """
    number = np.arange(1, 9)[:, None]
    return np.where(number < side, np.cos(np.pi / (2 * side) * number * (2 * np.arange(side) + 1)), 0) / side


def hamming(a: str, b: str) -> int:
    """Return how many of the 64 bits of two perceptual hashes differ: few if pictures look alike, about 32 if not."""
    return (int(a, 16) ^ int(b, 16)).bit_count()
