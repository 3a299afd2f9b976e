"""`fit counts`."""

from fit.cli.arguments import many
from fit.cli.command import Command
from fit.cli.common import by_slug
from fit.cli.parser import same_length


def estimate_arguments(add):
    add("--captions", nargs="?", const="", default="", help="counts that `fit captions count` wrote, if any")
    many(add, "images", "matches", help="files named by slugs")
    add("--out")


def estimate(args):
    from fit.counts.estimate import estimate_counts
    from fit.io.parquet import write

    same_length(args, "images", "matches")
    write(estimate_counts(args.captions or None, by_slug(args.matches), args.images), args.out, row_group=4096)


def import_arguments(add):
    add("--table", help="CSV or Parquet with the columns concept and effective_count")
    add("--sheet", help="concept sheet")
    add("--out")


def import_(args):
    import pyarrow as pa

    from fit.concepts.sheet import read_sheet
    from fit.images.local import read_counts
    from fit.io.parquet import write

    counts_of = read_counts(args.table, [concept.slug for concept in read_sheet(args.sheet)])
    columns = {"concept": list(counts_of), "effective_count": list(counts_of.values())}
    write(pa.table(columns), args.out, row_group=4096)


def scale_arguments(add):
    add("--captions", help="captions of this corpus")
    add("--counts", help="effective counts of the other")
    add("--out")


def scale(args):
    from fit.counts.estimate import scale_counts
    from fit.io.parquet import write

    write(scale_counts(args.captions, args.counts), args.out, row_group=4096)


COMMANDS = (
    Command("estimate", "from captions, downloads and matches", estimate_arguments, estimate),
    Command("import", "take effective counts that are at hand", import_arguments, import_),
    Command("scale", "another corpus's, by the ratio of captions", scale_arguments, scale),
)
