"""`fit completion`, and what a shell gets that asks how a command line goes on.

The script that a shell runs at its start holds no words: at each TAB it asks `fit` itself (argcomplete), so that
commands, options and choices are those of the installed version. Only the command in the line is imported.
"""

import os
import shlex
from argparse import Namespace
from collections.abc import Callable

from fit.cli.command import Command
from fit.cli.parser import Parser

SHELLS = ("bash", "zsh", "fish")


def completion_arguments(add: Callable[..., None]) -> None:
    """Add the arguments of `fit completion`."""
    add("shell", choices=SHELLS, help="the shell whose script to print")


def completion(args: Namespace) -> None:
    """Print the script with which a shell completes `fit`."""
    import sys

    import argcomplete

    sys.stdout.write(argcomplete.shellcode(["fit"], shell=args.shell))


def command_in(line: str, point: int) -> str | None:
    """Return the name of the command in a line, left of the cursor at `point`; None if there is none yet."""
    before = line[:point]
    try:
        words = shlex.split(before)
    except ValueError:  # a quote is still open
        words = before.split()
    return next((word for word in words[1:] if not word.startswith("-")), None)


def complete(make_parser: Callable[[str | None], Parser]) -> None:
    """Answer a shell that asks how a line goes on, and end the process.

    Args:
        make_parser: fit.cli.main.make_parser.
    """
    import argcomplete

    line = os.environ.get("COMP_LINE", "")
    point = int(os.environ.get("COMP_POINT", len(line)))
    argcomplete.autocomplete(make_parser(command_in(line, point)))


COMMAND = Command(
    "completion",
    "the script with which a shell completes commands, options and choices",
    completion_arguments,
    completion,
)
