"""A hash of how a picture looks, by which copies are found that were encoded again or resized."""

import numpy as np
from PIL import Image

_COSINES = np.cos(np.pi / 64 * np.outer(np.arange(1, 9), 2 * np.arange(32) + 1)) / 4
"""[8, 32]: the rows 1 to 8 of the matrix of the orthonormal DCT-II of 32 points."""


def perceptual_hash(picture: Image.Image) -> str:
    """Return 64 bits, as 16 hex digits, of which few change when a picture is encoded again or resized.

    The DCT hash of pHash: of the greys, made 32x32 pixels, the 8x8 lowest frequencies but the constant ones; a bit
    says whether one is above their median. C. Zauner, "Implementation and Benchmarking of Perceptual Image Hash
    Functions" (2010), section 3.2.1; https://www.phash.org. Ours resizes with Lanczos' filter where pHash takes a mean.

    A picture without any shape, such as a white page, has the hash 0: alike in this sense says little there.
    """
    small = picture.convert("L").resize((32, 32), Image.Resampling.LANCZOS)
    waves = _COSINES @ np.asarray(small, np.float64) @ _COSINES.T
    # Where there is no such wave, the last digits depend on the machine; rounded, they are equal.
    waves = np.round(waves.ravel(), 3)
    return np.packbits(waves > np.median(waves)).tobytes().hex()


def hamming(a: str, b: str) -> int:
    """Return how many of the 64 bits of two perceptual hashes differ: few if pictures look alike, about 32 if not."""
    return (int(a, 16) ^ int(b, 16)).bit_count()
