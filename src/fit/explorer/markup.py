"""Texts with backticks, for pages of HTML."""

import re

from markupsafe import Markup, escape

from fit.explorer.words import unbroken

_CODE = re.compile("`([^`]+)`")


def code(text: str) -> Markup:
    """Return a text for HTML, escaped, in which what is between backticks is code."""
    pieces = _CODE.split(text)
    return Markup("").join(
        Markup("<code>{}</code>").format(piece) if place % 2 else escape(unbroken(piece))
        for place, piece in enumerate(pieces)
    )
