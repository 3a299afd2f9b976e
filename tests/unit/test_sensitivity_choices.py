"""The penalty path against brute force, and thresholds without a concept or a prompt."""

from itertools import chain, combinations, pairwise

import numpy as np
import pytest

from fit.sensitivity.choices import by_prompt, leaving_out, over_penalties, penalty_path, summarise
from fit.sensitivity.measure import measure
from fit.thresholds.estimators.pelt import change_points
from fit.thresholds.report import measure as measure_threshold
from fit.thresholds.scores import sort_scores


def squared_error(scores, changes):
    return sum(((part - part.mean()) ** 2).sum() for part in np.split(scores, changes))


def every_segmentation(number):
    return chain.from_iterable(combinations(range(1, number), size) for size in range(number))


def table(counts, scores, **known):
    return sort_scores([f"c{i:02d}" for i in range(len(counts))], counts, scores, **known)


@pytest.mark.parametrize("seed", range(4))
def test_the_penalty_path_is_the_best_segmentation_at_every_penalty(seed):
    scores = np.random.default_rng(seed).normal(size=9)
    path = penalty_path(scores, floor=0.01)
    errors = [(squared_error(scores, list(changes)), len(changes)) for changes in every_segmentation(9)]
    assert path[0][0] == 0.01 and path[-1][1] == np.inf and path[-1][2] == []
    for low, high, changes in path:
        assert low < high
        for penalty in np.geomspace(low * 1.001, min(high, 100) / 1.001, 5):
            best = min(error + penalty * number for error, number in errors)
            assert squared_error(scores, changes) + penalty * len(changes) == pytest.approx(best, abs=1e-9)
    for (_, end, more), (start, _, fewer) in pairwise(path):
        # Where two meet, both are best, and nothing lies between them.
        assert end == start
        costs = [squared_error(scores, changes) + end * len(changes) for changes in (more, fewer)]
        assert costs[0] == pytest.approx(costs[1], abs=1e-9)
        assert costs[0] == pytest.approx(min(error + end * number for error, number in errors), abs=1e-9)


def test_the_penalty_path_is_that_of_pelt():
    rng = np.random.default_rng(7)
    scores = np.repeat([0.1, 0.4, 0.3, 0.9], 30) + rng.normal(0, 0.15, 120)
    path = penalty_path(scores)
    assert len(path) > 4
    for low, high, changes in path:
        for penalty in (low * 1.0001, np.sqrt(low * min(high, 1000)), min(high, 1000) / 1.0001):
            assert change_points(scores, penalty) == changes


def test_numbers_of_changes_that_no_penalty_wants_are_not_on_the_path():
    bump = np.repeat([0.0, 1.0, 0.0], 10)
    # One change removes 1.67 of 6.67, two remove all: by half of that each.
    assert [(low, changes) for low, _, changes in penalty_path(bump)] == [(0.05, [10, 20]), (pytest.approx(10 / 3), [])]


def test_scores_that_never_change():
    flat = over_penalties(table(range(20), np.full(20, 0.3)))
    assert [(answer["threshold"], answer["weight"]) for answer in flat] == [(None, 1.0)]


def test_answers_over_penalties_weigh_by_the_logarithm():
    step = table(range(20), np.repeat([0.0, 1.0], 10) + np.tile([0.1, -0.1], 10))
    answers = over_penalties(step)
    assert answers[-1]["threshold"] is None and answers[-1]["weight"] == 0
    assert answers[-2]["threshold"] == 10 and answers[-2]["concept"] == "c10"
    assert sum(answer["weight"] for answer in answers) == pytest.approx(1)
    longest = max(answers, key=lambda answer: answer["weight"])
    assert longest is answers[-2]
    assert answers[0]["from"] == 0.05


def test_a_concept_that_makes_the_threshold_moves_it_when_left_out():
    scores = np.array([0.0] * 10 + [1.0] * 10)
    whole = table([*range(10), *range(100, 110)], scores)
    answers = leaving_out(whole, "pelt", 0.9)
    assert [answer["concept"] for answer in answers] == [f"c{i:02d}" for i in range(20)]
    assert [answer["threshold"] for answer in answers] == [100.0] * 10 + [101.0] + [100.0] * 9
    summary = summarise(answers, 100)
    assert summary == {"lowest": 100, "highest": 101, "same": pytest.approx(0.95), "none": 0}


@pytest.mark.slow
@pytest.mark.parametrize("estimator", ["pelt", "one_change", "isotonic", "logistic"])
def test_every_estimator_is_asked(estimator):
    step = table([*range(10), *range(100, 110)], np.repeat([0.0, 1.0], 10) + np.tile([0.01, -0.01], 10))
    found = measure_threshold(step, penalty=0.9, resamples=50, seed=0, estimators=[estimator])
    answers = measure(step, found)["choices"]["concepts"]["answers"]
    assert answers[0]["threshold"] == pytest.approx(found["threshold"], rel=0.3)
    assert not leaving_out(table(range(5), range(5)), estimator, 0.1)[0]["threshold"]  # too few


def test_no_threshold_is_an_answer_too():
    answers = [{"threshold": None, "weight": 0.25}, {"threshold": 7.0, "weight": 0.75}]
    assert summarise(answers, None) == {"lowest": 7.0, "highest": 7.0, "same": 0.25, "none": 0.25}
    assert summarise(answers, 7.3)["same"] == 0.75


def test_prompts_alone_and_left_out():
    early, late = np.repeat([0.0, 1.0], [8, 22]), np.repeat([0.0, 1.0], [20, 10])
    images = [[[a, a], [b]] for a, b in zip(early, late, strict=True)]
    images[29] = [[], [1.0]]  # no picture of one prompt
    two = table(range(30), [np.mean([np.mean(i) for i in one if i]) for one in images], images=images)
    answers = {(a["prompt"], a["kind"]): a["threshold"] for a in by_prompt(two, "pelt", 0.9, ["one", "other"])}
    assert answers == {
        ("one", "alone"): 8,
        ("other", "alone"): 20,
        ("one", "left out"): 20,
        ("other", "left out"): 8,
    }
    assert by_prompt(two, "pelt", 0.9, ["one"])[0]["prompt"] == "prompt 1"
    assert by_prompt(table(range(30), early), "pelt", 0.9) == []
