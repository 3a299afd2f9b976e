"""Options that say what data a study rests on, for the commands that report it."""

from argparse import Namespace
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from fit.cli.flags import add_settings
from fit.errors import FitError
from fit.images.settings import FetchSettings
from fit.settings import settings_of

if TYPE_CHECKING:
    from fit.reports.data import DataSource, Kind

_OTHERS = tuple(field.name for field in settings_of(FetchSettings) if field.name != "honour_opt_out")


def add_data(add: Callable[..., None]) -> None:
    """Add the options that say what a study rests on, and whether opt-outs were honoured."""
    things = "models, corpora, embedders, references and photographs"
    add("--data", nargs="*", default=[], metavar="KIND/NAME=PLACE", help=f"{things}: their files, folders and ids")
    add("--origins", nargs="*", default=[], metavar="KIND/NAME=TEXT", help="who made or published them")
    add("--licences", nargs="*", default=[], metavar="KIND/NAME=TEXT", help="their licences, as publishers state them")
    add("--fetched", nargs="*", default=[], metavar="KIND/NAME=DOMAIN", help="images that came from the web")
    add_settings(add, FetchSettings, without=_OTHERS)


def _pairs(option: str, texts: Iterable[str]) -> "dict[tuple[Kind, str], list[str]]":
    """Return (kind, name) -> its values, of texts KIND/NAME=VALUE.

    Raises:
        FitError: a text is not of this form.
    """
    from fit.reports.data import KINDS

    found: dict[tuple[Kind, str], list[str]] = {}
    for text in texts:
        key, _, value = text.partition("=")
        named, _, name = key.partition("/")
        kind = next((one for one in KINDS if one == named), None)
        if kind is None or not name or not value.strip():
            raise FitError(f"{option} {text!r}: write KIND/NAME=VALUE; a kind is one of {', '.join(KINDS)}")
        found.setdefault((kind, name), []).append(value.strip())
    return found


def read_data(args: Namespace) -> "list[DataSource]":
    """Return what a study rests on, in the order of --data.

    Raises:
        FitError: an option is not KIND/NAME=VALUE, or is about something that --data does not name.
    """
    from fit.reports.data import DataSource

    places = _pairs("--data", args.data)
    of = {name: _pairs(f"--{name}", getattr(args, name)) for name in ("origins", "licences", "fetched")}
    for name, found in of.items():
        for key in found.keys() - places.keys():
            said = "/".join(key)
            raise FitError(f"--{name}: {said} is not in --data; add {said}=... there")
    return [
        DataSource(
            kind=key[0],
            name=key[1],
            places=tuple(of_key),
            origin="; ".join(of["origins"].get(key, [])),
            licence="; ".join(of["licences"].get(key, [])),
            fetched=tuple(of["fetched"].get(key, [])),
        )
        for key, of_key in places.items()
    ]
