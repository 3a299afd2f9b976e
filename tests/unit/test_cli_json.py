"""--json: every command that prints a result takes it, and prints the same numbers as one JSON document."""

import ast
import hashlib
import importlib
import inspect
import json
import math
import re
from datetime import date
from functools import cache
from pathlib import Path

import explorer_study
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from explored_study import CORPUS, DOMAIN, MODEL, ExploredStudy
from PIL import Image
from printed import agree, is_shown, numbers_in
from threshold_data import step

from fit.cli import main as cli
from fit.cli.command import Command
from fit.cli.main import main
from fit.explorer import charts
from fit.images.table import COLLECTED, encode_png
from fit.io.json_files import as_builtins, dumps

TESTS, SOURCE = Path(__file__).parent, Path(cli.__file__).parent


def commands():
    """Yield (words, Command) of every command."""
    for name in cli.COMMANDS:
        module = importlib.import_module(f"fit.cli.{name}")
        found = [module.COMMAND] if hasattr(module, "COMMAND") else module.COMMANDS
        for command in found:
            assert isinstance(command, Command)
            yield ((name,) if hasattr(module, "COMMAND") else (name, command.name)), command


PRINTING = [words for words, command in commands() if command.prints]


@cache
def functions_of(module):
    """Return name -> syntax tree of the functions of a file."""
    tree = ast.parse(inspect.getsource(module))
    return {node.name: node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}


def calls_in(function, module):
    """Return the names that a function calls, itself or through functions of its file."""
    functions = functions_of(module)
    seen, waiting = set(), [function]
    while waiting:
        node = functions.get(waiting.pop())
        for call in ast.walk(node) if node else ():
            if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id not in seen:
                seen.add(call.func.id)
                waiting.append(call.func.id)
    return seen


def test_a_command_has_json_where_it_shows_a_result_and_only_there():
    for words, command in commands():
        module = importlib.import_module(f"fit.cli.{words[0]}")
        assert ("show" in calls_in(command.run.__name__, module)) == command.prints, words
    assert len(PRINTING) > 20


def test_nothing_but_results_is_printed_to_stdout():
    printing = set()
    for path in SOURCE.glob("*.py"):
        if path.name in ("output.py", "parser.py"):  # the helper; --version
            continue
        for function in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(function, ast.FunctionDef):
                continue
            for call in ast.walk(function):
                match call:
                    case ast.Call(func=ast.Name(id="print"), keywords=keywords):
                        to_stderr = any(one.arg == "file" and "stderr" in ast.unparse(one.value) for one in keywords)
                        printing |= set() if to_stderr else {(path.stem, function.name)}
                    case ast.Call(func=ast.Attribute(attr="write", value=ast.Attribute(attr="stdout"))):
                        printing.add((path.stem, function.name))
    questions = {("new", "_ask"), ("new", "_ask_path"), ("new", "_ask_embedder")}  # on a terminal, and not with --json
    assert printing == questions | {("ratings", "serve"), ("ratings", "started"), ("completion", "completion")}


@pytest.mark.parametrize("words", PRINTING, ids=" ".join)
def test_a_command_that_prints_is_run_with_json_by_a_test(words):
    said = r",\s*".join([r"agree\(\s*capsys", *(f'"{word}"' for word in words)])
    if words == ("new",):  # it makes a folder once, and can't be run twice alike
        said = r'main\(\["new", "[^"]+", "--json"\]\)'
    assert [path.name for path in TESTS.glob("test_*.py") if re.search(said, path.read_text(encoding="utf-8"))]


def test_numbers_become_what_json_has():
    given = {
        1: (math.nan, math.inf, np.float64(2.5), np.int64(3)),
        "array": np.array([[1.0, math.nan]]),
        "set": {"b", "a"},
        "path": Path("a/b"),
        "day": date(2026, 1, 31),
        "text": "<ä>",
        "none": None,
        "true": True,
    }
    assert as_builtins(given) == {
        "1": [None, None, 2.5, 3],
        "array": [[1.0, None]],
        "set": ["a", "b"],
        "path": "a/b",
        "day": "2026-01-31",
        "text": "<ä>",
        "none": None,
        "true": True,
    }
    assert json.loads(dumps(given)) == as_builtins(given)
    assert json.loads(dumps(range(3))) == [0, 1, 2]


def test_a_number_of_the_text_is_looked_for_with_the_digits_that_it_has():
    assert is_shown("0.25", None, [0.2468]) and not is_shown("0.25", None, [0.2568])
    assert is_shown("12", "%", [0.123]) and not is_shown("12", None, [0.123])
    assert (
        is_shown("2.2", "ms", [0.00218]) and is_shown("0.3", "MB", [258_473]) and not is_shown("0.3", None, [258_473])
    )
    assert is_shown("1.2e-05", None, [0.0000118]) and is_shown("1,200", None, [1200.4])
    assert numbers_in({"sentence": "7", "rows": [{"a": None, "b": "1,000", "c": True}]}) == [1, 1000.0]


# --- every command ----------------------------------------------------------------------------------------------------


@pytest.fixture
def table(tmp_path):
    """A table of concepts with a threshold."""
    concepts, counts, scores = step(concepts=60, noise=0.05)
    path = tmp_path / "scores.parquet"
    pq.write_table(pa.table({"concept": concepts, "effective_count": counts, "score": scores}), path)
    return path


@pytest.mark.slow
def test_thresholds_comparisons_and_audits(table, tmp_path, capsys):
    out = tmp_path / "t.json"
    _, found = agree(capsys, "thresholds", "detect", table, "--resamples", 40, "--out", out)
    written = json.loads(out.read_text())
    assert {key: value for key, value in found.items() if key != "sentence"} == written
    _, found = agree(capsys, "compare", table, table, "--names", "one", "other", "--resamples", 20)
    assert found["estimators"]["pelt"]["ratio"] == 1 and found["names"] == ["one", "other"]
    (tmp_path / "counts.csv").write_text("concept,effective_count\nada,3\nben,300\n")
    _, found = agree(capsys, "audit", "--threshold", out, "--counts", tmp_path / "counts.csv", "--scores", table)
    assert [(row["concept"], row["verdict"]) for row in found["rows"]] == [("ben", "above"), ("ada", "below")]
    assert found["verdicts"]["above"] == 1 and found["threshold"] == written["headline"]["threshold"]


@pytest.mark.slow
def test_an_audit_without_a_verdict_prints_json_and_is_an_error_all_the_same(tmp_path, capsys):
    (tmp_path / "few.csv").write_text("concept,effective_count,score\na,1,0.1\nb,2,0.2\n")
    assert main(["thresholds", "detect", str(tmp_path / "few.csv"), "--out", str(tmp_path / "t.json")]) == 0
    words = ["audit", "--threshold", str(tmp_path / "t.json"), "--counts", str(tmp_path / "few.csv"), "--json"]
    capsys.readouterr()
    assert main(words) == 1
    said = capsys.readouterr()
    assert "too few concepts" in json.loads(said.out)["refusal"] and "no verdict" in said.err


@pytest.mark.slow
def test_counts_of_captions(sheet, tmp_path, capsys):
    captions = ["a van Gogh", "Monet's garden", "Claude Monet", None]
    rows = {"caption": captions, "url": list("abcd")}
    pq.write_table(pa.table(rows), tmp_path / "captions.parquet")
    path = sheet("s.tsv", "van-gogh\tvan Gogh", "claude-monet\tClaude Monet\tMonet", "manet\tManet")
    given = ["--concepts", path, "--captions", tmp_path / "captions.parquet", "--counts", tmp_path / "c.parquet"]
    _, found = agree(capsys, "captions", "count", *given)
    assert [row["captions"] for row in found["counts"]] == [1, 1, 0] and found["corpus_rows"] == 4
    assert found["files"]["counts"] == str(tmp_path / "c.parquet")
    merged = ["--parts", tmp_path / "c.parquet", "--counts", tmp_path / "m.parquet"]
    _, of_merged = agree(capsys, "captions", "merge", *merged)
    assert of_merged["counts"] == found["counts"]
    text, found = agree(capsys, "captions", "explain", "Monet", "Monet's garden")
    assert [one["mention"][:2] for one in found] == ["no", "no", "ye", "ye"]
    assert all(one["mention"] in text for one in found)


@pytest.mark.slow  # rapidfuzz and numba are loaded
def test_sheets(sheet, tmp_path, capsys):
    path = sheet("s.tsv", "van-gogh\tvan Gogh\t\tdutch", "claude-monet\tClaude Monet\tMonet\tfrench")
    _, found = agree(capsys, "concepts", "check", path)
    assert found["sheets"][0]["rows"] == 2 and not found["errors"]
    bad = sheet("bad.tsv", "van gogh\tvan Gogh")
    capsys.readouterr()
    assert main(["concepts", "check", bad, "--json"]) == 1
    assert "is not a slug" in json.loads(capsys.readouterr().out)["errors"][0]
    (tmp_path / "counts.csv").write_text("concept,captions\nvan-gogh,12\nclaude-monet,5\n")
    given = ["--candidates", path, "--counts", tmp_path / "counts.csv", "--size", 1, "--out", tmp_path / "out.tsv"]
    _, found = agree(capsys, "concepts", "sample", *given)
    assert found["concepts"] == 1 and sum(one["drawn"] for one in found["bins"]) == 1
    data = Path(path).read_bytes()
    given = [f"file://{path}", "--sha256", hashlib.sha256(data).hexdigest(), "--out", tmp_path / "copy.tsv"]
    _, found = agree(capsys, "concepts", "fetch", *given)
    assert found["bytes"] == len(data)


def test_image_tables(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    data = encode_png(Image.new("RGB", (8, 8), "blue"))
    rows = [{"concept": "ada", "image_id": "1", "status": "ok", "bytes": data}]
    rows += [{"concept": "ada", "image_id": str(number), "status": "http_404"} for number in range(2, 5)]
    pq.write_table(pa.Table.from_pylist(rows, schema=COLLECTED), tmp_path / "t.parquet")
    _, found = agree(capsys, "images", "stats", "t.parquet")
    assert found[0]["statuses"] == {"http_404": 3, "ok": 1} and found[0]["rows"] == 4
    Path("s.tsv").write_text("concept\tname\nada\tAda\n")
    _, found = agree(capsys, "images", "count-statuses", ".", "--sheet", "s.tsv", "--out", "statuses.tsv")
    assert found == {"out": "statuses.tsv", "statuses": {"http_404": 3, "ok": 1}}
    _, found = agree(capsys, "images", "show", "t.parquet", "--out", "sheet.png")
    assert found == {"pictures": 1, "out": "sheet.png"}
    _, found = agree(capsys, "images", "show", "t.parquet", "--unpack", "folder")
    assert found == {"pictures": 1, "out": "folder"}


@pytest.mark.slow
def test_plans_and_answers(table, tmp_path, capsys, monkeypatch):
    _, found = agree(capsys, "plan", "--concepts", table, besides=["0"])
    assert [one["concepts"] for one in found["sizes"]][:2] == [25, 50]
    root = TESTS.parents[1]
    monkeypatch.chdir(tmp_path)
    Path("config.yaml").write_text((root / "config.yaml").read_text(encoding="utf-8"), encoding="utf-8")
    Path("concepts").symlink_to(root / "concepts")
    _, found = agree(capsys, "plan")
    assert found["study"] == "atelier" and found["total"]["jobs"] == sum(row["jobs"] for row in found["rows"])
    _, found = agree(capsys, "answer")
    assert found["answers"][0]["threshold"] is None and "has not been computed" in found["answers"][0]["sentence"]
    place = Path(found["answers"][0]["file"])
    place.parent.mkdir(parents=True)
    assert main(["thresholds", "detect", str(table), "--resamples", "20", "--out", str(place)]) == 0
    text, found = agree(capsys, "answer")
    told = json.loads(place.read_text())["headline"]
    assert (found["answers"][0]["threshold"], found["answers"][0]["interval"]) == (told["threshold"], told["interval"])
    assert found["answers"][0]["sentence"] == text.splitlines()[0]


@pytest.mark.slow
def test_what_a_study_lacks(tmp_path, capsys, monkeypatch):
    root = TESTS.parents[1]
    monkeypatch.chdir(tmp_path)
    data = yaml.safe_load((root / "config.yaml").read_text(encoding="utf-8"))
    data["domains"]["painters"]["concepts"] = "gone.tsv"
    Path("config.yaml").write_text(yaml.safe_dump(data), encoding="utf-8")
    assert main(["check", "--json"]) == 1
    found = json.loads(capsys.readouterr().out)
    assert found["stops"] and any("gone.tsv" in one["text"] for one in found["findings"])
    (tmp_path / "gone.tsv").write_bytes((root / "concepts/painters.tsv").read_bytes())
    text, found = agree(capsys, "check")
    assert not found["stops"] and "in order" in text


@pytest.mark.slow
def test_reports_and_the_explorer(tmp_path, capsys, monkeypatch):
    made = ExploredStudy(tmp_path)
    monkeypatch.chdir(tmp_path)
    threshold = f"results/thresholds/{MODEL}/{DOMAIN}.json"
    missing = ["--missing", "other/styles: references: put them there"]
    _, found = agree(capsys, "reports", "write", "mine", "--thresholds", threshold, *missing, "--out", "report")
    assert (found["thresholds"], found["missing"]) == (1, 1)
    given = ["--parts", f"{MODEL}/{DOMAIN}", "--corpora", f"{MODEL}={CORPUS}", "--embedders", f"{DOMAIN}=style"]
    given += ["--sheets", f"{DOMAIN}={made.study.folder}/sheet.tsv", "--resamples", "20", "--out", "study.json"]
    _, found = agree(capsys, "explorer", "gather", "mine", *given)
    assert found["parts"] == 1 and found["files"] > 3
    table = pa.table({"concept": ["ada", "ben"], "score": [0.25, None], "bytes": [b"x", b"y"]})
    pq.write_table(table, "t.parquet")
    _, found = agree(capsys, "reports", "show", "t.parquet")
    assert found == [{"concept": "ada", "score": 0.25}, {"concept": "ben", "score": None}]
    Path("t.csv").write_text("concept,score\nada,0.25\n'=ben,\n")
    _, found = agree(capsys, "reports", "show", "t.csv")
    assert found == [{"concept": "ada", "score": "0.25"}, {"concept": "=ben", "score": ""}]
    _, found = agree(capsys, "reports", "show", threshold)
    assert found == json.loads(Path(threshold).read_text())
    monkeypatch.setattr(charts, "runtime", lambda: "window.vegaEmbed = null;")
    path, places = explorer_study.write(
        tmp_path / "page", explorer_study.study([explorer_study.part("model-a", "painters", 3, 300)]), px=16
    )
    text, found = agree(capsys, "explorer", "build", path, "--pictures", *places, "--out", "page.html")
    assert found["bytes"] == Path("page.html").stat().st_size and f"{found['pictures']} pictures" in text
