"""Concepts that defy the threshold, each made so that its cause is known."""

import csv
import io
import json

import numpy as np
import polars as pl
import pytest
from defying_study import STRANGE, Study
from PIL import Image
from printed import agree

from fit.cli.main import main
from fit.errors import DataError
from fit.sensitivity import outliers
from fit.sensitivity.causes import Measurements
from fit.sensitivity.measure import in_short, measure


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    return Study(tmp_path_factory.mktemp("study"))


def test_outliers_are_nearer_to_the_other_side():
    scores = np.array([0.0, 0.1, 0.0, 0.9, 0.45, 1.0, 0.2, 1.1, 1.0])
    found, medians = outliers.find_outliers(scores.copy(), 5)
    assert medians == (0.1, 1.0)
    assert [(row, side) for row, side, _ in found] == [(3, "below"), (6, "above")]
    assert found[0][2] == pytest.approx((0.9 - 0.55) / 0.45)
    assert outliers.find_outliers(1 - scores, 5)[0] == []


def measurements(study, **instead):
    given = {
        "counts": study.folder / "counts.parquet",
        "references": study.tables("references"),
        "reference_embeddings": study.tables("of_references"),
        "generated": study.tables("generated"),
        "generated_embeddings": study.tables("of_generated"),
        "names": study.folder / "names.parquet",
        "images": study.tables("images"),
        "rescored": study.tables("rescored"),
        "match_threshold": study.match_threshold["match_threshold"],
    }
    return Measurements(**given | instead)


@pytest.mark.slow
def test_each_outlier_has_the_cause_that_it_was_made_with(study):
    explained, medians = outliers.explain(study.table, study.found, measurements(study))
    causes = {one.concept: dict(one.causes) for one in explained}
    assert set(causes) == set(STRANGE)
    assert causes["plain"] == {}
    assert set(causes["early"]) == {"no alias", "leaked"}
    assert "most for c15" in causes["early"]["leaked"] and causes["early"]["leaked"].startswith("60 images")
    assert "references of c15" in causes["late"]["drawn as another"]
    assert "are 3 different pictures" in causes["copied"]["copies"]
    assert "copies" not in causes["late"]
    by_row = list(csv.DictReader(io.StringIO(outliers.tabulate(study.table, explained, medians)), delimiter="\t"))
    assert [row["concept"] for row in by_row] == [one.concept for one in explained]
    assert {row["concept"]: row["causes"] for row in by_row}["plain"] == outliers.NONE_FOUND
    assert f"    {outliers.NONE_FOUND}" in outliers.describe(study.table, explained, medians)


def test_causes_without_captions_or_training_images(study):
    explained, _ = outliers.explain(
        study.table, study.found, measurements(study, names=None, images=None, rescored=None, match_threshold=None)
    )
    causes = {one.concept: {name for name, _ in one.causes} for one in explained}
    assert causes["early"] == set()
    assert "drawn as another" in causes["late"]


def test_a_count_that_may_lie_on_the_other_side(study, tmp_path):
    counts = pl.read_parquet(study.folder / "counts.parquet")
    wide = counts.with_columns(high=pl.when(pl.col("concept") == "plain").then(10_000).otherwise(pl.col("high")))
    wide = wide.with_columns(matches=pl.when(pl.col("concept") == "copied").then(50).otherwise(pl.col("matches")))
    wide.write_parquet(tmp_path / "counts.parquet")
    explained, _ = outliers.explain(
        study.table, study.found, measurements(study, counts=str(tmp_path / "counts.parquet"))
    )
    causes = {one.concept: dict(one.causes) for one in explained}
    assert list(causes["plain"]) == ["count uncertain"]
    assert "50 of 225 downloaded" in causes["copied"]["low matched share"]


def test_captions_by_a_name_that_prompts_do_not_use(study, tmp_path):
    names = pl.read_parquet(study.folder / "names.parquet")
    rare = names.with_columns(captions=pl.when(pl.col("name") == "name").then(1).otherwise(pl.lit(400)))
    rare.write_parquet(tmp_path / "names.parquet")
    explained, _ = outliers.explain(
        study.table, study.found, measurements(study, names=str(tmp_path / "names.parquet"))
    )
    causes = {one.concept: dict(one.causes) for one in explained}
    assert causes["late"]["captions by other names"].startswith("1 of its 610 captions")
    assert "captions by other names" not in causes["early"]


def test_a_threshold_of_another_table_is_refused(study):
    with pytest.raises(DataError, match="another table"):
        outliers.explain(study.table.take(slice(1, None)), study.found, measurements(study))


@pytest.mark.slow
def test_the_command(study, tmp_path, capsys):
    match_threshold = str(study.folder / "match threshold.json")
    scores, threshold = str(study.folder / "scores.parquet"), str(study.folder / "threshold.json")
    given = [scores, "--threshold", threshold, "--match-threshold", match_threshold]
    kinds = {"references": "references", "reference-embeddings": "of_references", "generated": "generated"}
    kinds |= {"generated-embeddings": "of_generated", "images": "images", "rescored": "rescored"}
    arguments = [word for flag, kind in kinds.items() for word in (f"--{flag}", str(study.folder / kind))]
    arguments += ["--counts", str(study.folder / "counts.parquet"), "--names", str(study.folder / "names.parquet")]
    out, figure = tmp_path / "o.tsv", tmp_path / "o.png"
    assert main(["sensitivity", "outliers", *given, *arguments, "--out", str(out), "--figure", str(figure)]) == 0
    assert len(out.read_text().splitlines()) == 1 + len(STRANGE)
    assert "leaked: 60 images" in capsys.readouterr().out
    _, found = agree(capsys, "sensitivity", "outliers", *given, *arguments)
    assert {one["concept"] for one in found["rows"]} == set(STRANGE)
    tall = Image.open(figure).height
    assert main(["sensitivity", "outliers", *given, *arguments, "--rows", "2", "--figure", str(figure)]) == 0
    assert Image.open(figure).height < tall


@pytest.mark.slow
def test_no_threshold_no_outliers_and_a_blank_figure(study, tmp_path):
    none = json.loads((study.folder / "threshold.json").read_text()) | {"threshold": None, "below": None, "above": None}
    none["headline"] = none["headline"] | {"threshold": None, "below": None, "above": None}
    (tmp_path / "none.json").write_text(json.dumps(none))
    assert outliers.explain(study.table, none, measurements(study)) == ([], None)
    from fit.reports.contact_sheets import contact_sheet
    from fit.reports.figures import sensitivity_figure

    contact_sheet([], tmp_path / "blank.png", "nobody")
    found = measure(study.table, none | {"interval": None})
    assert found["choices"]["concepts"]["summary"]["same"] == 0
    names = {key: (key, in_short(choice["summary"])) for key, choice in found["choices"].items()}
    sensitivity_figure(found, names, "a study", tmp_path / "none.png")
    assert Image.open(tmp_path / "none.png").width > 1000
