"""Turns and scales faces so that eyes, nose and mouth are where recognition networks expect them."""

import numpy as np
from PIL import Image

TEMPLATE = np.array(
    [(38.2946, 51.6963), (73.5318, 51.5014), (56.0252, 71.7366), (41.5493, 92.3655), (70.7299, 92.2041)]
)
"""[5, 2], x and y in pixels of a crop of 112 x 112: InsightFace's template, in the order of Embedding.landmarks."""


def template(size: tuple[int, int]) -> np.ndarray:
    """Return where the five landmarks belong in a crop of `size` (width, height) pixels: [5, 2].

    Crops of 96 x 112 lack the eight outer columns on each side. Others have no template.

    Raises:
        ValueError: there is none for this size.
    """
    if size not in ((112, 112), (96, 112)):
        raise ValueError(f"no template for crops of {size[0]} x {size[1]}")
    return TEMPLATE - [(112 - size[0]) / 2, 0]


def similarity(source: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Return the similarity transform (turn, scale, shift) from `source` to `target` with the least squared error.

    Umeyama, "Least-squares estimation of transformation parameters between two point patterns", IEEE Transactions on
    Pattern Analysis and Machine Intelligence 13 (1991), equations 38 to 43. Faces are never mirrored.

    Args:
        source: [N, 2].
        target: [N, 2].

    Returns:
        [2, 3]: a point p goes to M[:, :2] @ p + M[:, 2].

    Raises:
        ValueError: the points of `source` are all the same.
    """
    source, target = np.asarray(source, np.float64), np.asarray(target, np.float64)
    middle, aim = source.mean(0), target.mean(0)
    spread = ((source - middle) ** 2).sum() / len(source)
    if spread == 0:
        raise ValueError("points that are all the same have no direction")
    left, scales, right = np.linalg.svd((target - aim).T @ (source - middle) / len(source))
    signs = np.array([1, np.sign(np.linalg.det(left) * np.linalg.det(right)) or 1])
    linear = (left * signs) @ right * (scales @ signs) / spread
    return np.column_stack([linear, aim - linear @ middle])


def align(picture: Image.Image, landmarks: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Return the face with `landmarks` in an RGB image, as uint8 [height, width, 3] for `size` (width, height).

    Sampled bilinearly, black beyond the picture. A face of more than twice the crop's scale is averaged over blocks of
    pixels first, as the samples would skip pixels otherwise.

    Args:
        picture: RGB.
        landmarks: [5, 2], x and y in pixels; the middle of a pixel has whole numbers.
        size: (width, height) in pixels.
    """
    aim = template(size)
    landmarks = np.asarray(landmarks, np.float64)
    shrink = int(1 / np.sqrt(abs(np.linalg.det(similarity(landmarks, aim)[:, :2]))))
    if shrink > 1:
        # Every block becomes a pixel, whose middle is the middle of the block.
        picture, landmarks = picture.reduce(shrink), (landmarks + 0.5) / shrink - 0.5
    back = similarity(landmarks, aim)
    linear = np.linalg.inv(back[:, :2])
    shift = -linear @ back[:, 2]
    # Pillow counts from the corner of pixels, here their middles are the whole numbers.
    shift += 0.5 - linear @ [0.5, 0.5]
    matrix = (*linear[0], shift[0], *linear[1], shift[1])
    return np.asarray(picture.transform(size, Image.Transform.AFFINE, matrix, Image.Resampling.BILINEAR))
