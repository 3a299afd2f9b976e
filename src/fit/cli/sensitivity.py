"""`fit sensitivity`."""

from fit.cli.arguments import add_compared, compared_files, many
from fit.cli.command import Command
from fit.cli.common import by_slug, read_match_threshold, read_threshold, write_json

THRESHOLDS_TRIED = ("midpoint", "best_f1", "lowest_positive", "highest_negative")
"""Keys of what `fit matches threshold` writes that fit.sensitivity.measure.thresholds_around takes."""


def rescore_arguments(add):
    add_compared(add)
    add(
        "--match-threshold",
        nargs="?",
        const="",
        default="",
        help="JSON of `fit matches threshold`; nothing without training images",
    )
    add(
        "--art-threshold",
        nargs="?",
        const="",
        default="",
        help="JSON of `fit matches art-threshold`; nothing without a filter",
    )
    add("--top-k", type=int, default=10, help="of the study")
    many(add, "out", help="files to write, in the order of the others")


def rescore(args):
    from fit.io.parquet import write
    from fit.sensitivity.measure import rescore_concept

    match_threshold = read_match_threshold(args.match_threshold, *THRESHOLDS_TRIED) if args.match_threshold else None
    art_threshold = read_match_threshold(args.art_threshold)["match_threshold"] if args.art_threshold else None
    for out, compared in compared_files(args):
        write(
            rescore_concept(**compared, top_k=args.top_k, match_threshold=match_threshold, art_threshold=art_threshold),
            out,
            row_group=4096,
        )


def measure_arguments(add):
    add("table", help="as `fit threshold` takes it")
    add("--threshold", help="JSON of `fit threshold`")
    add("--rescored", nargs="*", default=[], help="files of `fit sensitivity rescore`, for top-k and match thresholds")
    add("--top-k", type=int, default=10, help="of the study")
    add(
        "--match-threshold",
        nargs="?",
        const="",
        default="",
        help="JSON of `fit matches threshold`; nothing without training images",
    )
    add("--prompts", nargs="*", default=[], help="their templates, to name them by")
    add("--title", default="")
    add("--out", default=None, help="JSON to write")
    add("--figure", default=None, help="picture to write")


def measure(args):
    from fit.io.files import atomic_write
    from fit.reports.figures import sensitivity_figure
    from fit.sensitivity.measure import CHOICES, describe, in_short, measure
    from fit.thresholds import read_table

    found = measure(
        read_table(args.table),
        read_threshold(args.threshold),
        rescored=by_slug(args.rescored),
        top_k=args.top_k,
        match_threshold=read_match_threshold(args.match_threshold, *THRESHOLDS_TRIED) if args.match_threshold else None,
        prompts=args.prompts,
    )
    if args.out:
        write_json(found, args.out)
    if args.figure:
        names = {key: (CHOICES[key], in_short(choice["summary"])) for key, choice in found["choices"].items()}
        with atomic_write(args.figure) as part:
            sensitivity_figure(found, names, args.title, part)
    print("\n".join(describe(found)))


def outliers_arguments(add):
    add("table", help="that `fit scores` wrote")
    add("--threshold", help="JSON of `fit threshold`")
    add("--counts", help="effective counts")
    for name, what in (("references", "reference tables"), ("generated", "generated tables")):
        add(f"--{name}", metavar="FOLDER", help=f"of {what}, named by slugs")
    for name in ("reference-embeddings", "generated-embeddings"):
        add(f"--{name}", metavar="FOLDER")
    add("--names", nargs="?", const="", default="", help="captions per name, that `fit captions count` wrote, if any")
    add("--images", nargs="?", const="", default="", metavar="FOLDER", help="of embeddings of training images, if any")
    add("--rescored", nargs="?", const="", default="", metavar="FOLDER", help="of `fit sensitivity rescore`, if any")
    add(
        "--match-threshold",
        nargs="?",
        const="",
        default="",
        help="JSON of `fit matches threshold`; nothing without training images",
    )
    add("--rows", type=int, default=24, help="of the sheet, at most")
    add("--title", default="")
    add("--out", default=None, help="table to write (TSV)")
    add("--sheet", default=None, help="pictures to write")


def outliers(args):
    from fit.io.files import atomic_write
    from fit.reports.figures import contact_sheet
    from fit.sensitivity import outliers
    from fit.thresholds import read_table

    table = read_table(args.table)
    folders = ("references", "reference_embeddings", "generated", "generated_embeddings")
    optional: dict = {name: getattr(args, name) or None for name in ("names", "images", "rescored")}
    measurements = outliers.Measurements(
        counts=args.counts,
        match_threshold=read_match_threshold(args.match_threshold)["match_threshold"] if args.match_threshold else None,
        **{name: getattr(args, name) for name in folders},
        **optional,
    )
    found = read_threshold(args.threshold)
    explained, medians = outliers.explain(table, found, measurements)
    if args.out:
        with atomic_write(args.out) as part:
            part.write_text(outliers.tabulate(table, explained, medians), encoding="utf-8")
    if args.sheet:
        # The farthest of either side.
        shown = [
            one for side in ("below", "above") for one in [o for o in explained if o.side == side][: args.rows // 2]
        ]
        files = [[measurements.of(kind, one.concept) for kind in ("references", "generated")] for one in shown]
        rows = [(outliers.label(table, one), *paths) for one, paths in zip(shown, files, strict=True)]
        with atomic_write(args.sheet) as part:
            contact_sheet(rows, part, args.title or "concepts that defy the threshold")
    print("\n".join(outliers.describe(table, explained, medians)))


COMMANDS = (
    Command("rescore", "scores of concepts at every top-k and around the match threshold", rescore_arguments, rescore),
    Command(
        "measure",
        "thresholds over penalties, concepts, prompts, top-k and match thresholds",
        measure_arguments,
        measure,
    ),
    Command(
        "outliers",
        "concepts below with a high score, and above with a low one",
        outliers_arguments,
        outliers,
        writes=("out", "sheet"),
    ),
)
