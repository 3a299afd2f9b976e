"""The command line: names of commands and a line about each. A command's file is imported when it is called."""

import os
import sys
from argparse import Namespace
from collections.abc import Sequence
from importlib import import_module
from typing import Any

from fit.cli.command import Command
from fit.cli.parser import Parser, Version, guarded

COMMANDS = {
    "new": "a folder for a study of your own: configuration, sheet, places for pictures",
    "run": "run the study of a folder, as far as wanted",
    "artist": "one name: its captions, pictures and count, and whether it is above a threshold",
    "concepts": "make and check concept sheets",
    "captions": "count how often captions mention each concept",
    "images": "collect and look at training images",
    "references": "verified images of each concept",
    "embeddings": "one vector per face or image",
    "matches": "which training images show their concept",
    "counts": "effective counts",
    "generated": "pictures of each concept by a model",
    "scores": "how closely generated pictures resemble their concept",
    "thresholds": "the imitation threshold of a table of concepts",
    "alternatives": "other scores than the imitation score, on the same pictures",
    "sensitivity": "how much each choice moves the threshold, and the concepts that defy it",
    "missed": "training images that captions do not name",
    "defences": "what a change of a model does, read in images; erasing concepts",
    "reports": "a study's tables, and a page that shows them",
    "explorer": "a page on which a study is looked at: curve, pictures, evidence",
    "report": "a datasheet of a study, or of one concept, to hand over: as PDF or HTML",
    "answer": "what a study found, in a sentence, and where its report is",
    "compare": "whether two thresholds differ: of two models, checkpoints, scores or domains",
    "audit": "which concepts lie above a threshold, and which rows would have to go",
    "ratings": "people's judgement of generated pictures",
    "plan": "what a study will cost: GPU and CPU hours, disk, links; how many concepts it needs",
    "check": "what a study lacks, and what is wrong with its inputs, before it runs",
    "atelier": "the built-in world",
    "truth": "whether the estimated threshold is the true one",
    "copies": "which prompts make a model paint a training image again",
    "attacks": "prompts and ways of sampling with which a model may imitate a concept that it is not asked for by name",
    "poisoning": "how many poisoned pairs a scorer needs before an attack on it works",
    "completion": "the script with which a shell completes commands, options and choices",
}
"""Name of a file in this folder -> what its commands are for, in the order that data flows."""


def _shown(default: Any) -> str:
    """Return the default of an option as a user writes it, for its help."""
    if isinstance(default, bool):
        return "yes" if default else "no"
    return " ".join(map(str, default if isinstance(default, (list, tuple)) else [default])).replace("%", "%%")


def add_to(parser: Parser, command: Command) -> None:
    """Give `parser` the arguments of `command`; an option without a default is required."""

    def add(*flags: str, **options: Any) -> None:
        if flags[0].startswith("--") and "default" not in options and options.get("action") is None:
            options.setdefault("required", True)
        default, said = options.get("default"), options.get("help", "")
        if default not in (None, "", [], ()) and said and "default:" not in said:
            options["help"] = f"{said} (default: {_shown(default)})"
        parser.add_argument(*flags, **options)

    parser.set_defaults(command=command)
    command.add_arguments(add)
    if command.prints:
        add("--json", action="store_true", help="print the result as JSON, for programs")


def make_parser(named: str | None = None) -> Parser:
    """The parser of the command line; of its commands, only the one that is `named` gets its arguments."""
    parser = Parser(
        prog="fit",
        description="Finding the imitation threshold: how many training images of a concept a text-to-image model "
        "needs before it can imitate it. The workflow calls these commands; each also works alone.",
    )
    parser.add_argument("--version", action=Version, help="print the version")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    for name, help_text in COMMANDS.items():
        of_name = commands.add_parser(name, help=help_text, description=help_text)
        if name != named:
            continue
        module = import_module(f"fit.cli.{name}")
        if hasattr(module, "COMMAND"):
            add_to(of_name, module.COMMAND)
            continue
        group = of_name.add_subparsers(metavar="COMMAND", required=True)
        for command in module.COMMANDS:
            add_to(group.add_parser(command.name, help=command.help, description=command.help), command)
    return parser


def parse(argv: Sequence[str]) -> Namespace:
    """The arguments of a command line; `command` is the Command. Ends the process where they are not valid."""
    named = next((word for word in argv if not word.startswith("-")), None)
    return make_parser(named).parse_args(argv)


def check_outputs(args: Namespace) -> None:
    """Check that no file is written twice by one command, nor written and read.

    Raises:
        PlaceError: one is; both arguments are named.
    """
    from fit.io.names import check_apart, expand

    command: Command = args.command

    def of(name: str) -> list[str]:
        value = getattr(args, name)
        return [text for text in (value if isinstance(value, (list, tuple)) else [value]) if isinstance(text, str)]

    written = {name: of(name) for name in command.writes if name in vars(args)}
    written |= command.written(args) if command.written else {}
    read = {name: expand(of(name)) for name in vars(args) if name not in written and name != "command"}
    check_apart(written, {} if command.adds_to else read)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status; what a user can fix is printed without a traceback, and is 1."""
    if "_ARGCOMPLETE" in os.environ:  # a shell asks how the line goes on; nothing is run
        from fit.cli.completion import complete

        complete(make_parser)
    args = parse(sys.argv[1:] if argv is None else argv)
    os.environ["MPLBACKEND"] = "Agg"  # a command draws into files, whatever draws into windows elsewhere

    def run(args: Namespace) -> int | None:
        check_outputs(args)
        return args.command.run(args)

    return guarded(run, args)


if __name__ == "__main__":
    sys.exit(main())
