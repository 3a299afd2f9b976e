"""Tests against no jump keep their level where a permutation does not, and the penalty of pelt_scaled its own."""

import numpy as np
import pytest

from fit.thresholds.compiled import critical_penalty, noise_variance, segment
from fit.thresholds.estimators import find_estimator
from fit.thresholds.estimators.logistic import logistic, logistics
from fit.thresholds.estimators.one_change import error_removed, likelihood_ratio_set
from fit.thresholds.estimators.pelt import change_points, changes_between_counts
from fit.thresholds.estimators.pelt_scaled import scaled_penalty
from fit.thresholds.families import families_of
from fit.thresholds.jump_tests import against_no_jump, sign_p_value
from fit.thresholds.report import measure
from fit.thresholds.scores import sort_scores
from fit.thresholds.uncertainty import permutation_p_value


def table(counts, scores, **known):
    return sort_scores([f"c{i:03d}" for i in range(len(counts))], counts, scores, **known)


@pytest.mark.slow
def test_a_spread_that_grows_with_the_count_is_no_jump():
    rng = np.random.default_rng(11)
    spread = 0.1 + 0.9 * np.linspace(0, 1, 100) ** 2
    drawn = [table(range(100), rng.normal(size=100) * spread) for _ in range(200)]
    plain = np.mean([permutation_p_value(one, 99, 0) <= 0.05 for one in drawn])
    signs = np.mean([sign_p_value(one, None, 99, 0) <= 0.05 for one in drawn])
    assert plain > 0.2
    assert signs <= 0.09
    risen = table(range(100), rng.normal(size=100) * spread / 5 + (np.arange(100) > 70))
    assert sign_p_value(risen, None, 99, 0) == 1 / 100


@pytest.mark.slow
def test_families_of_like_concepts_are_no_jump():
    rng = np.random.default_rng(12)
    found = []
    for _ in range(150):
        families = np.repeat(np.arange(25), rng.integers(2, 8, 25))
        number = len(families)
        counts = np.floor(10 ** np.clip(rng.uniform(0.5, 3.5, 25)[families] + rng.normal(0, 0.2, number), 0, 4))
        scores = rng.normal(0, 1, 25)[families] + rng.normal(0, 0.5, number)
        tests = against_no_jump(table(counts, scores, families=[f"f{one}" for one in families]), 99, 0, False)
        found.append([tests["p_value"] <= 0.05, tests["p_value_families"] <= 0.05])
        assert tests["families"] == 25
    plain, of_families = np.mean(found, axis=0)
    assert plain > 0.3
    assert of_families <= 0.1


def test_families_are_a_column_or_the_groups_where_there_are_enough():
    counts, scores = np.arange(24), np.arange(24) / 24
    assert families_of(table(counts, scores)) is None
    assert families_of(table(counts, scores, groups=["a", "b"] * 12)) is None
    of_groups = families_of(table(counts, scores, groups=[f"g{i % 8}" for i in range(24)]))
    assert of_groups.tolist() == [i % 8 for i in range(24)]
    # Without a family, a concept is its own.
    alone = families_of(table(counts, scores, families=[f"f{i}" if i < 9 else "" for i in range(24)]))
    assert len(set(alone)) == 24


@pytest.mark.slow
def test_the_scaled_penalty_keeps_its_false_alarms_whatever_the_scale():
    rng = np.random.default_rng(13)
    scaled = find_estimator("pelt_scaled")
    for concepts, allowed in ((40, 0.08), (250, 0.08)):
        # Other numbers of concepts than those of the table, and counts of which some are equal.
        drawn = [table(rng.integers(0, 10_000, concepts), rng.normal(0.8, 0.003, concepts)) for _ in range(300)]
        alarms = np.mean([scaled.estimate(one, 0.9).first_above is not None for one in drawn])
        assert 0.015 <= alarms <= allowed
    stepped = table(range(60), 0.8 + 0.02 * (np.arange(60) >= 25) + rng.normal(0, 0.003, 60))
    assert scaled.estimate(stepped, 0.9).threshold == 25


def test_the_noise_is_told_from_a_jump_and_from_ties():
    rng = np.random.default_rng(14)
    counts = np.sort(rng.integers(0, 60, 400)).astype(float)
    scores = rng.normal(0, 0.2, 400)
    assert noise_variance(counts, scores) == pytest.approx(0.04, rel=0.15)
    assert noise_variance(counts, scores + 5 * (counts > 30)) == pytest.approx(0.04, rel=0.15)
    # Concepts of one count may stand in any order.
    order = np.lexsort((rng.random(400), counts))
    assert noise_variance(counts, scores[order]) == pytest.approx(noise_variance(counts, scores))
    assert scaled_penalty(150) == pytest.approx((scaled_penalty(100) + scaled_penalty(200)) / 2, abs=0.05)


def test_changes_lie_between_counts_and_are_pelts_where_all_differ():
    rng = np.random.default_rng(15)
    for _ in range(40):
        scores = rng.normal(np.repeat([0, 0.6, 0.4], 25), 0.2)
        assert changes_between_counts(np.arange(75), scores, 0.5) == change_points(scores, 0.5)
        counts = np.sort(rng.integers(0, 12, 75))
        found = changes_between_counts(counts, scores, 0.2)
        assert all(counts[at] > counts[at - 1] for at in found)
        renamed = scores[np.lexsort((rng.random(75), counts))]
        assert changes_between_counts(counts, renamed, 0.2) == found


def test_no_penalty_above_the_critical_one_has_a_change():
    rng = np.random.default_rng(16)
    for _ in range(20):
        counts, scores = np.sort(rng.integers(0, 40, 50)).astype(float), rng.normal(size=50)
        critical = critical_penalty(counts, scores)
        assert len(segment(counts, scores, critical * 1.0001)) == 0
        assert len(segment(counts, scores, critical * 0.9999)) > 0


@pytest.mark.slow
def test_signs_are_fair_in_small_studies_whose_spread_grows():
    p_values = []
    for seed in range(400):
        rng = np.random.default_rng([seed, 7])
        scores = rng.normal(size=60) * (0.1 + 0.9 * np.linspace(0, 1, 60) ** 2)
        p_values.append(sign_p_value(table(np.arange(60), scores), None, 199, seed))
    # Of the squared error that a split removes, 7.5 % of 800 studies are at most 0.05; of this statistic, 4 %.
    assert np.mean(np.array(p_values) <= 0.05) <= 0.065


def test_the_likelihood_ratio_set_is_offered_where_the_scores_show_one_jump():
    rng = np.random.default_rng(8)
    counts = np.floor(10 ** np.linspace(0, 4, 200))
    jump = 0.5 * (counts >= 100)
    normal, heavy = rng.normal(0, 0.1, 200), 0.08 * rng.standard_t(2, 200)
    known = np.full((200, 5), np.nan)
    known[:, 3], known[:, 4] = np.maximum(counts - 1, 0), counts + 1

    def offered(scores, **more):
        slugs = [f"c{i:03d}" for i in range(200)]
        found = measure(sort_scores(slugs, counts, scores, **more), penalty=0.9, resamples=99, seed=0)
        one = found["estimators"]["one_change"]["if_it_is_one_jump"]
        return one["interval"] or one["reason"]

    low, high = offered(jump + normal)
    assert low < 100 <= high
    assert offered(0.15 * np.log10(1 + counts) + normal) == "the scores do not show one jump"
    assert offered(jump + heavy) == "some scores are far from the others"
    assert offered(jump + normal, evidence=known) == "the counts have errors"
    families = [f"f{i // 4}" for i in range(200)]
    assert offered(jump + normal, families=families) == "concepts of a family are alike"


def test_the_likelihood_ratio_set_is_hansens():
    rng = np.random.default_rng(17)
    counts = np.sort(rng.integers(0, 500, 80)).astype(float)
    scores = (counts > 200) * 0.5 + rng.normal(0, 0.3, 80)
    found = likelihood_ratio_set(counts, scores)
    left = ((scores - scores.mean()) ** 2).sum() - error_removed(counts, scores[None])[0]
    splits = [k for k in range(79) if counts[k + 1] > counts[k]]
    least = min(left[k] for k in splits)
    inside = [k for k in splits if 80 * (left[k] - least) / least <= 7.352 * found["scale"]]
    assert found["interval"] == [counts[inside[0]], counts[inside[-1] + 1]]
    assert likelihood_ratio_set(np.arange(20), np.repeat([0.1, 0.9], 10))["interval"] == [9, 10]
    assert likelihood_ratio_set(np.ones(20), np.repeat([0.1, 0.9], 10)) is None


@pytest.mark.slow
def test_the_likelihood_ratio_set_holds_a_step_where_the_spread_changes_with_the_count():
    rng = np.random.default_rng(18)
    held = []
    for _ in range(200):
        counts = np.sort(np.floor(10 ** rng.uniform(0, 4, 150)))
        spread = 0.05 + 0.25 * np.log1p(counts) / np.log(10_001)
        low, high = likelihood_ratio_set(counts, (counts >= 200) * 0.3 + rng.normal(0, spread))["interval"]
        held.append(low < 200 <= high)
    assert 0.9 <= np.mean(held) <= 1


def test_resamples_are_fitted_as_the_study_is():
    rng = np.random.default_rng(19)
    counts = np.sort(np.floor(10 ** rng.uniform(0, 3, (6, 80))), axis=1)
    scores = 0.5 / (1 + (40 / (1 + counts)) ** 1.5) + rng.normal(0, 0.1, counts.shape)
    midpoints = np.expm1(logistics(counts, scores)[:, 0])
    alone = [logistic(c, s)["midpoint"] for c, s in zip(counts, scores, strict=True)]
    assert midpoints.tolist() == alone
