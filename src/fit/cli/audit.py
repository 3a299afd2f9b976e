"""`fit audit`."""

import sys
from argparse import Namespace
from collections.abc import Callable

from fit.cli.command import Command
from fit.cli.output import show
from fit.errors import FitError


def _written(args: Namespace) -> dict[str, list[str]]:
    outs = [text.removesuffix(".parquet").removesuffix(".csv") for text in [args.plan] if text]
    plans = [text + suffix for text in outs for suffix in (".parquet", ".csv", ".txt")]
    return {"plan": plans, "out": [text for out in [args.out] if out for text in (out, f"{out}.txt")]}


def audit_arguments(add: Callable[..., None]) -> None:
    """Add the options of `fit audit`."""
    add("--threshold", help="JSON of `fit thresholds detect`, or a number of images")
    add("--counts", help="CSV or Parquet with the columns concept and effective_count, also low, high and captions")
    add("--scores", default=None, help="table that the threshold was found in, to say how likely a high score is")
    add("--matched-captions", default=None, help="file that `fit captions count` wrote, to plan which rows to remove")
    add("--images", nargs="*", default=[], metavar="PLACE", help="tables of their images, or folders of tables")
    add("--matches", nargs="*", default=[], metavar="PLACE", help="their matches, likewise: these are removed first")
    add("--plan", default=None, metavar="OUT", help="rows to remove: OUT.parquet, OUT.csv and OUT.txt are written")
    add("--out", default=None, metavar="TABLE.tsv", help="table to write, and a note beside it")


def audit(args: Namespace) -> None:
    """Print which concepts lie above a threshold, and write which rows would have to go.

    Raises:
        FitError: the study gives no verdict; the table, which says so, is written all the same, and no plan.
    """
    from fit.audits.counts import read_counted
    from fit.audits.likelihood import read_high_scores
    from fit.audits.plan import plan
    from fit.audits.threshold import read_threshold
    from fit.audits.verdicts import audit as compare
    from fit.audits.verdicts import write_audit
    from fit.io.concept_tables import ConceptTables
    from fit.reports.tables import aligned

    if bool(args.matched_captions) != bool(args.plan):
        raise FitError(
            "audit: a plan takes --matched-captions (the rows to choose from) and --plan (the files to write) together"
        )
    if bool(args.images) != bool(args.matches) or (args.images and not args.matched_captions):
        raise FitError("audit: --images and --matches go together, with --matched-captions and --plan")
    counted, skipped, of_captions = read_counted(args.counts)
    if of_captions:
        print(
            f"fit: {args.counts}: it counts captions, not images that show the concept (effective counts)",
            file=sys.stderr,
        )
    threshold = read_threshold(args.threshold)
    scores = read_high_scores(args.scores, threshold) if args.scores and not threshold.refusal else None
    found = compare(counted, threshold, skipped, of_captions, scores)
    out = args.plan and args.plan.removesuffix(".parquet").removesuffix(".csv")
    if threshold.refusal:
        out = None
    if out:
        seen = (ConceptTables(args.images), ConceptTables(args.matches)) if args.images else None
        plan(found, counted, args.matched_captions, out, seen)
    write_audit(found, args.out, out)
    show(args, lambda: [aligned(found.table()), "", found.note().rstrip("\n")], found.to_dict)
    if threshold.refusal:
        raise FitError(
            f"{args.threshold}: no verdict, as {threshold.refusal}; give a number of images, or another study"
        )


COMMAND = Command(
    "audit",
    "which concepts lie above a threshold, and which rows would have to go",
    audit_arguments,
    audit,
    writes=("out", "plan"),
    written=_written,
    prints=True,
)
