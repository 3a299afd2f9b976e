"""Laws of thresholds: an interval contains its point, and results do not depend on row order."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from fit.thresholds.estimators import ESTIMATORS, find_estimator
from fit.thresholds.report import measure
from fit.thresholds.scores import sort_scores
from fit.thresholds.uncertainty import interval

COUNTS = st.lists(st.integers(0, 10_000), min_size=10, max_size=30)
SETTINGS = settings(max_examples=12, deadline=None)


@st.composite
def studies(draw):
    """(concepts, counts, scores) of a study whose scores rise, more or less."""
    counts = draw(COUNTS)
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    at, noise = draw(st.sampled_from(sorted(counts))), draw(st.sampled_from([0.01, 0.1, 0.3]))
    scores = np.where(np.array(counts) >= at, 0.7, 0.2) + rng.normal(0, noise, len(counts))
    return [f"c{i:02d}" for i in range(len(counts))], counts, scores.tolist()


@pytest.mark.slow
@SETTINGS
@given(studies(), st.randoms(use_true_random=False))
def test_results_do_not_depend_on_row_order(study, random):
    order = random.sample(range(len(study[0])), len(study[0]))
    shuffled = [[column[i] for i in order] for column in study]
    one, other = (measure(sort_scores(*rows), penalty=0.9, resamples=20, seed=1) for rows in (study, shuffled))
    assert one == other


@pytest.mark.slow
@settings(max_examples=100, deadline=None)
@given(COUNTS, st.data())
@pytest.mark.parametrize("name", ESTIMATORS)
def test_an_interval_contains_the_thresholds_between_its_percentiles(name, counts, data):
    assume(len(set(counts)) > 2)
    places = np.unique(counts)
    # Thresholds of resamples: counts of concepts, or, by the logistic, midpoints between them.
    found = np.array(data.draw(st.lists(st.sampled_from(places.tolist()), min_size=1, max_size=50)), float)
    if name == "logistic":
        share = data.draw(st.floats(0, 1))
        found = found * share + places[-1] * (1 - share)
    low, high = interval(name, found, counts)
    ends = np.quantile(found, [0.025, 0.975], method="inverted_cdf")
    inside = found[(found >= ends[0]) & (found <= ends[1])]
    # Below the first concept there is none whose count the interval could begin at.
    assert (inside >= low * (1 - 1e-9)).all() and (inside <= high * (1 + 1e-9)).all()
    assert low < high or low == places[0] or name == "logistic"


@pytest.mark.slow
@SETTINGS
@given(studies())
@pytest.mark.parametrize("name", ESTIMATORS)
def test_many_data_sets_are_estimated_as_each_alone(name, study):
    table = sort_scores(*study)
    assume(np.ptp(table.counts) > 0)
    estimator = find_estimator(name)
    alone = estimator.estimate(table, 0.9)
    (found,) = estimator.many(table.counts[None], table.scores[None], 0.9)
    if name != "logistic":  # whose fit ends near its least error, not on it
        at = alone.first_above
        falls = at is not None and not estimator.answers_falls and estimator.direction(table, at, 0.9) == "fall"
        assert (None if falls else alone.threshold) == (None if np.isnan(found) else found)
    if alone.threshold is not None:
        assert table.counts[0] <= alone.threshold <= table.counts[-1] * (1 + 1e-9)
        assert table.counts[alone.first_above] >= alone.threshold * (1 - 1e-9)


@pytest.mark.slow
@SETTINGS
@given(studies())
def test_the_interval_of_a_clear_step_contains_its_threshold(study):
    concepts, counts, _ = study
    assume(len(set(counts)) > 5)
    middle = sorted(set(counts))[len(set(counts)) // 2]
    scores = np.where(np.array(counts) >= middle, 0.9, 0.1)
    found = measure(sort_scores(concepts, counts, scores), penalty=0.9, resamples=30, seed=0)
    for answer in found["estimators"].values():
        if answer["threshold"] is not None and "no_interval" not in answer:
            low, high = answer["interval"]
            assert low <= answer["threshold"] <= high
