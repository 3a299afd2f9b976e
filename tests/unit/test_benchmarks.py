"""Every script of benchmarks/ runs at a small size and prints or writes the table that the docs show."""

import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow.parquet as pq
import pytest

from fit.embeddings import files
from fit.embeddings.base import Embedding

ROOT = Path(__file__).parents[2]
PAGE = "before\n<!-- {0} -->\nSTALE\n<!-- /{0} -->\nafter\n"
SMALL = {
    "attacks": ("--results docs/attacks --docs {folder}/page.md", r"\| `atelier-esd` \| pavel-drusova, \d+ \|"),
    "audit": ("--studies 2 --resamples 20 --docs {folder}/page.md", r"\| no imitation \| \d of 2"),
    "beyond": (
        "--results docs/beyond --docs {folder}/page.md",
        r"\| an erased painter comes back[^|]*\| [+-]\d\.\d\d \(",
    ),
    "captions": ("--rows 80 --names 300 --rounds 1 --folder {folder}/captions", r"\| 300 names, 1 thread \| -?\d+"),
    "compare": (
        "--studies 1 --resamples 30 --write {folder}/page.md",
        r"\| 400 \| 1.5 \| logistic \| in pairs \|",
    ),
    "collection": ("--images 24 --rounds 1", r"\| fit images collect: 2 decoders \| 6 \| \d+"),
    "counts": ("--studies 3 --write {folder}/page.md", r"\| 0\.8, 0\.05 \| 600 \| \d+"),
    "difficulty": (
        "--studies 2 --docs {folder}/page.md",
        r"\| a curve of the count \| 400 \| none \| 0% \|",
    ),
    "defences": (
        "--studies 1 --resamples 5 --results docs/defences --docs {folder}/page.md",
        r"\| 48 concepts \| \d+% \|[\s\S]*\| `atelier-esd` \| ",
    ),
    "embedders": ("--images 4 --rounds 1", r"\| facenet, \w+ \| [\d.]+"),
    "explorer": (
        "--concepts 8 --rounds 1 --steps 5 --docs {folder}/page.md",
        r"\| a frame while dragging, median \| .* \| [\d.]+ ms \|",
    ),
    "faces": ("--people 6", r"\| 5 of lfw_subset, changed copies \| 15 \| 10 \| 0\.9\d+"),
    "hostile": ("--every 25 --large 1", r"\| headers that lie \| \d+ \|"),
    "generation": (
        "--images-per-prompt 1 --batch-size 3 --rounds 1 --steps 1 --compared 1",
        r"`fit generated make`, tables written \| [\d.]+",
    ),
    "halfway": ("--people 4 --pictures 5 --write {folder}/page.md", r"\| one concept's score again \| 1 \| \d+"),
    "jump_tests": ("--studies 1 --draws 9 --docs {folder}/page.md", r"\| families, 400 concepts, a step \| \d"),
    "matching": ("--vectors 50 --references 5 --repeats 1", r"\| 50 x 1024 \| `fit matches find` \| [\d.]+"),
    "planning": ("--sizes 8 --write {folder}/page.md", r"\| 8 \| \d"),
    "poisoning": ("--results docs/poisoning --docs {folder}/page.md", r"\| contrastive, as trained \| 0\.\d+ "),
    "pooling": (
        "--sets 1 --resamples 20 --write {folder}/page.md",
        r"\| 100, shared \| 8 \| 0.5 \| [\d.]+",
    ),
    "ratings": ("--studies 1 --resamples 20 --docs {folder}/page.md", r"\| 2 alike \| [\d.]+ of \d"),
    "scores": (
        "--studies 1 --repeats 1 --permutations 19 --sds 0.06 --concepts 30 --docs {folder}/page.md",
        r"\| step at 1,000, 30 concepts \|",
    ),
    "copies": ("--results docs/copies --docs {folder}/page.md", r"not measured|\| 1 image \| distinct images \|"),
    "truth": (
        "--results docs/truth --docs {folder}/page.md --simulations 1",
        r"\| what a user is told \| \d+ \| \d+ \|",
    ),
    "threshold": (
        "--studies 1 --resamples 20 --timed-resamples 20 --loops 1 --docs {folder}/page.md",
        r"\| `fit sensitivity measure --resamples 20` \| [\d.]+ s",
    ),
}
"""Script -> arguments, and what its table has. Of so few captions, times less a sheet's own may be negative."""
MARKS = {
    "attacks": ["attacks", "gains"],
    "audit": ["calibration"],
    "beyond": ["effects", "times"],
    "compare": ["comparison"],
    "copies": ["models", "counts", "known"],
    "counts": ["coverage", "concepts"],
    "defences": ["coverage", "images", "costs"],
    "difficulty": ["difficulty"],
    "explorer": ["explorer"],
    "halfway": ["halfway"],
    "jump_tests": ["tests"],
    "planning": ["planning"],
    "poisoning": ["answer", "success", "thresholds", "cleaning"],
    "pooling": ["pooling"],
    "ratings": ["coverage"],
    "scores": ["strangers", "without", "with"],
    "truth": [
        "truth",
        "errors",
        "worlds",
        "scores",
        "spread",
        "marginal",
        "neighbours",
        "pruned",
        "simulated",
        "worths",
        "noise",
        "changes",
        "corrections",
    ],
    "threshold": ["simulation", "verdicts", "timing"],
}


def run(script, arguments):
    """Run a script of benchmarks/ in a process of its own."""
    command = [sys.executable, str(ROOT / "benchmarks" / f"{script}.py"), *arguments.split()]
    env = os.environ | {"PYTHONPATH": str(ROOT / "src")}
    return subprocess.run(command, capture_output=True, text=True, env=env, cwd=ROOT)


def test_every_script_has_a_small_size_here():
    trains = {"atelier", "missed"}  # minutes
    elsewhere = {"pages", "notebook"}  # what scripts share; tests/unit/test_api_notebook.py runs the other
    assert {path.stem for path in (ROOT / "benchmarks").glob("*.py")} == {*SMALL, *trains, *elsewhere}


@pytest.mark.slow
def test_embedders_prints_what_one_picture_takes_from_the_command_line():
    done = run("embedders", "--starts --rounds 1")
    assert done.returncode == 0, done.stderr
    assert re.search(r"\| facenet: `fit embeddings images`, 1 picture \| [\d.]+ \|", done.stdout), done.stdout


@pytest.mark.slow
@pytest.mark.parametrize("script", SMALL)
def test_a_benchmark_prints_its_table(script, tmp_path):
    page, marks = tmp_path / "page.md", MARKS.get(script, [])
    page.write_text("".join(PAGE.format(mark) for mark in marks), encoding="utf-8")
    arguments, row = SMALL[script]
    if script == "explorer" and not (shutil.which("chromium") or shutil.which("google-chrome")):
        pytest.skip("no browser, whose speed it measures; tests/browser/install.sh installs one")
    done = run(script, arguments.format(folder=tmp_path))
    assert done.returncode == 0, done.stderr
    assert re.search(row, done.stdout), done.stdout
    assert not re.search(r"\bnan\b", done.stdout)
    written = page.read_text(encoding="utf-8")
    assert "STALE" not in written
    assert written.count("before\n") == written.count("after\n") == len(marks)
    assert not marks or re.search(row, written)


@pytest.mark.slow
@pytest.mark.parametrize("rows", [1, 7, 1000])
def test_captions_prints_its_table_at_any_number_of_rows(rows, tmp_path):
    done = run("captions", f"--rows {rows} --names 300 --rounds 1 --folder {tmp_path}/captions")
    assert done.returncode == 0, done.stderr
    assert len(re.findall(r"^\| .* \| -?\d+ \| -?[\d.]+ \|", done.stdout, re.MULTILINE)) >= 10, done.stdout
    files = sorted((tmp_path / "captions").glob("[0-9].parquet"))
    assert sum(pq.read_metadata(file).num_rows for file in files) == rows


@pytest.mark.slow
@pytest.mark.parametrize("arguments", ["--rows 0", "--names 1", "--rounds 0", "--hostile 999"])
def test_captions_says_which_size_is_too_small(arguments, tmp_path):
    done = run("captions", f"{arguments} --folder {tmp_path}/captions")
    assert done.returncode == 2
    assert arguments.split()[0] in done.stderr and "Traceback" not in done.stderr
    assert not (tmp_path / "captions").exists()


# --- the default study's, whose runs take minutes: its table on a study that is made up -------------------------------


@pytest.fixture
def atelier():
    """The script as a module."""
    spec = importlib.util.spec_from_file_location("benchmark_atelier", ROOT / "benchmarks/atelier.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def make_study(results, threshold=50):
    """What a finished study of 40 painters leaves: half score 0.1 below `threshold`, half 0.6 above."""
    names = [f"painter-{number:02d}" for number in range(40)]
    counts = [*range(1, 21), *range(60, 80)]
    folders = ["thresholds/atelier", "scores/atelier", "counts/atelier", "atelier"]
    vectors = results / "embeddings/atelier-style/references/painters/candidates"
    for folder in [results / name for name in folders] + [vectors]:
        folder.mkdir(parents=True)
    found = {
        "threshold": threshold,
        "one_change": {"threshold": 55},
        "below": {"concepts": 20},
        "interval": [40, 70],
        "changes": [{"effective_count": 50}],
    }
    (results / "thresholds/atelier/painters.json").write_text(json.dumps(found))
    scores = [0.1] * 20 + [0.6] * 20
    pl.DataFrame({"concept": names, "score": scores}).write_parquet(results / "scores/atelier/painters.parquet")
    table = pl.DataFrame({"concept": names, "effective_count": counts})
    table.write_parquet(results / "counts/atelier/painters.parquet")
    painters = [name for name, count in zip(names, counts, strict=True) for _ in range(count)]
    pl.DataFrame({"painter": [*painters, None]}).write_parquet(results / "atelier/truth.parquet")
    for number, name in enumerate(names[:4]):
        each = np.eye(4, dtype=np.float32)[number]
        table = files.rows(["a", "b"], [[Embedding(each)], [Embedding(each)]], 4, concept=name)
        pq.write_table(table, vectors / f"{name}.parquet")


def test_the_atelier_table_has_a_column_per_seed_and_marks_a_missed_bar(atelier, tmp_path, monkeypatch, capsys):
    page = tmp_path / "page.md"
    page.write_text(PAGE.format("bars"), encoding="utf-8")

    def run_study(seed, folder):
        make_study(folder / "results", {1: 50, 2: 5000}[seed])
        return 1.0

    monkeypatch.setattr(atelier, "run_study", run_study)
    words = ["atelier.py", "--seeds", "1", "2", "--folder", str(tmp_path / "bars"), "--docs", str(page)]
    monkeypatch.setattr(sys, "argv", words)
    atelier.main()
    written = page.read_text(encoding="utf-8")
    assert "| | bar | seed 1 | seed 2 |" in written
    assert "| threshold, images (PELT) | 10 to 100 | 50 | 5000 **(missed)** |" in written
    assert "| concepts below, above | at least 15 | 20, 20 | 20, 20 |" in written
    assert "| ROC AUC of the encoder | at least 0.98 | 1.0000 | 1.0000 |" in written
    assert "| median relative error from 20 images | at most 15 % | 0.0% | 0.0% |" in written
    assert written.startswith("before\n") and written.endswith("after\n") and "STALE" not in written
    assert "seed 2: 1.0 minutes" in capsys.readouterr().out
