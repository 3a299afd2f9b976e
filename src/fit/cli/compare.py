"""`fit compare`."""

import argparse
import sys
from argparse import Namespace
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fit.cli.command import Command
from fit.cli.flags import add_settings, read_settings
from fit.cli.output import show
from fit.cli.parser import Number
from fit.errors import FitError
from fit.io.json_files import write_json
from fit.io.shown import number_of
from fit.thresholds.settings import ThresholdSettings

if TYPE_CHECKING:
    from fit.thresholds.scores import Scores


def compare_arguments(add: Callable[..., None]) -> None:
    """Add the options of `fit compare`."""
    add("first", help="table of concepts, as `fit thresholds detect` reads it")
    add("second", help="the other one: of another model, checkpoint, score or domain")
    add("more", nargs="*", default=[], help="more tables, with --pool")
    add(
        "--pool",
        action="store_true",
        help="what the tables say together: a common threshold, and each one's share in it",
    )
    add(
        "--names",
        nargs="+",
        default=None,
        metavar="TEXT",
        help="of the tables, in text and figure (default: their paths)",
    )
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


def _names(paths: list[str]) -> list[str]:
    """Return names of tables: what differs in their paths, without the folders that all have at the beginning.

    A path whose first part, the root, is not that of all keeps it.
    """
    parts = [Path(path).with_suffix("").parts for path in paths]
    while all(len(of_path) > 1 for of_path in parts) and len({of_path[0] for of_path in parts}) == 1:
        parts = [of_path[1:] for of_path in parts]
    return [Path(*of_path).as_posix() for of_path in parts]


def compare(args: Namespace) -> None:
    """Print how far the thresholds of two tables are apart, and write it as JSON and as a figure."""
    from fit.comparisons import compare as compared
    from fit.comparisons.survival import remarks_on
    from fit.comparisons.words import describe, sentence
    from fit.io.files import atomic_write
    from fit.thresholds.scores import read_table

    paths = [args.first, args.second, *args.more]
    if args.more and not args.pool:
        raise FitError(f"{number_of(len(paths), 'table')}: two are compared; give --pool to say what more say together")
    if args.names and len(args.names) != len(paths):
        raise FitError(
            f"--names has {number_of(len(args.names), 'name')} for {number_of(len(paths), 'table')}; give one for each"
        )
    tables = [read_table(path) for path in paths]
    settings = asdict(read_settings(ThresholdSettings, args))
    named = args.names or _names(paths)
    remarks = remarks_on(paths, tables, named, settings["penalty"], args.seed)
    print(*(f"fit: {remark}" for remark in remarks), sep="\n", end="\n" * bool(remarks), file=sys.stderr)
    if args.pool:
        _pool(args, tables, named, remarks, settings)
        return
    names = (named[0], named[1])
    found = compared.compare(*tables, **settings, seed=args.seed, paired=args.paired) | {"remarks": remarks}
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


def _pool(
    args: Namespace, tables: list["Scores"], names: list[str], remarks: list[str], settings: dict[str, Any]
) -> None:
    """Print what tables say together, and write it as JSON."""
    from fit.comparisons.pool import describe_pool, pool_tables

    if args.figure or args.paired is not None:
        raise FitError("--pool has neither a figure nor pairs; take --figure and --paired out")
    found = pool_tables(tables, **settings, seed=args.seed) | {"remarks": remarks}
    if args.out:
        write_json({"names": names} | found, args.out)
    show(args, lambda: describe_pool(found, names), lambda: {"names": names} | found)


COMMAND = Command(
    "compare",
    "whether two thresholds differ: of two models, checkpoints, scores or domains",
    compare_arguments,
    compare,
    prints=True,
)
