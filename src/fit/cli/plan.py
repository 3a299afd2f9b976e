"""`fit plan`."""

from fit.cli.command import Command
from fit.cli.parser import Number


def plan_arguments(add):
    add("study", nargs="?", default="", help="of config.yaml (default: its default study)")
    add("--config", nargs="+", default=["config.yaml"], metavar="FILE", help="a later one lies over those before it")
    add("--gpus", type=Number(int, 1, 1_000_000), default=1, help="that work at once, for the time it takes")


def plan(args):
    from fit.config.read import load
    from fit.plan import estimate, report

    config = load(*args.config)
    print(report(estimate(config, args.study), args.study or config.default_study, args.gpus))


COMMAND = Command("plan", "what a study will cost: GPU and CPU hours, disk, links", plan_arguments, plan)
