"""`fit run`."""

import argparse
import re
import sys
from argparse import ArgumentTypeError, Namespace
from collections.abc import Callable
from pathlib import Path
from typing import Any

from fit.cli.command import Command


def _cores(text: str) -> str:
    if text != "all" and not re.fullmatch(r"[1-9]\d{0,5}", text):
        raise ArgumentTypeError(f"{text!r} is neither a number of cores nor all")
    return text


def _add_options(add: Callable[..., Any]) -> None:
    add("-n", "--dry-run", action="store_true", help="say what would be done")
    add("--cores", type=_cores, default=None, metavar="N", help="processor cores, or all (default: all)")
    add(
        "--profile",
        default=None,
        metavar="NAME",
        help="where jobs run: slurm, or a folder with a profile of snakemake, looked for in the study's folder first",
    )


def run_arguments(add: Callable[..., None]) -> None:
    """Add the arguments of `fit run`."""
    add(
        "words",
        nargs=argparse.REMAINDER,
        metavar="[FOLDER] [TARGET ...]",
        help="folder of a study (default: this one), then what to make: counts, scores, thresholds, explorer ..., or "
        "files (default: the default study); after --, options of snakemake",
    )
    _add_options(add)


def sorted_out(args: Namespace) -> tuple[Namespace, list[str]]:
    """Return (args, words): options that stand behind the first word are options too, up to --.

    Ends the process where they are not valid.
    """
    end = args.words.index("--") if "--" in args.words else len(args.words)
    parser = argparse.ArgumentParser(prog="fit run", add_help=False)
    parser.add_argument("words", nargs="*")
    _add_options(parser.add_argument)
    found = parser.parse_intermixed_args(args.words[:end], argparse.Namespace())
    said = {name: value for name, value in vars(found).items() if value not in (None, False) and name != "words"}
    return Namespace(**{**vars(args), **said}), [*found.words, *args.words[end + 1 :]]


def run(args: Namespace) -> None:
    """Run the study of a folder: snakemake with the workflow of this installation."""
    from fit.studies.workflow import Run, replace_process, study_folder

    args, words = sorted_out(args)
    folder, targets = study_folder(words)
    if folder != Path():
        print(f"in {folder}:", file=sys.stderr, flush=True)
    replace_process(Run(folder, targets, args.dry_run, args.cores, args.profile))


COMMAND = Command("run", "run the study of a folder, as far as wanted", run_arguments, run, writes=())
