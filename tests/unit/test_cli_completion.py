"""What a shell offers at TAB: asked of bash itself, with the script that `fit completion` prints."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from fit.cli.completion import SHELLS, command_in
from fit.cli.main import COMMANDS, main

ASK = """
eval "$2"
COMP_LINE="$1" COMP_POINT=${#1} COMP_WORDS=($1) COMPREPLY=()
[ "${1: -1}" = " " ] && COMP_WORDS+=("")
COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
complete -p fit | grep -q _python_argcomplete || exit 9
_python_argcomplete fit "${COMP_WORDS[$COMP_CWORD]}" ""
printf '%s\\n' "${COMPREPLY[@]}"
"""
"""Fills in what bash gives a function that completes, as it does at TAB."""


PLACES = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
"""An environment in which `fit` is that of these tests."""


@pytest.fixture(scope="module")
def script():
    """The script for bash."""
    return subprocess.run(["fit", "completion", "bash"], capture_output=True, text=True, check=True, env=PLACES).stdout


@pytest.fixture
def offered(script, tmp_path):
    """A function of a line: what bash offers at its end, in a folder with one file."""
    (tmp_path / "table.csv").touch()

    def ask(line):
        command = ["bash", "-c", ASK, "bash", line, script]
        done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=True, env=PLACES)
        return {word.strip() for word in done.stdout.splitlines() if word.strip()}

    return ask


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("bash"), reason="no bash on this machine")
@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("fit cap", {"captions"}),
        ("fit captions co", {"count"}),
        ("fit captions count --fold", {"--fold-accents"}),
        ("fit captions count --tokens ", {"standard", "words"}),
        ("fit thresholds detect tab", {"table.csv"}),
        ("fit nothing --", {"--help", "--version"}),
    ],
)
def test_bash_completes_a_command_an_option_a_choice_and_a_file(line, words, offered):
    assert offered(line) == words


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("bash"), reason="no bash on this machine")
def test_bash_offers_every_command(offered):
    assert offered("fit ") >= set(COMMANDS)


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("fish"), reason="no fish on this machine")
def test_fish_completes_too(tmp_path):
    ask = 'fit completion fish | source; complete -C "fit cap"; complete -C "fit captions count --tokens "'
    done = subprocess.run(["fish", "--no-config", "-c", ask], capture_output=True, text=True, cwd=tmp_path, env=PLACES)
    assert [line.split("\t")[0] for line in done.stdout.splitlines()] == ["captions", "standard", "words"]


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("zsh"), reason="no zsh on this machine")
def test_zsh_asks_fit(tmp_path):
    ask = 'autoload -Uz compinit; compinit -D -u; eval "$(fit completion zsh)"; print $_comps[fit]; '
    ask += 'BUFFER="fit cap" CURSOR=7 words=(fit cap); _describe() { print ${(P)2} }; _python_argcomplete'
    done = subprocess.run(["zsh", "-f", "-c", ask], capture_output=True, text=True, cwd=tmp_path, env=PLACES)
    registered, offered = done.stdout.splitlines()
    assert registered == "_python_argcomplete" and offered.startswith("captions:")


@pytest.mark.parametrize("shell", SHELLS)
def test_each_shell_has_a_script_for_fit_that_its_shell_can_read(shell, capsys, tmp_path):
    assert main(["completion", shell]) == 0
    said = capsys.readouterr().out
    registers = "complete --command fit" if shell == "fish" else "compdef" if shell == "zsh" else "complete -o"
    assert registers in said and "_ARGCOMPLETE" in said
    if shutil.which(shell):
        (tmp_path / "script").write_text(said)
        subprocess.run([shell, "-n", str(tmp_path / "script")], check=True)


@pytest.mark.parametrize(
    ("line", "command"),
    [
        ("fit", None),
        ("fit ", None),
        ("fit --version", None),
        ("fit captions count --tok", "captions"),
        ("fit captions explain 'Van Go", "captions"),
    ],
)
def test_only_the_command_in_the_line_left_of_the_cursor_is_asked_for(line, command):
    assert command_in(line + " thresholds", len(line)) == command
