import json
from itertools import combinations, pairwise

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ruptures import Pelt

from fit.cli.main import main
from fit.errors import DataError
from fit.reports.figures import threshold_figure
from fit.thresholds import (
    ESTIMATORS,
    best_split,
    change_points,
    describe,
    detect,
    measure,
    read_scores,
    read_table,
    sort_scores,
)
from fit.thresholds.estimators import isotonic, isotonic_middle, logistic, logistic_grid, many

SETTINGS = {"penalty": 0.9, "resamples": 100, "seed": 0}


def cost(scores, changes):
    edges = [0, *changes, len(scores)]
    return sum(((scores[a:b] - scores[a:b].mean()) ** 2).sum() for a, b in pairwise(edges))


@settings(max_examples=60, deadline=None)
@given(st.lists(st.floats(-2, 2, width=16), min_size=2, max_size=9), st.floats(0.2, 1.5))
def test_change_points_equal_brute_force(scores, penalty):
    scores = np.array(scores)
    segmentations = [c for n in range(len(scores)) for c in combinations(range(1, len(scores)), n)]
    costs = [cost(scores, changes) + penalty * len(changes) for changes in segmentations]
    found = change_points(scores, penalty)
    # Segmentations of equal cost are equally right.
    assert cost(scores, found) + penalty * len(found) == pytest.approx(min(costs), abs=1e-9)


def test_change_points_equal_pelt():
    rng = np.random.default_rng(1)
    for _ in range(10):
        scores = rng.normal(np.repeat([0, 0.6, 0.4], 30), 0.2)
        pelt = Pelt(model="l2", min_size=1, jump=1).fit(scores).predict(pen=0.9)
        assert change_points(scores, 0.9) == pelt[:-1]


def test_best_split_equals_brute_force_and_keeps_ties_together():
    rng = np.random.default_rng(2)
    for _ in range(30):
        scores = rng.normal(size=12)
        counts = np.sort(rng.integers(8, size=12))
        at, removed = best_split(counts, scores)
        splits = [k for k in range(1, 12) if counts[k] > counts[k - 1]]
        costs = [cost(scores, [k]) for k in splits]
        assert at == splits[int(np.argmin(costs))]
        assert removed == pytest.approx(1 - min(costs) / cost(scores, []))
    assert best_split(np.arange(5), np.ones(5)) == (None, 0.0)
    assert best_split(np.ones(5), np.arange(5)) == (None, 0.0)


def test_isotonic_fit_pools_ties_and_violators():
    counts, scores = np.array([0, 0, 1, 2, 3, 4]), np.array([0.0, 0.2, 0.3, 0.1, 0.8, 0.9])
    places, fitted = isotonic(counts, scores)
    assert places.tolist() == [0, 1, 2, 3, 4]
    assert fitted.tolist() == pytest.approx([0.1, 0.2, 0.2, 0.8, 0.9])
    # A fifth is one concept: half way between 0.1 and 0.9.
    assert isotonic_middle(counts, scores) == 4
    assert isotonic_middle(counts, scores[::-1]) is None


def test_the_isotonic_middle_of_a_step_is_the_step_however_few_lie_above():
    counts = np.arange(100)
    for at in (3, 50, 93):
        assert isotonic_middle(counts, np.where(counts >= at, 0.9, 0.2)) == at


def step(at=30, concepts=120, noise=0.15, seed=3):
    rng = np.random.default_rng(seed)
    counts = np.round(10 ** np.linspace(0, 3, concepts)).astype(int)
    names = [f"c{i:03d}" for i in range(concepts)]
    shuffle = rng.permutation(concepts)
    scores = np.where(counts >= at, 0.6, 0.1) + rng.normal(0, noise, concepts)
    return [names[i] for i in shuffle], counts[shuffle], scores[shuffle]


def rise(middle=50, scale=0.8, concepts=400, noise=0.05):
    rng = np.random.default_rng(9)
    counts = np.floor(10 ** np.linspace(0, 4, concepts))
    share = 1 / (1 + np.exp(-(np.log1p(counts) - np.log1p(middle)) / scale))
    return [f"c{i:03d}" for i in range(concepts)], counts, 0.1 + 0.5 * share + rng.normal(0, noise, concepts)


def test_the_logistic_recovers_what_scores_were_drawn_from():
    fit = logistic(*rise()[1:])
    assert fit["midpoint"] == pytest.approx(50, rel=0.15)
    assert (fit["low"], fit["high"]) == pytest.approx((0.1, 0.6), abs=0.03)
    assert np.log((1 + fit["to"]) / (1 + fit["from"])) == pytest.approx(2 * 0.8 * np.log(9), rel=0.1)
    assert fit["slope"] == pytest.approx(0.5 / (4 * 0.8), rel=0.15)
    counts = np.arange(40)
    assert logistic(counts, -counts / 40) is None


def test_many_fits_at_once_agree_with_one_at_a_time():
    rng = np.random.default_rng(4)
    counts = np.sort(np.floor(10 ** rng.uniform(0, 3, (12, 80))), axis=1)
    scores = np.where(counts > 40, 0.5, 0.1) + rng.normal(0, 0.1, counts.shape)
    for c, s, grid in zip(counts, scores, np.expm1(logistic_grid(counts, scores)[0]), strict=True):
        # Within a gap between concepts every midpoint of a step is as good.
        exact = logistic(c, s)["midpoint"]
        between = np.searchsorted(np.unique(c), [grid, exact])
        assert abs(int(between[0]) - int(between[1])) <= 1
    assert many("one_change", counts, scores, 0.9).tolist() == [
        c[best_split(c, s)[0]] for c, s in zip(counts, scores, strict=True)
    ]
    assert many("pelt", counts, np.zeros_like(scores), 0.9).tolist() == pytest.approx([np.nan] * 12, nan_ok=True)


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
        assert before * 0.9 <= answer["interval"][0] <= true
        assert answer["interval"][1] >= before
        assert (answer["last_below"]["effective_count"], answer["first_above"]["effective_count"]) == (before, true)
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


def test_no_change_point_is_a_result_and_chance_is_no_jump():
    rng = np.random.default_rng(5)
    found = detect([str(i) for i in range(50)], np.arange(50), rng.normal(0.3, 0.05, 50), **SETTINGS)
    assert found["threshold"] is None
    assert found["below"] is None
    assert found["resamples_with_a_change"] == 0
    assert found["permutation_test"]["p_value"] > 0.05
    assert {answer["threshold"] for answer in found["estimators"].values()} == {None}
    assert found["one_change"]["threshold"] is None
    assert describe(found)[0] == "no imitation threshold: no change point at this penalty"


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
    assert found["threshold"] == 5
    assert found["estimators"]["pelt"]["tie"] == 20
    assert "within 20 concepts that all have 5 images" in "\n".join(describe(found))
    # The others do not tear a tie apart.
    assert found["estimators"]["one_change"]["first_above"]["effective_count"] in (5, 9)
    assert found["estimators"]["one_change"]["last_below"]["effective_count"] < found["one_change"]["threshold"]


def test_a_fall_is_no_threshold_of_imitation():
    concepts, counts, scores = step()
    found = detect(concepts, counts, 1 - scores, **SETTINGS)
    assert "the scores fall there" in "\n".join(describe(found))
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
def test_where_nothing_can_be_said_a_plain_reason_stands(counts, scores, reason, tmp_path):
    found = detect(NAMES[: len(counts)], counts, scores, **SETTINGS)
    assert found["reason"] == reason
    assert found["threshold"] is found["interval"] is found["below"] is found["one_change"]["threshold"] is None
    assert found["changes"] == []
    assert {answer["threshold"] for answer in found["estimators"].values()} == {None}
    assert describe(found) == [f"no imitation threshold: {reason}"]
    if len(counts):
        threshold_figure(np.array(counts), scores, found, "none", tmp_path / "f.png")
        assert (tmp_path / "f.png").stat().st_size > 5_000


def test_unusable_rows_are_named():
    with pytest.raises(DataError, match="'b': its score is no number"):
        detect(["a", "b"], [1, 2], [0.5, np.nan], **SETTINGS)
    with pytest.raises(DataError, match="'a': its effective_count is no number"):
        detect(["a", "b"], [np.inf, 2], [0.5, 1], **SETTINGS)
    with pytest.raises(DataError, match="'b': effective_count -2 is below 0"):
        detect(["a", "b"], [1, -2], [0.5, 1], **SETTINGS)
    with pytest.raises(DataError, match="'a' stands in 2 rows"):
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


def grouped(shift, seed=6):
    """Two groups of 60, whose steps lie at 30 and at 30 x shift."""
    rng = np.random.default_rng(seed)
    counts = np.floor(10 ** rng.uniform(0, 3, 120))
    groups = np.repeat(["east", "west"], 60)
    scores = np.where(counts >= np.where(groups == "east", 30, 30 * shift), 0.6, 0.1) + rng.normal(0, 0.1, 120)
    return [f"c{i:03d}" for i in range(120)], counts, scores, groups


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
