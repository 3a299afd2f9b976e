from itertools import combinations, pairwise

import numpy as np
import pytest
from ruptures import Pelt

from fit.errors import DataError
from fit.threshold import best_split, change_points, detect


def cost(scores, changes):
    edges = [0, *changes, len(scores)]
    return sum(((scores[a:b] - scores[a:b].mean()) ** 2).sum() for a, b in pairwise(edges))


def test_change_points_equal_brute_force():
    rng = np.random.default_rng(0)
    for _ in range(60):
        scores = np.concatenate([rng.normal(0, 0.5, 4), rng.normal(rng.choice([0, 1.5]), 0.5, 5)])
        penalty = rng.uniform(0.2, 1.5)
        segmentations = [c for n in range(len(scores)) for c in combinations(range(1, len(scores)), n)]
        best = min(segmentations, key=lambda changes: cost(scores, changes) + penalty * len(changes))
        assert change_points(scores, penalty) == list(best)


def test_change_points_equal_pelt():
    rng = np.random.default_rng(1)
    for _ in range(10):
        scores = rng.normal(np.repeat([0, 0.6, 0.4], 30), 0.2)
        pelt = Pelt(model="l2", min_size=1, jump=1).fit(scores).predict(pen=0.9)
        assert change_points(scores, 0.9) == pelt[:-1]


def test_best_split_equals_brute_force():
    rng = np.random.default_rng(2)
    for _ in range(30):
        scores = rng.normal(size=12)
        at, removed = best_split(scores)
        costs = [cost(scores, [k]) for k in range(1, 12)]
        assert at == 1 + int(np.argmin(costs))
        assert removed == pytest.approx(1 - min(costs) / cost(scores, []))
    assert best_split(np.ones(5)) == (None, 0.0)


def step(at=30, concepts=120, noise=0.15, seed=3):
    rng = np.random.default_rng(seed)
    counts = np.round(10 ** np.linspace(0, 3, concepts)).astype(int)
    names = [f"c{i:03d}" for i in range(concepts)]
    shuffle = rng.permutation(concepts)
    scores = np.where(counts >= at, 0.6, 0.1) + rng.normal(0, noise, concepts)
    return [names[i] for i in shuffle], counts[shuffle], scores[shuffle]


def test_a_step_is_found_in_images_with_its_neighbours_and_interval():
    concepts, counts, scores = step()
    found = detect(concepts, counts, scores, penalty=0.9, resamples=200, seed=0)
    true = min(c for c in counts if c >= 30)
    assert found["threshold"] == true
    assert found["single"]["threshold"] == true
    assert found["above"]["nearest"]["effective_count"] == true
    assert found["below"]["nearest"]["effective_count"] == max(c for c in counts if c < true)
    assert found["below"]["concepts"] + found["above"]["concepts"] == found["concepts"] == 120
    low, high = found["interval"]
    assert low <= true <= high
    assert found == detect(concepts, counts, scores, penalty=0.9, resamples=200, seed=0)


def test_no_change_point_is_a_result():
    rng = np.random.default_rng(5)
    found = detect(
        [str(i) for i in range(50)], np.arange(50), rng.normal(0.3, 0.05, 50), penalty=0.9, resamples=50, seed=0
    )
    assert found["threshold"] is None
    assert found["below"] is None
    assert found["resamples_with_a_change"] == 0


def test_the_order_of_rows_does_not_matter():
    concepts, counts, scores = step()
    options = {"penalty": 0.9, "resamples": 20, "seed": 0}
    back = detect(concepts[::-1], counts[::-1], scores[::-1], **options)
    assert detect(concepts, counts, scores, **options) == back


def test_unusable_tables_say_why():
    options = {"penalty": 0.9, "resamples": 5, "seed": 0}
    with pytest.raises(DataError, match="1 concepts"):
        detect(["a"], [1], [0.5], **options)
    with pytest.raises(DataError, match="'b': its score"):
        detect(["a", "b"], [1, 2], [0.5, np.nan], **options)
