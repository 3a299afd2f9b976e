"""Whether concepts with nearly the same count have nearly the same score."""

import itertools

import numpy as np
import pytest

from fit.reports.invariance import FEWEST, WITHIN, invariance
from fit.thresholds.scores import sort_scores


def table(counts, scores):
    return sort_scores([f"c{i:03d}" for i in range(len(counts))], counts, scores)


def test_pairs_that_are_ten_or_more_apart_do_not_count():
    # 0 and 9 are near, 9 and 18 are, 0 and 18 are not; 28 is near none.
    found = invariance(table([0, 9, 18, 28], [0.1, 0.4, 0.2, 0.9]), 10, 0)
    assert (found.pairs, found.ties, found.concepts) == (2, 0, 3)
    assert found.mean == pytest.approx((0.3 - 0.2) / 2)
    assert found.mean_absolute == pytest.approx((0.3 + 0.2) / 2)


def test_concepts_of_one_count_have_no_sign_but_a_size():
    found = invariance(table([5, 5, 7], [0.1, 0.5, 0.4]), 10, 0)
    assert (found.pairs, found.ties) == (2, 1)
    assert found.mean == pytest.approx((0.3 - 0.1) / 2)
    assert found.mean_absolute == pytest.approx((0.3 + 0.1 + 0.4) / 3)


def test_without_near_concepts_there_is_no_number():
    found = invariance(table([0, 10, 20], [0.1, 0.2, 0.3]), 10, 0)
    assert found.mean is found.interval is found.mean_absolute is None


def test_few_concepts_have_a_mean_but_no_interval():
    number = FEWEST - 1
    scores = np.random.default_rng(1).normal(size=number)
    assert invariance(table(np.arange(number), scores), 100, 0).interval is None
    low, high = invariance(table(np.arange(number + 1), [*scores, 0.0]), 100, 0).interval
    assert low < high


def test_it_is_what_a_loop_over_pairs_gives_in_any_order_of_rows():
    rng = np.random.default_rng(2)
    counts, scores = rng.integers(0, 60, 50), rng.normal(size=50)
    differences = [
        (scores[j] - scores[i]) * np.sign(counts[j] - counts[i])
        for i, j in itertools.combinations(range(50), 2)
        if 0 < abs(counts[i] - counts[j]) < WITHIN
    ]
    found = invariance(table(counts, scores), 200, 0)
    assert found.pairs == len(differences) and found.mean == pytest.approx(np.mean(differences))
    order = rng.permutation(50)
    names = [f"c{i:03d}" for i in range(50)]
    again = invariance(sort_scores([names[i] for i in order], counts[order], scores[order]), 200, 0)
    assert again == found


def test_equal_rises_are_the_mean_and_leave_nothing_unsure():
    counts = np.repeat(np.arange(0, 300, 100), 2) + np.tile([0, 4], 3)
    many = np.concatenate([counts + 1000 * k for k in range(5)])
    found = invariance(table(many, 0.3 + 0.01 * many), 200, 0)
    assert found.pairs == 15
    assert [found.mean, *found.interval] == pytest.approx([0.04] * 3)


@pytest.mark.slow
@pytest.mark.parametrize("slope", [0.0, 0.004])
def test_the_interval_covers_the_truth(slope):
    """60 concepts with counts log-uniform to 100; the truth is the mean over many studies of their kind."""

    def study(rng):
        counts = np.floor(np.exp(rng.uniform(0, np.log(100), 60)))
        return table(counts, 0.3 + slope * counts + rng.normal(0, 0.1, 60))

    rng = np.random.default_rng(11)
    many = [invariance(study(rng), 1, 0) for _ in range(400)]
    truth = sum(one.mean * one.pairs for one in many) / sum(one.pairs for one in many) if slope else 0.0
    intervals = [invariance(study(rng), 300, seed).interval for seed in range(200)]
    assert 0.9 <= np.mean([low <= truth <= high for low, high in intervals]) <= 1.0
