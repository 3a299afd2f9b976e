"""How the command line answers: to a misspelt command, a reader that has gone, and files that are not what it reads."""

import argparse
import json
import os
import subprocess
import sys

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from fit.cli import main, make_parser
from fit.errors import FitError
from fit.manners import guarded


def leaves(parser=None, words=()):
    parser = parser or make_parser()
    groups = [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
    if not groups:
        yield words, parser
    for group in groups:
        for name, inner in group.choices.items():
            yield from leaves(inner, (*words, name))


NOT_FILES = {"--url", "--sha256", "--question", "--host", "--method", "--threshold"}
SKIPPED = {("concepts", "fetch"), ("ratings", "serve"), ("captions", "explain"), ("generate",), ("embed", "texts")}
"""Commands that ask the network, serve, take no file, or load a model first."""
COMMANDS = [words for words, _ in leaves() if words not in SKIPPED and words[0] != "atelier"]


def arguments(parser, path, out):
    """A call with `path` wherever a file may be given, and something that parses elsewhere."""
    call = []
    for action in parser._actions:
        if isinstance(action, argparse._HelpAction):
            continue
        flags = action.option_strings
        if flags and not action.required and action.dest not in ("config", "hits", "captions"):
            continue
        if action.choices:
            value = str(next(iter(action.choices)))
        elif action.type in (int, float):
            value = "1"
        elif action.type:
            value = "0.5"
        elif action.dest in ("out", "work", "figure", "plan", "sheet_out"):
            value = str(out)
        elif action.dest in ("backend",):
            value = "openclip"
        else:
            value = str(path)
        call += [*flags[:1], value]
    return call


@pytest.mark.parametrize(
    "kind", ["missing", "folder", "file for a folder", "empty", "no rows", "other columns", "bytes"]
)
@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_no_command_ends_in_a_traceback(words, kind, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "given.parquet"
    if kind == "folder":
        path.mkdir()
    elif kind == "file for a folder":
        path.write_text("a file\n")
    elif kind == "empty":
        path.touch()
    elif kind == "no rows":
        pq.write_table(pa.table({"concept": pa.array([], pa.string())}), path)
    elif kind == "other columns":
        pq.write_table(pa.table({"zebra": [1]}), path)
    elif kind == "bytes":
        path.write_bytes(b"\xff\xfe\x00broken" * 9)
    parser = dict(leaves())[words]
    try:
        status = main([*words, *arguments(parser, path, tmp_path / "out" / "x.parquet")])
    except SystemExit as stopped:
        status = stopped.code
    said = capsys.readouterr()
    assert "Traceback" not in said.err
    assert status in (0, 1, 2)
    if status:
        assert "fit" in said.err or "missing" in said.err


def test_version_and_module():
    for command in (["-m", "fit", "--version"],):
        done = subprocess.run([sys.executable, *command], capture_output=True, text=True)
        assert (done.returncode, done.stdout.split()[0]) == (0, "fit")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["thresold"], "command 'thresold' is not known; did you mean 'threshold'?"),
        (["captions", "cuont"], "did you mean 'count'?"),
        (["tables", "shw", "x"], "did you mean 'show'?"),
        (["threshold", "x", "--penalti", "3"], "did you mean --penalty?"),
    ],
)
def test_a_misspelt_word_gets_a_suggestion(words, said, capsys):
    with pytest.raises(SystemExit) as stopped:
        main(words)
    assert stopped.value.code == 2
    assert said in capsys.readouterr().err


def test_a_reader_that_has_gone_is_no_error(tmp_path):
    (tmp_path / "long.tsv").write_text("a\tb\n" + "1\t2\n" * 200_000)
    command = [sys.executable, "-m", "fit", "tables", "show", str(tmp_path / "long.tsv")]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    process.stdout.readline()
    process.stdout.close()
    assert process.stderr.read() == b""
    assert process.wait() == 141


@pytest.mark.parametrize(
    ("error", "status", "said"),
    [
        (KeyboardInterrupt(), 130, "stopped"),
        (MemoryError(), 1, "not enough memory"),
        (FitError("x: fix it"), 1, "fit: x: fix it"),
        (pa.ArrowInvalid("odd"), 1, "odd"),
    ],
)
def test_what_stops_a_command_is_said_in_a_line(error, status, said, capsys):
    def fail(args):
        raise error

    assert guarded(fail, argparse.Namespace()) == status
    assert said in capsys.readouterr().err


def test_a_fault_of_the_program_stays_a_traceback():
    def fail(args):
        raise KeyError("x")

    with pytest.raises(KeyError):
        guarded(fail, argparse.Namespace())


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["references", "show", "--files", "a", "b", "--out", "c"], "--files has 2 items and --out has 1"),
        (
            ["cut", "concepts", "--method", "midpoint", "--references", "a", "b", "--embeddings", "c", "--out", "o"],
            "--embeddings has 1",
        ),
        (["counts", "estimate", "--images", "a", "--matches", "b", "c", "--out", "o"], "--matches has 2"),
    ],
)
def test_lists_that_go_together_are_as_long(words, said, capsys):
    assert main(words) == 1
    assert said in capsys.readouterr().err


def test_tables_of_every_kind_are_shown_without_bytes(tmp_path, capsys):
    pq.write_table(pa.table({"concept": ["a"] * 150, "bytes": [b"\x89PNG"] * 150}), tmp_path / "t.parquet")
    assert main(["tables", "show", str(tmp_path / "t.parquet")]) == 0
    said = capsys.readouterr().out
    assert "100 of 150 rows" in said and "bytes are not shown: bytes" in said and "PNG" not in said
    (tmp_path / "t.json").write_text(json.dumps({"cut": 0.5}))
    assert main(["tables", "show", str(tmp_path / "t.json")]) == 0
    assert '"cut": 0.5' in capsys.readouterr().out
    (tmp_path / "t.tsv").write_text("a\tb\n1\n")
    assert main(["tables", "show", str(tmp_path / "t.tsv")]) == 0
    (tmp_path / "t.png").write_bytes(os.urandom(64) + b"\xff")
    assert main(["tables", "show", str(tmp_path / "t.png")]) == 1
