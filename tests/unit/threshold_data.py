"""Studies with a known threshold, for tests."""

import numpy as np


def step(at=30, concepts=120, noise=0.15, seed=3):
    rng = np.random.default_rng(seed)
    counts = np.round(10 ** np.linspace(0, 3, concepts)).astype(int)
    names = [f"c{i:03d}" for i in range(concepts)]
    shuffle = rng.permutation(concepts)
    scores = np.where(counts >= at, 0.6, 0.1) + rng.normal(0, noise, concepts)
    return [names[i] for i in shuffle], counts[shuffle], scores[shuffle]


def rise(middle=50, scale=0.8, concepts=400, noise=0.05):
    rng = np.random.default_rng(9)
    counts = np.floor(10 ** np.linspace(0, 4, concepts))
    share = 1 / (1 + np.exp(-(np.log1p(counts) - np.log1p(middle)) / scale))
    return [f"c{i:03d}" for i in range(concepts)], counts, 0.1 + 0.5 * share + rng.normal(0, noise, concepts)


def grouped(shift, seed=6):
    """Two groups of 60, whose steps lie at 30 and at 30 x shift."""
    rng = np.random.default_rng(seed)
    counts = np.floor(10 ** rng.uniform(0, 3, 120))
    groups = np.repeat(["east", "west"], 60)
    scores = np.where(counts >= np.where(groups == "east", 30, 30 * shift), 0.6, 0.1) + rng.normal(0, 0.1, 120)
    return [f"c{i:03d}" for i in range(120)], counts, scores, groups
