"""`fit plan`."""

from argparse import Namespace
from collections.abc import Callable

from fit.cli.command import Command
from fit.cli.parser import Number


def plan_arguments(add: Callable[..., None]) -> None:
    """Add the arguments of `fit plan`."""
    add("study", nargs="?", default="", help="of config.yaml (default: its default study)")
    add("--config", nargs="+", default=["config.yaml"], metavar="FILE", help="a later file overrides earlier ones")
    add("--gpus", type=Number(int, 1, 1_000_000), default=1, help="that work at once, for the time it takes")


def plan(args: Namespace) -> None:
    """Print what a study will cost."""
    from fit.config.read import load
    from fit.plan.estimate import estimate
    from fit.plan.report import report

    config = load(*args.config)
    print(report(estimate(config, args.study), args.study or config.default_study, args.gpus))


COMMAND = Command("plan", "what a study will cost: GPU and CPU hours, disk, links", plan_arguments, plan)
