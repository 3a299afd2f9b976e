"""`fit check`."""

from fit.cli.command import Command


def check_arguments(add):
    add("study", nargs="?", default="", help="of config.yaml (default: its default study)")
    add("--config", nargs="+", default=["config.yaml"], metavar="FILE", help="a later one lies over those before it")


def check(args):
    from fit.check import run

    return run(args)


COMMAND = Command(
    "check", "what a study lacks, and what is wrong with its inputs, before it runs", check_arguments, check
)
