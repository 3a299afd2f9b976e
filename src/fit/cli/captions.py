"""`fit captions`."""

import argparse
import sys
from argparse import Namespace
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from fit.captions.settings import ReadingSettings, SamplingSettings, column_problem
from fit.cli.command import Command
from fit.cli.flags import add_settings, read_settings
from fit.cli.output import show
from fit.cli.parser import Number, OptionalPath
from fit.errors import FitError
from fit.io.shown import number_of

if TYPE_CHECKING:
    from fit.captions.tables import CountFiles


def _add_outputs(add: Callable[..., None]) -> None:
    add("--counts", metavar="FILE", help="file to write: captions per concept")
    for name, what in (
        ("names", "captions per name and alias"),
        ("matched-captions", "the sampled rows"),
        ("shards", "what was read and what was skipped"),
    ):
        add(f"--{name}", action=OptionalPath, metavar="FILE", help=f"file to write: {what} (default: beside --counts)")


def _outputs(args: Namespace) -> "CountFiles":
    from fit.captions.tables import CountFiles

    beside = Path(args.counts).with_suffix("")
    kinds = ("names", "matched_captions", "shards")
    others = (Path(getattr(args, kind) or f"{beside}.{kind}.parquet") for kind in kinds)
    return CountFiles(Path(args.counts), *others)


def _written(args: Namespace) -> dict[str, list[str]]:
    outputs = _outputs(args)
    return {name: [str(getattr(outputs, name))] for name in ("counts", "matched_captions", "names", "shards")}


def _report(args: Namespace, outputs: "CountFiles") -> None:
    from fit.captions.report import CountReport

    report = CountReport.of_files(outputs)
    show(args, lambda: f"{report.sentence}: {outputs.counts}", lambda: report.to_dict(outputs))
    for remark in report.remarks:
        print(f"fit: {remark}", file=sys.stderr)
    for row in report.skipped:
        number = "an unknown number of captions" if row["rows"] is None else number_of(row["rows"], "caption")
        print(f"fit: skipped {number}: {row['reason']}", file=sys.stderr)


def _add_seed(add: Callable[..., None]) -> None:
    add("--seed", type=Number(int, 0, 2**63 - 1), default=0, metavar="N", help="of the samples")


def _sampling(args: Namespace) -> SamplingSettings:
    """Return the settings of the sample; raise a FitError if a column would be there twice."""
    found = read_settings(SamplingSettings, args)
    if problem := column_problem(found):
        raise FitError(f"--columns: {problem}")
    return found


def count_arguments(add: Callable[..., None]) -> None:
    """Add the arguments of `fit captions count`."""
    add("--concepts", metavar="SHEET", help="concept sheet")
    add(
        "--captions",
        nargs="*",
        default=[],
        metavar="FILE",
        help="Parquet, CSV, TSV or JSON lines, here or at s3://, hf://, https://; patterns, or lists of files (.txt)",
    )
    add("--elasticsearch", action=OptionalPath, metavar="INDEX", help="count in this index instead")
    add_settings(add, SamplingSettings, ReadingSettings)
    _add_seed(add)
    add(
        "--threads",
        type=Number(int, 1, 4096),
        default=1,
        metavar="N",
        help="files, or pieces of Parquet files, read at once",
    )
    add(
        "--part",
        action=argparse.BooleanOptionalAction,
        default=False,
        help="whether the files are a part of a corpus, which may have no row",
    )
    add(
        "--reuse",
        action=OptionalPath,
        metavar="FOLDER",
        help="keep counts here, so that one more concept is counted alone",
    )
    _add_outputs(add)


def count(args: Namespace) -> None:
    """Count mentions in files, or in an index."""
    from fit.concepts.sheet import read_sheet

    if bool(args.captions) == bool(args.elasticsearch):
        raise FitError("captions count: say what to count in, either --captions FILE ... or --elasticsearch INDEX")
    concepts, outputs, sampling = read_sheet(args.concepts), _outputs(args), _sampling(args)
    if args.elasticsearch:
        from fit.captions.index import count_index

        count_index(concepts, args.elasticsearch, outputs, sampling, args.seed)
    else:
        from fit.captions.count import count_captions
        from fit.captions.scan import CountJob
        from fit.captions.sources import find_files

        reading = read_settings(ReadingSettings, args)
        job = CountJob(find_files(args.captions), sampling, reading, args.seed, args.threads, args.part)
        count_captions(concepts, job, outputs, args.reuse)
    _report(args, outputs)


def merge_arguments(add: Callable[..., None]) -> None:
    """Add the arguments of `fit captions merge`."""
    add(
        "--parts",
        nargs="+",
        metavar="FILE",
        help="counts.parquet of each part, with its names, matched_captions and shards.parquet beside it",
    )
    add_settings(add, SamplingSettings)
    _add_seed(add)
    _add_outputs(add)


def merge(args: Namespace) -> None:
    """Merge counts of parts of a corpus."""
    from fit.captions.merge import merge_counts
    from fit.captions.tables import CountFiles

    outputs = _outputs(args)
    parts = [CountFiles.of_counts(part) for part in args.parts]
    merge_counts(parts, outputs, _sampling(args), args.seed)
    _report(args, outputs)


def explain_arguments(add: Callable[..., None]) -> None:
    """Add the arguments of `fit captions explain`."""
    add("name", help="as a sheet has it")
    add("caption", help="as a corpus has it")


def explain(args: Namespace) -> None:
    """Print why a caption mentions a name, or why not."""
    from fit.captions.explain import explain, readings

    show(args, lambda: explain(args.name, args.caption), lambda: readings(args.name, args.caption))


def plot_arguments(add: Callable[..., None]) -> None:
    """Add the arguments of `fit captions plot`."""
    add("counts", help="file that `fit captions count` wrote")
    add("--title", default="", metavar="TEXT", help="of the figure")
    add("--out", metavar="PNG", help="file to write")


def plot(args: Namespace) -> None:
    """Draw how many concepts have how many captions."""
    from fit.io.files import atomic_write
    from fit.io.parquet import read
    from fit.reports.figures import counts_figure

    with atomic_write(args.out) as part:
        counts_figure(read(args.counts, ["captions"]).column("captions").to_numpy(), args.title, part)


_OUTPUTS = ("counts", "matched_captions", "names", "shards")
COMMANDS = (
    Command(
        "count",
        "count mentions in files of captions, and sample their rows",
        count_arguments,
        count,
        writes=(*_OUTPUTS, "reuse"),
        written=_written,
        prints=True,
    ),
    Command(
        "merge",
        "merge counts of several groups of files into one",
        merge_arguments,
        merge,
        writes=_OUTPUTS,
        written=_written,
        prints=True,
    ),
    Command("explain", "say why a caption mentions a name, or why not", explain_arguments, explain, prints=True),
    Command("plot", "how many concepts have how many captions", plot_arguments, plot),
)
