"""`fit images`."""

import sys
from argparse import Namespace
from collections.abc import Callable
from itertools import islice
from pathlib import Path

from fit.cli.command import Command
from fit.cli.common import add_work
from fit.cli.flags import add_settings, read_settings
from fit.cli.output import show
from fit.cli.parser import Number, Slugs
from fit.errors import FitError
from fit.images.settings import DecodeSettings, FetchSettings
from fit.io.shown import number_of


def _add_decoders(add: Callable[..., None]) -> None:
    add("--decoders", type=Number(int, 1, 4096), default=2, metavar="N", help="processes that decode")


def _add_work(add: Callable[..., None]) -> None:
    add_work(add)


def collect_arguments(add: Callable[..., None]) -> None:
    add("--source", help="where the images are: embedded (in the corpus's own files) or http (behind the links)")
    add("--matched-captions", metavar="FILE", help="file that `fit captions count` wrote")
    add("--corpus", nargs="*", default=[], metavar="FILE", help="the corpus's files, for embedded images")
    add("--concepts", action=Slugs, required=True, help="which concepts, in the table's order")
    _add_work(add)
    add_settings(add, FetchSettings, DecodeSettings)
    _add_decoders(add)
    add("--out", metavar="FILE", help="image table to write")


def collect(args: Namespace) -> None:
    from fit.images.collect import collect

    collect(
        args.source,
        args.matched_captions,
        args.corpus,
        args.concepts,
        args.out,
        work=args.work or Path(args.out).parent / ".collected",
        fetching=read_settings(FetchSettings, args),
        decoding=read_settings(DecodeSettings, args),
        decoders=args.decoders,
    )


def import_arguments(add: Callable[..., None]) -> None:
    add("--place", metavar="PATH", help="folder with a folder per slug, or Parquet with the columns concept and bytes")
    add("--concepts", action=Slugs, required=True, help="which concepts, in the table's order")
    add("--sheet", default=None, metavar="FILE", help="concept sheet: rows of a table that are of no concept are named")
    _add_work(add)
    add_settings(add, DecodeSettings)
    _add_decoders(add)
    add("--out", metavar="FILE", help="image table to write")


def import_(args: Namespace) -> None:
    from fit.concepts.sheet import read_sheet
    from fit.images.local import import_images

    import_images(
        args.place,
        args.concepts,
        args.out,
        what="training images",
        work=args.work or Path(args.out).parent / ".imported",
        decoding=read_settings(DecodeSettings, args),
        decoders=args.decoders,
        none_too=True,
        sheet=[concept.slug for concept in read_sheet(args.sheet)] if args.sheet else None,
    )


def import_photographs_arguments(add: Callable[..., None]) -> None:
    add("--place", metavar="PATH", help="folder, or Parquet with the column bytes")
    _add_work(add)
    add_settings(add, DecodeSettings)
    _add_decoders(add)
    add("--out", metavar="FILE", help="image table to write")


def import_photographs(args: Namespace) -> None:
    from fit.images.local import import_photographs

    work = args.work or Path(args.out).parent / ".imported"
    decoding = read_settings(DecodeSettings, args)
    import_photographs(args.place, args.out, work=work, decoding=decoding, decoders=args.decoders)


def retry_arguments(add: Callable[..., None]) -> None:
    add("files", nargs="+", metavar="FILE", help="image tables that `fit images collect` wrote")
    add(
        "--status",
        nargs="+",
        default=None,
        help="which failures, as `fit images stats` names them (default: those that may be temporary)",
    )
    add_settings(add, FetchSettings, DecodeSettings)
    _add_decoders(add)


def retry(args: Namespace) -> None:
    from fit.images.collect import MAY_PASS, retry
    from fit.io.parquet import read

    fetching, decoding = read_settings(FetchSettings, args), read_settings(DecodeSettings, args)
    statuses = args.status or MAY_PASS
    rows: list[dict[str, object]] = []
    for table in args.files:
        there = set(read(table, ["status"]).column("status").to_pylist()) if args.status else set()
        for status in sorted(set(args.status or ()) - there):
            print(f"fit: {table}: no row has the status {status!r}; it has {', '.join(sorted(there))}", file=sys.stderr)
        tried, fixed = retry(table, statuses, fetching=fetching, decoding=decoding, decoders=args.decoders)
        left = "" if fixed else "; the file is left as it is"
        said = f"{table}: {tried} fetched again, {fixed} of them now images{left}"
        rows.append({"file": table, "fetched_again": tried, "now_images": fixed})
        if not args.json:  # a table may take hours: each is said at once
            show(args, said.__str__, dict)
    if args.json:
        show(args, str, lambda: rows)


def stats_arguments(add: Callable[..., None]) -> None:
    add("files", nargs="+", metavar="FILE", help="image tables")


def stats(args: Namespace) -> None:
    from fit.images.table import count_statuses, statistics

    show(
        args,
        lambda: [line for table in args.files for line in (table, statistics(table))],
        lambda: [{"file": table} | count_statuses(table) for table in args.files],
    )


def count_statuses_arguments(add: Callable[..., None]) -> None:
    add("folder", help="of image tables that were collected")
    add("--sheet", metavar="FILE", help="concept sheet: of which concepts")
    add("--out", metavar="FILE", help="table to write")


def count_statuses(args: Namespace) -> None:
    from fit.concepts.sheet import read_sheet
    from fit.images.statuses import count_collected, write_statuses
    from fit.io.concept_tables import ConceptTables

    slugs = [concept.slug for concept in read_sheet(args.sheet)]
    counts = count_collected(ConceptTables([args.folder]), slugs)
    write_statuses(counts, args.out)
    said = ", ".join(f"{number:,} {status}" for status, number in counts.items()) or "no image"
    show(args, lambda: f"{args.out}: {said}", lambda: {"out": args.out, "statuses": counts})


def show_arguments(add: Callable[..., None]) -> None:
    add("file", metavar="FILE", help="image table (Parquet)")
    add("--concept", default=None, metavar="SLUG", help="only the pictures of this concept")
    add("--unpack", metavar="FOLDER", default=None, help="write every picture into this folder instead")
    add("--provenance", action="store_true", help="print what made the pictures instead, as JSON")
    add(
        "--out",
        default=None,
        metavar="PICTURE",
        help="contact sheet to write (default: the table's name, or the concept's, and .png, in this folder)",
    )
    add("--most", type=Number(int, 1, 1_000_000), default=200, metavar="N", help="pictures on the sheet, at most")
    add("--columns", type=Number(int, 1, 1000), default=20, metavar="N", help="pictures in a row")


def show_table(args: Namespace) -> None:
    from fit.images import table
    from fit.io.files import atomic_write
    from fit.io.json_files import dumps

    if args.provenance:
        made_by = table.provenance(args.file)
        show(args, lambda: dumps(made_by), lambda: made_by)
        return
    if args.concept:
        table.check_concept(args.file, args.concept)
    if args.unpack:
        number = table.unpack(args.file, args.unpack, args.concept)
        show(
            args,
            lambda: f"{number_of(number, 'picture')} in {args.unpack}",
            lambda: {"pictures": number, "out": args.unpack},
        )
        return
    batches = table.stream(args.file, concept=args.concept)
    pictures = list(islice((picture for _, batch in batches for picture in batch), args.most))
    if not pictures:
        raise FitError(f"{args.file}: no picture in it; its column `status` says why")
    out = args.out or (f"{args.concept}.png" if args.concept else Path(args.file).with_suffix(".png").name)
    if not args.out and Path(out).exists():
        raise FitError(f"{out}: there is such a file already; name the picture to write with --out")
    with atomic_write(out) as part:
        table.contact_sheet(pictures, args.columns).save(part)
    show(
        args, lambda: f"{number_of(len(pictures), 'picture')} in {out}", lambda: {"pictures": len(pictures), "out": out}
    )


COMMANDS = (
    Command("collect", "collect the images behind sampled captions", collect_arguments, collect),
    Command("import", "take local training images", import_arguments, import_),
    Command(
        "import-photographs",
        "take ordinary photographs, against which an art filter is measured",
        import_photographs_arguments,
        import_photographs,
    ),
    Command("retry", "fetch failures of image tables again", retry_arguments, retry, prints=True),
    Command(
        "count-statuses",
        "count the statuses of a folder of image tables, as a table",
        count_statuses_arguments,
        count_statuses,
        prints=True,
    ),
    Command("stats", "count the statuses of image tables", stats_arguments, stats, prints=True),
    Command(
        "show",
        "draw a contact sheet of an image table, or unpack it",
        show_arguments,
        show_table,
        writes=("out", "unpack"),
        prints=True,
    ),
)
