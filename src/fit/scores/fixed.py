"""A score at a fixed number of targets: one that does not rise because a concept has more of them.

The published score is the mean over the targets that a prompt's pictures resemble most. The more targets there are to
choose from, the higher the best of them, whatever the pictures show. Here every concept chooses from as many: the score
is the exact expectation of the published one over all subsets of a fixed size of its targets. Nothing is drawn.
"""

from collections.abc import Sequence

import numpy as np

from fit.errors import DataError

AT_ONCE = 8192
"""Targets of which a copy in double precision is in memory at once."""


def fixed_sizes(number: int, top_k: int, fixed_targets: int) -> list[int]:
    """Return the sizes of subsets at which a concept is scored, ascending.

    A concept's score must not depend on other concepts, and how many targets all of them have is known later. So it
    is scored at every size up to `fixed_targets`, or to its own `number` of targets. All sizes up to `top_k` have one
    score,
    the mean of all targets; the first size stands for them.
    """
    most = min(number, fixed_targets)
    return list(range(min(top_k, most), most + 1)) if most else []


def fixed_weights(number: int, sizes: Sequence[int], top_k: int) -> np.ndarray:
    """Return how much each target counts in the expected mean of the `top_k` highest of a random subset of targets.

    The target with r higher ones is in a subset of m of n targets with probability m / n, and then among its k highest
    if at most k - 1 of the r higher ones are in it too: P(Hypergeometric(n - 1, r, m - 1) <= k - 1). Its weight is the
    product, divided by min(k, m). The subset's other targets are drawn one after another, so that one pass gives all
    sizes from sums of positive numbers; scipy.stats.hypergeom takes minutes for 100,000 targets.

    Args:
        number: n, of targets.
        sizes: m, ascending, 1 to n each.
        top_k: k.

    Returns:
        [sizes, n] weights of the targets from the highest down; they sum to 1.

    Raises:
        DataError: a size is not within 1 to n.
    """
    if sizes and not 1 <= min(sizes) <= max(sizes) <= number:
        raise DataError(f"subsets of {min(sizes)} to {max(sizes)} targets, where there are {number}")
    higher = np.arange(number, dtype=np.float64)
    lower = number - 1 - higher
    # [k, n]: the probability that j of the targets drawn so far are higher than the one in question.
    drawn = np.zeros((min(top_k, max(sizes, default=1)), number))
    drawn[0] = 1.0
    taken = np.arange(len(drawn), dtype=np.float64)[:, None]
    found = []
    for size in range(1, max(sizes, default=0) + 1):
        if size > 1:
            before, left = size - 2, number - size + 1
            new = drawn * np.maximum(lower - (before - taken), 0) / left
            new[1:] += drawn[:-1] * np.maximum(higher - taken[:-1], 0) / left
            drawn = new
        if size in sizes:
            found.append(drawn.sum(axis=0) * (size / number / min(top_k, size)))
    return np.array(found).reshape(len(sizes), number)


def _in_order(cosines: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return the weights [sizes, T] of targets by their `cosines` [T]; equal ones share theirs."""
    _, group = np.unique(-cosines, return_inverse=True)
    ends = np.cumsum(np.bincount(group))
    starts = np.concatenate([[0], ends[:-1]])
    total = np.concatenate([np.zeros((len(weights), 1)), np.cumsum(weights, axis=1)], axis=1)
    return ((total[:, ends] - total[:, starts]) / (ends - starts))[:, group]


def cosines_to(targets: np.ndarray, directions: np.ndarray) -> np.ndarray:
    """Return the products [T, Q] of `targets` [T, D] and `directions` [Q, D], in double precision."""
    starts = range(0, len(targets), AT_ONCE)
    turned = directions.astype(np.float64).T
    return np.concatenate([targets[start : start + AT_ONCE].astype(np.float64) @ turned for start in starts])


def fixed_image_scores(generated: np.ndarray, targets: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return how closely each of a prompt's images resembles its targets, at fixed numbers of them.

    As for the published score, targets are ordered by their mean cosine to all images of the prompt.

    Args:
        generated: [G, D] unit vectors of the prompt's images.
        targets: [T, D] unit vectors.
        weights: [sizes, T] of fixed_weights.

    Returns:
        [sizes, G] weighted means of cosines; their mean over images is the prompt's score at that size.

    Raises:
        DataError: there is no generated image or no target.
    """
    if not len(generated) or not len(targets):
        raise DataError("no generated image with exactly one face" if len(targets) else "no target image")
    generated = generated.astype(np.float64)
    of_targets = _in_order(cosines_to(targets, generated.mean(axis=0)[None])[:, 0], weights)
    middles = np.zeros((len(weights), targets.shape[1]))
    for start in range(0, len(targets), AT_ONCE):
        part = slice(start, start + AT_ONCE)
        middles += of_targets[:, part] @ targets[part].astype(np.float64)
    return middles @ generated.T


def fixed_scores(cosines: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return the scores [sizes, Q] of Q sets of pictures, whose mean cosines to the targets are `cosines` [T, Q]."""
    return weights @ np.sort(cosines, axis=0)[::-1]
