"""`fit answer`."""

from argparse import Namespace
from collections.abc import Callable

from fit.cli.command import Command
from fit.cli.common import enter_study
from fit.cli.output import show
from fit.errors import FitError


def answer_arguments(add: Callable[..., None]) -> None:
    """Add the options of `fit answer`."""
    add("study", nargs="?", default=None, help="of config.yaml, or the folder of one (default: the default study)")
    add("--config", nargs="+", default=["config.yaml"], help="as `snakemake --configfile` takes them, one over another")


def answer(args: Namespace) -> None:
    """Print what a study found, and where its report is."""
    from fit.config.read import load
    from fit.thresholds.answer import data_of_study, of_study

    enter_study(args)
    config = load(*args.config)
    study = args.study or config.default_study
    if study not in config.studies:
        raise FitError(f"answer: there is no study {study!r}; there are {', '.join(sorted(config.studies))}")
    show(args, lambda: of_study(config, study), lambda: data_of_study(config, study))


COMMAND = Command(
    "answer", "what a study found, in a sentence, and where its report is", answer_arguments, answer, prints=True
)
