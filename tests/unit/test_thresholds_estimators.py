"""Each estimator against brute force, or against what its data were drawn from."""

from itertools import combinations, pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ruptures import Pelt
from scipy.special import expit
from threshold_data import rise

from fit.errors import DataError
from fit.thresholds.estimators import find_estimator
from fit.thresholds.estimators.isotonic import isotonic, isotonic_middle
from fit.thresholds.estimators.logistic import SHARPEST, WIDTH, logistic, logistics
from fit.thresholds.estimators.one_change import best_split
from fit.thresholds.estimators.pelt import change_points


def cost(scores, changes):
    edges = [0, *changes, len(scores)]
    return sum(((scores[a:b] - scores[a:b].mean()) ** 2).sum() for a, b in pairwise(edges))


@pytest.mark.slow
@settings(max_examples=60, deadline=None)
@given(st.lists(st.floats(-2, 2, width=16), min_size=2, max_size=9), st.floats(0.2, 1.5))
def test_change_points_equal_brute_force(scores, penalty):
    scores = np.array(scores)
    segmentations = [c for n in range(len(scores)) for c in combinations(range(1, len(scores)), n)]
    costs = [cost(scores, changes) + penalty * len(changes) for changes in segmentations]
    found = change_points(scores, penalty)
    # Segmentations of equal cost are equally right.
    assert cost(scores, found) + penalty * len(found) == pytest.approx(min(costs), abs=1e-9)


@pytest.mark.slow
def test_change_points_equal_pelt():
    rng = np.random.default_rng(1)
    for _ in range(10):
        scores = rng.normal(np.repeat([0, 0.6, 0.4], 30), 0.2)
        pelt = Pelt(model="l2", min_size=1, jump=1).fit(scores).predict(pen=0.9)
        assert change_points(scores, 0.9) == pelt[:-1]


def test_best_split_equals_brute_force_and_keeps_ties_together():
    rng = np.random.default_rng(2)
    for _ in range(30):
        scores = rng.normal(size=12)
        counts = np.sort(rng.integers(8, size=12))
        at, removed = best_split(counts, scores)
        splits = [k for k in range(1, 12) if counts[k] > counts[k - 1]]
        costs = [cost(scores, [k]) for k in splits]
        assert at == splits[int(np.argmin(costs))]
        assert removed == pytest.approx(1 - min(costs) / cost(scores, []))
    assert best_split(np.arange(5), np.ones(5)) == (None, 0.0)
    assert best_split(np.ones(5), np.arange(5)) == (None, 0.0)


def test_isotonic_fit_pools_ties_and_violators():
    counts, scores = np.array([0, 0, 1, 2, 3, 4]), np.array([0.0, 0.2, 0.3, 0.1, 0.8, 0.9])
    places, fitted = isotonic(counts, scores)
    assert places.tolist() == [0, 1, 2, 3, 4]
    assert fitted.tolist() == pytest.approx([0.1, 0.2, 0.2, 0.8, 0.9])
    # A fifth is one concept: half way between 0.1 and 0.9.
    assert isotonic_middle(counts, scores) == 4
    assert isotonic_middle(counts, scores[::-1]) is None


def test_the_isotonic_middle_of_a_step_is_the_step_however_few_lie_above():
    counts = np.arange(100)
    for at in (3, 50, 93):
        assert isotonic_middle(counts, np.where(counts >= at, 0.9, 0.2)) == at


def test_the_logistic_recovers_what_scores_were_drawn_from():
    fit = logistic(*rise()[1:])
    assert fit["midpoint"] == pytest.approx(50, rel=0.15)
    assert (fit["low"], fit["high"]) == pytest.approx((0.1, 0.6), abs=0.03)
    assert np.log((1 + fit["to"]) / (1 + fit["from"])) == pytest.approx(2 * 0.8 * np.log(9), rel=0.1)
    assert fit["slope"] == pytest.approx(0.5 / (4 * 0.8), rel=0.15)
    counts = np.arange(40)
    assert logistic(counts, -counts / 40) is None


def drawn(number=12, concepts=80):
    """Data sets [number, concepts] of a step at 40 images."""
    rng = np.random.default_rng(4)
    counts = np.sort(np.floor(10 ** rng.uniform(0, 3, (number, concepts))), axis=1)
    return counts, np.where(counts > 40, 0.5, 0.1) + rng.normal(0, 0.1, counts.shape)


def test_many_fits_at_once_are_those_of_one_at_a_time():
    counts, scores = drawn()
    midpoints = find_estimator("logistic").many(counts, scores, 0.9)
    assert midpoints.tolist() == [logistic(c, s)["midpoint"] for c, s in zip(counts, scores, strict=True)]
    assert find_estimator("one_change").many(counts, scores, 0.9).tolist() == [
        c[best_split(c, s)[0]] for c, s in zip(counts, scores, strict=True)
    ]
    assert find_estimator("pelt").many(counts, np.zeros_like(scores), 0.9).tolist() == pytest.approx(
        [np.nan] * 12, nan_ok=True
    )


@pytest.mark.slow
@pytest.mark.parametrize("slope", [0.7, 1.5, 40])
@pytest.mark.parametrize("noise", [0.02, 0.2])
def test_no_logistic_of_a_fine_grid_fits_better(slope, noise):
    rng = np.random.default_rng(20)
    counts = np.sort(np.floor(10 ** rng.uniform(0, 3, (8, 60))), axis=1)
    scores = 0.5 * expit(slope * (np.log1p(counts) - np.log(41))) + rng.normal(0, noise, counts.shape)
    x = np.log1p(counts)
    for c, s, (midpoint, scale, low, high) in zip(x, scores, logistics(counts, scores), strict=True):
        found = ((s - low - (high - low) * expit((c - midpoint) / scale)) ** 2).sum()
        scales = np.geomspace(SHARPEST, np.ptp(c) / WIDTH, 40)
        rises = expit((c - np.linspace(c[0], c[-1], 500)[:, None, None]) / scales[:, None])
        rises -= rises.mean(axis=-1, keepdims=True)
        gain = np.maximum(rises @ s, 0) ** 2 / np.maximum((rises**2).sum(axis=-1), 1e-9)
        assert found <= ((s - s.mean()) ** 2).sum() - gain.max() + 1e-9


def test_the_isotonic_middle_of_many_is_that_of_each_also_with_equal_counts():
    rng = np.random.default_rng(21)
    counts = np.sort(rng.integers(0, 12, (40, 33)), axis=1).astype(float)
    scores = 0.05 * counts + rng.normal(0, 0.4, counts.shape)
    scores[:5] *= -1
    alone = [isotonic_middle(c, s) for c, s in zip(counts, scores, strict=True)]
    expected = [np.nan if at is None else c[at] for c, at in zip(counts, alone, strict=True)]
    assert None in alone
    assert find_estimator("isotonic").many(counts, scores, 0.9).tolist() == pytest.approx(expected, nan_ok=True)


def test_the_published_pelt_of_many_is_that_of_each():
    counts, scores = drawn()
    scores[0], scores[1] = 0.1, -scores[1]
    estimator = find_estimator("pelt_published")
    alone = [estimator.first_above(c, s, 0.2) for c, s in zip(counts, scores, strict=True)]
    expected = [np.nan if at is None else c[at] for c, at in zip(counts, alone, strict=True)]
    assert alone[0] is None and alone[1] is not None
    assert estimator.many(counts, scores, 0.2).tolist() == pytest.approx(expected, nan_ok=True)


def test_the_earlier_name_of_an_estimator_leads_to_its_name_now():
    with pytest.raises(DataError, match="`single` is now called `one_change`"):
        find_estimator("single")
