"""What `import fit` gives: the same answers as the commands, on tables in memory."""

import doctest
import importlib
import json
import os
import pkgutil
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from threshold_data import step

import fit
import fit.api
from fit.cli.main import main
from fit.errors import CorpusError, DataError, SheetError
from fit.io.json_files import as_builtins

CAPTIONS = ["Starry night by Vincent van Gogh", "a VAN GOGH poster", "Monet's garden", "Claude Monet", "a vase", None]


def table(at=30, seed=3):
    """Return a table of polars whose scores jump at `at` images."""
    concepts, counts, scores = step(at=at, concepts=60, noise=0.05, seed=seed)
    return pl.DataFrame({"concept": concepts, "effective_count": counts, "score": scores})


@pytest.fixture
def written(tmp_path):
    """The path of that table."""
    path = tmp_path / "scores.parquet"
    table().write_parquet(path)
    return path


def test_import_fit_loads_nothing_heavy_and_still_has_every_name():
    heavy = "{'torch', 'polars', 'pyarrow', 'numpy', 'scipy', 'pydantic', 'matplotlib', 'fit.api'}"
    code = f"import sys, fit; assert not {heavy} & set(sys.modules), sys.modules.keys(); "
    code += "missing = [name for name in fit.__all__ if name not in dir(fit) or getattr(fit, name) is None]; "
    code += "assert not missing, missing; assert 'torch' not in sys.modules"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_no_room_has_the_name_of_a_function():
    # After `import fit.audits.plan`, the attribute of a room is the room: a function of that name would be gone.
    rooms = {module.name for module in pkgutil.iter_modules(fit.__path__)}
    assert not rooms & set(fit.__all__)
    assert sorted(fit.__all__) == sorted(fit.api.__all__)


def test_a_name_that_there_is_not_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'treshold'"):
        fit.treshold  # noqa: B018


@pytest.mark.slow
@pytest.mark.parametrize("name", ["functions", "results", "study", "tables"])
def test_the_examples_of_docstrings_hold(name):
    module = importlib.import_module(f"fit.api.{name}")
    failed, tried = doctest.testmod(module)
    assert not failed
    assert tried or name in ("results", "tables")


@pytest.mark.slow
def test_a_threshold_is_that_of_the_command(written, tmp_path, capsys):
    words = ["--resamples", "60", "--seed", "7", "--estimators", "pelt", "logistic"]
    assert main(["thresholds", "detect", str(written), *words, "--out", str(tmp_path / "t.json")]) == 0
    said = capsys.readouterr().out
    found = fit.threshold(written, resamples=60, seed=7, estimators=["pelt", "logistic"])
    assert found.to_dict() == json.loads((tmp_path / "t.json").read_text())
    assert found.text == said.strip()
    assert f"about {found.threshold:.0f} training images" in str(found) == found.sentence
    assert found.interval[0] < found.threshold <= found.interval[1]
    # By the headline of the JSON, and on the sides of that.
    assert found.threshold == found.found["headline"]["threshold"]
    sides = dict(found.table.group_by("side").len().iter_rows())
    assert sides == {side: found.found["headline"][side]["concepts"] for side in ("below", "above")}
    assert found.estimators["estimator"].to_list() == ["pelt", "logistic"]
    assert str(found.threshold) in found.estimators.filter(estimator="pelt")["threshold"].cast(pl.String)[0]


@pytest.mark.slow
def test_tables_of_any_kind_give_the_same_threshold(written):
    frame = table()
    answers = [
        fit.threshold(given, resamples=20).to_dict()
        for given in (
            written,
            str(written),
            frame,
            frame.lazy(),
            pd.DataFrame(frame.to_dict(as_series=False)),
            pa.table(frame.to_dict(as_series=False)),
            frame.to_dict(as_series=False),
        )
    ]
    assert all(answer == answers[0] for answer in answers)
    # The order of rows, and a column that is not read, do not matter.
    assert fit.threshold(frame.reverse().with_columns(note=pl.lit("x")), resamples=20).to_dict() == answers[0]


@pytest.mark.slow
def test_a_table_in_memory_has_the_scores_that_cannot_rise_by_themselves(tmp_path):
    frame = table().with_columns(fixed_score=pl.col("score") * 0 + pl.Series(np.linspace(0.1, 0.2, 60)))
    frame.write_parquet(tmp_path / "t.parquet")
    of_memory, of_file = (fit.threshold(given, resamples=20).to_dict() for given in (frame, tmp_path / "t.parquet"))
    assert of_memory == of_file and "fixed" in of_memory["by_score"]["scores"]


def test_a_study_without_a_threshold_is_a_result_that_says_why():
    found = fit.threshold(table().head(5))
    assert (found.threshold, found.interval) == (None, None)
    assert "too few concepts" in found.sentence
    assert found.table["side"].to_list() == [None] * 5


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"concept": ["a"], "score": [0.1]}, "the table: no column 'effective_count'"),
        ({"concept": [1], "effective_count": [1], "score": [0.1]}, "column 'concept' holds int64, not text"),
        ({"concept": ["a"], "effective_count": [1.5], "score": [0.1]}, "the table, row 1, concept 'a'"),
        ({"concept": ["a", "a"], "effective_count": [1, 2], "score": [0.1, 0.2]}, "concept 'a' is in row 1 too"),
        ({"concept": ["a"], "effective_count": [1, 2], "score": [0.1]}, "the table: its columns have"),
        ({"concept": ["a"], "effective_count": [1], "score": [0.1], "Group": ["b"]}, "did you mean 'group'?"),
        (3, "the table: int is not a table"),
        ("no-such.csv", "no-such.csv: there is no such file"),
    ],
)
def test_a_table_that_is_not_one_is_an_error_with_its_place(given, said):
    with pytest.raises(DataError) as caught:
        fit.threshold(given)
    assert said in str(caught.value) and isinstance(caught.value, fit.FitError)


@pytest.mark.parametrize("wrong", [{"penalty": 0}, {"resamples": 0}, {"estimators": []}])
def test_a_setting_that_is_not_valid_is_an_error(wrong):
    with pytest.raises(DataError):
        fit.threshold(table(), **wrong)


@pytest.mark.slow
def test_captions_are_counted_as_the_command_counts_them(sheet, tmp_path, capsys):
    rows = {"caption": CAPTIONS, "url": [f"http://x/{number}" for number in range(len(CAPTIONS))]}
    pq.write_table(pa.table(rows), tmp_path / "captions.parquet")
    path = sheet("s.tsv", "vincent-van-gogh\tVincent van Gogh\tvan Gogh", "claude-monet\tClaude Monet\tMonet")
    words = ["--concepts", path, "--captions", str(tmp_path / "captions.parquet"), "--counts", str(tmp_path / "c.pq")]
    assert main(["captions", "count", *words, "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    found = fit.count_captions(tmp_path / "captions.parquet", path, max_matched_captions=100_000)
    assert found.to_dict() == {key: value for key, value in said.items() if key != "files"}
    assert found.matched.equals(pl.read_parquet(said["files"]["matched_captions"]))
    # As of files, so of captions and names in memory.
    names = {"Vincent van Gogh": ["van Gogh"], "Claude Monet": "Monet"}
    for captions in (CAPTIONS, pl.Series(CAPTIONS), pd.Series(CAPTIONS), pl.DataFrame(rows), rows):
        assert fit.count_captions(captions, names).to_dict() == found.to_dict()
    assert fit.count_captions(rows, names, max_matched_captions=9).matched["url"].to_list()[0] == "http://x/3"


@pytest.mark.slow
def test_settings_of_a_count_reach_it():
    assert fit.count_captions(["Monet's garden"], ["Monet"]).table["captions"].to_list() == [0]
    assert fit.count_captions(["Monet's garden"], ["Monet"], tokens="words").table["captions"].to_list() == [1]
    assert fit.count_captions(["Dürer"], ["Durer"]).table["captions"].to_list() == [0]
    assert fit.count_captions(["Dürer"], ["Durer"], fold_accents=True).table["captions"].to_list() == [1]
    assert fit.count_captions({"text": ["Monet"]}, ["Monet"], caption_column="text").table["captions"].to_list() == [1]
    assert fit.count_captions(["Monet"] * 5, ["Monet"], max_matched_captions=2).matched.height == 2
    assert fit.count_captions(["Monet"], ["Monet"]).matched is None


@pytest.mark.slow
@pytest.mark.parametrize(
    ("captions", "names", "error", "said"),
    [
        (["x"], [], SheetError, "names: there is none"),
        (["x"], ["!"], SheetError, "'!' has no letter"),
        (["x"], ["Monet", "monet"], SheetError, "the same slug"),
        ([], ["Monet"], CorpusError, "there is no row"),
        (["Monet \ud83d"], ["Monet"], DataError, "the captions: not a list of texts"),
        (["a.csv", "b.parquet"], ["Monet"], DataError, "'a.csv' is the name of a file; give files as pathlib.Path"),
        ({"caption": [1]}, ["Monet"], CorpusError, "the captions: column 'caption' is int64, not text"),
        ({"caption": "Monet"}, ["Monet"], DataError, "its column 'caption' can't be read (one text)"),
        (["x"], [None], SheetError, "names: None is not text"),
        (["x"], [b"Monet"], SheetError, "names: b'Monet' is not text"),
        (["x"], ["Monet\ud83d"], SheetError, "has half a character"),
        (["x"], {"Monet": 3}, SheetError, "names: 3 is not a list of aliases"),
        (["x"], "Monet", SheetError, "'Monet' is taken for the path of a concept sheet"),
        (["x"], None, SheetError, "names: NoneType is not names"),
        ([1], ["Monet"], DataError, "the captions: not a list of texts"),
        (3, ["Monet"], DataError, "the captions: not a list of texts"),
        ({"text": ["x"]}, ["Monet"], DataError, "no column 'caption' (found: text)"),
        ("no-such.parquet", ["Monet"], CorpusError, "no-such.parquet"),
    ],
)
def test_captions_or_names_that_are_not_are_errors(captions, names, error, said):
    with pytest.raises(error) as caught:
        fit.count_captions(captions, names)
    assert said in str(caught.value)


@pytest.mark.slow
def test_names_may_be_any_series_of_texts():
    for names in (pl.Series(["Monet"]), pd.Series(["Monet"]), (name for name in ["Monet"]), {"Monet"}):
        assert fit.count_captions(["Monet"], names).table["captions"].to_list() == [1]


@pytest.mark.parametrize(
    "wrong",
    [
        {"resamples": "x"},
        {"resamples": 1.5},
        {"resamples": None},
        {"penalty": "a"},
        {"penalty": float("inf")},
        {"estimators": 3},
        {"seed": -1},
        {"seed": "a"},
        {"seed": None},
        {"threads": -1},
        {"threads": "a"},
    ],
    ids=str,
)
def test_a_setting_of_a_wrong_kind_is_named(wrong):
    (name,) = wrong
    with pytest.raises(DataError, match=f"^{name} is "):
        fit.threshold(table(), **wrong)


@pytest.mark.parametrize("names", [("a",), "ab", None, ("a", "b", "c")])
def test_a_comparison_needs_two_names(names):
    with pytest.raises(DataError, match="give a name for each of the two tables"):
        fit.compare(table(), table(), names=names, resamples=5)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (
            {"concept": ["a", "b"], "effective_count": [1, "x"], "score": [0.1, 0.2]},
            "its column 'effective_count' can't",
        ),
        ({"concept": ["a"], "effective_count": [10**40], "score": [0.1]}, "its column 'effective_count' can't be read"),
        ({"concept": ["a"], "effective_count": [1, 2], "score": [0.1]}, "concept has 1, effective_count has 2"),
        (pd.Series([1]), "Series is not a table"),
    ],
)
def test_a_table_that_is_not_one_names_its_column(given, said):
    with pytest.raises(DataError, match=said):
        fit.threshold(given)


@pytest.mark.slow
def test_an_audit_is_that_of_the_command(written, tmp_path, capsys):
    found = fit.threshold(written, resamples=60)
    (tmp_path / "t.json").write_text(json.dumps(found.to_dict()))
    counts = pl.DataFrame({"concept": ["ada", "ben", "cleo", "dora"], "effective_count": [2, 31, 900, None]})
    counts = counts.with_columns(low=pl.Series([1, 20, 800, None]), high=pl.Series([4, 60, 1000, None]))
    counts.write_csv(tmp_path / "counts.csv")
    words = [
        "--threshold",
        str(tmp_path / "t.json"),
        "--counts",
        str(tmp_path / "counts.csv"),
        "--scores",
        str(written),
    ]
    assert main(["audit", *words, "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    for limit in (found, found.to_dict(), tmp_path / "t.json", str(tmp_path / "t.json")):
        audit = fit.audit(limit, counts, scores=table())
        assert audit.to_dict() == said
    assert audit.table.columns == list(said["rows"][0])
    assert as_builtins(audit.table.to_dicts()) == said["rows"]
    assert main(["audit", *words]) == 0
    assert capsys.readouterr().out.endswith(audit.note)
    assert audit.threshold == found.threshold and audit.sentence in audit.note
    assert fit.audit(30, counts).table["verdict"].to_list() == ["above", "above", "below", "unknown"]


def test_an_audit_against_no_threshold_says_so_and_gives_no_verdict():
    found = fit.audit(fit.threshold(table().head(5)), {"concept": ["a"], "effective_count": [3]})
    assert found.threshold is None and "too few concepts" in found.refusal
    assert found.table["verdict"].to_list() == ["refused"]


@pytest.mark.slow
def test_captions_that_were_counted_are_audited_as_captions():
    counted = fit.count_captions(["Monet"] * 3, ["Monet", "Manet"])
    found = fit.audit(2, counted)
    assert dict(found.table.select("concept", "verdict").iter_rows()) == {"monet": "above", "manet": "below"}
    assert "counts of captions, not effective counts" in found.note


@pytest.mark.parametrize("limit", ["no-such.json", {"no": "threshold"}, -1, "many"])
def test_what_is_no_threshold_is_an_error(limit):
    with pytest.raises(DataError, match="threshold"):
        fit.audit(limit, {"concept": ["a"], "effective_count": [3]})


@pytest.mark.slow
def test_a_comparison_is_that_of_the_command(written, tmp_path, capsys):
    other = table(at=300, seed=4)
    other.write_parquet(tmp_path / "other.parquet")
    words = [str(written), str(tmp_path / "other.parquet"), "--names", "A", "B", "--resamples", "50"]
    assert main(["compare", *words, "--out", str(tmp_path / "c.json")]) == 0
    said = capsys.readouterr().out.splitlines()
    found = fit.compare(table(), other, names=("A", "B"), resamples=50)
    assert found.to_dict() == json.loads((tmp_path / "c.json").read_text())
    assert str(found) == said[0]
    assert found.ratio > 1 and found.interval[0] < found.ratio < found.interval[1]
    assert found.table["estimator"].to_list() == list(found.found["estimators"])
    assert found.p_value == found.found["estimators"][found.found["estimator"]]["p_value"]


@pytest.mark.slow
def test_figures_are_drawn():
    found = fit.threshold(table(), resamples=20)
    counted = fit.count_captions(["Monet"], ["Monet"])
    audit = fit.audit(found, {"concept": ["a", "b"], "effective_count": [3, 400], "low": [1, 300], "high": [9, 500]})
    many = {"concept": [f"c{number}" for number in range(99)], "effective_count": [*range(98), None]}
    for result in (found, counted, audit, fit.audit(3, many), fit.audit(fit.threshold(table().head(3)), many)):
        figure = result.plot(title="mine, $x$ and $y$")
        assert any("mine, $x$ and $y$" in axes.get_title() for axes in figure.axes)
        figure.canvas.draw()
    axes = audit.plot().axes[0]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["b", "a"]
    assert axes.get_title() == audit.sentence
    places = {tuple(offset) for drawn in axes.collections for offset in drawn.get_offsets().tolist()}
    assert {(400.0, 0.0), (3.0, 1.0)} <= places


@pytest.mark.slow
def test_a_figure_leaves_matplotlib_as_the_program_has_it():
    code = (
        "import matplotlib, fit; matplotlib.rcParams['font.size'] = 7; before = dict(matplotlib.rcParams); "
        "found = fit.count_captions(['Monet'], ['Monet']); figure = found.plot(title='$a$ and $b$'); "
        "assert '$a$' in figure.axes[0].get_title() and not figure.axes[0].title.get_parse_math(); "
        "import matplotlib.pyplot as plt; assert plt.get_fignums() == []; after = dict(matplotlib.rcParams); "
        "backend = (before.pop('backend'), after.pop('backend')); assert after == before, set(after.items()) ^ set("
        "before.items()); assert backend[1] == 'svg', backend"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env={**os.environ, "MPLBACKEND": "svg"}
    )
    assert done.returncode == 0, done.stderr


def test_a_notebook_shows_the_sentence_and_the_table_and_no_markup_of_names():
    found = fit.audit(3, {"concept": ["<b>bold</b>"], "effective_count": [3]})
    shown = found._repr_html_()
    assert found.sentence in shown and "<table" in shown
    assert "<b>bold" not in shown and "&lt;b&gt;bold" in shown


@pytest.mark.slow
def test_a_study_that_was_run_is_read(tmp_path):
    from explored_study import CORPUS, DOMAIN, MODEL, ExploredStudy

    made = ExploredStudy(tmp_path)
    study = fit.load_study(tmp_path)
    assert (study.models, study.domains, study.corpora) == ([MODEL], [DOMAIN], [CORPUS])
    found = study.threshold()
    assert found.found == as_builtins(made.found)
    assert study.answers == [found.sentence] and MODEL in found.sentence and DOMAIN in found.sentence
    row = study.thresholds.row(0, named=True)
    assert (row["model"], row["domain"], row["threshold"]) == (MODEL, DOMAIN, found.threshold)
    assert row["concepts"] == len(made.table) == study.scores(MODEL, DOMAIN).height
    assert study.counts(CORPUS, DOMAIN).height >= len(made.table)
    assert study.figure().axes[0].get_title().startswith(f"{MODEL}, {DOMAIN}")
    assert study.to_dict() == {MODEL: {DOMAIN: found.to_dict()}}
    assert fit.load_study(tmp_path / "results").pairs == study.pairs
    with pytest.raises(DataError, match=f"no model 'painters'; did you mean '{MODEL}'"):
        study.threshold("painters")
    with pytest.raises(DataError, match="no corpus has such a table yet"):
        study.captions()
    # A second model: then a model has to be named.
    made_by = tmp_path / "results" / "thresholds"
    (made_by / "other").mkdir()
    (made_by / "other" / f"{DOMAIN}.json").write_text((made_by / MODEL / f"{DOMAIN}.json").read_text())
    two = fit.load_study(tmp_path)
    with pytest.raises(DataError, match=f"name a model; there are: other, {MODEL}"):
        two.scores()
    with pytest.raises(DataError, match="there is no such file"):
        two.threshold("other")


@pytest.mark.slow
def test_the_blocks_of_the_page_on_python_run_in_order(tmp_path, monkeypatch, capsys):
    page = (Path(__file__).parents[2] / "docs" / "python.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^```python\n(.*?)^```", page, re.M | re.S)
    assert len(blocks) > 4
    monkeypatch.chdir(tmp_path)
    Path("captions.csv").write_text("caption,url\na van Gogh,http://x/1\n", encoding="utf-8")
    Path("sheet.tsv").write_text("concept\tname\nvan-gogh\tvan Gogh\n", encoding="utf-8")
    results = Path("my-study/results")
    for kind, name in (("scores", "my-model"), ("counts", "my-corpus"), ("thresholds", "my-model")):
        (results / kind / name).mkdir(parents=True)
    table().write_parquet(results / "scores/my-model/people.parquet")
    table().drop("score").write_parquet(results / "counts/my-corpus/people.parquet")
    found = fit.threshold(table(), resamples=20).to_dict()
    (results / "thresholds/my-model/people.json").write_text(json.dumps(found), encoding="utf-8")
    names = {}
    for block in blocks:
        exec(block, names)
    said = capsys.readouterr().out
    assert "imitation begins at about 90 training images" in said and "the table: no column 'score'" in said
    assert names["mentions"].table["captions"].to_list() == [2, 0] and names["of_files"].matched.height == 1
    assert names["audit"].table["verdict"].to_list() == ["above", "below"] and names["comparison"].ratio > 1
    assert names["study"].thresholds["threshold"].to_list() == [found["headline"]["threshold"]]
