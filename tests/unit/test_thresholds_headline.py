"""The headline: what a reader is told first, and what is said beside it, follows the data."""

import json

import numpy as np
import pytest
from threshold_data import rise, step

from fit.audits.threshold import read_threshold
from fit.thresholds.answer import beyond_the_counts, sentence, why_none
from fit.thresholds.headline import decide, follow
from fit.thresholds.report import describe, detect

SETTINGS = {"penalty": 0.9, "resamples": 100, "seed": 0}


def small_step():
    """A clear step whose height is that of another recogniser's cosines: PELT at 0.9 can't see it."""
    concepts, counts, scores = step()
    return concepts, counts, 0.8 + 0.2 * scores


def test_where_pelt_finds_nothing_and_the_others_agree_they_are_the_headline():
    found = detect(*small_step(), **SETTINGS)
    head = found["headline"]
    assert found["threshold"] is None and found["estimator"] == "pelt"
    assert (head["kind"], head["estimator"], head["threshold"]) == ("jump", "one_change", 31)
    assert head["agree"] == ["one_change", "isotonic", "logistic"]
    assert head["below"]["nearest"]["effective_count"] < 31 == head["above"]["nearest"]["effective_count"]
    said = sentence(found, "m", "people")
    assert said.startswith("m begins to imitate people at about 31 training images (95 %: ")
    assert "by the best single split, isotonic and logistic; PELT at a penalty of 0.9 finds none)" in said
    assert why_none(found) is None
    # A penalty in variances of the noise sees it whatever the scale.
    assert found["estimators"]["pelt_scaled"]["threshold"] == 31


def test_a_gradual_rise_is_said_by_its_middle_and_width_with_intervals():
    found = detect(*rise(), **SETTINGS)
    head = found["headline"]
    assert (head["kind"], head["estimator"]) == ("gradual", "logistic")
    assert head["threshold"] == found["estimators"]["logistic"]["midpoint"] == pytest.approx(50, rel=0.15)
    width = head["width"]
    for key, true in (("from", 51 / 9**0.8 - 1), ("to", 51 * 9**0.8 - 1), ("fold", 81**0.8)):
        low, high = width[f"{key}_interval"]
        assert low < width[key] < high
        assert low < true < high
    said = sentence(found, "m", "people")
    assert said.startswith("m imitates people gradually more, half-way at about ")
    assert f"10 to 90 % of the rise between {width['from']:.0f} (" in said
    assert f"PELT at a penalty of 0.9 says {found['threshold']:.0f} images" in said


@pytest.mark.parametrize(("shift", "said"), [(4.5, "the largest count, so the middle may lie far above it"), (0, "")])
def test_a_rise_that_the_counts_do_not_show_whole_is_said(shift, said):
    rng = np.random.default_rng(3)
    counts = np.round(np.geomspace(4, 400, 48))
    scores = 1.6 / (1 + np.exp(-0.9 * (np.log1p(counts) - np.log1p(40) - shift))) + 0.02 * rng.normal(size=48)
    found = detect([f"c{number:03d}" for number in range(48)], counts, scores, **SETTINGS)
    assert found["headline"]["kind"] == "gradual"
    assert (said in beyond_the_counts(found)) and bool(beyond_the_counts(found)) == bool(said)
    assert (said in sentence(found, "m", "people")) and (said in "\n".join(describe(found)))


def test_a_jump_lies_between_concepts_and_nothing_is_said_of_its_ends():
    assert not beyond_the_counts(detect(*step(), **SETTINGS))


def test_pelt_is_the_headline_of_a_jump_that_the_others_confirm():
    head = detect(*step(), **SETTINGS)["headline"]
    assert (head["kind"], head["estimator"], head["beside"]) == ("jump", "pelt", None)
    concepts, counts, scores = step()
    early = np.where(np.array(concepts) == "c020", 3.5, scores)
    found = detect(concepts, counts, early, **SETTINGS)
    # One high concept at few images is PELT's first change, but not where the others see the rise.
    assert found["threshold"] < 10
    assert (found["headline"]["estimator"], found["headline"]["threshold"]) == ("one_change", 31)
    assert f"PELT at a penalty of 0.9 says {found['threshold']} images" in describe(found)


def test_chance_has_no_headline_though_pelt_finds_a_change():
    rng = np.random.default_rng(1)
    # Two far concepts beside each other: PELT isolates them, chance would too.
    scores = rng.normal(0.3, 0.05, 60)
    scores[30:32] = 1.4
    found = detect([f"c{i:02d}" for i in range(60)], np.arange(60), scores, **SETTINGS)
    assert found["threshold"] == 30
    head = found["headline"]
    assert head["kind"] == "none" and head["threshold"] is head["below"] is None
    assert head["reason"].startswith("no more of a jump than chance makes (p = ")
    assert "PELT at a penalty of 0.9 says 30 images" in sentence(found)


def answer(threshold, interval, **more):
    return {"threshold": threshold, "interval": interval, "direction": "rise", **more}


def result(**answers):
    """A result before its headline, with these answers beside PELT's none."""
    none = {"threshold": None, "interval": None, "direction": "none", "reason": "no change point at this penalty"}
    return {
        "estimator": "pelt",
        "estimators": {"pelt": none, **answers},
        "penalty": 0.9,
        "reason": None,
        "permutation_test": {"p_value": 0.001, "p_value_any_spread": 0.001, "p_value_families": None},
    }


def test_estimators_that_contradict_one_another_are_no_headline():
    apart = result(one_change=answer(20, [15, 25]), isotonic=answer(700, [400, 900]))
    assert decide(apart)["reason"] == "the estimators do not agree where the scores rise: one_change 20, isotonic 700"
    together = result(one_change=answer(20, [15, 450]), isotonic=answer(700, [400, 900]))
    assert decide(together)["estimator"] == "one_change"


@pytest.mark.parametrize("test", ["p_value", "p_value_any_spread", "p_value_families"])
def test_each_test_against_no_jump_can_forbid_a_threshold(test):
    found = result(one_change=answer(20, [15, 25]), isotonic=answer(21, [15, 25]))
    assert decide(found)["threshold"] == 20
    found["permutation_test"][test] = 0.2
    assert decide(found)["kind"] == "none"


def test_an_early_fall_is_no_threshold_and_a_later_rise_may_be_one():
    counts = np.arange(1, 201)
    scores = np.select([counts < 11, counts < 150], [0.55, 0.1], 0.9) + np.random.default_rng(0).normal(0, 0.05, 200)
    found = detect([f"c{i:03d}" for i in range(200)], counts, scores, **SETTINGS)
    assert found["threshold"] is None and found["direction"] == "fall"
    assert found["estimators"]["pelt"]["falls_at"] == 11
    assert found["headline"]["direction"] == "rise"
    assert found["headline"]["threshold"] == pytest.approx(150, abs=5)
    assert "PELT at a penalty of 0.9 finds a fall" in sentence(found)


def test_what_follows_the_headline_stays_so_and_earlier_results_stay_as_they_are():
    found = detect(*small_step(), **SETTINGS)
    once = follow(found)
    assert once["threshold"] == 31 and once["estimator"] == "one_change"
    assert follow(once) == once
    del found["headline"]
    assert follow(found) == found


def test_an_audit_compares_with_the_headline(tmp_path):
    path = tmp_path / "t.json"
    path.write_text(json.dumps(detect(*small_step(), **SETTINGS)))
    assert read_threshold(str(path)).images == 31
    concepts, counts, scores = step()
    path.write_text(json.dumps(detect(concepts, counts, 1 - scores, **SETTINGS)))
    assert "the scores fall instead of rising" in read_threshold(str(path)).refusal


@pytest.mark.slow
def test_one_rise_has_one_headline_whatever_the_study_and_the_scale():
    """A rise over a factor of 100 about 200 images, without noise: PELT's first step depends on all of these."""
    of_pelt = []
    for concepts, lowest, scale in ((50, 0, 1), (400, 0, 1), (1000, 1, 1), (400, 0, 0.5), (400, 0, 4)):
        counts = np.round(10 ** np.linspace(lowest, 4, concepts))
        scores = scale * (0.1 + 0.5 / (1 + (201 / (1 + counts)) ** (2 * np.log(9) / np.log(100))))
        names = [f"c{i:04d}" for i in range(concepts)]
        found = detect(names, counts, scores, penalty=0.9, resamples=30, seed=0)
        assert found["headline"]["kind"] == "gradual"
        assert found["headline"]["threshold"] == pytest.approx(200, rel=0.02)
        assert found["headline"]["width"]["fold"] == pytest.approx(100, rel=0.05)
        of_pelt.append(found["threshold"])
    assert max(of_pelt[:3]) > 1.5 * min(of_pelt[:3])
