"""Lays a datasheet out as HTML: one file that opens without a network and prints on A4."""

import base64
from importlib.resources import files

from jinja2 import Environment, StrictUndefined

from fit.explorer.datasheet_blocks import Datasheet

PAGE = "datasheet_page"


def lay_out(sheet: Datasheet) -> str:
    """Return a datasheet as HTML. Names and other texts of strangers are shown as they are: none is markup."""
    folder = files("fit.explorer").joinpath(PAGE)
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters["base64"] = lambda data: base64.b64encode(data).decode("ascii")
    template = environment.from_string(folder.joinpath("datasheet.html").read_text(encoding="utf-8"))
    css = folder.joinpath("datasheet.css").read_text(encoding="utf-8")
    return template.render(sheet=sheet, css=css).lstrip()
