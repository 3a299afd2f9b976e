"""The threshold by other scores: does the published score's jump survive where a score can't rise by itself?"""

import json

import numpy as np
import polars as pl
import pytest
from PIL import Image
from scipy.stats import norm

from fit.cli.main import main
from fit.errors import DataError
from fit.reports.by_score import COLUMNS, by_score_rows
from fit.thresholds.answer import sentence
from fit.thresholds.by_score import OTHER_SCORES, read_by_score
from fit.thresholds.scores import read_table


def study(imitates, concepts=120, sd=0.14, seed=0):
    """A table of concepts whose published score rises with the number of targets, and above 300 images if `imitates`.

    The published score is the expected mean of the ten highest of as many draws as there are targets.
    """
    rng = np.random.default_rng(seed)
    counts = np.floor(10 ** rng.uniform(0, 5, concepts))
    places = (np.arange(10)[:, None] + 0.625) / (counts + 20.25)
    rises = sd * norm.isf(places).mean(axis=0)
    jump = np.where(counts >= 300, 0.5 if imitates else 0.0, 0.0)
    noise = rng.normal(0, 0.03, (3, concepts))
    low = sd * norm.isf((np.arange(10) + 0.625) / 20.25).mean()
    columns = {"score": rises + jump + noise[0], "fixed_score": low + jump + noise[0]}
    columns |= {"null_score": rises + noise[1], "fixed_null_score": low + noise[1]}
    return pl.DataFrame({"concept": [f"c{i:03d}" for i in range(concepts)], "effective_count": counts, **columns})


def detect(table, folder, capsys, *words):
    path, out = folder / "scores.csv", folder / "found.json"
    table.write_csv(path)
    assert (
        main(
            ["thresholds", "detect", str(path), "--resamples", "60", "--out", str(out), "--estimators", "pelt", *words]
        )
        == 0
    )
    return json.loads(out.read_text()), capsys.readouterr().out


def test_a_jump_that_only_the_number_of_targets_makes_does_not_survive(tmp_path, capsys):
    found, said = detect(study(imitates=False), tmp_path, capsys)
    assert found["threshold"] is not None and found["permutation_test"]["p_value"] <= 0.05
    by_score = found["by_score"]
    assert by_score["survives"] is False and "other concepts' pictures rises" in by_score["warning"]
    assert by_score["scores"]["null"]["permutation_test"]["p_value"] <= 0.05
    first = said.splitlines()[0]
    assert first.startswith("no imitation threshold was found") and "but there is none by the score at a fixed" in first
    assert "imitation threshold: " not in said.replace("no imitation threshold: ", "")


def test_a_true_jump_survives_and_is_found_by_each_score(tmp_path, capsys):
    table = study(imitates=True, sd=0.03)
    found, said = detect(table, tmp_path, capsys)
    by_score = found["by_score"]
    assert by_score["survives"] is True and by_score["warning"] is None
    at = table.filter(pl.col("effective_count") >= 300)["effective_count"].min()
    for name in ("fixed", "minus_null", "fixed_minus_null"):
        assert by_score["scores"][name]["threshold"] == at
    assert said.startswith(f"imitation begins at about {found['threshold']:.0f}")
    assert "by the null (other concepts' pictures): none" in said


def test_the_published_result_is_the_same_with_and_without_other_columns(tmp_path, capsys):
    table = study(imitates=False)
    found, _ = detect(table, tmp_path, capsys)
    alone, said = detect(table.select("concept", "effective_count", "score"), tmp_path, capsys)
    assert "by_score" not in alone and "by the published" not in said
    assert alone == {key: value for key, value in found.items() if key != "by_score"}


def test_results_do_not_depend_on_row_order(tmp_path, capsys):
    table = study(imitates=True)
    assert detect(table, tmp_path, capsys) == detect(table.sample(fraction=1.0, shuffle=True, seed=1), tmp_path, capsys)


def test_a_score_that_some_concepts_lack_is_left_out_by_name(tmp_path, capsys):
    table = study(imitates=True).with_columns(
        null_score=pl.when(pl.col("concept") == "c007").then(None).otherwise("null_score")
    )
    found, said = detect(table, tmp_path, capsys)
    assert set(found["by_score"]["scores"]) == {"fixed", "fixed_minus_null"}
    assert found["by_score"]["left_out"] == dict.fromkeys(("minus_null", "null"), "1 concept has none: c007")
    assert "left out, 1 concept has none: c007" in said


def test_lists_of_images_and_of_others_are_resampled(tmp_path):
    rows = {"concept": ["b", "a"], "effective_count": [1, 0], "score": [0.5, 0.2], "null_score": [0.1, 0.2]}
    rows |= {"image_scores": [[[0.4, 0.6], []], [[0.2], [0.1, 0.3]]], "null_others": [[[0.0, 0.2], []], [[0.2], [0.2]]]}
    path = tmp_path / "scores.parquet"
    pl.DataFrame(rows).write_parquet(path)
    found, left_out, size = read_by_score(path, read_table(path))
    assert set(found) == {"minus_null", "null"} and not left_out and size is None
    assert found["minus_null"].concepts.tolist() == ["a", "b"]
    assert found["minus_null"].scores == pytest.approx([0.0, 0.4])
    assert [prompt.tolist() for prompt in found["minus_null"].images[1]] == [pytest.approx([0.3, 0.5]), []]
    assert [prompt.tolist() for prompt in found["null"].images[0]] == [[0.2], [0.2]]


@pytest.mark.parametrize(
    ("column", "value", "said"),
    [("fixed_score", "much", "fixed_score is 'much', not a number"), ("fixed_images", "[1]", "not a list of lists")],
)
def test_a_cell_that_is_not_a_number_is_named(column, value, said, tmp_path):
    path = tmp_path / "scores.csv"
    cells = {"fixed_score": "0.2", "fixed_images": ""} | {column: value}
    path.write_text(
        "concept,effective_count,score,fixed_score,fixed_images\n" + f"a,1,0.5,{','.join(cells.values())}\n"
    )
    with pytest.raises(DataError, match=f"line 2.*{said}"):
        read_by_score(path, read_table(path))


def test_a_sentence_of_a_result_without_other_scores_is_as_before():
    found = {"threshold": 40, "interval": [30, 50], "estimator": "pelt", "concepts": 20, "by_score": None}
    assert sentence(found).startswith("imitation begins at about 40 training images")
    assert set(OTHER_SCORES) == {"fixed", "minus_null", "fixed_minus_null", "null"}


def test_report_figure_and_sensitivity_show_the_thresholds_by_each_score(tmp_path, capsys):
    found, _ = detect(study(imitates=False), tmp_path, capsys)
    table, threshold = str(tmp_path / "scores.csv"), str(tmp_path / "found.json")
    out = tmp_path / "by-score.png"
    assert main(["thresholds", "plot-by-score", table, "--threshold", threshold, "--out", str(out)]) == 0
    with Image.open(out) as picture:
        assert picture.width > 1500  # two panels
    rows = {row[2]: row for row in by_score_rows({("m", "d"): threshold})}
    assert list(rows) == ["published score", *(one["label"] for one in found["by_score"]["scores"].values())]
    assert rows["published score"][3] == f"{found['threshold']:.0f}" and rows["published score"][-1] == "no"
    assert all(len(row) == len(COLUMNS) for row in rows.values())
    assert main(["sensitivity", "measure", table, "--threshold", threshold]) == 0
    said = capsys.readouterr().out
    assert "\nscore: " in said and "  score minus null: none" in said


def test_a_table_without_other_scores_has_a_figure_of_one_panel(tmp_path, capsys):
    detect(study(imitates=False).select("concept", "effective_count", "score"), tmp_path, capsys)
    words = [str(tmp_path / "scores.csv"), "--threshold", str(tmp_path / "found.json")]
    assert main(["thresholds", "plot-by-score", *words, "--out", str(tmp_path / "f.png")]) == 0
    with Image.open(tmp_path / "f.png") as picture:
        assert picture.width < 1500
    assert by_score_rows({("m", "d"): tmp_path / "found.json"}) == []


def test_comparisons_and_plans_say_of_which_table_the_jump_does_not_survive(tmp_path, capsys):
    lost, true = tmp_path / "lost.csv", tmp_path / "true.csv"
    study(imitates=False).write_csv(lost)
    study(imitates=True, sd=0.03).write_csv(true)
    assert main(["compare", str(lost), str(true), "--resamples", "60", "--json"]) == 0
    said = capsys.readouterr()
    (remark,) = json.loads(said.out)["remarks"]
    assert remark.startswith("lost has no imitation threshold: the published score jumps, but there is none by")
    assert f"fit: {remark}" in said.err
    assert main(["compare", str(true), str(true), "--resamples", "60"]) == 0
    assert "no imitation threshold" not in capsys.readouterr().err
    assert main(["plan", "--concepts", str(lost)]) != 0
    assert "lost.csv: no imitation threshold" in capsys.readouterr().err
