"""The threshold adjusted for difficulty, in simulated studies whose truth is known."""

import json
from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from fit.cli.main import main
from fit.reports.by_score import by_score_rows
from fit.thresholds.by_score import adjusted_scores, read_adjustment
from fit.thresholds.difficulty import FEWEST_GROUPS, GROUP, adjust, groups_of_like_counts, share_apart
from fit.thresholds.scores import read_table, sort_scores
from fit.thresholds.uncertainty import permutation_p_value

SLOPE = 0.3


def counts_of(rng, number=100):
    return np.sort(np.floor(10 ** rng.uniform(0, 4, number)))


def slopes(covariate_of, studies=40, slope=SLOPE):
    """The slopes found, their standard errors and p-values, where the score has a step of 0.4 at 300 images besides."""
    found = []
    for seed in range(studies):
        rng = np.random.default_rng(seed)
        counts = counts_of(rng)
        covariate = covariate_of(counts, rng)
        scores = 0.4 * (counts >= 300) + slope * covariate + rng.normal(0, 0.08, len(counts))
        effect = adjust(counts, scores, {"before_score": covariate}).effects["before_score"]
        found.append((effect.slope, effect.standard_error, effect.p_value))
    return np.array(found).T


@pytest.mark.parametrize(
    "covariate_of",
    [
        lambda counts, rng: rng.normal(0, 1, len(counts)),
        lambda counts, rng: 0.7 * np.log10(1 + counts) + rng.normal(0, 1, len(counts)),
        lambda counts, rng: 2.0 * (counts >= 300) + rng.normal(0, 1, len(counts)),
    ],
    ids=["apart from the count", "rises with the count", "jumps where the score does"],
)
def test_the_slope_is_that_within_counts_whatever_the_covariate_does_with_the_count(covariate_of):
    found, errors, _ = slopes(covariate_of)
    assert found.mean() == pytest.approx(SLOPE, abs=0.012)  # the jump would give it 0.1 more
    assert errors.mean() == pytest.approx(found.std(), rel=0.35)


def test_a_covariate_that_does_nothing_is_seldom_significant_and_takes_nothing_off():
    found, _, p_values = slopes(lambda counts, rng: rng.normal(0, 1, len(counts)), studies=100, slope=0.0)
    assert (p_values <= 0.05).mean() <= 0.12
    assert np.abs(found).max() < 0.05


@pytest.mark.parametrize("number", [20, 48, 400])
@pytest.mark.parametrize(
    "function",
    [lambda counts: counts, lambda counts: np.log1p(counts), lambda counts: -(counts**2), lambda counts: counts >= 300],
    ids=["count", "logarithm", "falling square", "step"],
)
def test_a_function_of_the_count_cannot_be_told_apart_from_it(number, function):
    rng = np.random.default_rng(3)
    counts = counts_of(rng, number)
    covariate = function(counts).astype(float)
    if number == 20 and set(covariate) == {0.0, 1.0}:
        return  # of four groups, the one with the step in it has a quarter of the concepts
    found = adjust(counts, rng.normal(0, 1, number), {"reference_spread": covariate})
    effects = found.effects
    assert not found.is_possible and effects["reference_spread"].reason == "it cannot be told apart from the count"
    assert effects["reference_spread"].slope is None and effects["reference_spread"].apart < 0.1


def test_two_covariates_that_say_the_same_are_taken_off_once():
    rng = np.random.default_rng(5)
    counts, covariate = counts_of(rng), rng.normal(0, 1, 100)
    scores = SLOPE * covariate + rng.normal(0, 0.05, 100)
    found = adjust(counts, scores, {"before_score": covariate, "reference_spread": 2 - 3 * covariate})
    effects = found.effects
    assert effects["before_score"].slope == pytest.approx(SLOPE, abs=0.02)
    assert effects["reference_spread"].reason == "it cannot be told apart from the score of the base model"
    assert np.std(found.take_off(scores)) == pytest.approx(0.05, rel=0.2)


def test_too_few_concepts_and_a_constant_have_no_slope():
    counts = np.arange(FEWEST_GROUPS * GROUP - 1.0)
    scores = np.random.default_rng(0).normal(size=len(counts))
    found = adjust(counts, scores, {"before_score": scores})
    assert not found.is_possible and "too few concepts" in found.effects["before_score"].reason
    counts = np.arange(50.0)
    found = adjust(counts, counts, {"before_score": np.ones(50)})
    assert not found.is_possible and found.effects["before_score"].reason == "it is the same for all concepts"


@pytest.mark.slow
def test_the_test_of_an_adjusted_score_knows_the_error_of_the_slope():
    """Where the covariate rises with the count, an error of its slope looks like a rise."""
    p_values = []
    for seed in range(100):
        rng = np.random.default_rng(seed)
        counts = counts_of(rng, 48)
        covariate = 0.9 * np.log10(1 + counts) + rng.normal(size=48)
        scores = 0.1 * covariate + rng.normal(0, 0.08, 48)
        table = sort_scores([f"{row:02d}" for row in range(48)], counts, scores)
        found = adjust(counts, scores, {"before_score": covariate})
        adjusted = replace(table, scores=found.take_off(scores))
        p_values.append((found.p_value(table, 99, seed), permutation_p_value(adjusted, 99, seed)))
    by_freedman_lane, as_if_known = (np.array(p_values) <= 0.05).mean(axis=0)
    assert by_freedman_lane <= 0.1 and as_if_known > by_freedman_lane


def test_groups_keep_concepts_of_one_count_together():
    counts = np.array([0] * 12 + [1, 2, 3, 3, 3, 3, 3, 4, 5, 6, 7, 8, 9])
    groups = groups_of_like_counts(counts)
    assert groups.tolist() == [0] * 12 + [1] * 7 + [2] * 6
    assert all(len(set(groups[counts == count])) == 1 for count in counts)
    assert share_apart(np.random.default_rng(0).normal(size=4000), groups_of_like_counts(np.arange(4000))) > 0.95


# --- from a table to the answer ---------------------------------------------------------------------------------------


def study(concepts=120, step=0.0, confounder=0.6, seed=0):
    """A table: the score has a step at 300 images, and the covariate, which is higher from 3,000 images on."""
    rng = np.random.default_rng(seed)
    counts = counts_of(rng, concepts)
    easy = 1.0 * (counts >= 3000) + rng.normal(0, 0.4, concepts)
    scores = step * (counts >= 300) + confounder * easy + rng.normal(0, 0.05, concepts)
    columns = {"score": scores, "before_score": easy}
    return pl.DataFrame({"concept": [f"c{i:03d}" for i in range(concepts)], "effective_count": counts, **columns})


def detect(table, folder, capsys):
    path, out = folder / "scores.csv", folder / "found.json"
    table.write_csv(path)
    words = ["--resamples", "60", "--estimators", "pelt", "one_change", "isotonic", "--out", str(out)]
    assert main(["thresholds", "detect", str(path), *words]) == 0
    return json.loads(out.read_text()), capsys.readouterr().out


@pytest.mark.slow
def test_a_jump_that_easy_concepts_make_is_gone_when_adjusted(tmp_path, capsys):
    found, said = detect(study(), tmp_path, capsys)
    assert found["headline"]["threshold"] == pytest.approx(3000, rel=0.2)
    adjusted = found["by_score"]["scores"]["adjusted"]
    assert adjusted["headline"]["threshold"] is None
    effect = found["by_score"]["difficulty"]["before_score"]
    assert effect["slope"] == pytest.approx(0.6, abs=0.05) and effect["reason"] is None and effect["p_value"] < 0.01
    assert "by the score adjusted for difficulty: none" in said
    assert "  adjusted for the score of the base model: +0.58" in said


@pytest.mark.slow
def test_a_true_jump_that_easy_concepts_hide_is_found_when_adjusted(tmp_path, capsys):
    table = study(step=0.4, confounder=-0.6)
    found, _ = detect(table, tmp_path, capsys)
    assert found["one_change"]["threshold"] != pytest.approx(300, rel=0.2)
    assert found["by_score"]["scores"]["adjusted"]["one_change"]["threshold"] == pytest.approx(300, rel=0.2)
    assert (
        main(["sensitivity", "measure", str(tmp_path / "scores.csv"), "--threshold", str(tmp_path / "found.json")]) == 0
    )
    assert "  score adjusted for difficulty: " in capsys.readouterr().out
    rows = [row[2] for row in by_score_rows({("m", "d"): tmp_path / "found.json"})]
    assert rows == ["published score", "score adjusted for difficulty"]


def test_no_adjusted_threshold_where_the_covariate_is_the_count(tmp_path, capsys):
    table = study(step=0.4).with_columns(before_score=pl.col("effective_count").log1p())
    found, said = detect(table, tmp_path, capsys)
    why = "score of the base model: it cannot be told apart from the count"
    assert found["by_score"]["left_out"] == {"adjusted": why} and not found["by_score"]["scores"]
    assert f"by the score adjusted for difficulty: left out, {why}" in said
    assert by_score_rows({("m", "d"): tmp_path / "found.json"})[-1][2:4] == (
        "score adjusted for difficulty",
        f"left out: {why}",
    )


def test_a_covariate_that_a_concept_lacks_is_left_out_by_name(tmp_path, capsys):
    rng = np.random.default_rng(1)
    table = study(step=0.4).with_columns(
        before_score=pl.when(pl.col("concept") == "c007").then(None).otherwise("before_score"),
        reference_spread=pl.Series(rng.normal(size=120)),
    )
    found, _ = detect(table, tmp_path, capsys)
    assert found["by_score"]["difficulty"]["before_score"]["reason"] == "1 concept has none: c007"
    assert found["by_score"]["difficulty"]["reference_spread"]["slope"] is not None


def test_image_scores_are_adjusted_by_as_much_as_their_mean(tmp_path):
    table = study(step=0.4)
    lists = [[[score - 0.1, score + 0.1], [score]] for score in table["score"]]
    path = tmp_path / "scores.parquet"
    table.with_columns(image_scores=pl.Series(lists)).write_parquet(path)
    published = read_table(path)
    adjusted = adjusted_scores(published, read_adjustment(path, published))
    means = [np.mean([prompt.mean() for prompt in prompts]) for prompts in adjusted.images]
    assert means == pytest.approx(adjusted.scores.tolist())
