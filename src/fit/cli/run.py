"""`fit run`."""

import re
from argparse import ArgumentTypeError, Namespace
from collections.abc import Callable

from fit.cli.command import Command


def _cores(text: str) -> str:
    if text != "all" and not re.fullmatch(r"[1-9]\d{0,5}", text):
        raise ArgumentTypeError(f"{text!r} is neither a number of cores nor all")
    return text


def run_arguments(add: Callable[..., None]) -> None:
    """Add the arguments of `fit run`."""
    add(
        "words",
        nargs="*",
        metavar="FOLDER TARGET",
        help="folder of a study (default: this one), then what to make: counts, scores, thresholds, explorer ..., or "
        "files (default: the default study); after --, options of snakemake too",
    )
    add("-n", "--dry-run", action="store_true", help="say what would be done")
    add("--cores", type=_cores, default=None, metavar="N", help="processor cores, or all (default: all)")
    add(
        "--profile",
        default=None,
        metavar="NAME",
        help="where jobs run: slurm, or a folder with a profile of snakemake, looked for in the study's folder first",
    )


def run(args: Namespace) -> None:
    """Run the study of a folder: snakemake with the workflow of this installation."""
    from fit.studies.workflow import Run, replace_process, study_folder

    folder, targets = study_folder(args.words)
    replace_process(Run(folder, targets, args.dry_run, args.cores, args.profile))


COMMAND = Command("run", "run the study of a folder, as far as wanted", run_arguments, run, writes=())
