"""A new estimator is one class and one line of the registry: every part of the program then knows it."""

import json

import matplotlib.pyplot as plt
import numpy as np
import polars as pl
import pytest
from threshold_data import step

from fit.cli.main import main
from fit.sensitivity.measure import measure as measure_sensitivity
from fit.thresholds.answer import sentence
from fit.thresholds.estimators import ESTIMATORS
from fit.thresholds.estimators.base import ConceptEstimator, Curve
from fit.thresholds.report import measure
from fit.thresholds.scores import read_table
from fit.thresholds.settings import ThresholdSettings


class FirstHigh(ConceptEstimator):
    """The first concept whose score is above the middle of the range."""

    name = "first_high"
    label = "first above the middle"
    marker = "P"
    why_none = "no score is above the middle"

    def first_above(self, counts, scores, penalty):
        high = np.flatnonzero(scores > (scores.min() + scores.max()) / 2)
        return int(high[0]) if len(high) else None

    def details(self, table, at, penalty):
        return {"middle": float((table.scores.min() + table.scores.max()) / 2)}

    def curve(self, answer, highest):
        return Curve(np.array([0, highest]), np.full(2, answer["middle"]), is_step=False)

    def remarks(self, answer):
        yield f"the middle is {answer['middle']:.1f}"


@pytest.fixture
def table(tmp_path, monkeypatch):
    """The table of a study, with a fifth estimator registered."""
    monkeypatch.setitem(ESTIMATORS, "first_high", f"{__name__}:FirstHigh")
    concepts, counts, scores = step()
    columns = {"concept": concepts, "effective_count": counts, "score": scores}
    pl.DataFrame(columns).write_csv(tmp_path / "scores.csv")
    return tmp_path / "scores.csv"


def detect(table, *estimators):
    out = table.with_name("threshold.json")
    given = ["--estimators", *estimators] if estimators else []
    assert main(["thresholds", "detect", str(table), *given, "--resamples", "50", "--out", str(out)]) == 0
    return out, json.loads(out.read_text())


def test_it_is_in_the_settings(table):
    assert ThresholdSettings().estimators[-1] == "first_high"


def test_it_is_in_the_json_and_on_the_terminal(table, capsys):
    _, found = detect(table, *ESTIMATORS)
    assert list(found["estimators"])[-1] == "first_high"
    answer = found["estimators"]["first_high"]
    assert answer["interval"][0] < answer["threshold"] <= answer["interval"][1]
    assert 0.2 < answer["middle"] < 0.5
    said = capsys.readouterr().out
    assert f"first_high     {answer['threshold']} images" in said
    assert "the middle is 0." in said


@pytest.mark.slow
def test_it_is_drawn(table, monkeypatch):
    path, found = detect(table, *ESTIMATORS)
    kept = []
    monkeypatch.setattr(plt, "close", kept.append)
    out = ["--threshold", str(path), "--out", str(table.with_name("f.png"))]
    assert main(["thresholds", "plot", str(table), *out]) == 0
    monkeypatch.undo()
    strip, axes = kept[0].axes
    answer = found["estimators"]["first_high"]
    assert f"first above the middle: {answer['threshold']}" in [text.get_text() for text in strip.get_yticklabels()]
    assert "P" in [line.get_marker() for line in strip.lines]
    assert "first above the middle fit" in [text.get_text() for text in kept[0].legends[0].get_texts()]
    curve = next(line for line in axes.lines if line.get_label() == "first above the middle fit")
    assert set(curve.get_ydata()) == {answer["middle"]}
    plt.close("all")


def test_it_is_in_the_table_of_the_report(table):
    path, found = detect(table, *ESTIMATORS)
    folder = table.with_name("report")
    assert main(["reports", "write", "mine", "--thresholds", str(path), "--out", str(folder)]) == 0
    (row,) = pl.read_csv(folder / "thresholds.tsv", separator="\t").to_dicts()
    assert row["first above the middle"] == found["estimators"]["first_high"]["threshold"]
    assert [name for name in row if name in ("best split", "isotonic", "logistic")] == [
        "best split",
        "isotonic",
        "logistic",
    ]


def test_it_can_be_the_headline_and_the_sensitivity_asks_it(table):
    settings = {"penalty": 0.9, "resamples": 50, "seed": 0, "estimators": ["first_high", "pelt"]}
    scores = read_table(table)
    found = measure(scores, **settings)
    assert found["estimator"] == "first_high"
    assert "by the estimator first_high" in sentence(found)
    answers = measure_sensitivity(scores, found)["choices"]["concepts"]["answers"]
    assert {answer["threshold"] for answer in answers} >= {found["threshold"]}


def test_chance_takes_its_answer_away_and_a_sentence_calls_it_by_its_words(table):
    rng = np.random.default_rng(5)
    columns = {"concept": [f"c{i}" for i in range(50)], "effective_count": range(50)}
    pl.DataFrame(columns | {"score": rng.normal(0.3, 0.05, 50)}).write_csv(table)
    _, found = detect(table, "pelt", "first_high")
    assert found["estimators"]["first_high"]["reason"].startswith("no more of a jump than chance makes")
    # As an earlier version wrote it: without a headline.
    del found["headline"]
    found["reason"] = None
    found["estimators"]["first_high"]["threshold"] = 7
    found["permutation_test"]["p_value"] = 0.01
    assert "though by first above the middle one would be at 7 training images" in sentence(found)
