"""The score at a fixed number of targets against brute force, draws, and scipy."""

from itertools import combinations

import numpy as np
import pytest
from concept_files import unit
from scipy.stats import hypergeom

from fit.errors import DataError
from fit.scores.evidence import Evidence
from fit.scores.fixed import fixed_image_scores, fixed_scores, fixed_sizes, fixed_weights
from fit.scores.imitation import imitation_score, score_concept
from fit.scores.settings import FixedTargetSettings, ScoreSettings, TargetSettings


def expected(values, size, top_k):
    """The mean over all subsets of the mean of the subset's highest."""
    return np.mean([np.mean(sorted(subset)[-top_k:]) for subset in combinations(values, size)])


@pytest.mark.parametrize("number", [1, 2, 7, 9])
@pytest.mark.parametrize("top_k", [1, 3, 12])
@pytest.mark.parametrize("tied", [False, True])
def test_the_weights_are_the_mean_over_all_subsets(number, top_k, tied):
    values = np.random.default_rng(number).normal(size=number)
    if tied:
        values = np.round(values)
    sizes = list(range(1, number + 1))
    found = fixed_scores(values[:, None], fixed_weights(number, sizes, top_k))[:, 0]
    assert found == pytest.approx([expected(values, size, top_k) for size in sizes], abs=1e-12)


@pytest.mark.parametrize(("number", "size"), [(20, 20), (21, 20), (500, 20), (3000, 60)])
def test_the_weights_are_those_of_the_hypergeometric_distribution(number, size):
    higher = np.arange(number)
    plain = size / number * hypergeom.cdf(9, number - 1, higher, size - 1) / 10
    found = fixed_weights(number, [size], 10)[0]
    assert found == pytest.approx(plain, abs=1e-13) and found.sum() == pytest.approx(1, abs=1e-12)


def test_the_expectation_is_what_draws_come_to():
    rng = np.random.default_rng(3)
    values = rng.normal(size=400)
    drawn = [np.sort(rng.choice(values, 20, replace=False))[-10:].mean() for _ in range(4000)]
    found = fixed_scores(values[:, None], fixed_weights(400, [20], 10))[0, 0]
    assert abs(found - np.mean(drawn)) < 4 * np.std(drawn) / np.sqrt(len(drawn))


def test_with_as_many_targets_as_there_are_it_is_the_published_score():
    rng = np.random.default_rng(5)
    generated, targets = unit(rng.normal(size=(6, 8))), unit(rng.normal(size=(30, 8)))
    of_images = fixed_image_scores(generated, targets, fixed_weights(30, [30], 10))
    assert of_images.mean() == pytest.approx(imitation_score(generated, targets, 10), abs=1e-12)


def test_up_to_top_k_it_is_the_mean_of_all_targets():
    rng = np.random.default_rng(6)
    generated, targets = unit(rng.normal(size=(4, 8))), unit(rng.normal(size=(30, 8)))
    cosines = generated.astype(float) @ targets.T.astype(float)
    for size in (1, 4, 10):
        found = fixed_image_scores(generated, targets, fixed_weights(30, [size], 10))[0]
        assert found == pytest.approx(cosines.mean(axis=1), abs=1e-12)


def test_image_scores_do_not_depend_on_the_order_of_targets_that_are_equally_near():
    targets = np.array([[0.6, 0.8, 0], [0.6, -0.8, 0], [0.6, 0, 0.8], [1, 0, 0]], np.float32)
    generated = np.array([[1, 0, 0], [0.8, 0.6, 0], [0.8, -0.6, 0]], np.float32)  # their mean is along the first axis
    weights = fixed_weights(4, [2], 1)
    found = fixed_image_scores(generated, targets, weights)
    for order in ([1, 0, 2, 3], [3, 2, 1, 0], [2, 1, 3, 0]):
        assert fixed_image_scores(generated, targets[order], weights) == pytest.approx(found, abs=1e-7)


def test_a_score_of_pictures_of_somebody_else_does_not_rise_with_the_targets():
    rng = np.random.default_rng(7)
    fixed, published = {}, {}
    for number in (20, 2000):
        values = rng.normal(0, 0.045, (number, 400))
        fixed[number] = fixed_scores(values, fixed_weights(number, [20], 10))[0]
        published[number] = np.sort(values, axis=0)[-10:].mean(axis=0)
    assert published[2000].mean() - published[20].mean() > 0.05
    error = np.hypot(*(of_number.std() / 20 for of_number in fixed.values()))
    assert abs(fixed[2000].mean() - fixed[20].mean()) < 4 * error < 0.005


def test_a_concept_is_scored_at_each_number_of_targets_that_a_domain_may_have():
    assert fixed_sizes(500, 10, 20) == list(range(10, 21))
    assert fixed_sizes(13, 10, 20) == [10, 11, 12, 13]
    assert fixed_sizes(4, 10, 20) == [4] and fixed_sizes(500, 10, 5) == [5] and fixed_sizes(0, 10, 20) == []
    rng = np.random.default_rng(8)
    pictures = {"oil": unit(rng.normal(size=(3, 5))), "ink": np.zeros((0, 5), np.float32)}
    evidence = Evidence(concept="ada", pictures=pictures, references=unit(rng.normal(size=(14, 5))))
    rules = TargetSettings(targets="matches_or_references"), ScoreSettings(), FixedTargetSettings(fixed_targets=12)
    oil, ink = score_concept(evidence, *rules).to_pylist()
    assert oil["fixed_sizes"] == [10, 11, 12] and len(oil["fixed_image_scores"]) == 3
    assert oil["fixed_scores"] == pytest.approx(np.mean(oil["fixed_image_scores"], axis=1), abs=1e-6)
    assert oil["fixed_scores"] == sorted(oil["fixed_scores"]) and oil["fixed_scores"][-1] < oil["score"]
    assert ink["fixed_sizes"] == ink["fixed_scores"] == ink["fixed_image_scores"] == []


def test_more_targets_than_there_are_is_an_error():
    with pytest.raises(DataError, match="where there are 5"):
        fixed_weights(5, [6], 10)
