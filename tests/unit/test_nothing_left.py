"""Stages that are left with no concept, one, or two: an answer or an error in words, never a traceback."""

import warnings

import numpy as np
import pytest

from fit.reports.contact_sheets import contact_sheet
from fit.reports.figures import counts_figure, match_threshold_figure, sensitivity_figure, threshold_figure
from fit.sensitivity.measure import measure as measure_sensitivity
from fit.thresholds.report import describe, measure
from fit.thresholds.scores import sort_scores


@pytest.fixture(autouse=True)
def loud():
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        yield


@pytest.mark.slow
@pytest.mark.parametrize("number", [0, 1, 2, 3])
def test_a_threshold_of_few_concepts_is_none_for_a_reason(tmp_path, number):
    scores = sort_scores([f"c{i}" for i in range(number)], range(number), np.linspace(0.1, 0.5, number))
    found = measure(scores, penalty=0.9, resamples=10, seed=0)
    assert found["threshold"] is None
    assert f"too few concepts: {number}" in " ".join(describe(found))
    for name in ("a.png", "b.png", "c.png", "d.png", "e.png"):
        (tmp_path / name).touch()
    threshold_figure(scores.counts, scores.scores, found, "t", tmp_path / "a.png")
    counts_figure(np.arange(number), "t", tmp_path / "b.png")
    contact_sheet([], tmp_path / "c.png", "t")
    match_threshold_figure(np.zeros(0), np.zeros(0), None, ("x", "y", "z"), tmp_path / "d.png", "same or not")
    sensitivity = measure_sensitivity(scores, found)
    names = {key: (key, "") for key in sensitivity["choices"]}
    sensitivity_figure(sensitivity, names, "t", tmp_path / "e.png")
