"""The page of one name: one file, which loads nothing. Names and captions are escaped; pictures are shown as given."""

import base64
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.resources import files
from io import BytesIO
from pathlib import Path
from urllib.parse import urlsplit

import jinja2
from PIL import Image

from fit.artist.answer import Answer, Compared
from fit.artist.find import Found, Shown
from fit.artist.settings import ArtistSettings
from fit.explorer.markup import code
from fit.explorer.words import GLOSSARY
from fit.images.table import pictures_at, rows_to_show
from fit.io.files import write_text
from fit.io.parquet import read
from fit.io.shown import number_of

_QUALITY = 80
"""Of WebP."""
_TERMS = ("imitation threshold", "effective count", "reference", "match", "interval")
"""What the page explains, in the explorer's words."""


@dataclass(frozen=True)
class Picture:
    """A picture on the page."""

    data: str
    """A data: address."""
    label: str
    is_match: bool | None
    """Whether it is above the match threshold; None if that is unknown."""
    title: str
    """Its name or address."""


def _data(picture: Image.Image, side: int) -> str:
    picture.thumbnail((side, side))
    out = BytesIO()
    picture.save(out, "WEBP", quality=_QUALITY)
    return "data:image/webp;base64," + base64.b64encode(out.getvalue()).decode()


def _pictures(shown: Shown, most: int, side: int, threshold: float | None) -> Iterator[Picture]:
    """Yield the first pictures of a table, in its order: none is chosen for how close it is."""
    rows = rows_to_show(shown.table)[:most].tolist()
    ids = read(shown.table, ["image_id"]).column("image_id").to_pylist()
    for row, picture in sorted(pictures_at(shown.table, rows).items()):
        if picture is None:
            continue
        cosine = shown.similarity.get(ids[row])
        label = "" if cosine is None else f"{cosine:.2f}"
        match = None if cosine is None or threshold is None else cosine > threshold
        yield Picture(_data(picture, side), label, match, ids[row])


def web_address(text: str | None) -> str:
    """Return an address of the web as it is; of anything else, such as one that runs a script, an empty text."""
    try:
        parts = urlsplit(text or "")
    except ValueError:
        return ""
    return text or "" if parts.scheme in ("http", "https") and parts.netloc else ""


def page(found: Found, said: Answer, compared: Compared, settings: ArtistSettings, when: str) -> str:
    """Return the page as HTML.

    Args:
        found: what was found.
        said: the answer.
        compared: the threshold, and its source.
        settings: how much the page shows.
        when: the day, as text.
    """
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined)
    environment.filters |= {"code": code, "web_address": web_address, "number_of": number_of}
    template = files("fit.artist").joinpath("templates/page.html").read_text("utf-8")
    kinds = (
        ("Training images", found.training, "of the captions, or as given; a frame: it matches a reference"),
        ("References", found.references, "what pictures are compared with"),
        ("Pictures by the model", found.generated, "a frame: it matches a reference"),
    )
    pictures = [
        (title, shown.total, note, list(_pictures(shown, settings.pictures_shown, settings.thumbnail_px, threshold)))
        for title, shown, note in kinds
        if shown
        for threshold in [found.match_threshold if title != "References" else None]
    ]
    return environment.from_string(template).render(
        found=found,
        said=said,
        compared=compared,
        captions=found.sample[: settings.captions_shown],
        pictures=pictures,
        terms=[term for term in GLOSSARY if term.term in _TERMS],
        when=when,
    )


def write_page(path: Path, text: str) -> None:
    """Write the page, whole or not at all."""
    write_text(path, text)
