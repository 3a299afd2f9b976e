"""Makes the folder of a new study: a small config.yaml, a sheet, and folders to fill."""

import csv
import json
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

import jinja2

from fit.concepts.sheet import LONGEST_SLUG, SLUG, Concept, read_sheet, write_sheet
from fit.config.defaults import EMBEDDERS
from fit.config.schema import write_schema
from fit.errors import DataError, PlaceError
from fit.io.escaping import delimited
from fit.io.files import make_folder, write_text
from fit.io.folders import printable
from fit.io.nearby import entries, slug_of
from fit.io.shown import number_of, plain, shown
from fit.io.user_tables import read_user_table

Evidence = Literal["counts", "captions", "pictures"]
EXAMPLES = (
    Concept("vincent-van-gogh", "Vincent van Gogh", ("van Gogh",)),
    Concept("rembrandt", "Rembrandt van Rijn", ("Rembrandt",)),
)
"""Rows of a sheet whose names are not known yet."""
PROMPTS = {
    "people": (
        "a photorealistic close-up photograph of {name}",
        "high-resolution close-up image of {name}",
        "close-up headshot of {name}",
        "{name}'s facial close-up",
        "a portrait photograph of {name}",
    ),
    "styles": (
        "a painting in the style of {name}",
        "an artwork in the style of {name}",
        "a sketch in the style of {name}",
        "a fine art piece in the style of {name}",
        "an illustration in the style of {name}",
    ),
}
"""What a model is asked for: the prompts of the paper (arXiv 2410.15002, section 4)."""
DLIB = ("dlib", "face_recognition_models")
"""Packages of the embedder dlib: its code and its weights."""
LONGEST_LINE = 2000
"""Characters of a name with its aliases."""
READMES = {
    "references": "A folder per slug of concepts.tsv, with 10 or more pictures that you have verified to show it.",
    "generated": "A folder per slug of concepts.tsv, with the pictures that the model made of it.",
    "training": "A folder per slug of concepts.tsv, with the training images of it (none: an empty folder).",
    "captions": "Files with a caption and an address in each row: Parquet, CSV, TSV or JSON lines, of one format.",
    "weights": "The embedder's file of weights, as config.yaml names it (docs/embeddings.md says where to get it).",
}
"""Folder to fill -> what its README says."""


def usual_embedder(of: str) -> str:
    """Return the name of the embedder that a study of `people` or `styles` has if nobody names one.

    For people it is dlib where it is installed, since its weights are a package and nothing is to be fetched.
    """
    if of == "people":
        return "dlib" if all(find_spec(package) for package in DLIB) else "facenet"
    return "csd"


@dataclass(frozen=True, kw_only=True)
class NewStudy:
    """What is there for a study. Paths are as seen from the present folder; None: a place in the folder, to fill."""

    folder: Path
    of: Literal["people", "styles"] = "styles"
    evidence: Evidence = "counts"
    """How it is known how often the model saw each concept."""
    names: Path | None = None
    """A file with a name a line, aliases after a tab or between |; or a sheet; or a table, with `name_column`."""
    name_column: str = ""
    """Column of a table that holds the names; "": they are not in a table."""
    references: Path | None = None
    generated: Path | None = None
    model: str | None = None
    """A pipeline, by folder or hub id, in place of `generated`."""
    counts: Path | None = None
    captions: tuple[str, ...] = ()
    images: Literal["embedded", "http"] = "http"
    caption_column: str = "caption"
    url_column: str = "url"
    training: Path | None = None
    embedder: tuple[str, ...] = ()
    """The name of a known embedder; or a backend and what it loads. (): the usual one."""
    gpus: bool = True
    """Whether this machine has a GPU."""


@dataclass(frozen=True)
class Made:
    """A new study."""

    folder: Path
    places: tuple[tuple[str, str], ...]
    """(path, what it is), in the order in which a user meets them."""
    concepts: int
    has_examples: bool
    """Whether the rows of the sheet are examples."""


def _columns_of(path: Path, lines: Sequence[str]) -> list[str]:
    """Return the columns of a file that is a table and no list of names; none of a list.

    A file .csv whose first line has several cells is one, and any text whose lines all have as many cells, three or
    more: a name may have a comma ("Gogh, Vincent van").
    """
    rows = [line for line in lines if line.strip()]
    for sign in (",", ";"):
        widths = [len(cells) for cells in csv.reader(rows, delimiter=sign)]
        if (path.suffix.lower() == ".csv" and widths[:1] > [1]) or (widths[:1] > [2] and len(set(widths)) == 1):
            return [cell.strip() for cell in next(csv.reader(rows[:1], delimiter=sign))]
    return []


def _lines_of_names(path: Path) -> list[str]:
    """Return the lines of a file of names.

    Raises:
        DataError: it can't be read, or is a folder or a table.
    """
    try:
        if path.is_dir():
            raise DataError(f"{path}: this is a folder, and names are in a file; name the file in it")
        data = path.read_bytes()
        if data.startswith(b"PAR1"):
            raise DataError(f"{path}: a table (Parquet); say which column holds the names: --name-column NAME")
        return data.decode("utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: this file of names can't be read ({error}); save it as UTF-8 text") from None
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or error
        raise DataError(f"{path}: this file of names can't be read ({why}); check the path") from None


def _read_names(path: Path, column: str) -> list[Concept]:
    """Return the concepts of a file of names, of a sheet, or of the `column` of a table.

    Raises:
        DataError: it can't be read, has no name, or is a table whose column is not said.
        SheetError: it begins as a sheet and is not one.
    """
    if column:
        cells = read_user_table(path, [column]).values(column)
        lines = [" ".join(str(cell).split()) for cell in cells if cell is not None]
    else:
        lines = _lines_of_names(path)
        if lines and re.match(r'"?concept"?[\t,;]', lines[0]):
            return read_sheet(path)
        if columns := _columns_of(path, lines):
            raise DataError(
                f"{path}: a table with the columns {plain(columns)}; say which holds the names: --name-column NAME "
                "(of a list of names with commas, save it as .txt)"
            )
    if long := next((line for line in lines if len(line) > LONGEST_LINE), None):
        raise DataError(f"{path}: {shown(long)} has {len(long):,} characters, too many for a name; write one a line")
    concepts: dict[str, Concept] = {}
    for line in filter(str.strip, lines):
        parts = [part.strip() for part in re.split(r"[\t|]", line) if part.strip()]
        if not parts:
            continue
        name, *aliases = parts
        if name in (concept.name for concept in concepts.values()):
            continue
        base = slug = slug_of(name)[:LONGEST_SLUG].strip("-") or f"concept-{len(concepts) + 1}"
        number = 1
        while slug in concepts:
            number += 1
            slug = f"{base}-{number}"
        concepts[slug] = Concept(slug, name, tuple(dict.fromkeys(aliases)))
    if not concepts:
        raise DataError(f"{path}: no name in it; write one a line")
    return list(concepts.values())


def _of_folders(place: Path) -> list[Concept]:
    """Return a concept for each folder of pictures in `place` whose name is a slug; the name is guessed from it."""
    slugs = [name for name in entries(place) if Path(place, name).is_dir() and SLUG.fullmatch(name)]
    return [Concept(slug, slug.replace("-", " ").title()) for slug in slugs]


def _concepts(study: NewStudy) -> tuple[list[Concept], bool]:
    """Return (concepts, whether they are only examples)."""
    if study.names:
        return _read_names(study.names, study.name_column), False
    found = _of_folders(study.references or study.folder / "references")
    return (found, False) if found else (list(EXAMPLES), True)


def _from_folder(folder: Path, path: str | Path) -> str:
    """Return a path of the present folder as one from `folder`: relative, but for what is absolute or an address."""
    text = str(path)
    if "://" in text or Path(text).is_absolute():
        return text
    return os.path.relpath(text, folder)


def _weights(folder: Path, text: str) -> str:
    prefix, path = ("local-dir:", text.removeprefix("local-dir:")) if text.startswith("local-dir:") else ("", text)
    return prefix + _from_folder(folder, path) if prefix or Path(path).exists() else text


def _quoted(value: Any) -> str:
    """Return a text or list of texts as YAML, quoted where YAML would read it otherwise."""
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(map(_quoted, value))}]"
    plain = re.fullmatch(r"[A-Za-z./][\w ./'-]*", value) and not value.endswith(" ")
    is_word = value.lower() in ("yes", "no", "on", "off", "true", "false", "null", "y", "n", "~")
    return value if plain and not is_word else json.dumps(value, ensure_ascii=False)


def _config(study: NewStudy, domain: str) -> str:
    template = files("fit.studies").joinpath("templates/config.yaml").read_text("utf-8")
    environment = jinja2.Environment(undefined=jinja2.StrictUndefined, keep_trailing_newline=True, autoescape=False)
    environment.filters["q"] = _quoted
    folder, own = study.folder, len(study.embedder) > 1
    embedder = "mine" if own else _embedder(study)[0]
    is_local = bool(study.model) and Path(str(study.model)).exists()
    here = {name: _from_folder(folder, place) for name, place in _given(study).items()}
    return environment.from_string(template).render(
        {name: name for name in ("references", "generated", "training")}
        | {"counts": "counts.csv"}
        | here
        | {
            "study": slug_of(folder.resolve().name) or "study",
            "domain": domain,
            "of": study.of,
            "references_are_a_table": bool(study.references) and Path(str(study.references)).is_file(),
            "embedder": embedder,
            "backend": study.embedder[0] if own else "",
            "weights": _weights(folder, study.embedder[1]) if own else "",
            "tells": "tells people apart by their faces" if study.of == "people" else "tells styles apart",
            "prompts": PROMPTS[study.of] if study.model else PROMPTS[study.of][:1],
            "evidence": study.evidence,
            "captions": [_from_folder(folder, path) for path in study.captions] or ["captions"],
            "caption_column": study.caption_column,
            "url_column": study.url_column,
            "images": study.images,
            "model": _from_folder(folder, study.model) if study.model and is_local else study.model,
            "download": bool(study.model) and not is_local,
            "gpus": study.gpus,
            "asks_for_gpu": bool(own or EMBEDDERS[embedder].get("gpus", 1)),
        }
    )


def _given(study: NewStudy) -> dict[str, Path]:
    """Return which places exist outside the new folder: name -> path."""
    names = ("references", "generated", "training", "counts")
    return {name: place for name in names if (place := getattr(study, name)) is not None}


def _embedder(study: NewStudy) -> tuple[str, ...]:
    return study.embedder or (usual_embedder(study.of),)


def _to_fill(study: NewStudy) -> Iterator[str]:
    """Yield the folders of READMES that this study has to have and nobody has given."""
    if not study.references:
        yield "references"
    if not study.generated and not study.model:
        yield "generated"
    if study.evidence == "pictures" and not study.training:
        yield "training"
    if study.evidence == "captions" and not study.captions:
        yield "captions"
    embedder = _embedder(study)
    if len(embedder) == 1 and EMBEDDERS[embedder[0]]["model"].startswith("weights/"):
        yield "weights"


def _check(study: NewStudy) -> None:
    """Check what is given before anything is written.

    Raises:
        DataError: the embedder is not known, or a place is empty.
        PlaceError: a place does not exist, or the folder has a name that other programs do not take.
    """
    folder = str(study.folder)
    if not folder.isprintable():
        raise PlaceError(
            f"{printable(folder)!r}: this name has characters that are not UTF-8 or invisible; name another"
        )
    if study.model == "" or not all(study.captions):
        raise DataError(f"--{'model' if study.model == '' else 'captions'} is empty; name a place, or leave it out")
    if len(study.embedder) == 1 and study.embedder[0] not in EMBEDDERS:
        raise DataError(
            f"--embedder {study.embedder[0]}: not known by this name; there are {', '.join(EMBEDDERS)}; for "
            "another, give a backend and what it loads (--embedder openclip local-dir:FOLDER)"
        )
    for name, place in _given(study).items():
        if not place.exists():
            raise PlaceError(f"--{name} {place}: there is no such file or folder; correct the path, or leave it out")


def make_study(study: NewStudy) -> Made:
    """Make the folder of a study. Nothing that exists is changed; config.yaml, which makes it a study, comes last.

    Raises:
        DataError: the embedder is not known, or names can't be read.
        PlaceError: something that is given does not exist, or something that would be written does.
    """
    _check(study)
    folder = study.folder
    concepts, has_examples = _concepts(study)
    to_fill = list(_to_fill(study))
    has_counts = study.evidence == "counts" and not study.counts
    written = ["config.yaml", "concepts.tsv", ".config.schema.json", *(["counts.csv"] if has_counts else [])]
    if there := [name for name in written if Path(folder, name).exists()]:
        raise PlaceError(
            f"{folder}: there is {', '.join(there)} in it already, and nothing is overwritten; name a new folder"
        )
    domain = study.of
    for place in (folder, *(folder / name for name in to_fill)):
        if place.is_symlink() and not place.exists():
            raise PlaceError(f"{place}: a link that leads to nothing; remove it, or name a new folder")
        if place.exists() and not place.is_dir():
            raise PlaceError(f"{place}: this is a file, and a folder is made there; move it, or name a new folder")
    config = _config(study, domain)
    make_folder(folder)
    for name in to_fill:
        _fill(folder / name, [c.slug for c in concepts] if name in ("references", "generated", "training") else [])
    write_sheet(concepts, folder / "concepts.tsv")
    if has_counts:
        rows = [(concept.slug, "") for concept in concepts]
        write_text(folder / "counts.csv", delimited([("concept", "effective_count"), *rows]).replace("\t", ","))
    write_schema(folder / ".config.schema.json")
    write_text(folder / "config.yaml", config)
    places = [
        ("config.yaml", "what to find out, and where everything is"),
        (
            "concepts.tsv",
            "two examples: put your concepts there" if has_examples else f"{number_of(len(concepts), 'concept')}",
        ),
        *([("counts.csv", "write how many training images show each concept")] if has_counts else []),
        *((f"{name}/", READMES[name]) for name in to_fill),
    ]
    return Made(folder, tuple(places), len(concepts), has_examples)


def _fill(place: Path, slugs: Sequence[str]) -> None:
    """Make a folder to fill, and in it one per slug; a README that exists stays."""
    make_folder(place)
    if not Path(place, "README.txt").exists():
        write_text(place / "README.txt", READMES[place.name] + "\n")
    for slug in slugs:
        make_folder(place / slug)
