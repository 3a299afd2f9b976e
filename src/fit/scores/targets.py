"""Targets: the vectors that generated images are compared with."""

from collections.abc import Callable

import numpy as np

FEW_MATCHES = 11
"""Below so many matched training images, a style's targets are its references (arXiv 2410.15002)."""
FEW_MATCHES_OF_FACES = 10
"""The same for faces, in the paper's code; its text takes both."""
Rule = Callable[[np.ndarray, np.ndarray], np.ndarray]


def _matches_or_references(few: int) -> Rule:
    def choose(matched: np.ndarray, references: np.ndarray) -> np.ndarray:
        return matched if len(matched) >= few else references

    return choose


def _matches_and_references(matched: np.ndarray, references: np.ndarray) -> np.ndarray:
    some = [vectors for vectors in (matched, references) if len(vectors)]
    return np.concatenate(some) if some else references


RULES: dict[str, Rule] = {
    "matches_and_references": _matches_and_references,
    "matches_or_references": _matches_or_references(FEW_MATCHES),
    "ten_matches_or_references": _matches_or_references(FEW_MATCHES_OF_FACES),
}
"""TargetSettings.targets -> function(matched [M, D], references [R, D]) that returns the targets [T, D]."""


def choose_targets(matched: np.ndarray, references: np.ndarray, rule: str) -> np.ndarray:
    """Return the vectors that generated images are compared with, [T, D].

    Args:
        matched: [M, D] matched training vectors.
        references: [R, D] vectors of kept references.
        rule: a key of RULES: both ("matches_and_references"); or the matched vectors, and the references where fewer
            than FEW_MATCHES ("matches_or_references") or FEW_MATCHES_OF_FACES ("ten_matches_or_references") matched.
    """
    return RULES[rule](matched, references)
