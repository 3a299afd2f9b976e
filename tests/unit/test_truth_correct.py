"""A correction that was found in one world, tried in another."""

import numpy as np
import pytest
from truth_data import answer_row, runs_of, thresholds_frame

from fit.truth.correct import corrections

TRUE = 99.0


def world(number, factor, width, models=8, estimator="headline", claimed=True):
    """Answers that are `factor` times the truth, with intervals of so many times up and down; (rows, truth)."""
    runs = runs_of(models, 1, world=number)
    rng = np.random.default_rng(number)
    told = (1 + TRUE) * factor * np.exp(0.1 * rng.normal(size=models))
    spans = [(value / width - 1, value * width - 1) if width else None for value in told]
    rows = [
        answer_row(run, estimator, value - 1, span, claimed=claimed)
        for run, value, span in zip(runs, told, spans, strict=True)
    ]
    return rows, {(run.world, run.deal, run.training): TRUE for run in runs}


def tried(*worlds):
    rows, truth = [], {}
    for its, true in worlds:
        rows += its
        truth |= true
    return {(one["found_in"], one["tried_in"]): one for one in corrections(thresholds_frame(rows), truth)}


def test_a_bias_that_two_worlds_share_is_corrected():
    found = tried(world(1, 0.5, 1.3), world(2, 0.5, 1.3))
    assert set(found) == {("1", "2"), ("2", "1")}
    one = found["1", "2"]
    assert one["factor"] == pytest.approx(2, rel=0.1)
    assert one["rmse"] == pytest.approx(np.log(2), rel=0.15)
    assert one["rmse_corrected"] < 0.2
    assert one["held"] == 0.0 and one["held_stretched"] >= 0.75
    assert one["models"] == 8


def test_a_bias_of_one_world_alone_makes_the_other_worse():
    one = tried(world(1, 0.5, 3), world(2, 1.0, 3))["1", "2"]
    assert one["rmse_corrected"] > 3 * one["rmse"]


def test_intervals_that_hold_the_truth_are_not_stretched():
    one = tried(world(1, 1.0, 3), world(2, 1.0, 3))["1", "2"]
    assert (one["stretch"], one["held"], one["held_stretched"]) == (1.0, 1.0, 1.0)


def test_answers_without_intervals_have_no_stretch():
    one = tried(world(1, 1.0, None), world(2, 1.0, 3))["1", "2"]
    assert one["stretch"] is None and one["held_stretched"] is None and one["held"] == 1.0


def test_only_what_a_user_is_told_is_corrected():
    assert not tried(world(1, 0.5, 3, estimator="pelt"), world(2, 0.5, 3, estimator="pelt"))
    assert not tried(world(1, 0.5, 3, claimed=False), world(2, 0.5, 3))
    assert not tried(world(1, 0.5, 3))
