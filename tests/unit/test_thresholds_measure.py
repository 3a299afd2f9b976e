"""The threshold of a table: every estimator's answer, groups, and the words for it."""

import json

import numpy as np
import polars as pl
import pytest
from threshold_data import grouped, rise, step

from fit.cli.main import main
from fit.errors import DataError
from fit.thresholds.estimators import ESTIMATORS
from fit.thresholds.report import describe, detect, measure
from fit.thresholds.scores import read_scores, read_table, sort_scores

SETTINGS = {"penalty": 0.9, "resamples": 100, "seed": 0}


def test_a_step_is_found_in_images_with_its_neighbours_and_interval():
    concepts, counts, scores = step()
    found = detect(concepts, counts, scores, **SETTINGS)
    true = min(c for c in counts if c >= 30)
    before = max(c for c in counts if c < true)
    assert found["threshold"] == true
    assert found["one_change"]["threshold"] == true
    assert found["above"]["nearest"]["effective_count"] == true
    assert found["below"]["nearest"]["effective_count"] == before
    assert found["below"]["concepts"] + found["above"]["concepts"] == found["concepts"] == 120
    low, high = found["interval"]
    assert low < 30 <= high
    for name in ESTIMATORS:
        answer = found["estimators"][name]
        assert answer["direction"] == "rise"
        assert (answer["last_below"]["effective_count"], answer["first_above"]["effective_count"]) == (before, true)
        if name == "pelt_scaled":
            assert answer["interval"] is None and "repeats concepts" in answer["no_interval"]
            continue
        assert before * 0.9 <= answer["interval"][0] <= true
        assert answer["interval"][1] >= before
    assert found["permutation_test"]["p_value"] == pytest.approx(1 / 101)
    assert found == detect(concepts, counts, scores, **SETTINGS)
    assert json.loads(json.dumps(found)) == found
    assert "gradual" not in "\n".join(describe(found))


def test_a_gradual_rise_is_said_in_words():
    text = "\n".join(describe(detect(*rise(), **SETTINGS)))
    assert "the rise is gradual" in text


def test_the_headline_is_the_first_estimator():
    found = detect(*rise(), **SETTINGS, estimators=["logistic", "one_change"])
    assert list(found["estimators"]) == ["logistic", "one_change"]
    assert found["estimator"] == "logistic"
    assert found["threshold"] == found["estimators"]["logistic"]["threshold"]
    assert found["below"]["nearest"]["effective_count"] < found["threshold"]
    assert found["above"]["nearest"]["effective_count"] >= found["threshold"]
    with pytest.raises(DataError, match="no estimator 'guess'; there are pelt"):
        detect(*rise(), **SETTINGS, estimators=["guess"])
    with pytest.raises(DataError, match="no estimator is named"):
        detect(*rise(), **SETTINGS, estimators=[])


def test_no_change_point_is_a_result_and_chance_is_not_a_jump():
    rng = np.random.default_rng(5)
    found = detect([str(i) for i in range(50)], np.arange(50), rng.normal(0.3, 0.05, 50), **SETTINGS)
    assert found["threshold"] is None
    assert found["below"] is None
    assert found["resamples_with_a_change"] == 0
    assert found["permutation_test"]["p_value"] > 0.05
    assert {answer["threshold"] for answer in found["estimators"].values()} == {None}
    assert found["one_change"]["threshold"] is None
    p_value = max(found["permutation_test"][test] for test in ("p_value", "p_value_any_spread"))
    assert describe(found)[0] == f"no imitation threshold: no more of a jump than chance makes (p = {p_value:.2g})"
    assert found["headline"]["kind"] == "none" and found["direction"] == "none"


@pytest.mark.slow
def test_the_order_of_rows_does_not_matter_even_where_counts_tie():
    concepts, counts, scores = step()
    counts = counts // 10 * 10
    back = detect(concepts[::-1], counts[::-1], scores[::-1], **SETTINGS)
    assert detect(concepts, counts, scores, **SETTINGS) == back


def test_a_change_within_a_tie_is_said():
    counts = [1] * 10 + [5] * 20 + [9] * 10
    scores = [0.1] * 20 + [0.9] * 20
    found = detect([f"c{i:02d}" for i in range(40)], counts, scores, **SETTINGS)
    # The paper's estimator, on the sorted scores alone.
    assert found["estimators"]["pelt_published"]["threshold"] == 5
    assert found["estimators"]["pelt_published"]["tie"] == 20
    assert "within 20 concepts that all have 5 images" in "\n".join(describe(found))
    # The others do not split a tie.
    assert found["estimators"]["one_change"]["first_above"]["effective_count"] in (5, 9)
    assert found["estimators"]["one_change"]["last_below"]["effective_count"] < found["one_change"]["threshold"]


def test_a_fall_is_not_a_threshold_of_imitation():
    concepts, counts, scores = step()
    found = detect(concepts, counts, 1 - scores, **SETTINGS)
    assert found["threshold"] is found["headline"]["threshold"] is found["one_change"]["threshold"] is None
    assert found["direction"] == found["estimators"]["pelt"]["direction"] == found["headline"]["direction"] == "fall"
    assert found["estimators"]["pelt"]["falls_at"] == found["estimators"]["one_change"]["falls_at"] == 31
    assert found["estimators"]["pelt"]["reason"].startswith("the scores fall instead of rising, from a mean of 0.8")
    # The paper's estimator keeps its number, and says what it is.
    published = found["estimators"]["pelt_published"]
    assert (published["threshold"], published["direction"]) == (31, "fall")
    assert "the scores fall at the change of PELT as published" in "\n".join(describe(found))
    assert found["estimators"]["isotonic"]["threshold"] is None
    assert found["estimators"]["logistic"]["threshold"] is None


NAMES = [f"c{i:02d}" for i in range(12)]


@pytest.mark.parametrize(
    ("counts", "scores", "reason"),
    [
        (range(7), np.arange(7) / 7, "too few concepts: 7, at least 10"),
        ([], [], "too few concepts: 0, at least 10"),
        ([8] * 12, np.arange(12) / 12, "all counts are equal: 8"),
        ([0] * 12, np.arange(12) / 12, "all counts are equal: 0"),
        (range(12), [0.5] * 12, "all scores are equal: 0.5"),
    ],
)
def test_where_nothing_can_be_said_there_is_a_plain_reason(counts, scores, reason):
    found = detect(NAMES[: len(counts)], counts, scores, **SETTINGS)
    assert found["reason"] == reason
    assert found["threshold"] is found["interval"] is found["below"] is found["one_change"]["threshold"] is None
    assert found["changes"] == []
    assert {answer["threshold"] for answer in found["estimators"].values()} == {None}
    assert describe(found) == [f"no imitation threshold: {reason}"]


def test_unusable_rows_are_named():
    with pytest.raises(DataError, match="'b': its score is not a number"):
        detect(["a", "b"], [1, 2], [0.5, np.nan], **SETTINGS)
    with pytest.raises(DataError, match="'a': its effective_count is not a number"):
        detect(["a", "b"], [np.inf, 2], [0.5, 1], **SETTINGS)
    with pytest.raises(DataError, match="'b': effective_count -2 is below 0"):
        detect(["a", "b"], [1, -2], [0.5, 1], **SETTINGS)
    with pytest.raises(DataError, match="'a' is in 2 rows"):
        detect(["a", "a"], [1, 2], [0.5, 1], **SETTINGS)
    with pytest.raises(DataError, match=r"'a': its score 0\.5000 is not the mean"):
        sort_scores(["a"], [1], [0.5], images=[[[0.1, 0.2], [0.3]]])


def test_tables_of_both_kinds_say_the_same(tmp_path):
    images = [[[0.1, 0.3], []], [[0.4], [0.6, 0.8]]]
    table = pl.DataFrame(
        {
            "concept": ["b", "a"],
            "effective_count": [5, 5],
            "score": [0.2, 0.55],
            "group": ["x", None],
            "image_scores": images,
            "captions": [9, None],
        }
    )
    table.write_parquet(tmp_path / "t.parquet")
    texts = table.with_columns(image_scores=pl.Series([json.dumps(one) for one in images]))
    texts.write_csv(tmp_path / "t.csv")
    for path in (tmp_path / "t.parquet", tmp_path / "t.csv"):
        found = read_table(path)
        assert found.concepts.tolist() == ["a", "b"]
        assert found.groups.tolist() == ["", "x"]
        assert [[prompt.tolist() for prompt in one] for one in found.images] == images[::-1]
        assert found.evidence[1, 0] == 9
        assert np.isnan(found.evidence[0]).all()
        assert read_scores(path)[0] == ["a", "b"]
    texts.with_columns(image_scores=pl.lit("[[oops]]")).write_csv(tmp_path / "bad.csv")
    with pytest.raises(DataError, match=r"bad\.csv, line 2: image_scores holds something that is not a list"):
        read_table(tmp_path / "bad.csv")
    texts.drop("score").write_csv(tmp_path / "less.csv")
    with pytest.raises(DataError, match=r"less\.csv, line 1: no column 'score'"):
        read_table(tmp_path / "less.csv")


@pytest.mark.slow
def test_groups_have_thresholds_and_a_test_of_their_difference():
    found = measure(sort_scores(*grouped(8)), **SETTINGS)
    assert {name: group["concepts"] for name, group in found["groups"].items()} == {"east": 60, "west": 60}
    assert found["groups"]["west"]["threshold"] > 4 * found["groups"]["east"]["threshold"]
    assert found["group_difference"]["p_value"] < 0.02
    assert found["group_difference"]["ratio"] > 4
    assert "p = 0.0" in describe(found)[-1]
    same = measure(sort_scores(*grouped(1)), **SETTINGS)
    assert same["group_difference"]["p_value"] > 0.05


def test_groups_counted_differently_are_not_different_for_that():
    """One group has few images, the other many; the threshold is one. Blocks of like counts keep it so."""
    rng = np.random.default_rng(8)
    p_values = []
    for _ in range(20):
        counts = np.floor(10 ** np.concatenate([rng.uniform(0, 2.2, 40), rng.uniform(1, 3, 40)]))
        scores = np.where(counts >= 40, 0.5, 0.1) + rng.normal(0, 0.15, 80)
        table = sort_scores([f"c{i}" for i in range(80)], counts, scores, np.repeat(["few", "many"], 40))
        found = measure(table, penalty=0.9, resamples=60, seed=0, estimators=["one_change"])
        p_values.append(found["group_difference"]["p_value"])
    assert sum(p < 0.05 for p in p_values) <= 4


@pytest.mark.slow
def test_small_groups_are_said_to_be_small():
    concepts, counts, scores, groups = grouped(8)
    groups = np.where(np.arange(120) < 117, groups, "rest").astype(object)
    groups[:5] = None
    found = measure(sort_scores(concepts, counts, scores, groups), **SETTINGS)
    assert found["groups"]["rest"]["reason"] == "too few concepts: 3, at least 10"
    assert found["without_group"] == 5
    assert found["group_difference"]["groups"] == ["east", "west"]
    text = describe(found)
    assert "group rest, 3 concepts:" in text
    assert "5 concepts have no group" in text
    alone = measure(sort_scores(concepts, counts, scores, np.full(120, "east")), **SETTINGS)
    assert alone["group_difference"]["p_value"] is None
    assert describe(alone)[-1] == "difference between groups: fewer than two groups can be compared: 1"


@pytest.mark.slow
def test_the_command_prints_every_estimator_and_writes_json(tmp_path, capsys):
    concepts, counts, scores, groups = grouped(8)
    table = {"concept": concepts, "effective_count": counts.astype(int), "score": scores, "group": groups}
    pl.DataFrame(table).write_csv(tmp_path / "t.csv")
    assert (
        main(["thresholds", "detect", str(tmp_path / "t.csv"), "--resamples", "50", "--out", str(tmp_path / "t.json")])
        == 0
    )
    text = capsys.readouterr().out
    for part in (*ESTIMATORS, "p-value against no jump", "group east, 60 concepts", "difference between groups"):
        assert part in text
    found = json.loads((tmp_path / "t.json").read_text())
    assert found == measure(read_table(tmp_path / "t.csv"), penalty=0.9, resamples=50, seed=0)
    pl.DataFrame(table).head(7).write_csv(tmp_path / "few.csv")
    assert main(["thresholds", "detect", str(tmp_path / "few.csv")]) == 0
    assert "too few concepts: 7, at least 10" in capsys.readouterr().out


def test_an_interval_claims_no_more_than_was_resampled():
    concepts, counts = [f"c{i:02d}" for i in range(20)], [10 * i for i in range(20)]
    scores = [0.1] * 10 + [0.9] * 10
    bare = measure(sort_scores(concepts, counts, scores), **SETTINGS)
    assert "over concepts, 95%" in bare["interval_kind"]
    evidence = [[c + 5, c + 5, c, np.nan, np.nan] for c in counts]
    images = [[[score, score]] for score in scores]
    full = measure(sort_scores(concepts, counts, scores, images=images, evidence=evidence), **SETTINGS)
    assert "over concepts, prompts, images, counts, 95%" in full["interval_kind"]
