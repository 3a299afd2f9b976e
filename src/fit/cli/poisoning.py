"""`fit poisoning`."""

from argparse import Namespace
from collections.abc import Callable

from fit.cli.command import Command
from fit.cli.flags import add_settings, read_settings
from fit.cli.output import show
from fit.cli.parser import SEED, THREADS
from fit.poisoning.settings import OBJECTIVES, PoisoningSettings
from fit.thresholds.settings import ThresholdSettings


def train_arguments(add: Callable[..., None]) -> None:
    """Add the options of `fit poisoning train`."""
    add("--sheet", metavar="FILE", help="concept sheet, whose first painters are the classes")
    add("--objective", choices=OBJECTIVES, help="contrastive alone, or with self-supervision")
    add_settings(add, PoisoningSettings)
    add("--seed", type=SEED, metavar="N", help="of the painters, the weights and the order of pairs")
    add("--threads", type=THREADS, default=1, help="processor threads; results are the same again with 1")
    add("--out", metavar="FILE", help="table to write, two rows a model: before and after cleaning")


def train(args: Namespace) -> None:
    """Train small CLIPs on more and more poisoned pairs, clean them, and measure both."""
    from fit.cli.common import set_threads
    from fit.concepts.sheet import read_sheet
    from fit.poisoning.measure import write_models
    from fit.poisoning.train import train_and_clean

    set_threads(args.threads)
    names = [concept.name for concept in read_sheet(args.sheet)]
    settings = read_settings(PoisoningSettings, args)
    write_models(train_and_clean(names, settings, args.objective, args.seed), args.out)


def estimate_arguments(add: Callable[..., None]) -> None:
    """Add the options of `fit poisoning estimate`."""
    add("--models", nargs="+", metavar="FILE", help="tables of `fit poisoning train`")
    add_settings(add, ThresholdSettings)
    add("--seed", type=SEED, default=0, metavar="N", help="of the bootstraps")
    add("--table", metavar="FILE", help="table to write: the models of all tables")
    add("--out", metavar="FILE", help="JSON to write")


def estimate(args: Namespace) -> None:
    """Find at how many poisoned pairs the attack works, before and after cleaning."""
    from dataclasses import asdict

    from fit.io.json_files import as_builtins, write_json
    from fit.io.shown import number_of
    from fit.poisoning.measure import estimate, read_models, write_models
    from fit.thresholds.answer import why_none
    from fit.thresholds.headline import follow

    models = read_models(args.models)
    found = estimate(models, **asdict(read_settings(ThresholdSettings, args)), seed=args.seed)
    write_models(models.iter_rows(named=True), args.table)
    write_json(as_builtins(found), args.out)

    def lines() -> list[str]:
        said = []
        for objective, of in found["lines"].items():
            for stage, line in of.items():
                told = follow(line["threshold"])
                why = why_none(line["threshold"])
                at = f"none: {why}" if why else number_of(told["threshold"], "poisoned pair")
                said.append(f"{objective}, {stage} cleaning: {at}; accuracy {line['accuracy']:.3f}")
        return [*said, found["answer"]]

    show(args, lines, lambda: {"sentence": found["answer"]} | found)


def plot_arguments(add: Callable[..., None]) -> None:
    """Add the options of `fit poisoning plot`."""
    add("--models", metavar="FILE", help="table of `fit poisoning estimate`")
    add("--answer", metavar="FILE", help="JSON of `fit poisoning estimate`")
    add("--out", metavar="FILE", help="figure to write")


def plot(args: Namespace) -> None:
    """Draw attack success against poisoned pairs."""
    from fit.io.json_files import read_json
    from fit.poisoning.figures import draw
    from fit.poisoning.measure import read_models

    draw(read_models([args.models]), read_json(args.answer, ["lines"], "fit poisoning estimate"), args.out)


COMMANDS = (
    Command("train", "small CLIPs on more and more poisoned pairs, and cleaned", train_arguments, train),
    Command(
        "estimate",
        "at how many poisoned pairs the attack works",
        estimate_arguments,
        estimate,
        writes=("table", "out"),
        prints=True,
    ),
    Command("plot", "draw attack success against poisoned pairs", plot_arguments, plot),
)
