"""`fit plan`."""

from argparse import Namespace
from collections.abc import Callable

from fit.cli.command import Command
from fit.cli.common import enter_study
from fit.cli.output import show
from fit.cli.parser import Number
from fit.errors import FitError
from fit.thresholds.settings import ThresholdSettings


def plan_arguments(add: Callable[..., None]) -> None:
    """Add the arguments of `fit plan`."""
    add("study", nargs="?", default="", help="of config.yaml, or the folder of one (default: the default study)")
    add("--config", nargs="+", default=["config.yaml"], metavar="FILE", help="a later file overrides earlier ones")
    add("--gpus", type=Number(int, 1, 1_000_000), default=1, help="that work at once, for the time it takes")
    add(
        "--concepts",
        default=None,
        metavar="TABLE",
        help="instead: how many concepts a study needs, from the spread of this table of counts and scores",
    )
    add("--within", type=Number(float, 1, 1e6), default=None, metavar="RATIO", help="of the ends of the interval")
    add("--seed", type=Number(int, 0, 2**63 - 1), default=0, metavar="N", help="of the simulated studies")


def _plan_concepts(args: Namespace) -> None:
    from fit.comparisons.survival import why_lost
    from fit.plan.concepts import describe, precision, rise_of, summary
    from fit.thresholds.scores import read_table

    table = read_table(args.concepts)
    if why := why_lost(args.concepts, table, ThresholdSettings.penalty, args.seed):
        raise FitError(
            f"{args.concepts}: no imitation threshold, so that the number of concepts for one does not follow: the "
            f"published score jumps, but {why}; give a table that has a threshold"
        )
    rise = rise_of(table, args.seed)
    found = list(precision(rise, args.seed))
    show(args, lambda: describe(rise, found, args.within), lambda: {"rise": summary(rise), "sizes": found})


def plan(args: Namespace) -> None:
    """Print what a study will cost, or how many concepts it needs."""
    if args.concepts:
        _plan_concepts(args)
        return
    from fit.config.read import load
    from fit.plan.estimate import estimate
    from fit.plan.report import report, rows_of_works

    enter_study(args)
    config = load(*args.config)
    works, study = estimate(config, args.study), args.study or config.default_study
    show(args, lambda: report(works, study, args.gpus), lambda: rows_of_works(works, study, args.gpus))


COMMAND = Command(
    "plan",
    "what a study will cost: GPU and CPU hours, disk, links; how many concepts it needs",
    plan_arguments,
    plan,
    prints=True,
)
