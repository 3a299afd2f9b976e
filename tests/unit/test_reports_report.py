"""The report of a study: every number from its files, published values beside them, what is missing listed."""

import csv
import json

import polars as pl
import pytest

from fit.cli.main import main
from fit.errors import DataError
from fit.reports.report import StudyFiles, calibration_table, counts_table, thresholds_table
from fit.thresholds.report import detect


@pytest.fixture
def study(tmp_path):
    """Files of one finished threshold, its counts and its match threshold."""
    counts = [i * 40 for i in range(20)]
    found = detect(
        [f"c{i:02d}" for i in range(20)], counts, [0.1] * 10 + [0.9] * 10, penalty=0.9, resamples=200, seed=0
    )
    files = {
        "threshold": tmp_path / "thresholds/sd1.1/celebrities.json",
        "counts": tmp_path / "counts/laion/celebrities.parquet",
        "match_threshold": tmp_path / "matches/celebrities.threshold.json",
        "figure": tmp_path / "thresholds/sd1.1/celebrities.scores.png",
    }
    for path in files.values():
        path.parent.mkdir(parents=True, exist_ok=True)
    files["threshold"].write_text(json.dumps(found | {"interval": [350.0, 480.0]}))
    pl.DataFrame(
        {"concept": ["a", "b", "c"], "captions": [5, 2000, 0], "downloaded": [4, 1500, 0], "matches": [2, 900, 0]}
        | {"effective_count": [3, 1200, 0]}
    ).write_parquet(files["counts"])
    rates = {"tpr": 0.99, "fpr": 0.01, "roc_auc": 0.998, "equal_error_rate": 0.012}
    files["match_threshold"].write_text(json.dumps({"match_threshold": 0.457, "method": "midpoint", **rates}))
    return files


def cells(table, row):
    return dict(zip(table.columns, row, strict=True))


def test_a_threshold_is_beside_the_published_one(study):
    table = thresholds_table({("sd1.1", "celebrities"): study["threshold"]}, {}, {})
    row = cells(table, table.rows[0])
    assert row["threshold"] == row["best split"] == row["isotonic"] == "400"
    assert 360 < int(row["logistic"]) < 400
    p_value = json.loads(study["threshold"].read_text())["permutation_test"]["p_value"]
    assert row["p-value"] == f"{p_value:.2g}"
    assert p_value < 0.02
    assert row["published"] == "364"
    assert row["difference, images"] == "+36"
    # 364 lies 36 below 400, whose interval reaches down to 350.
    assert row["difference, half-intervals"] == "0.7"
    assert row["score below"] == "0.100" and row["score above"] == "0.900"


def test_the_calibration_has_what_a_published_match_threshold_can_be_compared_with(study, tmp_path):
    found = json.loads(study["match_threshold"].read_text())
    of_means = {"without_itself": {"midpoint": 0.457, "best_f1_published": 0.5}}
    of_means |= {"with_itself": {"midpoint": 0.48, "best_f1_published": 0.53}}
    study["match_threshold"].write_text(json.dumps(found | {"mean_with_itself": False, "by_mean": of_means}))
    theirs = tmp_path / "theirs.threshold.json"
    theirs.write_text(json.dumps(found | {"match_threshold": 0.48, "mean_with_itself": True, "by_mean": of_means}))
    table = calibration_table({("ours", "same concept"): study["match_threshold"], ("theirs", "same concept"): theirs})
    ours, published = (cells(table, row) for row in table.rows)
    assert (ours["cosine"], ours["found as"]) == ("0.4570", "midpoint")
    assert (published["cosine"], published["found as"]) == ("0.4800", "midpoint, mean with itself")
    for row in (ours, published):
        assert (row["midpoint as published"], row["best F1 as published"]) == ("0.4800", "0.5300")
    assert "only be compared with one that is found the same way" in table.note


def test_no_change_point_and_no_published_value_are_said_and_not_made_up(study):
    slugs, scores = [f"c{i:02d}" for i in range(20)], [0.1, 0.2] * 10
    found = detect(slugs, range(20), scores, penalty=0.9, resamples=50, seed=0)
    study["threshold"].write_text(json.dumps(found))
    table = thresholds_table({("mine", "people"): study["threshold"]}, {}, {})
    row = cells(table, table.rows[0])
    assert row["threshold"].startswith("no more of a jump than chance makes (p = ")
    assert [row[c] for c in ("95 % interval", "score below", "published", "difference, images")] == [""] * 4


def test_why_another_headline_than_pelt_found_nothing_is_said(study):
    scores = [0.1, 0.9] * 10
    settings = {"penalty": 0.9, "resamples": 50, "seed": 0, "estimators": ["isotonic", "pelt"]}
    study["threshold"].write_text(json.dumps(detect([f"c{i:02d}" for i in range(20)], range(20), scores, **settings)))
    table = thresholds_table({("mine", "people"): study["threshold"]}, {}, {})
    assert cells(table, table.rows[0])["threshold"].startswith("no more of a jump than chance makes")


@pytest.mark.slow
def test_figures_of_two_corpora_are_both_shown(tmp_path):
    files = [f"results/captions/{corpus}/people/counts.png" for corpus in ("small", "large")]
    assert main(["reports", "write", "mine", "--figures", *files, "--out", str(tmp_path)]) == 0
    shown = (tmp_path / "report.md").read_text()
    assert "![small people counts](" in shown and "![large people counts](" in shown


def test_too_few_concepts_are_said_to_be_too_few(study):
    found = detect(["a", "b"], [1, 2], [0.1, 0.9], penalty=0.9, resamples=5, seed=0)
    study["threshold"].write_text(json.dumps(found))
    table = thresholds_table({("mine", "people"): study["threshold"]}, {}, {})
    assert cells(table, table.rows[0])["threshold"] == "too few concepts: 2, at least 10"


def test_concepts_without_a_score_are_counted(study):
    pair = ("sd1.1", "celebrities")
    pl.DataFrame({"concept": [f"c{i}" for i in range(23)]}).write_parquet(study["counts"])
    table = thresholds_table({pair: study["threshold"]}, {}, {("laion", "celebrities"): study["counts"]})
    assert cells(table, table.rows[0])["concepts"] == "20 of 23"


def test_counts_are_added_up(study):
    table = counts_table({("laion", "celebrities"): study["counts"]})
    row = cells(table, table.rows[0])
    assert (row["captions"], row["downloaded"], row["matches"]) == ("2,005", "1,504", "902")
    assert (row["median"], row["most"], row["of none"]) == ("3", "1,200", "1")


def test_local_images_have_no_captions_to_add_up(study):
    counts = pl.read_parquet(study["counts"]).with_columns(captions=pl.lit(None, pl.Int64))
    counts.write_parquet(study["counts"])
    table = counts_table({("laion", "celebrities"): study["counts"]})
    assert cells(table, table.rows[0])["captions"] == ""


def test_the_command_writes_three_formats_and_lists_what_is_missing(study, tmp_path):
    out = tmp_path / "reports/mine"
    arguments = [
        "--thresholds",
        study["threshold"],
        "--counts",
        study["counts"],
        "--match-thresholds",
        study["match_threshold"],
    ]
    arguments += ["--figures", study["figure"], "--out", out]
    missing = ["sd1.1/politicians: data/references: put it there, or fix `domains.politicians.references.folder`"]
    assert main(["reports", "write", "mine", *map(str, arguments), "--missing", *missing]) == 0
    rows = list(csv.DictReader((out / "thresholds.tsv").open(), delimiter="\t"))
    assert [(row["domain"], row["threshold"], row["published"]) for row in rows] == [
        ("celebrities", "400", "364"),
        ("politicians", "not found: 1 input is missing", "234"),
    ]
    assert r"\toprule" in (out / "thresholds.tex").read_text()
    assert (out / "calibration.md").read_text().startswith("|")
    assert "can only be compared with one that is found the same way" in (out / "report.md").read_text()
    report = (out / "report.md").read_text()
    assert "data/references: put it there" in report
    assert "](../../thresholds/sd1.1/celebrities.scores.png)" in report
    assert "0.457" in report


def test_a_report_goes_where_the_papers_tables_are_already_and_not_among_a_users_files(tmp_path):
    out = tmp_path / "reports/mine"
    assert main(["reports", "paper", "mine", "--out", str(out / "paper")]) == 0
    assert main(["reports", "write", "mine", "--out", str(out)]) == 0
    (tmp_path / "other").mkdir()
    (tmp_path / "other/notes.md").write_text("mine")
    assert main(["reports", "write", "mine", "--out", str(tmp_path / "other")]) == 1


def test_a_broken_file_is_named(study):
    study["match_threshold"].write_text("{")
    with pytest.raises(DataError, match=r"celebrities\.threshold\.json: not JSON"):
        calibration_table({("celebrities", "same concept"): study["match_threshold"]})


def test_art_thresholds_are_told_from_those_of_concepts_by_where_the_workflow_puts_them():
    paths = ["results/matches/painters.threshold.json", "results/matches/painters.art.json"]
    files = StudyFiles.named([], [], paths, [], ["mine/painters: no pictures", "mine/painters: no counts"])
    assert files.match_thresholds == {("painters", "same concept"): paths[0], ("painters", "artworks"): paths[1]}
    assert files.missing == {("mine", "painters"): ["no pictures", "no counts"]}
    with pytest.raises(DataError, match="begin the text with MODEL/DOMAIN"):
        StudyFiles.named([], [], [], [], ["no pair"])
