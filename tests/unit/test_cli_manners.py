"""How the command line answers: to a misspelt command, a reader that has gone, and files that are not what it reads."""

import argparse
import json
import os
import subprocess
import sys

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from fit.cli.main import COMMANDS as GROUPS
from fit.cli.main import main, make_parser
from fit.cli.parser import Number, Slugs, guarded
from fit.errors import FitError


def leaves(parser, words=()):
    groups = [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
    if not groups:
        yield words, parser
    for group in groups:
        for name, inner in group.choices.items():
            yield from leaves(inner, (*words, name))


PARSERS = {words: leaf for name in GROUPS for words, leaf in leaves(make_parser(name)) if words[0] == name}
"""Command -> its parser; of a parser of the command line, only one group has its arguments."""
SKIPPED = {("concepts", "fetch"), ("ratings", "serve"), ("captions", "explain")}
SKIPPED |= {("generated", "make"), ("embeddings", "texts"), ("embeddings", "prompts")}
"""Commands that ask the network, serve, take no file, or load a model first."""
COMMANDS = [words for words in PARSERS if words not in SKIPPED and words[0] != "atelier"]


def test_every_argument_says_what_it_is():
    bare = [(words, action.dest) for words, leaf in PARSERS.items() for action in leaf._actions if not action.help]
    assert bare == []


def test_an_option_says_its_default():
    said = {action.dest: action.help for action in PARSERS["images", "collect"]._actions}
    assert said["max_pixels"].endswith("(default: 100000000)") and said["honour_opt_out"].endswith("(default: yes)")
    assert said["work"].count("default") == 1


def arguments(parser, path, out):
    """A call with `path` wherever a file may be given, and something that parses elsewhere."""
    call = []
    for action in parser._actions:
        if isinstance(action, argparse._HelpAction):
            continue
        flags = action.option_strings
        if flags and not action.required and action.dest not in ("config", "matched_captions", "captions"):
            continue
        if action.choices:
            value = str(next(iter(action.choices)))
        elif isinstance(action.type, Number):
            value = str(max(1, action.type.low))
        elif action.type not in (None, str):
            value = "0.5"
        elif action.dest in ("out", "work", "figure", "plan", "sheet_out"):
            value = str(out)
        elif isinstance(action, Slugs):
            value = "ada"
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
    parser = PARSERS[words]
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
        (["thresolds"], "command 'thresolds' is not known; did you mean 'thresholds'?"),
        (["captions", "cuont"], "did you mean 'count'?"),
        (["reports", "shw", "x"], "did you mean 'show'?"),
        (["thresholds", "detect", "x", "--penalti", "3"], "did you mean --penalty?"),
    ],
)
def test_a_misspelt_word_gets_a_suggestion(words, said, capsys):
    with pytest.raises(SystemExit) as stopped:
        main(words)
    assert stopped.value.code == 2
    assert said in capsys.readouterr().err


@pytest.mark.slow
def test_a_reader_that_has_gone_is_no_error(tmp_path):
    (tmp_path / "long.tsv").write_text("a\tb\n" + "1\t2\n" * 200_000)
    command = [sys.executable, "-m", "fit", "reports", "show", str(tmp_path / "long.tsv")]
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


def test_tables_of_every_kind_are_shown_without_bytes(tmp_path, capsys):
    pq.write_table(pa.table({"concept": ["a"] * 150, "bytes": [b"\x89PNG"] * 150}), tmp_path / "t.parquet")
    assert main(["reports", "show", str(tmp_path / "t.parquet")]) == 0
    said = capsys.readouterr().out
    assert "100 of 150 rows" in said and "bytes are not shown: bytes" in said and "PNG" not in said
    (tmp_path / "t.json").write_text(json.dumps({"threshold": 0.5}))
    assert main(["reports", "show", str(tmp_path / "t.json")]) == 0
    assert '"threshold": 0.5' in capsys.readouterr().out
    (tmp_path / "t.tsv").write_text("a\tb\n1\n")
    assert main(["reports", "show", str(tmp_path / "t.tsv")]) == 0
    (tmp_path / "t.png").write_bytes(os.urandom(64) + b"\xff")
    assert main(["reports", "show", str(tmp_path / "t.png")]) == 1


# --- numbers ----------------------------------------------------------------------------------------------------------

OF_NUMBERS = [
    (words, action)
    for words, parser in PARSERS.items()
    for action in parser._actions
    if isinstance(action.type, Number)
]


def test_no_number_of_the_command_line_is_without_bounds():
    actions = [(words, action) for words, parser in PARSERS.items() for action in parser._actions]
    assert [(words, action.dest) for words, action in actions if action.type in (int, float)] == []


def bad_texts(number):
    yield from ("nan", "inf", "-inf", "1e400", "", "x", "true", "True", "None")
    if number.kind is int:
        yield from (
            "1.5",
            "1e3",
            str(10**18 * 10),
            str(-(10**18) * 10),
            str(int(number.high) + 1),
            str(int(number.low) - 1),
        )
    elif number.beyond:
        yield from (str(number.low), str(number.low - 1))
    if number.high < 10**9:
        yield str(number.high * 10 + 10)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "action"), OF_NUMBERS, ids=[f"{'-'.join(w)}{a.option_strings[0]}" for w, a in OF_NUMBERS]
)
def test_every_number_of_the_command_line_has_bounds_which_an_error_names(words, action, capsys):
    number = action.type
    flag = action.option_strings[0]
    for text in set(bad_texts(number)) - set(number.also):
        with pytest.raises(SystemExit) as ended:
            main([*words, f"{flag}={text}"])
        assert ended.value.code == 2
        said = capsys.readouterr().err
        assert flag in said and repr(text) in said
        assert str(number) in said
    for text in number.also:
        assert number(text) is None or number(text) == float(text)


def test_guidance_penalty_connections_and_seeds_that_are_none(capsys):
    for command in (
        "generated make --guidance nan",
        "thresholds detect x.csv --penalty inf",
        "images collect --connections 1000000000",
    ):
        with pytest.raises(SystemExit):
            main(command.split())
    said = capsys.readouterr().err
    assert "argument --guidance: 'nan' is not a number that is finite" in said
    assert "argument --penalty: 'inf' is not a number above 0" in said
    assert "argument --connections: '1000000000' is not a whole number of at least 1 and at most 10,000" in said
