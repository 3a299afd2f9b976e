"""Distances between pictures, tile by tile, in blocks that fit into memory.

The distance of two pictures is the largest over 4 x 4 tiles of the root mean square difference of their pixels, in 0..1
("Extracting Training Data from Diffusion Models", arXiv 2301.13188, section 4.2): pictures that share a large plain
ground, and differ in what they show, are far apart in some tile.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageOps

from fit.errors import DataError
from fit.io.shown import number_of

TILES = 4
"""Tiles along each side."""
_MB = 2**20


def as_square(picture: Image.Image, side: int) -> np.ndarray:
    """Return the middle square of an RGB picture, scaled: [side, side, 3] uint8. Training crops pictures so, too."""
    return np.asarray(ImageOps.fit(picture.convert("RGB"), (side, side), Image.Resampling.BOX))


def tiles_of(pictures: np.ndarray) -> np.ndarray:
    """Cut pictures into tiles.

    Args:
        pictures: [N, S, S, 3] uint8; S is a multiple of TILES.

    Returns:
        [TILES^2, N, D] float32, D = 3 (S / TILES)^2, scaled so that the squared difference of two rows is the mean
        square difference of their pixels, each in 0..1.
    """
    count, side = pictures.shape[:2]
    part = side // TILES
    cut = pictures.reshape(count, TILES, part, TILES, part, 3).transpose(1, 3, 0, 2, 4, 5)
    rows = cut.reshape(TILES * TILES, count, part * part * 3).astype(np.float32)
    return rows / np.float32(255 * np.sqrt(rows.shape[-1]))


def tile_distances(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Return the distance of each picture to each other one.

    Args:
        one: [T, N, D] and
        other: [T, M, D], of tiles_of.

    Returns:
        [N, M] float32 in 0..1. Numbers are of single precision: equal pictures may be 0.001 apart.
    """
    largest = np.zeros((one.shape[1], other.shape[1]), np.float32)
    for left, right in zip(one, other, strict=True):
        squared = left @ right.T
        squared *= -2
        squared += np.square(left).sum(axis=1)[:, None]
        squared += np.square(right).sum(axis=1)
        np.maximum(largest, squared, out=largest)
    return np.sqrt(largest, out=largest)


def block_size(rows: int, side: int, memory_mb: int) -> int:
    """Return how many pictures may be compared with `rows` others at once.

    What takes memory: the others, as pixels twice and as tiles; of the block, pixels, tiles and two rows of distances.

    Raises:
        DataError: not even one may.
    """
    pixels = side * side * 3
    left = memory_mb * _MB - rows * pixels * 6
    size = left // (pixels * 5 + rows * 8) if left > 0 else 0
    if size < 1:
        raise DataError(
            f"`memory_mb: {memory_mb}` is too little for {number_of(rows, 'picture')} of {side} x {side} pixels and "
            "what they are compared with; raise it, or lower `compared_pictures` or `side`"
        )
    return int(size)


def in_blocks(pictures: Iterable[np.ndarray], size: int) -> Iterator[np.ndarray]:
    """Yield pictures [S, S, 3] in blocks [B, S, S, 3] of `size`; the last has fewer."""
    block: list[np.ndarray] = []
    for picture in pictures:
        block.append(picture)
        if len(block) == size:
            yield np.stack(block)
            block = []
    if block:
        yield np.stack(block)


@dataclass(frozen=True)
class Nearest:
    """For each of N pictures, the nearest of many others."""

    rows: np.ndarray
    """[N] its number among the others."""
    distances: np.ndarray
    """[N] float32."""
    pictures: np.ndarray
    """[N, S, S, 3] uint8: the nearest ones."""


def find_nearest(pictures: np.ndarray, others: Iterable[np.ndarray], memory_mb: int) -> Nearest:
    """Return the nearest of `others` to each of `pictures` [N, S, S, 3].

    Raises:
        DataError: there are no others, or they do not fit into the memory.
    """
    size = block_size(len(pictures), pictures.shape[1], memory_mb)
    tiles, start = tiles_of(pictures), 0
    rows = np.full(len(pictures), -1)
    distances = np.full(len(pictures), np.inf, np.float32)
    found = np.zeros_like(pictures)
    for block in in_blocks(others, size):
        here = tile_distances(tiles, tiles_of(block))
        at = here.argmin(axis=1)
        closest = np.take_along_axis(here, at[:, None], axis=1)[:, 0]
        better = closest < distances
        rows[better], distances[better], found[better] = start + at[better], closest[better], block[at[better]]
        start += len(block)
    if start == 0:
        raise DataError("there is no training image to compare with; name tables of them (`copies.training_images`)")
    return Nearest(rows, distances, found)


def neighbour_distances(
    pictures: np.ndarray, others: Iterable[np.ndarray], count: int, apart: float, memory_mb: int
) -> np.ndarray:
    """Return the mean distance of each picture to its `count` nearest others that are another picture.

    Args:
        pictures: [N, S, S, 3] uint8.
        others: those that are compared, [S, S, 3] each.
        count: how many neighbours; all, where there are fewer.
        apart: others that are nearer than this are the same picture, saved again.
        memory_mb: of all.

    Returns:
        [N] float32.

    Raises:
        DataError: a picture has no other one, or they do not fit into the memory.
    """
    size = block_size(len(pictures), pictures.shape[1], memory_mb)
    tiles = tiles_of(pictures)
    smallest = np.full((len(pictures), count), np.inf, np.float32)
    for block in in_blocks(others, size):
        here = tile_distances(tiles, tiles_of(block))
        here[here < apart] = np.inf
        together = np.concatenate([smallest, here], axis=1)
        smallest = np.partition(together, count - 1, axis=1)[:, :count]
    known = np.isfinite(smallest)
    if not known.any(axis=1).all():
        raise DataError(
            f"all training images are nearer than `same_picture: {apart}` to each other, so there is no neighbour to "
            "compare with; give more of them (`copies.training_images`), or lower `same_picture`"
        )
    return np.where(known, smallest, 0).sum(axis=1) / known.sum(axis=1)
