"""`fit concepts`."""

import sys
from argparse import Namespace
from collections.abc import Callable, Iterable, Mapping

from fit.cli.command import Command
from fit.cli.parser import SEED, Number
from fit.errors import FitError


def _print_rows(rows: Iterable[Mapping[str, object]]) -> None:
    from fit.io.escaping import delimited
    from fit.reports.tables import aligned

    rows = list(rows)
    print(aligned(delimited([list(rows[0]), *(row.values() for row in rows)])))


def check_arguments(add: Callable[..., None]) -> None:
    """Add the arguments of `check`."""
    add("sheets", nargs="+", help="concept sheets; those given together are compared")


def check(args: Namespace) -> None:
    """Print what is wrong with sheets, and what a person should look at."""
    from fit.concepts.check import check

    found = check(args.sheets)
    if found.summary:
        _print_rows(found.summary)
    for warning in found.warnings:
        print(f"fit: to look at: {warning}", file=sys.stderr)
    for error in found.errors:
        print(f"fit: {error}", file=sys.stderr)
    if found.errors:
        raise FitError(f"concepts check: errors to fix in the sheets, named above: {len(found.errors)}")


def sample_arguments(add: Callable[..., None]) -> None:
    """Add the arguments of `sample`."""
    add("--candidates", help="concept sheet to draw from")
    add("--counts", help="CSV or Parquet with the columns concept and captions, as `fit captions count` writes it")
    add("--size", type=Number(int, 1, 10**9), help="how many to draw")
    add("--seed", type=SEED, default=0, metavar="N", help="of the draw")
    add("--out", help="concept sheet to write")


def sample(args: Namespace) -> None:
    """Draw a sheet from a longer one."""
    from dataclasses import asdict

    from fit.concepts.sample import sample
    from fit.concepts.sheet import write_sheet

    concepts, bins = sample(args.candidates, args.counts, args.size, args.seed)
    write_sheet(concepts, args.out)
    _print_rows(asdict(one) for one in bins)
    print(f"{len(concepts)} concepts in {args.out}")


def fetch_arguments(add: Callable[..., None]) -> None:
    """Add the arguments of `fetch`."""
    add("url", help="file://, http:// or https://")
    add("--sha256", help="of the file, 64 hexadecimal digits")
    add("--out", help="file to write")


def fetch(args: Namespace) -> None:
    """Download a list and check it."""
    from fit.concepts.fetch import fetch

    print(f"{fetch(args.url, args.sha256, args.out):,} bytes in {args.out}")


COMMANDS = (
    Command("check", "find concepts and names that are there twice or may mislead", check_arguments, check),
    Command("sample", "draw a sheet from a longer one, evenly over log captions", sample_arguments, sample),
    Command("fetch", "download a list, if its checksum is the one expected", fetch_arguments, fetch),
)
