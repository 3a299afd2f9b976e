"""`fit explorer`."""

from argparse import Namespace
from collections.abc import Callable

from fit.cli.command import Command
from fit.cli.flags import add_settings, read_settings
from fit.explorer.settings import PageSettings

Add = Callable[..., None]


def build_arguments(add: Add) -> None:
    """Add the options of `fit explorer build`."""
    add("study", metavar="STUDY.json", help="what `fit explorer gather` wrote")
    add(
        "--pictures",
        nargs="*",
        default=[],
        metavar="PLACE",
        help="folders of thumbnails that end in model/domain, or tables in such folders (default: no pictures)",
    )
    add_settings(add, PageSettings)
    add("--out", metavar="FILE.html", help="the page to write")


def build(args: Namespace) -> None:
    """Write the page, and say what it has."""
    from fit.explorer.page import MEGABYTE
    from fit.explorer.page import build as build_page

    made = build_page(args.study, args.pictures, args.out, read_settings(PageSettings, args))
    left_out = f", {made.left_out:,} left out (page_mb)" if made.left_out else ""
    print(f"{args.out}: {made.size / MEGABYTE:.1f} MB, {made.pictures:,} pictures{left_out}")


COMMANDS = (Command("build", "the page of a study, as one HTML file", build_arguments, build),)
