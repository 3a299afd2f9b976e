"""`fit compare`."""

import argparse
from argparse import Namespace
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

from fit.cli.command import Command
from fit.cli.flags import add_settings, read_settings
from fit.cli.output import show
from fit.cli.parser import Number
from fit.io.json_files import write_json
from fit.thresholds.settings import ThresholdSettings


def compare_arguments(add: Callable[..., None]) -> None:
    """Add the options of `fit compare`."""
    add("first", help="table of concepts, as `fit thresholds detect` reads it")
    add("second", help="the other one: of another model, checkpoint, score or domain")
    add("--names", nargs=2, default=None, metavar="TEXT", help="of the two, in text and figure (default: their paths)")
    add(
        "--paired",
        action=argparse.BooleanOptionalAction,
        default=None,
        help="compare concept by concept (default: where both tables have most concepts)",
    )
    add_settings(add, ThresholdSettings)
    add("--seed", type=Number(int, 0, 2**63 - 1), default=0, metavar="N", help="of the resamples and permutations")
    add("--title", default="", metavar="TEXT", help="of the figure (default: the answer)")
    add("--out", default=None, metavar="FILE.json", help="JSON to write")
    add("--figure", default=None, metavar="FILE.png", help="picture to write")


def _names(first: str, second: str) -> tuple[str, str]:
    """Return names of two tables: what differs in their paths, without what both have."""
    one, other = (Path(path).with_suffix("").parts for path in (first, second))
    while len(one) > 1 and len(other) > 1 and one[0] == other[0]:
        one, other = one[1:], other[1:]
    return "/".join(one), "/".join(other)


def compare(args: Namespace) -> None:
    """Print how far the thresholds of two tables are apart, and write it as JSON and as a figure."""
    from fit.comparisons import compare as compared
    from fit.comparisons.words import describe, sentence
    from fit.io.files import atomic_write
    from fit.thresholds.scores import read_table

    tables = [read_table(args.first), read_table(args.second)]
    names = tuple(args.names) if args.names else _names(args.first, args.second)
    settings = asdict(read_settings(ThresholdSettings, args))
    found = compared.compare(*tables, **settings, seed=args.seed, paired=args.paired)
    if args.out:
        write_json({"names": names} | found, args.out)
    if args.figure:
        from fit.comparisons.figure import comparison_figure

        with atomic_write(args.figure) as part:
            comparison_figure(tables, found, names, args.title, part)
    show(
        args,
        lambda: describe(found, names),
        lambda: {"names": names, "sentence": sentence(found, names)} | found,
    )


COMMAND = Command(
    "compare",
    "whether two thresholds differ: of two models, checkpoints, scores or domains",
    compare_arguments,
    compare,
    prints=True,
)
