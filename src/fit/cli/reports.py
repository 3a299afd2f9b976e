"""`fit reports`."""

from argparse import Namespace
from collections.abc import Callable

from fit.cli.command import Command
from fit.cli.data import add_data, read_data
from fit.cli.output import show
from fit.cli.parser import SEED, Number
from fit.io.shown import number_of

Add = Callable[..., None]


def write_arguments(add: Add) -> None:
    """Add the options of `fit reports write`."""
    add("study", help="its name, the title of the page")
    add("--thresholds", nargs="*", default=[], metavar="FILE", help="JSON files MODEL/DOMAIN.json")
    add("--counts", nargs="*", default=[], metavar="FILE", help="effective counts, CORPUS/DOMAIN.parquet")
    add(
        "--match-thresholds",
        nargs="*",
        default=[],
        metavar="FILE",
        help="JSON files DOMAIN.threshold.json and DOMAIN.art.json",
    )
    add("--figures", nargs="*", default=[], metavar="FILE", help="pictures to show")
    add("--missing", nargs="*", default=[], metavar="TEXT", help="MODEL/DOMAIN: what it lacks")
    add_data(add)
    add("--statuses", nargs="*", default=[], metavar="FILE", help="how fetching images ended, statuses.tsv")
    add("--out", help="folder to write into")


def write(args: Namespace) -> None:
    """Write a study's tables and report."""
    from fit.reports.report import StudyFiles, write_study

    files = StudyFiles.named(
        args.thresholds, args.counts, args.match_thresholds, args.figures, args.missing, args.statuses
    )
    write_study(args.study, files, args.out, read_data(args), args.honour_opt_out)
    page, made, missing = f"{args.out}/report.md", len(files.thresholds), len(files.missing)
    show(
        args,
        lambda: f"{page}: {number_of(made, 'threshold')}, {missing} missing",
        lambda: {"out": page, "thresholds": made, "missing": missing},
    )


def paper_arguments(add: Add) -> None:
    """Add the options of `fit reports paper`."""
    add("study", help="its name, the title of the page")
    add("--thresholds", nargs="*", default=[], metavar="FILE", help="JSON files MODEL/DOMAIN.json")
    add("--scores", nargs="*", default=[], metavar="FILE", help="tables of scores, MODEL/DOMAIN.parquet")
    add("--captions", nargs="*", default=[], metavar="FILE", help="caption counts, CORPUS/DOMAIN/counts.parquet")
    add("--made", nargs="*", default=[], metavar="FILE", help="other tables and figures of the study that exist")
    add("--missing", nargs="*", default=[], metavar="TEXT", help="MODEL/DOMAIN: what it lacks")
    add("--missed", nargs="*", default=[], metavar="FILE", help="tables of what captions miss, CORPUS/DOMAIN.parquet")
    add("--resamples", type=Number(int, 1, 10_000_000), default=1000, metavar="N", help="of the bootstrap")
    add("--seed", type=SEED, default=0, metavar="N", help="of the resamples")
    add("--config", nargs="+", default=["config.yaml"], metavar="FILE", help="of the study, for commands in the list")
    add("--out", help="folder to write into")


def paper(args: Namespace) -> None:
    """Write the list of the paper's tables and figures, and those tables that follow from a study's results."""
    from fit.reports.paper import PaperFiles, count_made, said, write_paper
    from fit.reports.report import StudyFiles

    missing = StudyFiles.named([], [], [], [], args.missing).missing
    files = PaperFiles.named(args.thresholds, args.scores, args.captions, args.made, list(missing), args.missed)
    listed = write_paper(args.study, files, args.out, resamples=args.resamples, seed=args.seed, config=args.config)
    show(
        args,
        lambda: said(listed),
        lambda: count_made(listed) | {"rows": [dict(zip(listed.columns, row, strict=True)) for row in listed.rows]},
    )


def show_arguments(add: Add) -> None:
    """Add the options of `fit reports show`."""
    add("file", help="TSV, CSV, Parquet or JSON; pictures and other bytes are left out")
    add("--rows", type=Number(int, 0, 10**9), default=100, metavar="N", help="of Parquet, at most; 0: all")


def show_table(args: Namespace) -> None:
    """Print a table in columns."""
    from fit.reports.show import read_shown
    from fit.reports.show import show as lines_of

    show(args, lambda: lines_of(args.file, args.rows), lambda: read_shown(args.file, args.rows))


COMMANDS = (
    Command(
        "write", "a study's tables, in three formats, and a page that shows them", write_arguments, write, prints=True
    ),
    Command(
        "paper",
        "every table and figure of the paper, made or not, beside published numbers",
        paper_arguments,
        paper,
        prints=True,
    ),
    Command("show", "print a table in columns", show_arguments, show_table, prints=True),
)
