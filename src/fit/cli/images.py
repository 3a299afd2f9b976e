"""`fit images`."""

import json
import sys
from itertools import islice
from pathlib import Path

from fit.cli.arguments import add_fetching, add_limits, fetching, many
from fit.cli.command import Command
from fit.cli.common import by_slug
from fit.errors import FitError


def collect_arguments(add):
    add("--source", help="where the images are: embedded (in the corpus's own files) or http (behind the links)")
    add("--matched-captions", help="file that `fit captions count` wrote")
    add("--corpus", nargs="*", default=[], metavar="FILE", help="the corpus's files, for embedded images")
    many(add, "out", help="image tables to write, named by the slugs of their concepts")
    add("--work", default=None, metavar="FOLDER", help="for what a kill must not lose (default: beside --out)")
    add_fetching(add)


def collect(args):
    from fit.images.collect import collect

    work = args.work or Path(args.out[0]).parent / ".collected"
    collect(args.source, args.matched_captions, args.corpus, by_slug(args.out), work=work, **fetching(args))


def import_arguments(add):
    add("--kind", choices=("training", "generated", "photographs"), help="photographs: one folder, without slugs")
    add("--place", help="folder with a folder per slug, or Parquet with the columns concept and bytes")
    add("--sheet", default="", help="concept sheet, by which rows of a table that are of no concept are named")
    many(add, "out", help="image tables to write, named by the slugs of their concepts")
    add("--work", default=None, metavar="FOLDER", help="for what a kill must not lose (default: beside --out)")
    add_limits(add)


def import_(args):
    from fit.concepts.sheet import read_sheet
    from fit.images.decode import Limits
    from fit.images.local import import_generated, import_images, import_photographs

    targets = by_slug(args.out)
    limits = Limits(args.max_pixels, args.min_side, args.decode_timeout_s, workers=args.decoders)
    places = {"work": args.work or Path(args.out[0]).parent / ".imported", "limits": limits}
    if args.kind != "photographs":
        places["sheet"] = [concept.slug for concept in read_sheet(args.sheet)] if args.sheet else None
    if args.kind == "training":
        import_images(args.place, targets, what="training images", none_too=True, **places)
        return
    if args.kind == "photographs":
        import_photographs(args.place, args.out[0], **places)
        return
    for concept, count in import_generated(args.place, targets, **places).items():
        print(f"fit: {concept}: {count} generated images can't be decoded and are left out", file=sys.stderr)


def retry_arguments(add):
    add("files", nargs="+", help="image tables that `fit images collect` wrote")
    add(
        "--status",
        nargs="+",
        default=None,
        help="which failures, as `fit images stats` names them (default: those that may pass)",
    )
    add_fetching(add)


def retry(args):
    from fit.images.collect import MAY_PASS, retry
    from fit.io.parquet import read

    for table in args.files:
        there = set(read(table, ["status"]).column("status").to_pylist()) if args.status else set()
        for status in sorted(set(args.status or ()) - there):
            print(f"fit: {table}: no row has the status {status!r}; it has {', '.join(sorted(there))}", file=sys.stderr)
        tried, fixed = retry(table, set(args.status or MAY_PASS), **fetching(args))
        left = "" if fixed else "; the file is left as it is"
        print(f"{table}: {tried} fetched again, {fixed} of them now images{left}")


def stats_arguments(add):
    add("files", nargs="+", help="image tables")


def stats(args):
    from fit.images.table import statistics

    for table in args.files:
        print(f"{table}\n{statistics(table)}")


def show_arguments(add):
    add("file", help="image table (Parquet)")
    add("--unpack", metavar="FOLDER", default=None, help="write every picture into this folder instead")
    add("--provenance", action="store_true", help="print what made the pictures instead, as JSON")
    add("--sheet", default=None, help="picture to write (default: the table's name, .png, in this folder)")
    add("--most", type=int, default=200, help="pictures on the sheet, at most")
    add("--columns", type=int, default=20)


def show(args):
    from fit.images import table
    from fit.io.files import atomic_write

    if args.provenance:
        print(json.dumps(table.provenance(args.file), indent=2))
        return
    if args.unpack:
        print(f"{table.unpack(args.file, args.unpack)} pictures in {args.unpack}")
        return
    pictures = list(islice((picture for _, batch in table.stream(args.file) for picture in batch), args.most))
    if not pictures:
        raise FitError(f"{args.file}: no picture in it; its column `status` says why")
    out = args.sheet or Path(args.file).with_suffix(".png").name
    if not args.sheet and Path(out).exists():
        raise FitError(f"{out}: there is such a file already; name the picture to write with --sheet")
    with atomic_write(out) as part:
        table.contact_sheet(pictures, args.columns).save(part)
    print(f"{len(pictures)} pictures in {out}")


COMMANDS = (
    Command("collect", "collect the images behind sampled captions", collect_arguments, collect),
    Command("import", "take pictures that are at hand", import_arguments, import_),
    Command("retry", "fetch failures of image tables again", retry_arguments, retry),
    Command("stats", "count the statuses of image tables", stats_arguments, stats),
    Command(
        "show", "draw a contact sheet of an image table, or unpack it", show_arguments, show, writes=("sheet", "unpack")
    ),
)
