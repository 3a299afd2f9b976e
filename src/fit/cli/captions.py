"""`fit captions`."""

import sys
from pathlib import Path

from fit.cli.arguments import many
from fit.cli.command import Command
from fit.errors import FitError


def _columns_and_sampling(args):
    from fit.captions.count import Columns, Sampling

    return {
        "columns": Columns(
            args.caption_column, args.url_column, tuple(args.columns), getattr(args, "encoding", "utf-8")
        ),
        "sampling": Sampling(args.tokens, args.fold_accents == "yes", args.max_matched_captions, args.seed),
    }


def _caption_outputs(args):
    from fit.captions.count import Outputs

    beside = Path(args.counts).with_suffix("")
    others = [getattr(args, kind) or f"{beside}.{kind}.parquet" for kind in ("names", "shards")]
    return Outputs(
        Path(args.counts),
        Path(others[0]),
        Path(args.matched_captions or f"{beside}.matched_captions.parquet"),
        Path(others[1]),
    )


def _written(args):
    outputs = _caption_outputs(args)
    return {name: [str(getattr(outputs, name))] for name in ("counts", "matched_captions", "names", "shards")}


def _report_counts(outputs):
    from fit.captions.count import losses, remarks, unmentioned
    from fit.io.parquet import read

    counts = read(outputs.counts)
    mentions, rows = sum(counts.column("captions").to_pylist()), counts.column("corpus_rows")[0].as_py()
    print(f"{len(counts)} concepts are mentioned {mentions:,} times in {rows:,} captions: {outputs.counts}")
    for remark in [*losses(read(outputs.shards)), *unmentioned(counts), *remarks(read(outputs.names))]:
        print(f"fit: {remark}", file=sys.stderr)
    for row in read(outputs.shards).to_pylist():
        if row["status"] != "ok":
            rows = "an unknown number of" if row["rows"] is None else row["rows"]
            print(f"fit: skipped {rows} captions: {row['reason']}", file=sys.stderr)


def _add_caption_outputs(add):
    add("--caption-column", default="caption", metavar="COLUMN")
    add("--url-column", default="url", metavar="COLUMN")
    add("--columns", nargs="*", default=[], metavar="COLUMN", help="others to carry into the matched captions")
    add("--tokens", choices=("standard", "words"), default="standard", help="what a token is (docs/captions.md)")
    add("--fold-accents", choices=("yes", "no"), default="no", help="whether é counts as e")
    add("--max-matched-captions", type=int, default=100_000, help="largest sample of rows per concept; 0 for none")
    add("--seed", type=int, default=0)
    add("--counts", help="file to write: captions per concept")
    add("--matched-captions", default=None, help="file to write: the sampled rows (default: beside --counts)")
    add("--names", default=None, help="file to write: captions per name and alias (default: beside --counts)")
    add("--shards", default=None, help="file to write: what was read and what was skipped (default: beside --counts)")


def count_arguments(add):
    add("--concepts", help="concept sheet")
    add(
        "--captions",
        nargs="*",
        default=[],
        metavar="FILE",
        help="Parquet, CSV, TSV or JSON lines, here or at s3://, hf://, https://; patterns, or lists of files (.txt)",
    )
    add("--elasticsearch", metavar="INDEX", nargs="?", const="", default="", help="count in an index instead")
    add(
        "--encoding", default="utf-8", help="of text files: utf-8, windows-1252 ... (a byte order mark tells by itself)"
    )
    add("--on-bad-shard", choices=("fail", "skip"), default="fail", help="what a broken file leads to")
    add("--threads", type=int, default=1, help="files read at once")
    add("--reuse", metavar="FOLDER", default=None, help="keep counts here, so that one more concept is counted alone")
    add("--part", action="store_true", help="the files are a part of a corpus, which may have no row")
    _add_caption_outputs(add)


def count(args):
    from fit.captions.count import count_captions, count_index
    from fit.captions.sources import find_files
    from fit.concepts.sheet import read_sheet

    if bool(args.captions) == bool(args.elasticsearch):
        raise FitError("captions count: say what to count in, either --captions FILE ... or --elasticsearch INDEX")
    concepts, outputs = read_sheet(args.concepts), _caption_outputs(args)
    if args.elasticsearch:
        count_index(concepts, args.elasticsearch, outputs, **_columns_and_sampling(args))
    else:
        count_captions(
            concepts,
            find_files(args.captions),
            outputs,
            on_bad_shard=args.on_bad_shard,
            threads=args.threads,
            reuse=args.reuse,
            part=args.part,
            **_columns_and_sampling(args),
        )
    _report_counts(outputs)


def merge_arguments(add):
    many(add, "parts", metavar="FILE", help="counts.parquet of each, beside names, matched captions and shards.parquet")
    _add_caption_outputs(add)


def merge(args):
    from fit.captions.count import Outputs, merge_counts

    outputs = _caption_outputs(args)
    merge_counts([Outputs.of_counts(part) for part in args.parts], outputs, **_columns_and_sampling(args))
    _report_counts(outputs)


def explain_arguments(add):
    add("name")
    add("caption")


def explain(args):
    from fit.captions.explain import explain

    print(explain(args.name, args.caption))


def plot_arguments(add):
    add("counts", help="file that `fit captions count` wrote")
    add("--title", default="")
    add("--out")


def plot(args):
    from fit.io.files import atomic_write
    from fit.io.parquet import read
    from fit.reports.figures import counts_figure

    with atomic_write(args.out) as part:
        counts_figure(read(args.counts, ["captions"]).column("captions").to_numpy(), args.title, part)


COMMANDS = (
    Command(
        "count",
        "count mentions in files of captions, and sample their rows",
        count_arguments,
        count,
        writes=("counts", "matched_captions", "names", "shards", "reuse"),
        written=_written,
    ),
    Command(
        "merge",
        "merge counts of several groups of files into one",
        merge_arguments,
        merge,
        writes=("counts", "matched_captions", "names", "shards"),
        written=_written,
    ),
    Command("explain", "say why a caption mentions a name, or why not", explain_arguments, explain),
    Command("plot", "how many concepts have how many captions", plot_arguments, plot),
)
