"""`fit ratings`."""

import sys

from fit.cli.arguments import many
from fit.cli.command import Command
from fit.cli.common import write_json


def serve_arguments(add):
    add("--references", metavar="FOLDER", help="reference tables, named by the slugs of their concepts")
    add("--generated", metavar="FOLDER", help="generated tables, named likewise")
    add("--table", help="CSV or Parquet with the columns concept, effective_count and score")
    add("--out", help="CSV that answers are added to")
    add("--pairs", type=int, default=200, help="pictures to ask each rater about")
    add("--seed", type=int, default=0, help="of their choice and order")
    add("--host", default="127.0.0.1", help="address to listen at (default: this machine alone)")
    add(
        "--hostname",
        nargs="+",
        default=[],
        metavar="NAME",
        help="names by which browsers may ask for the page, beside localhost and, unless only this machine is served, "
        "its own name and addresses",
    )
    add("--port", type=int, default=8000, help="0 for any that is free")
    add("--question", default="How much does the picture look like the same person or style as the others?")
    add("--names", metavar="SHEET", default=None, help="concept sheet, to show raters the names (default: don't)")


def serve(args):
    from fit.concepts.sheet import read_sheet
    from fit.ratings.pairs import sample_pairs
    from fit.ratings.server import Study, hosts_of, is_loopback, serve
    from fit.ratings.store import Answers

    names = {concept.slug: concept.name for concept in read_sheet(args.names)} if args.names else {}
    pairs, left_out = sample_pairs(args.table, args.references, args.generated, args.pairs, args.seed)
    for concept, why in left_out.items():
        print(f"fit: {concept}: not shown, as {why}", file=sys.stderr)
    if len(pairs) < args.pairs:
        print(f"fit: there are only {len(pairs)} pictures to ask about", file=sys.stderr)
    hosts = hosts_of(args.host, args.hostname)
    if not is_loopback(args.host):
        print(
            f"fit: --host {args.host}: whoever reaches this machine there can see these pictures and answer under any "
            f"name, and nothing is encrypted; it answers requests for {hosts}; further names: --hostname",
            file=sys.stderr,
        )

    def started(url):
        concepts = len({pair.concept for pair in pairs})
        print(f"{len(pairs)} pictures of {concepts} concepts to rate at {url}", flush=True)
        print(f"answers go to {args.out}; Ctrl-C ends, and the same command goes on", flush=True)

    with Answers(args.out) as answers:
        before = len(answers.ratings)
        study = Study(pairs, answers, seed=args.seed, question=args.question, names=names)
        serve(study, args.host, args.port, started, hosts)
        print(f"\n{len(answers.ratings) - before} answers more in {args.out}, {len(answers.ratings)} in all")


def import_arguments(add):
    add("file", help="CSV with the columns rater, concept, rating (1 to 5), and where there are some image_id and time")
    add("--out", help="CSV that they are added to")


def import_(args):
    from fit.ratings.store import import_ratings

    added, there = import_ratings(args.file, args.out)
    print(f"{added} of {there} ratings added to {args.out}")


def report_arguments(add):
    many(add, "ratings", metavar="FILE", help="CSVs that `fit ratings` wrote")
    add("--table", help="CSV or Parquet with the columns concept, effective_count and score")
    add("--penalty", type=float, default=0.9, help="of the change points, for ratings from 0 to 1 and scores alike")
    add("--resamples", type=int, default=1000, help="of the bootstrap over concepts")
    add("--seed", type=int, default=0, help="of its draws")
    add("--out", help="JSON to write")


def report(args):
    from fit.ratings.report import make_report, summary

    settings = {"penalty": args.penalty, "resamples": args.resamples, "seed": args.seed}
    report = make_report(args.ratings, args.table, **settings)
    if report["unknown_concepts"]:
        named = ", ".join(report["unknown_concepts"][:5])
        print(f"fit: left out, as {args.table} does not have them: {named}", file=sys.stderr)
    write_json(report, args.out)
    print(summary(report))


COMMANDS = (
    Command(
        "serve", "serve a page on which people rate pictures beside references", serve_arguments, serve, adds_to=True
    ),
    Command("import", "add ratings made elsewhere", import_arguments, import_, adds_to=True),
    Command("report", "compare ratings with scores, raters, and the threshold", report_arguments, report),
)
