"""`fit concepts`."""

import sys
from argparse import Namespace
from collections.abc import Callable, Iterable, Mapping

from fit.cli.command import Command
from fit.cli.output import show
from fit.cli.parser import SEED, Number
from fit.errors import FitError
from fit.io.shown import number_of


def _in_columns(rows: Iterable[Mapping[str, object]]) -> str:
    from fit.io.escaping import delimited
    from fit.reports.tables import aligned

    rows = list(rows)
    return aligned(delimited([list(rows[0]), *(row.values() for row in rows)]))


def check_arguments(add: Callable[..., None]) -> None:
    """Add the arguments of `check`."""
    add("sheets", nargs="+", help="concept sheets; those given together are compared")


def check(args: Namespace) -> None:
    """Print what is wrong with sheets, and what a person should look at."""
    from fit.concepts.check import check

    found = check(args.sheets)
    if found.summary or args.json:
        show(
            args,
            lambda: _in_columns(found.summary),
            lambda: {"sheets": found.summary, "warnings": found.warnings, "errors": found.errors},
        )
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
    show(
        args,
        lambda: [_in_columns(asdict(one) for one in bins), f"{number_of(len(concepts), 'concept')} in {args.out}"],
        lambda: {"bins": bins, "concepts": len(concepts), "out": args.out},
    )


def fetch_arguments(add: Callable[..., None]) -> None:
    """Add the arguments of `fetch`."""
    add("list", help="address of a file (file://, http://, https://), or the name of a published list")
    add(
        "--sha256",
        default="",
        help="of the file at an address, 64 hexadecimal digits; that of a published list is known",
    )
    add("--copy", default="", metavar="ADDRESS", help="of a copy of the published list, if its own can't be reached")
    add("--out", help="file to write: what is at the address, or the concept sheet of a published list")


def fetch(args: Namespace) -> None:
    """Download a list and check it; write a published one as a sheet."""
    from fit.concepts.fetch import fetch
    from fit.concepts.public import fetch_list

    if "://" in args.list:
        if not args.sha256:
            raise FitError(f"{args.list}: give its checksum with --sha256; it is required for a file at an address")
        if args.copy:
            raise FitError(f"{args.list}: --copy is for a published list, which has a name; leave it out")
        size = fetch(args.list, args.sha256, args.out)
        show(args, lambda: f"{number_of(size, 'byte')} in {args.out}", lambda: {"bytes": size, "out": args.out})
        return
    if args.sha256:
        raise FitError(f"{args.list}: the checksum of a published list is known; leave out --sha256")
    number = fetch_list(args.list, args.out, args.copy)
    show(args, lambda: f"{number_of(number, 'concept')} in {args.out}", lambda: {"concepts": number, "out": args.out})


COMMANDS = (
    Command(
        "check", "find concepts and names that are there twice or may mislead", check_arguments, check, prints=True
    ),
    Command(
        "sample", "draw a sheet from a longer one, evenly over log captions", sample_arguments, sample, prints=True
    ),
    Command(
        "fetch",
        "download a list, or a published list as a sheet, if its checksum is right",
        fetch_arguments,
        fetch,
        prints=True,
    ),
)
