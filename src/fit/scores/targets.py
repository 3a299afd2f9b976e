"""Targets: the vectors that generated images are compared with."""

from collections.abc import Callable

import numpy as np

FEW_MATCHES = 11
"""Below so many matched training images, a style's targets are its references (arXiv 2410.15002)."""


def _matches_or_references(matched: np.ndarray, references: np.ndarray) -> np.ndarray:
    return matched if len(matched) >= FEW_MATCHES else references


def _matches_and_references(matched: np.ndarray, references: np.ndarray) -> np.ndarray:
    some = [vectors for vectors in (matched, references) if len(vectors)]
    return np.concatenate(some) if some else references


RULES: dict[str, Callable[[np.ndarray, np.ndarray], np.ndarray]] = {
    "matches_and_references": _matches_and_references,
    "matches_or_references": _matches_or_references,
}
"""TargetSettings.targets -> function(matched [M, D], references [R, D]) that returns the targets [T, D]."""


def choose_targets(matched: np.ndarray, references: np.ndarray, rule: str) -> np.ndarray:
    """Return the vectors that generated images are compared with, [T, D].

    Args:
        matched: [M, D] matched training vectors.
        references: [R, D] vectors of kept references.
        rule: "matches_and_references" (faces): both; or "matches_or_references" (styles): the matched vectors, or the
            references where fewer than FEW_MATCHES matched.
    """
    return RULES[rule](matched, references)
