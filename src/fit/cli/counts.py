"""`fit counts`."""

from argparse import Namespace
from collections.abc import Callable

from fit.cli.command import Command
from fit.cli.parser import OptionalPath


def estimate_arguments(add: Callable[..., None]) -> None:
    """Add the options of `fit counts estimate`."""
    add("--sheet", help="concept sheet, whose order the rows have")
    add("--captions", action=OptionalPath, help="counts of `fit captions count`, if any")
    add("--images", nargs="+", metavar="PLACE", help="image tables of training images: files or folders")
    add("--matches", nargs="+", metavar="PLACE", help="tables of `fit matches find`: files or folders")
    add("--out", help="table to write")


def estimate(args: Namespace) -> None:
    """Write the effective counts of concepts."""
    from fit.counts.estimate import estimate_counts
    from fit.io.concept_tables import ConceptTables
    from fit.io.parquet import write

    counts = estimate_counts(args.captions, ConceptTables(args.matches), ConceptTables(args.images), args.sheet)
    write(counts, args.out, row_group=4096)


def import_arguments(add: Callable[..., None]) -> None:
    """Add the options of `fit counts import`."""
    add("--table", help="CSV or Parquet with the columns concept and effective_count")
    add("--sheet", help="concept sheet")
    add("--out", help="table to write")


def import_(args: Namespace) -> None:
    """Write effective counts that are known already."""
    import pyarrow as pa

    from fit.concepts.sheet import read_sheet
    from fit.io.parquet import write
    from fit.io.user_tables import read_counts

    counts_of = read_counts(args.table, [concept.slug for concept in read_sheet(args.sheet)])
    columns = {"concept": list(counts_of), "effective_count": list(counts_of.values())}
    write(pa.table(columns), args.out, row_group=4096)


def scale_arguments(add: Callable[..., None]) -> None:
    """Add the options of `fit counts scale`."""
    add("--captions", help="caption counts of this corpus")
    add("--counts", help="effective counts of the other corpus")
    add("--out", help="table to write")


def scale(args: Namespace) -> None:
    """Write another corpus's effective counts, scaled."""
    from fit.counts.estimate import scale_counts
    from fit.io.parquet import write

    write(scale_counts(args.captions, args.counts), args.out, row_group=4096)


COMMANDS = (
    Command("estimate", "estimate them from captions, downloads and matches", estimate_arguments, estimate),
    Command("import", "take effective counts that are known already", import_arguments, import_),
    Command("scale", "scale the counts of another corpus by the ratio of captions", scale_arguments, scale),
)
