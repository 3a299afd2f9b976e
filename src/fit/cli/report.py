"""`fit report`."""

from argparse import ArgumentTypeError, Namespace
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path

from fit.cli.command import Command
from fit.cli.output import show
from fit.errors import FitError


def _date(text: str) -> str:
    try:
        return date.fromisoformat(text).isoformat()
    except ValueError:
        raise ArgumentTypeError(f"{text!r} is not a date; write it as 2026-01-31") from None


def report_arguments(add: Callable[..., None]) -> None:
    """Add the options of `fit report`."""
    from fit.cli.flags import add_settings
    from fit.explorer.datasheet_settings import DatasheetSettings

    add("study", help="its name, its folder, or the path of its study.json, which `fit run explorer` makes")
    add("--html", default=None, metavar="FILE", help="datasheet to write, as one file that opens without a network")
    add("--pdf", default=None, metavar="FILE", help="datasheet to write, on A4")
    add("--verify", action="store_true", help="hold the files that numbers come from against their hashes")
    add("--concept", default=None, metavar="SLUG", help="of one concept alone: its counts, scores, verdict, pictures")
    add("--author", default="", metavar="TEXT", help="who hands the datasheet over; written into it")
    add("--date", default=None, type=_date, metavar="DATE", help="of the datasheet: 2026-01-31 (default: today)")
    add_settings(add, DatasheetSettings)
    add("--font", nargs="*", default=[], metavar="FILE", help="fonts for characters that those of the PDF lack")
    add("--tables", default=None, metavar="FOLDER", help="of thumbnails (default: pictures, beside the study's)")
    add("--results", default="results", metavar="FOLDER", help="where the name of a study is looked up")


def _place(study: str, results: str) -> tuple[str, str | Path]:
    """Return (study, results): of a folder with config.yaml, its default study and the results in that folder."""
    from fit.config.read import load

    if not Path(study, "config.yaml").is_file():
        return study, results
    return load(Path(study, "config.yaml")).default_study, Path(study, results)


def report(args: Namespace) -> int:
    """Write the datasheet of a study, or of one of its concepts; or hold its files against their hashes."""
    from fit.explorer.reading import base_of, find_study, place_of, read_study, verify
    from fit.io.digest import sha256_of
    from fit.io.shown import number_of, plain

    if not (args.html or args.pdf or args.verify):
        raise FitError("report: name a file to write, with --html FILE or --pdf FILE; or --verify")
    path = find_study(*_place(args.study, args.results))
    study = read_study(path)
    status = 0
    lines: list[str] = []
    said: dict[str, object] = {"study": str(path)}
    if args.verify:
        base = base_of(path)
        held = verify(study, base)
        lines += [f"{one.found}: {one.file}" for one in held if one.found != "same"]
        same = sum(one.found == "same" for one in held)
        are = "is" if same == 1 else "are"
        lines.append(f"{path}: of {number_of(len(held), 'file')}, {same} {are} the same as when it was made")
        said["files"] = held
        status = int(same < len(held) or not held)
    if args.html or args.pdf:
        from fit.cli.flags import read_settings
        from fit.explorer.datasheet import make_datasheet
        from fit.explorer.datasheet_settings import DatasheetSettings

        sheet = make_datasheet(
            study,
            sha256=sha256_of(path),
            place=place_of(path),
            folder=args.tables or Path(path.absolute().parent.parent, "pictures"),
            date=args.date or datetime.now(UTC).date().isoformat(),
            author=args.author,
            concept=args.concept,
            settings=read_settings(DatasheetSettings, args),
        )
        if args.html:
            from fit.explorer.datasheet_html import lay_out as lay_out_html
            from fit.io.files import write_text

            write_text(args.html, lay_out_html(sheet))
            lines.append(args.html)
            said["html"] = args.html
        if args.pdf:
            from fit.explorer.datasheet_pdf import lay_out as lay_out_pdf
            from fit.io.files import atomic_write

            data, lacks = lay_out_pdf(sheet, args.font)
            with atomic_write(args.pdf) as part:
                part.write_bytes(data)
            remark = (
                f": its fonts lack {plain(lacks)}, which are written as numbers; --font adds a font" if lacks else ""
            )
            lines.append(f"{args.pdf}{remark}")
            said |= {"pdf": args.pdf, "fonts_lack": list(lacks)}
    show(args, lambda: lines, lambda: said)
    return status


COMMAND = Command(
    "report",
    "a datasheet of a study, or of one concept, to hand over: as PDF or HTML",
    report_arguments,
    report,
    writes=("html", "pdf"),
    prints=True,
)
