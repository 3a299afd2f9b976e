"""Top-5 mean: the mean over generated images of the mean cosine to the five targets that each resembles most."""

import numpy as np

from fit.alternatives.base import Score, Value
from fit.scores.evidence import Evidence
from fit.scores.settings import TargetSettings


def mean_of_top(generated: np.ndarray, targets: np.ndarray, k: int = 5) -> float:
    """Return the mean over generated images of each one's mean cosine to the `k` targets that are nearest to it.

    Args:
        generated: [G, D] unit vectors.
        targets: [T, D] unit vectors; if there are fewer than `k`, all of them are taken.
        k: how many targets.
    """
    k = min(k, len(targets))
    return float(np.partition(generated @ targets.T, -k, axis=1)[:, -k:].mean(dtype=np.float64))


class Top5(Score):
    """Mean cosine of each generated image to its own five nearest targets."""

    name = "top5"
    label = "top-5 mean"

    def values(self, evidence: Evidence, targets: TargetSettings) -> list[Value]:
        """Return a value for each prompt."""
        vectors = evidence.targets(targets.targets)
        return [
            Value(prompt, mean_of_top(pictures, vectors) if len(pictures) and len(vectors) else None, len(pictures))
            for prompt, pictures in evidence.pictures.items()
        ]
