"""Where the noise of neighbours in count is alike, that is measured, tested with, and no interval is given."""

import json

import numpy as np
import polars as pl
import pytest
from threshold_data import rise, step

from fit.audits.threshold import read_threshold
from fit.comparisons.compare import compare
from fit.comparisons.words import sentence as compared
from fit.io.shown import number_of
from fit.thresholds.answer import sentence
from fit.thresholds.by_score import measure_by_score
from fit.thresholds.neighbours import ALIKE, measure_neighbours, neighbours_p_value
from fit.thresholds.report import describe, detect, measure
from fit.thresholds.scores import read_table, sort_scores

SETTINGS = {"penalty": 0.9, "resamples": 99, "seed": 0}


def table(counts, scores, families=None):
    return sort_scores([f"c{i:03d}" for i in range(len(counts))], counts, scores, families=families)


def alike(number, rng, correlation=0.7):
    """Noise of variance 1 that correlates so between neighbours."""
    noise = rng.normal(size=number)
    for at in range(1, number):
        noise[at] = correlation * noise[at - 1] + np.sqrt(1 - correlation**2) * noise[at]
    return noise


def place_of(number):
    return np.floor(10 ** np.linspace(0, 4, number)), np.linspace(0, 1, number)


def steep(place):
    return 4 / (1 + np.exp(-(place - 0.5) / 0.08))


@pytest.mark.slow
@pytest.mark.parametrize(
    "mean", [lambda p: 0 * p, lambda p: 5.0 * (p > 0.6), steep, lambda p: -3 * p, lambda p: 9 * p**3]
)
def test_neither_a_step_nor_a_curve_looks_like_a_correlation(mean):
    flagged, correlations = [], []
    for seed in range(30):
        rng = np.random.default_rng([seed, 1])
        counts, place = place_of(60)
        noise = rng.normal(size=60) * (0.3 + place)
        found = measure_neighbours(table(counts, mean(place) + noise), seed)
        flagged.append(found["alike"])
        correlations.append(found["correlation"])
    assert np.mean(flagged) <= 0.1
    assert abs(np.mean(correlations)) < 0.1


@pytest.mark.slow
def test_noise_that_is_alike_is_seen_on_a_rise_and_without_one():
    for mean in (lambda p: 0 * p, steep):
        found = []
        for seed in range(20):
            counts, place = place_of(150)
            scores = mean(place) + alike(150, np.random.default_rng([seed, 2]))
            found.append(measure_neighbours(table(counts, scores), seed))
        assert np.mean([one["alike"] for one in found]) >= 0.95
        assert np.mean([one["correlation"] for one in found]) == pytest.approx(0.55, abs=0.15)


def test_families_explain_neighbours_that_are_alike():
    rng = np.random.default_rng(3)
    counts, _ = place_of(150)
    families = np.repeat(np.arange(30), 5)
    scores = rng.normal(size=30)[families] + rng.normal(0, 0.3, 150)
    alone = measure_neighbours(table(counts, scores), 0)
    assert alone["alike"] and not alone["families"]
    known = measure_neighbours(table(counts, scores, [f"f{one}" for one in families]), 0)
    assert known["families"] and not known["alike"]
    assert known["p_value"] > ALIKE


def test_the_correlation_does_not_depend_on_the_order_of_concepts_of_one_count():
    rng = np.random.default_rng(4)
    counts = np.sort(rng.integers(0, 25, 120))
    scores = rng.normal(size=120) + np.sin(counts / 3)
    found = measure_neighbours(table(counts, scores), 0)
    order = np.lexsort((rng.random(120), counts))
    again = measure_neighbours(table(counts[order], scores[order]), 0)
    assert again["correlation"] == pytest.approx(found["correlation"], abs=0.1)
    p_values = [neighbours_p_value(table(counts[at], scores[at]), 99, 0) for at in (slice(None), order)]
    assert p_values[0] == p_values[1]


def test_few_places_and_scores_without_noise_have_no_correlation():
    none = {"correlation": None, "p_value": None, "alike": False, "families": False}
    assert measure_neighbours(table(np.arange(40) % 9, np.arange(40)), 0) == none
    assert measure_neighbours(table(np.arange(40), [0.1] * 20 + [0.9] * 20), 0) == none


@pytest.mark.slow
def test_the_test_of_neighbours_is_fair_where_others_are_not_and_sees_a_step():
    wrong, seen, others = [], [], []
    counts, place = place_of(150)
    for seed in range(80):
        noise = alike(150, np.random.default_rng([seed, 5]))
        wrong.append(neighbours_p_value(table(counts, noise), 199, seed) <= 0.05)
        seen.append(neighbours_p_value(table(counts, noise + 3 * (place > 0.6)), 199, seed) <= 0.05)
        others.append(measure(table(counts, noise), penalty=0.9, resamples=19, seed=seed)["permutation_test"])
    assert np.mean(wrong) <= 0.11
    assert np.mean(seen) >= 0.9
    assert np.mean([tests["p_value"] <= 0.05 and tests["p_value_any_spread"] <= 0.05 for tests in others]) > 0.5


def studies_with_neighbours_alike():
    counts, place = place_of(200)
    scores = steep(place) / 8 + 0.1 * alike(200, np.random.default_rng(6))
    return [f"c{i:03d}" for i in range(200)], counts, scores


def test_a_study_whose_neighbours_are_alike_has_a_threshold_and_no_interval():
    found = detect(*studies_with_neighbours_alike(), **SETTINGS)
    assert found["neighbours"]["alike"] and found["permutation_test"]["p_value_neighbours"] <= 0.05
    head = found["headline"]
    assert head["threshold"] is not None and head["interval"] is None
    assert head["interval_reason"].startswith("the scores of neighbours in count are alike (correlation 0.")
    for answer in (head["width"] or {}, *found["estimators"].values()):
        assert all(value is None for key, value in answer.items() if key.endswith("interval") and key != "no_interval")
        assert "quantiles" not in answer
    assert found["estimators"]["one_change"]["if_it_is_one_jump"]["interval"] is None
    said = sentence(found, "m", "people")
    assert "(no interval: the scores of neighbours in count are alike (correlation " in said
    assert "give like concepts a `family`" in said
    assert "no interval: the scores of neighbours" in describe(found)[0]
    assert any("where neighbours in count are alike, correlation 0." in line for line in describe(found))


def test_clean_studies_have_intervals_and_no_test_of_neighbours():
    for study in (step(), rise()):
        found = detect(*study, **SETTINGS)
        assert not found["neighbours"]["alike"] and found["permutation_test"]["p_value_neighbours"] is None
        assert found["headline"]["interval"] and found["headline"]["interval_reason"] is None


def test_an_audit_refuses_a_threshold_without_an_interval_for_that_reason(tmp_path):
    path = tmp_path / "t.json"
    path.write_text(json.dumps(detect(*studies_with_neighbours_alike(), **SETTINGS)))
    refusal = read_threshold(str(path)).refusal
    assert refusal.startswith("it is not known how far off the threshold may be: the scores of neighbours")


def test_a_comparison_says_why_the_ratio_has_no_interval():
    _, counts, scores = studies_with_neighbours_alike()
    other = np.append(scores[20:], scores[-20:])
    found = compare(table(counts, scores), table(counts, other), **SETTINGS)
    answer = found["estimators"]["logistic"]
    assert answer["ratio"] > 0 and answer["interval"] is None and answer["p_value"] is None
    said = compared(found, ("a", "b"))
    assert "cannot be compared by the logistic: no interval: the scores of neighbours in count are alike" in said


def test_what_has_no_interval_has_none_in_groups_and_by_other_scores_of_the_same_concepts(tmp_path):
    names, counts, scores = studies_with_neighbours_alike()
    rng = np.random.default_rng(0)
    groups = ["a", "b"] * 100
    rows = pl.DataFrame({"concept": names, "effective_count": counts, "score": scores, "group": groups})
    path = tmp_path / "t.csv"
    rows.with_columns(fixed_score=scores + 0.2 * rng.normal(size=200)).write_csv(path)
    published = read_table(str(path))
    found = measure(published, **SETTINGS)
    assert found["headline"]["interval"] is None
    by_score = measure_by_score(str(path), published, found, **SETTINGS, estimators=["pelt", "one_change"])
    for one in (*found["groups"].values(), by_score["scores"]["fixed"]):
        assert one["interval"] is None and one["headline"]["interval"] is None
        assert all(answer["interval"] is None for answer in one["estimators"].values())


@pytest.mark.parametrize(("families", "is_offered"), [(1, False), (7, False), (8, True), (200, True)])
def test_too_few_families_are_said_and_leave_no_interval(families, is_offered):
    names, counts, scores = step(200)
    of_concepts = np.array([f"family {number % families}" for number in range(len(names))])
    found = measure(sort_scores(names, counts, scores, families=of_concepts), **SETTINGS)
    assert (found["headline"]["interval"] is not None) == is_offered
    if not is_offered:
        assert (
            f"its concepts are of {number_of(families, 'family')}, and 8 or more"
            in found["headline"]["interval_reason"]
        )


def test_concepts_without_a_family_count_as_one_each():
    names, counts, scores = step(200)
    of_concepts = np.array(["twins" if number < 2 else "" for number in range(len(names))])
    assert measure(sort_scores(names, counts, scores, families=of_concepts), **SETTINGS)["headline"]["interval"]


def test_scores_whose_squares_are_nothing_have_no_split():
    found = detect([f"c{i}" for i in range(20)], range(20), np.linspace(0, 1, 20) * 1e-200, **SETTINGS)
    assert found["one_change"]["squared_error_removed"] == 0
