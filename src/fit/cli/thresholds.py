"""`fit thresholds`."""

from argparse import Namespace
from collections.abc import Callable
from dataclasses import asdict

from fit.cli.command import Command
from fit.cli.common import add_threads, read_threshold
from fit.cli.flags import add_settings, read_settings
from fit.cli.output import show
from fit.cli.parser import Number
from fit.io.json_files import write_json
from fit.thresholds.settings import ThresholdSettings

Add = Callable[..., None]
SEED = Number(int, 0, 2**63 - 1)


def detect_arguments(add: Add) -> None:
    """Add the options of `fit thresholds detect`."""
    add("table", help="CSV or Parquet with the columns concept, effective_count, score (and more: docs/thresholds.md)")
    add_settings(add, ThresholdSettings)
    add("--seed", type=SEED, default=0, metavar="N", help="of the resamples and permutations")
    add_threads(add)
    add("--out", default=None, help="JSON to write")


def detect(args: Namespace) -> None:
    """Print the imitation threshold of a table, and write it as JSON."""
    from fit.thresholds.answer import sentence
    from fit.thresholds.by_score import describe_by_score, measure_by_score
    from fit.thresholds.report import describe, measure
    from fit.thresholds.scores import read_table
    from fit.thresholds.threads import use_threads

    use_threads(args.threads)
    settings = read_settings(ThresholdSettings, args)
    table = read_table(args.table)
    found = measure(table, **asdict(settings), seed=args.seed)
    if by_score := measure_by_score(args.table, table, found, **asdict(settings), seed=args.seed):
        found["by_score"] = by_score
    if args.out:
        write_json(found, args.out)
    show(
        args,
        lambda: [sentence(found), *describe(found), *describe_by_score(found)],
        lambda: {"sentence": sentence(found)} | found,
    )


def plot_arguments(add: Add) -> None:
    """Add the options of `fit thresholds plot`."""
    add("table", help="as `fit thresholds detect` reads it")
    add("--threshold", help="JSON of `fit thresholds detect`")
    add(
        "--score",
        default="imitation score",
        metavar="TEXT",
        help="name of the score in the figure, or of an alternative",
    )
    add("--title", default="", metavar="TEXT", help="of the figure")
    add("--out", help="picture to write")


def plot(args: Namespace) -> None:
    """Draw scores against counts."""
    from fit import alternatives
    from fit.io.files import atomic_write
    from fit.reports.figures import threshold_figure
    from fit.thresholds.scores import read_scores

    _, counts_of, scores = read_scores(args.table)
    is_alternative = args.score in alternatives.REGISTRY
    score = f"{alternatives.load(args.score).label}, rescaled" if is_alternative else args.score
    with atomic_write(args.out) as part:
        threshold_figure(counts_of, scores, read_threshold(args.threshold), args.title, part, score)


def plot_by_score_arguments(add: Add) -> None:
    """Add the options of `fit thresholds plot-by-score`."""
    add("table", help="as `fit thresholds detect` reads it")
    add("--threshold", help="JSON of `fit thresholds detect`")
    add("--title", default="", metavar="TEXT", help="of the figure")
    add("--out", help="picture to write")


def plot_by_score(args: Namespace) -> None:
    """Draw the published score beside the one at a fixed number of targets, each with its null."""
    from fit.io.files import atomic_write
    from fit.reports.by_score import by_score_figure
    from fit.thresholds.by_score import read_by_score
    from fit.thresholds.scores import read_table

    table, found = read_table(args.table), read_threshold(args.threshold)
    others, _, _ = read_by_score(args.table, table)
    with atomic_write(args.out) as part:
        by_score_figure(table, others, found, args.title, part)


def pictures_arguments(add: Add) -> None:
    """Add the options of `fit thresholds pictures`."""
    add("table", help="as `fit thresholds detect` reads it")
    add("--threshold", help="JSON of `fit thresholds detect`")
    add("--references", nargs="+", metavar="PLACE", help="tables of references, or folders of tables")
    add("--generated", nargs="+", metavar="PLACE", help="tables of generated pictures, or folders of tables")
    add("--rows", type=Number(int, 0, 10**9), default=20, metavar="N", help="concepts to show, at most")
    add("--title", default="", metavar="TEXT", help="of the page")
    add("--out", help="picture to write")


def pictures(args: Namespace) -> None:
    """Draw references beside generated pictures, of concepts below and above the threshold."""
    from fit.io.concept_tables import ConceptTables
    from fit.io.files import atomic_write
    from fit.reports.contact_sheets import contact_sheet, rows_around
    from fit.thresholds.scores import read_table

    references, generated = ConceptTables(args.references), ConceptTables(args.generated)
    chosen = rows_around(read_table(args.table), read_threshold(args.threshold), args.rows)
    rows = [(label, concept, references.path(concept), generated.path(concept)) for label, concept in chosen]
    with atomic_write(args.out) as part:
        contact_sheet(rows, part, args.title)


COMMANDS = (
    Command("detect", "the imitation threshold of a table of concepts", detect_arguments, detect, prints=True),
    Command("plot", "scores against counts", plot_arguments, plot),
    Command(
        "plot-by-score", "the score beside those that can't rise by themselves", plot_by_score_arguments, plot_by_score
    ),
    Command("pictures", "references beside generated pictures, below and above", pictures_arguments, pictures),
)
