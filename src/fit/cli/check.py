"""`fit check`."""

import sys
from argparse import Namespace
from collections.abc import Callable

from fit.cli.command import Command
from fit.cli.common import enter_study
from fit.cli.output import show
from fit.io.shown import number_of


def check_arguments(add: Callable[..., None]) -> None:
    """Add the arguments of `fit check`."""
    add("study", nargs="?", default="", help="of config.yaml, or the folder of one (default: the default study)")
    add("--config", nargs="+", default=["config.yaml"], metavar="FILE", help="a later file overrides earlier ones")


def check(args: Namespace) -> int:
    """Print what a study lacks, and what is wrong with its inputs; return 1 if the study would stop."""
    from fit.check import examine, in_order, looked_at
    from fit.config.read import load

    folder = enter_study(args)
    config = load(*args.config, folder=folder)
    study = config.study_named(args.study)
    findings = examine(config, study)
    for finding in findings:
        print(finding, file=sys.stderr)
    stopping = [finding for finding in findings if finding.stops]
    if stopping:
        several = number_of(len(stopping), "thing", "is")
        print(f"study {study}: {several} missing or wrong", file=sys.stderr)
    if args.json or not stopping:
        show(
            args,
            lambda: in_order(config, study),
            lambda: {
                "study": study,
                "stops": bool(stopping),
                "findings": findings,
                "looked_at": None if stopping else looked_at(config, study),
            },
        )
    return int(bool(stopping))


COMMAND = Command(
    "check",
    "what a study lacks, and what is wrong with its inputs, before it runs",
    check_arguments,
    check,
    prints=True,
)
