"""`fit concepts`."""

import sys

from fit.cli.command import Command
from fit.errors import FitError


def print_rows(rows):
    from fit.io.escaping import delimited
    from fit.reports.tables import aligned

    print(aligned(delimited([list(rows[0]), *(row.values() for row in rows)])))


def check_arguments(add):
    add("sheets", nargs="+", help="concept sheets; those given together are compared")


def check(args):
    from fit.concepts.check import check

    found = check(args.sheets)
    if found.summary:
        print_rows(found.summary)
    for warning in found.warnings:
        print(f"fit: look at this: {warning}", file=sys.stderr)
    for error in found.errors:
        print(f"fit: {error}", file=sys.stderr)
    if found.errors:
        raise FitError(f"concepts check: errors to mend in the sheets, named above: {len(found.errors)}")


def sample_arguments(add):
    add("--candidates", help="concept sheet to draw from")
    add("--counts", help="CSV or Parquet with the columns concept and captions, as `fit captions count` writes it")
    add("--size", type=int, help="how many to draw")
    add("--seed", type=int, default=0)
    add("--out", help="concept sheet to write")


def sample(args):
    from fit.concepts.check import sample, write_sheet

    concepts, bins = sample(args.candidates, args.counts, args.size, args.seed)
    write_sheet(concepts, args.out)
    print_rows(bins)
    print(f"{len(concepts)} concepts in {args.out}")


def fetch_arguments(add):
    add("url", help="file://, http:// or https://")
    add("--sha256", help="of the file, 64 hexadecimal digits")
    add("--out", help="file to write")


def fetch(args):
    from fit.concepts.check import fetch

    print(f"{fetch(args.url, args.sha256, args.out):,} bytes in {args.out}")


COMMANDS = (
    Command("check", "find concepts and names that stand twice or may mislead", check_arguments, check),
    Command("sample", "draw a sheet from a longer one, evenly over log captions", sample_arguments, sample),
    Command("fetch", "bring a list here, if its checksum is the one expected", fetch_arguments, fetch),
)
