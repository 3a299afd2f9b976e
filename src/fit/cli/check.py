"""`fit check`."""

from argparse import Namespace
from collections.abc import Callable

from fit.cli.command import Command
from fit.cli.common import enter_study


def check_arguments(add: Callable[..., None]) -> None:
    """Add the arguments of `fit check`."""
    add("study", nargs="?", default="", help="of config.yaml, or the folder of one (default: the default study)")
    add("--config", nargs="+", default=["config.yaml"], metavar="FILE", help="a later file overrides earlier ones")


def check(args: Namespace) -> int:
    """Print what a study lacks, and what is wrong with its inputs."""
    from fit.check import run

    enter_study(args)
    return run(args)


COMMAND = Command(
    "check", "what a study lacks, and what is wrong with its inputs, before it runs", check_arguments, check
)
