"""`fit truth`."""

import sys
from argparse import Namespace
from collections.abc import Callable

from fit.atelier.changes import WORLDS
from fit.cli.command import Command
from fit.cli.flags import add_settings, read_settings
from fit.cli.parser import SEED, Number
from fit.cli.scores import EVIDENCE
from fit.scores.settings import ScoreSettings
from fit.truth.design import PRUNED


def measure_arguments(add: Callable[..., None]) -> None:
    """Add the options of `fit truth measure`."""
    add("--truth", metavar="FILE", help="whose picture each row of the corpus is, as `fit atelier paint` wrote it")
    add("--scores", metavar="FILE", help="table of scores of the model's study")
    add("--threshold", metavar="FILE", help="JSON of `fit thresholds detect` of the model's study")
    for name, what in EVIDENCE.items():
        add(f"--{name}", nargs="+", metavar="PLACE", help=f"{what}: files or folders")
    add("--world", type=SEED, metavar="N", help="seed of the world")
    add("--changes", choices=[*WORLDS, PRUNED], help="what is unlike the usual world")
    add("--deal", type=SEED, metavar="N", help="of the counts to the painters")
    add("--training", type=SEED, metavar="N", help="seed of the model's training")
    add_settings(add, ScoreSettings)
    add("--painters-file", metavar="FILE", help="table to write, a row a painter")
    add("--thresholds-file", metavar="FILE", help="table to write, a row an estimator and score")


def measure(args: Namespace) -> None:
    """Write what is known of each painter in one model, and what each estimator answers."""
    from fit.io.concept_tables import ConceptTables
    from fit.io.parquet import write_frame
    from fit.truth.design import Run
    from fit.truth.measure import measure_run, measure_thresholds

    run = Run(args.world, args.changes, args.deal, args.training)
    painters = measure_run(
        run,
        args.truth,
        args.scores,
        generated=ConceptTables(args.generated),
        generated_embeddings=ConceptTables(args.generated_embeddings),
        references=ConceptTables(args.references),
        reference_embeddings=ConceptTables(args.reference_embeddings),
        top_k=read_settings(ScoreSettings, args).top_k,
    )
    thresholds = measure_thresholds(run, args.threshold)
    write_frame(painters, args.painters_file)
    write_frame(thresholds, args.thresholds_file)


def gather_arguments(add: Callable[..., None]) -> None:
    """Add the options of `fit truth gather`."""
    add("--painters", nargs="+", metavar="FILE", help="tables of painters of `fit truth measure`")
    add("--thresholds", nargs="+", metavar="FILE", help="tables of thresholds of `fit truth measure`")
    add("--painters-file", metavar="FILE", help="table to write: the painters of all models")
    add("--thresholds-file", metavar="FILE", help="table to write: the thresholds of all models")


def gather(args: Namespace) -> None:
    """Put the tables of all models together."""
    from fit.io.parquet import write_frame
    from fit.truth.measure import PAINTERS, THRESHOLDS, gather

    painters, thresholds = gather(args.painters, PAINTERS), gather(args.thresholds, THRESHOLDS)
    write_frame(painters, args.painters_file)
    write_frame(thresholds, args.thresholds_file)


def estimate_arguments(add: Callable[..., None]) -> None:
    """Add the options of `fit truth estimate`."""
    add("--painters", metavar="FILE", help="table of painters of `fit truth gather`")
    add("--thresholds", metavar="FILE", help="table of thresholds of `fit truth gather`")
    add("--resamples", type=Number(int, 1, 10_000_000), default=1000, metavar="N", help="of the bootstrap over models")
    add("--seed", type=SEED, default=0, metavar="N", help="of the bootstrap")
    add("--out", metavar="FILE", help="JSON to write")


def estimate(args: Namespace) -> None:
    """Find the true thresholds, and how far the estimates of single models are from them."""
    from fit.io.json_files import write_json
    from fit.truth.compare import estimate_truth
    from fit.truth.measure import PAINTERS, THRESHOLDS, gather

    painters, thresholds = gather([args.painters], PAINTERS), gather([args.thresholds], THRESHOLDS)
    answer = estimate_truth(painters, thresholds, resamples=args.resamples, seed=args.seed)
    for world, found in answer["worlds"].items():
        if why := found["reason"] or found["not_compared"]:
            print(f"world {world}: {why}", file=sys.stderr)
    write_json(answer, args.out)


def plot_arguments(add: Callable[..., None]) -> None:
    """Add the options of `fit truth plot`."""
    add("--painters", metavar="FILE", help="table of painters of `fit truth gather`")
    add("--thresholds", metavar="FILE", help="table of thresholds of `fit truth gather`")
    add("--answer", metavar="FILE", help="JSON of `fit truth estimate`")
    add("--curves", metavar="FILE", help="figure to write: painters' own curves, and their thresholds")
    add("--estimates", metavar="FILE", help="figure to write: what single models say, beside the truth")
    add("--changes", metavar="FILE", help="figure to write: worlds that break an assumption")


def plot(args: Namespace) -> None:
    """Draw the figures of the truth experiment."""
    from fit.io.json_files import read_json
    from fit.truth.figures import draw_changes, draw_curves, draw_estimates
    from fit.truth.measure import PAINTERS, THRESHOLDS, gather

    painters, thresholds = gather([args.painters], PAINTERS), gather([args.thresholds], THRESHOLDS)
    answer = read_json(args.answer, ["worlds", "worths"], "fit truth estimate")
    draw_curves(painters, answer, args.curves)
    draw_estimates(thresholds, answer, args.estimates)
    draw_changes(thresholds, answer, args.changes)


def prune_arguments(add: Callable[..., None]) -> None:
    """Add the options of `fit truth prune`."""
    add("--plan", metavar="FILE", help="rows to remove, as `fit audit --plan` wrote them: Parquet")
    add(
        "--painters",
        type=Number(int, 1, 10_000),
        metavar="N",
        help="of so many painters, spread over those in the plan",
    )
    for name, what in (("corpus", "corpus"), ("training-set", "training set"), ("truth", "truth about the corpus")):
        add(f"--{name}", metavar="FILE", help=f"the {what}, as `fit atelier paint` wrote it")
        add(f"--{name}-file", metavar="FILE", help=f"the {what} to write, without the rows")
    add("--pruned", metavar="FILE", help="table to write: the painters, and how many rows of each were removed")


def prune(args: Namespace) -> None:
    """Take planned rows of a few painters out of a corpus and its training set."""
    from fit.truth.prune import prune

    files = {
        args.corpus: args.corpus_file,
        args.training_set: args.training_set_file,
        args.truth: args.truth_file,
    }
    prune(args.plan, args.painters, files, args.pruned)


COMMANDS = (
    Command(
        "measure",
        "what is known of each painter in one model, and what each estimator answers",
        measure_arguments,
        measure,
        writes=("painters_file", "thresholds_file"),
    ),
    Command(
        "prune",
        "take the rows that an audit planned out of a training set",
        prune_arguments,
        prune,
        writes=("corpus_file", "training_set_file", "truth_file", "pruned"),
    ),
    Command(
        "gather",
        "put the tables of all models together",
        gather_arguments,
        gather,
        writes=("painters_file", "thresholds_file"),
    ),
    Command("estimate", "the true thresholds, and how far estimates are from them", estimate_arguments, estimate),
    Command(
        "plot", "draw the figures of the experiment", plot_arguments, plot, writes=("curves", "estimates", "changes")
    ),
)
