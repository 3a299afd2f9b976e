"""Resamples draw everything that was sampled; intervals and tests keep what they promise."""

import numpy as np
import pytest

from fit.thresholds import uncertainty
from fit.thresholds.estimators import ESTIMATORS
from fit.thresholds.groups import difference_p_value
from fit.thresholds.scores import sort_scores
from fit.thresholds.threads import in_order, use_threads
from fit.thresholds.uncertainty import bootstrap, draw_counts, interval, permutation_p_value, resample


def table(counts, scores, **known):
    return sort_scores([f"c{i:03d}" for i in range(len(counts))], counts, scores, **known)


def evidence(number, **columns):
    values = np.full((number, 5), np.nan)
    for name, column in columns.items():
        values[:, ("captions", "downloaded", "matches", "low", "high").index(name)] = column
    return values


def test_counts_are_drawn_with_the_error_of_what_was_not_seen():
    known = evidence(400, captions=1000, downloaded=100, matches=40)
    drawn = draw_counts(table([400] * 400, range(400), evidence=known), np.random.default_rng(0))
    assert drawn.mean() == pytest.approx(400, rel=0.01)
    # The variance of a beta-binomial of the 900 images that were not seen.
    assert drawn.std() == pytest.approx(np.sqrt(900 * 0.4 * 0.6 * (101 + 900) / (101 + 1)), rel=0.05)
    # Captions were counted, so a count of images that were all seen has no error.
    known = evidence(400, captions=1000, downloaded=1000, matches=700)
    drawn = draw_counts(table([700] * 400, range(400), evidence=known), np.random.default_rng(0))
    assert (drawn == 700).all()


def test_a_drawn_count_is_possible():
    known = evidence(100, captions=500, downloaded=475, matches=400)
    drawn = draw_counts(table([421] * 100, range(100), evidence=known), np.random.default_rng(0))
    assert drawn.min() >= 400 and drawn.max() <= 425 and drawn.std() > 0
    # Fewer captions than downloads: those of another corpus.
    known = evidence(400, captions=100, downloaded=200, matches=100)
    drawn = draw_counts(table([50] * 400, range(400), evidence=known), np.random.default_rng(0))
    assert drawn.mean() == pytest.approx(50, rel=0.02)
    assert drawn.std() == pytest.approx(np.sqrt(100 * 0.25 * (201 + 100) / (201 + 1)), rel=0.05)


def test_more_matching_faces_than_images_stay_so():
    known = evidence(200, captions=1000, downloaded=500, matches=750)
    drawn = draw_counts(table([1500] * 200, range(200), evidence=known), np.random.default_rng(0))
    assert drawn.mean() == pytest.approx(1500, rel=0.01)


def test_a_count_has_the_error_that_its_interval_says_and_none_without():
    known = evidence(400, low=50, high=200)
    known[:10] = np.nan
    counts = [100] * 400
    drawn = draw_counts(table(counts, range(400), evidence=known), np.random.default_rng(0))
    assert (drawn[:10] == 100).all()
    inside = ((drawn[10:] >= 50) & (drawn[10:] <= 200)).mean()
    assert inside == pytest.approx(0.95, abs=0.01)


def test_resamples_draw_images_within_prompts_within_concepts():
    rng = np.random.default_rng(1)
    images = rng.normal(0.5, 0.2, (60, 1, 25))
    scores = images.mean(axis=(1, 2))
    flat = table(range(60), np.full(60, 0.5), images=(images - scores[:, None, None] + 0.5).tolist())
    drawn = np.concatenate([s for _, s in resample(flat, 400, rng)])
    assert drawn.std() == pytest.approx(0.2 / 5, rel=0.1)
    # Without image scores a concept has the score that it has.
    known = table(range(60), scores)
    drawn = np.concatenate([s for _, s in resample(known, 20, rng)])
    assert np.isin(drawn, scores).all()


def test_a_prompt_that_lowers_every_score_moves_them_together():
    images = [[[0.1], [0.9]]] * 30
    for _, scores in resample(table(range(30), [0.5] * 30, images=images), 50, np.random.default_rng(2)):
        assert np.allclose(np.ptp(scores, axis=1), 0)
        assert {round(float(s), 6) for s in scores[:, 0]} == {0.1, 0.5, 0.9}


def test_a_missing_prompt_gets_the_mean_of_the_others():
    images = [[[0.2], [0.4]], [[], [0.7]], []]
    drawn = [s for _, s in resample(table([0, 1, 2], [0.3, 0.7, 0.9], images=images), 200, np.random.default_rng(3))]
    assert {round(float(s), 6) for s in np.unique(drawn)} == {0.2, 0.3, 0.4, 0.7, 0.9}


def test_resamples_ascend_in_count_and_order_ties_by_chance():
    rows = list(resample(table([3] * 20 + [7] * 20, range(40)), 200, np.random.default_rng(4)))
    counts, scores = rows[0]
    assert (np.diff(counts, axis=1) >= 0).all()
    tied = [row[c == 3] for row, c in zip(scores, counts, strict=True)]
    assert 0.4 < np.mean(np.concatenate([np.diff(t) < 0 for t in tied])) < 0.6


def test_the_interval_runs_between_concepts():
    counts = [0, 0, 10, 20, 40, 80]
    assert interval("pelt", np.full(100, 20.0), counts) == [10, 20]
    assert interval("one_change", np.array([15.0] * 50 + [30.0] * 50), counts) == [10, 40]
    assert interval("pelt", np.array([np.nan, 0.0]), counts) == [0, 0]
    assert interval("pelt", np.full(9, np.nan), counts) is None
    assert interval("isotonic", np.arange(1000) / 10, np.arange(100)) == [2, 98]
    halves = [np.sqrt(11 * 16) - 1, np.sqrt(31 * 41) - 1]
    assert interval("logistic", np.array([15.0] * 50 + [30.0] * 50), counts) == pytest.approx(halves)


def test_uncertain_counts_and_pictures_widen_the_interval():
    rng = np.random.default_rng(5)
    counts = np.floor(10 ** rng.uniform(0, 4, 150))
    images = np.where(counts >= 300, 0.5, 0.2)[:, None, None] + rng.normal(0, 0.1, (150, 1, 1))
    images = images + rng.normal(0, 0.5, (150, 3, 10))
    exact = table(counts, images.mean(axis=(1, 2)))
    known = evidence(150, captions=counts * 5 + 5, downloaded=12, matches=2)
    both = table(counts, images.mean(axis=(1, 2)), images=images.tolist(), evidence=known)
    widths = []
    for one in (exact, both):
        drawn = bootstrap(one, ESTIMATORS, 0.9, 200, 0)
        names = [name for name in ESTIMATORS if name != "pelt_scaled"]  # which has no interval
        widths.append([np.ptp(np.log1p(interval(name, drawn[name], counts))) for name in names])
    assert (np.array(widths[1]) > widths[0]).all()


def test_the_test_against_no_jump_is_fair_and_sees_a_jump():
    rng = np.random.default_rng(6)
    counts = np.sort(rng.integers(0, 60, 50))
    p_values = np.array([permutation_p_value(table(counts, rng.normal(size=50)), 199, 0) for _ in range(200)])
    assert 0.01 <= (p_values <= 0.05).mean() <= 0.1
    assert p_values.mean() == pytest.approx(0.5, abs=0.07)
    assert permutation_p_value(table(counts, (counts > 30) + rng.normal(size=50) / 5), 199, 0) == 1 / 200


def test_the_test_of_groups_is_fair():
    rng = np.random.default_rng(7)
    p_values = []
    for _ in range(100):
        counts = np.floor(10 ** rng.uniform(0, 3, 80))
        scores = (counts > 30) * 0.4 + rng.normal(0, 0.2, 80)
        one = table(counts, scores, groups=rng.permutation(np.repeat(["a", "b"], 40)))
        p_values.append(difference_p_value(one, ["a", "b"], 99, 0)["p_value"])
    assert (np.array(p_values) <= 0.05).mean() <= 0.12
    assert np.mean(p_values) > 0.4


@pytest.mark.parametrize("threads", [2, 3])
def test_results_do_not_depend_on_the_number_of_threads(threads, monkeypatch):
    monkeypatch.setattr(uncertainty, "CHUNK", 7)
    rng = np.random.default_rng(5)
    counts = np.floor(10 ** rng.uniform(0, 3, 40))
    study = table(counts, (counts > 30) * 0.5 + rng.normal(0, 0.1, 40))
    one = bootstrap(study, ESTIMATORS, 0.9, 50, 1)
    use_threads(threads)
    try:
        several = bootstrap(study, ESTIMATORS, 0.9, 50, 1)
    finally:
        use_threads(1)
    for name in ESTIMATORS:
        assert len(one[name]) == 50
        np.testing.assert_array_equal(one[name], several[name])


def test_threads_take_few_items_ahead_and_pass_on_errors():
    taken = []

    def items():
        for number in range(40):
            taken.append(number)
            yield number

    use_threads(2)
    try:
        answers = in_order(lambda number: 1 / (5 - number), items())
        assert next(answers) == 0.2
        assert len(taken) <= 4
        with pytest.raises(ZeroDivisionError):
            list(answers)
    finally:
        use_threads(1)
