"""Fréchet distance between generated images and targets: the smaller, the more alike."""

import numpy as np

from fit.alternatives.base import Score, Value
from fit.errors import DataError
from fit.scores.evidence import Evidence
from fit.scores.imitation import AT_ONCE
from fit.scores.settings import TargetSettings


def frechet_distance(one: np.ndarray, other: np.ndarray) -> float:
    """Return the distance between two sets of vectors, taken for samples of Gaussians (arXiv 1706.08500, equation 6).

    |m1 - m2|^2 + Tr(C1) + Tr(C2) - 2 Tr((C1 C2)^(1/2)). The last trace is the sum of the singular values of A B^T where
    A^T A = C1 and B^T B = C2: singular covariances (fewer vectors than numbers) need no regularisation. It is biased
    upwards in small samples, so compare only sets of similar sizes.

    Args:
        one: [N, D] vectors, N at least 2.
        other: [M, D] vectors, M at least 2.

    Raises:
        DataError: there are fewer.
    """
    if len(one) < 2 or len(other) < 2:
        raise DataError("a Fréchet distance takes two vectors or more on each side")
    (mean_of_one, a), (mean_of_other, b) = _gaussian(one), _gaussian(other)
    apart = ((mean_of_one - mean_of_other) ** 2).sum()
    shared = np.linalg.svd(a @ b.T, compute_uv=False).sum()
    return float(max(0.0, apart + (a**2).sum() + (b**2).sum() - 2 * shared))


def _gaussian(vectors: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return (mean [D], A [at most D, D] with A^T A the covariance) of `vectors` [N, D], which may be very many."""
    mean = vectors.mean(axis=0, dtype=np.float64)
    root = np.zeros((0, len(mean)))
    for start in range(0, len(vectors), AT_ONCE):
        centred = vectors[start : start + AT_ONCE] - mean
        root = np.asarray(np.linalg.qr(np.concatenate([root, centred]), mode="r"))
    return mean, root / np.sqrt(len(vectors) - 1)


class Frechet(Score):
    """Fréchet distance between all generated images of a concept and its targets."""

    name = "frechet"
    label = "Fréchet distance, turned round"
    is_more_alike_when_larger = False

    def values(self, evidence: Evidence, targets: TargetSettings) -> list[Value]:
        """Return one value for all prompts."""
        vectors = evidence.targets(targets.targets)
        number = sum(map(len, evidence.pictures.values()))
        if number < 2 or len(vectors) < 2:
            return [Value(None, None, number)]
        return [Value(None, frechet_distance(np.concatenate(list(evidence.pictures.values())), vectors), number)]
