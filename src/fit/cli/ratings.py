"""`fit ratings`."""

import sys
from argparse import Namespace
from collections.abc import Callable

from fit.cli.command import Command
from fit.cli.flags import add_settings, read_settings
from fit.cli.output import show
from fit.cli.parser import Number
from fit.io.json_files import write_json
from fit.io.shown import number_of
from fit.thresholds.settings import ThresholdSettings

Add = Callable[..., None]
SEED = Number(int, 0, 2**63 - 1)


def serve_arguments(add: Add) -> None:
    """Add the options of `fit ratings serve`."""
    add("--references", nargs="+", metavar="PLACE", help="tables of references, or folders of tables")
    add("--generated", nargs="+", metavar="PLACE", help="tables of generated pictures, or folders of tables")
    add("--table", help="CSV or Parquet with the columns concept, effective_count and score")
    add("--out", help="CSV that answers are added to")
    add("--pairs", type=Number(int, 1, 1_000_000), default=200, metavar="N", help="pictures to ask each rater about")
    add("--seed", type=SEED, default=0, metavar="N", help="of their choice and order")
    add("--host", default="127.0.0.1", help="address to listen at (default: this machine alone)")
    add(
        "--hostname",
        nargs="+",
        default=[],
        metavar="NAME",
        help="names by which browsers may ask for the page, beside localhost and, unless only this machine is served, "
        "its own name and addresses",
    )
    add("--port", type=Number(int, 0, 65_535), default=8000, metavar="N", help="where to listen; 0: any that is free")
    add(
        "--question",
        default="How much does the picture look like the same person or style as the others?",
        metavar="TEXT",
        help="what the page asks",
    )
    add("--names", metavar="SHEET", default=None, help="concept sheet, to show raters the names (default: no names)")


def serve(args: Namespace) -> None:
    """Serve the page on which people rate pictures."""
    from fit.concepts.sheet import read_sheet
    from fit.ratings.pairs import sample_pairs
    from fit.ratings.server import Study, hosts_of, is_loopback, serve
    from fit.ratings.store import Answers

    names = {concept.slug: concept.name for concept in read_sheet(args.names)} if args.names else {}
    pairs, left_out = sample_pairs(args.table, args.references, args.generated, args.pairs, args.seed)
    for concept, why in left_out.items():
        print(f"fit: {concept}: not shown, as {why}", file=sys.stderr)
    if len(pairs) < args.pairs:
        print(f"fit: there are only {number_of(len(pairs), 'picture')} to ask about", file=sys.stderr)
    hosts = hosts_of(args.host, args.hostname)
    if not is_loopback(args.host):
        print(
            f"fit: --host {args.host}: whoever reaches this machine there can see these pictures and answer under any "
            f"name, and nothing is encrypted; it answers requests for {hosts}; further names: --hostname",
            file=sys.stderr,
        )

    def started(url: object) -> None:
        concepts = len({pair.concept for pair in pairs})
        print(f"{number_of(len(pairs), 'picture')} of {number_of(concepts, 'concept')} to rate at {url}", flush=True)
        print(f"answers go to {args.out}; Ctrl-C ends, and the same command goes on", flush=True)

    with Answers(args.out) as answers:
        before = len(answers.ratings)
        study = Study(pairs, answers, seed=args.seed, question=args.question, names=names)
        serve(study, args.host, args.port, started, hosts)
        print(
            f"\n{number_of(len(answers.ratings) - before, 'answer')} more in {args.out}, {len(answers.ratings)} in all"
        )


def import_arguments(add: Add) -> None:
    """Add the options of `fit ratings import`."""
    add("file", help="CSV with the columns rater, concept, rating (1 to 5), and optionally image_id and time")
    add("--out", help="CSV that they are added to")


def import_(args: Namespace) -> None:
    """Add ratings that were made elsewhere."""
    from fit.ratings.store import import_ratings

    added, there = import_ratings(args.file, args.out)
    show(
        args,
        lambda: f"{added} of {number_of(there, 'rating')} added to {args.out}",
        lambda: {"added": added, "ratings": there, "out": args.out},
    )


def report_arguments(add: Add) -> None:
    """Add the options of `fit ratings report`."""
    add("--ratings", nargs="+", metavar="FILE", help="CSVs that `fit ratings` wrote")
    add("--table", help="CSV or Parquet with the columns concept, effective_count and score")
    add_settings(add, ThresholdSettings, without=("estimators",))
    add("--seed", type=SEED, default=0, metavar="N", help="of its draws")
    add("--out", help="JSON to write")


def report(args: Namespace) -> None:
    """Compare ratings with scores, raters and the threshold."""
    from fit.ratings.report import make_report, summary

    settings = read_settings(ThresholdSettings, args, without=("estimators",))
    report = make_report(
        args.ratings, args.table, penalty=settings.penalty, resamples=settings.resamples, seed=args.seed
    )
    if report["unknown_concepts"]:
        named = ", ".join(report["unknown_concepts"][:5])
        print(f"fit: left out, as {args.table} does not have them: {named}", file=sys.stderr)
    write_json(report, args.out)
    show(args, lambda: summary(report), lambda: report)


COMMANDS = (
    Command(
        "serve", "serve a page on which people rate pictures beside references", serve_arguments, serve, adds_to=True
    ),
    Command("import", "add ratings made elsewhere", import_arguments, import_, adds_to=True, prints=True),
    Command("report", "compare ratings with scores, raters, and the threshold", report_arguments, report, prints=True),
)
