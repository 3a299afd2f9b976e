"""Each estimator against brute force, or against what its data were drawn from."""

from itertools import combinations, pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ruptures import Pelt
from threshold_data import rise

from fit.errors import DataError
from fit.thresholds.estimators import find_estimator
from fit.thresholds.estimators.isotonic import isotonic, isotonic_middle
from fit.thresholds.estimators.logistic import logistic, logistic_grid
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


@pytest.mark.slow
def test_many_fits_at_once_agree_with_one_at_a_time():
    rng = np.random.default_rng(4)
    counts = np.sort(np.floor(10 ** rng.uniform(0, 3, (12, 80))), axis=1)
    scores = np.where(counts > 40, 0.5, 0.1) + rng.normal(0, 0.1, counts.shape)
    for c, s, grid in zip(counts, scores, np.expm1(logistic_grid(counts, scores)[0]), strict=True):
        # Within a gap between concepts every midpoint of a step is as good.
        exact = logistic(c, s)["midpoint"]
        between = np.searchsorted(np.unique(c), [grid, exact])
        assert abs(int(between[0]) - int(between[1])) <= 1
    assert find_estimator("one_change").many(counts, scores, 0.9).tolist() == [
        c[best_split(c, s)[0]] for c, s in zip(counts, scores, strict=True)
    ]
    assert find_estimator("pelt").many(counts, np.zeros_like(scores), 0.9).tolist() == pytest.approx(
        [np.nan] * 12, nan_ok=True
    )


def test_the_earlier_name_of_an_estimator_leads_to_its_name_now():
    with pytest.raises(DataError, match="`single` is now called `one_change`"):
        find_estimator("single")
