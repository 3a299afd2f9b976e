"""How many concepts a study needs, from the spread of another."""

import numpy as np
import pytest
from scipy.special import expit

from fit.errors import DataError
from fit.plan.concepts import describe, precision, rise_of
from fit.thresholds.estimators import find_estimator
from fit.thresholds.scores import sort_scores
from fit.thresholds.uncertainty import permutation_p_value


def study(concepts, seed, rise=3.5, scale=0.3):
    rng = np.random.default_rng(seed)
    counts = np.rint(np.exp(rng.uniform(0, np.log(1e5), concepts)))
    scores = rise * expit((np.log1p(counts) - np.log(300)) / scale) + rng.normal(size=concepts)
    return counts, scores


def rise(*arguments, **options):
    counts, scores = study(*arguments, **options)
    return rise_of(sort_scores([f"concept-{number}" for number in range(len(counts))], counts, scores), seed=1)


@pytest.mark.slow
def test_the_predicted_spread_is_that_of_studies_that_are_really_made():
    (found,) = precision(rise(400, 2), seed=1, sizes=(100,))
    tables = [study(100, [3, number]) for number in range(400)]
    order = [np.argsort(counts) for counts, _ in tables]
    sorted_tables = [(c[at], s[at]) for (c, s), at in zip(tables, order, strict=True)]
    counts, scores = (np.array(column) for column in zip(*sorted_tables, strict=True))
    thresholds = np.log1p(find_estimator("logistic").many(counts, scores, 0.0))
    low, high = np.quantile(thresholds, [0.025, 0.975])
    assert np.log(found.ratios["logistic"]) == pytest.approx(high - low, rel=0.25)


@pytest.mark.slow
def test_more_concepts_are_more_precise():
    few, many = precision(rise(200, 4), seed=1, sizes=(50, 800))
    assert many.ratios["logistic"] < few.ratios["logistic"]


@pytest.mark.slow
def test_the_text_names_a_number_of_concepts_or_says_that_none_is_enough():
    one = rise(200, 4)
    found = list(precision(one, seed=1, sizes=(50, 800)))
    assert "takes 50 to 800 concepts" in list(describe(one, found, 1.5))[-1]
    assert "no number of concepts up to 800" in list(describe(one, found, 1.001))[-1]


def test_scores_without_a_rise_give_no_plan():
    with pytest.raises(DataError, match="do not rise with the counts beyond chance"):
        rise(100, 6, rise=0)
    with pytest.raises(DataError, match="do not rise with the counts beyond chance"):
        rise(100, 6, rise=-3)
    with pytest.raises(DataError, match="too few concepts: 5"):
        rise(5, 6)


def test_a_jump_that_some_test_calls_chance_gives_no_plan():
    rng = np.random.default_rng(8)
    noise = rng.normal(size=200)
    for at in range(1, 200):
        noise[at] = 0.9 * noise[at - 1] + 0.3 * noise[at]
    counts = np.rint(np.logspace(0, 4.5, 200))
    table = sort_scores([f"concept-{number}" for number in range(200)], counts, noise)
    assert permutation_p_value(table, 199, 0) <= 0.05
    with pytest.raises(DataError, match="do not rise with the counts beyond chance"):
        rise_of(table, seed=1)
