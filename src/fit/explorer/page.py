"""Lays a study out as one HTML file, which shows everything without a network.

The page may be opened by anybody and holds text of strangers: names, captions, prompts. Jinja2 escapes what it lays
out; data for scripts is JSON in which no sign is markup; scripts put text into the page as text. A content security
policy names the hash of each script, so that no other one runs, and forbids every request.
"""

import base64
import hashlib
import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.resources import files
from io import BytesIO
from pathlib import Path
from typing import Any

import jinja2
import pydantic
from jinja2.utils import htmlsafe_json_dumps
from markupsafe import Markup
from PIL import Image

from fit.errors import DataError, ImageTableError
from fit.explorer import charts
from fit.explorer.contents import PICTURES, Comparison, Part, Study
from fit.explorer.markup import code
from fit.explorer.reading import read_study
from fit.explorer.settings import PageSettings
from fit.io.concept_tables import ConceptTables
from fit.io.escaping import delimited
from fit.io.files import write_text
from fit.io.shown import noun_of
from fit.reports.data import DATA_NOTE, NOT_STATED, places_of
from fit.thresholds.meaning import MORE

SCRIPTS = ("tools", "terms", "charts", "pictures", "curve", "search", "slider", "concept", "beside", "trust", "start")
"""Files of the folder `page`, in the order in which they run."""
MEGABYTE = 1_000_000
_OVERHEAD = 160
"""Bytes that an entry of a picture takes beside the picture: its prompt, its name."""
_ROLES = {"reference": 0, "generated": 1, "target": 2}
_AXIS_LEAST = 1.0


@dataclass(frozen=True)
class Summary:
    """What a page has, for the line that the command prints."""

    size: int
    """Bytes of the file."""
    pictures: int
    """Pictures in it."""
    left_out: int
    """Pictures that did not fit."""


@dataclass(frozen=True)
class _Picture:
    """A thumbnail without its bytes: where it belongs, and what it takes."""

    role: str
    rank: int
    image_id: str
    prompt: str
    cosine: float | None
    near: str
    width: int
    height: int
    digest: bytes
    size: int


def _parts_of(place: Path, parts: Sequence[Part]) -> int:
    """Return which part a place of pictures is of, by its last two folders, model and domain.

    Raises:
        DataError: it is of none.
    """
    folder = place.parent if place.suffix == ".parquet" else place
    for number, part in enumerate(parts):
        if folder.absolute().parts[-2:] == (part.model, part.domain):
            return number
    named = ", ".join(f"{part.model}/{part.domain}" for part in parts[:5])
    raise DataError(
        f"{place}: pictures of no part of the study ({named}); a folder of pictures ends in model/domain, "
        "as results/explorer/pictures/{model}/{domain} does"
    )


def _tables(places: Sequence[str | Path], parts: Sequence[Part]) -> dict[int, ConceptTables]:
    """Return the tables of pictures of each part that has some.

    Raises:
        DataError: a place does not exist, or is of no part.
    """
    found: dict[int, list[Path]] = {}
    for place in map(Path, places):
        if not place.exists():
            raise DataError(f"{place}: no such file or folder; `fit explorer pictures` makes tables of pictures")
        found.setdefault(_parts_of(place, parts), []).append(place)
    return {number: ConceptTables(of_part) for number, of_part in found.items()}


def _is_webp(data: bytes) -> bool:
    try:
        with Image.open(BytesIO(data), formats=["WEBP"]) as picture:
            picture.load()
    except (OSError, ValueError, SyntaxError):
        return False
    return True


def _looked_at(tables: ConceptTables, wanted: Sequence[str]) -> dict[str, list[_Picture]]:
    """Return the pictures of each concept that is wanted, without their bytes, in the order in which they are shown.

    Raises:
        ImageTableError: a table lacks a column, or a picture is not WebP, or its role is not known.
    """
    columns = [name for name in PICTURES.names if name != "concept"]
    found: dict[str, list[_Picture]] = {}
    for slug, table in tables.each(columns, PICTURES):
        if slug not in wanted:
            continue
        pictures = []
        for row in table.to_pylist():
            data = row.pop("bytes") or b""
            where = f"{tables.path(slug)}: concept {slug!r}, image {row['image_id']!r}"
            if row["role"] not in _ROLES:
                raise ImageTableError(f"{where}: its role is {row['role']!r}, not one of {', '.join(_ROLES)}")
            if not _is_webp(data):
                raise ImageTableError(f"{where}: not a whole WebP picture; `fit explorer pictures` makes such tables")
            numbers = {name: row[name] or 0 for name in ("rank", "width", "height")}
            texts = {name: row[name] or "" for name in ("role", "image_id", "prompt", "near")}
            digest = hashlib.sha256(data).digest()
            about: dict[str, Any] = numbers | texts | {"cosine": row["cosine"]}
            pictures.append(_Picture(**about, digest=digest, size=len(data)))
        found[slug] = _in_order(pictures)
    return found


def _in_order(pictures: Sequence[_Picture]) -> list[_Picture]:
    """Return pictures so that the first few are the best few: a reference, a generated one, its targets ..."""
    rank_of = {one.image_id: one.rank for one in pictures if one.role == "generated"}

    def place(one: _Picture) -> tuple[int, int, int]:
        rank = rank_of.get(one.near, len(rank_of)) if one.role == "target" else one.rank
        return rank, _ROLES[one.role], one.rank

    return sorted(pictures, key=place)


def _cost(picture: _Picture) -> int:
    """Return the bytes that a picture takes in the page, in base64."""
    return 4 * math.ceil(picture.size / 3) + _OVERHEAD


def thin(costs: Sequence[Sequence[int]], budget: float) -> list[int]:
    """Return how many pictures each concept keeps, so that all together fit a budget and no concept has many more.

    First each concept gets its first picture, then each its second, as long as there is room. In the last round, the
    concepts that still get one are spread evenly over all.

    Args:
        costs: per concept, what each of its pictures takes, in bytes, in the order in which they are shown.
        budget: bytes.
    """
    kept, left = [0] * len(costs), budget
    for place in range(max(map(len, costs), default=0)):
        round_of = [number for number, of_concept in enumerate(costs) if place < len(of_concept)]
        total = sum(costs[number][place] for number in round_of)
        if total <= left:
            left -= total
            for number in round_of:
                kept[number] += 1
            continue
        some = min(int(left / (total / len(round_of))), len(round_of) - 1)
        for number in (round_of[(2 * i + 1) * len(round_of) // (2 * some)] for i in range(some)):
            if costs[number][place] <= left:
                left -= costs[number][place]
                kept[number] += 1
        break
    return kept


def _entries(pictures: Sequence[_Picture], bytes_of: Mapping[bytes, bytes]) -> dict[str, Any]:
    """Return the pictures of a concept for a script: each picture's data once, and what shows it."""
    places = {digest: number for number, digest in enumerate(dict.fromkeys(one.digest for one in pictures))}
    return {
        "data": [base64.b64encode(bytes_of[digest]).decode("ascii") for digest in places],
        "pictures": [
            {
                "role": one.role,
                "id": one.image_id,
                "prompt": one.prompt,
                "cosine": None if one.cosine is None or not math.isfinite(one.cosine) else round(one.cosine, 4),
                "near": one.near,
                "width": one.width,
                "height": one.height,
                "data": places[one.digest],
            }
            for one in pictures
        ],
    }


@dataclass(frozen=True)
class _Thumbnails:
    """The pictures that the page shows."""

    shown: dict[int, dict[str, list[_Picture]]]
    """Part -> slug -> pictures."""
    tables: dict[int, ConceptTables]
    number: int
    left_out: int

    def each(self, parts: Sequence[Part]) -> Iterator[tuple[str, Markup]]:
        """Yield (id of the element, its JSON) of each concept that has pictures."""
        for number, of_part in self.shown.items():
            place = {concept.slug: at for at, concept in enumerate(parts[number].concepts)}
            for slug, table in self.tables[number].each(["bytes"], PICTURES):
                if of_part.get(slug):
                    wanted = {one.digest for one in of_part[slug]}
                    found = {hashlib.sha256(data).digest(): data for data in table.column("bytes").to_pylist() if data}
                    kept = {digest: found[digest] for digest in wanted}
                    yield f"pictures-{number}-{place[slug]}", htmlsafe_json_dumps(_entries(of_part[slug], kept))


def _choose(parts: Sequence[Part], places: Sequence[str | Path], budget: float) -> _Thumbnails:
    """Choose the pictures that the page shows, within a budget of bytes."""
    tables = _tables(places, parts)
    all_of = {
        number: _looked_at(of_part, [concept.slug for concept in parts[number].concepts])
        for number, of_part in tables.items()
    }
    keys = [(number, slug) for number, of_part in all_of.items() for slug in of_part]
    kept = thin([[_cost(one) for one in all_of[number][slug]] for number, slug in keys], budget)
    shown: dict[int, dict[str, list[_Picture]]] = {number: {} for number in all_of}
    for (number, slug), few in zip(keys, kept, strict=True):
        shown[number][slug] = all_of[number][slug][:few]
    total = sum(len(all_of[number][slug]) for number, slug in keys)
    return _Thumbnails(shown, tables, sum(kept), total - sum(kept))


@dataclass(frozen=True)
class _Ruler:
    """An axis of counts that the cards of all answers share: a logarithm from `low` to `high`."""

    low: float
    high: float

    def place(self, count: float) -> float:
        """Return where a count is, in percent of the width, within 0 and 100."""
        share = math.log(max(count, self.low) / self.low) / math.log(self.high / self.low)
        return round(100 * min(max(share, 0.0), 1.0), 2)

    @property
    def ticks(self) -> list[int]:
        """Powers of ten on it."""
        first, last = round(math.log10(self.low)), math.floor(math.log10(self.high) + 1e-9)
        return [10**power for power in range(first, last + 1)]


def _ruler(parts: Sequence[Part]) -> _Ruler:
    values = [
        value
        for part in parts
        for value in (
            part.answer.threshold,
            *(part.answer.interval or []),
            part.answer.published.threshold if part.answer.published else None,
        )
        if value is not None
    ]
    return _Ruler(_AXIS_LEAST, 10.0 ** math.ceil(math.log10(max([*values, 1000.0]) * 1.05)))


def number(value: float | None, digits: int = 0) -> str:
    """Return a number with commas between thousands; what is below 10 and not whole has a decimal."""
    if value is None:
        return "none"
    if digits == 0 and abs(value) < 10 and value != int(value):
        digits = 1
    return f"{value:,.{digits}f}"


def noun(value: float, of_one: str) -> str:
    """Return the noun of a number that `number` shows before it: 1.3 is several, as it is shown with its decimal."""
    return noun_of(1 if number(value) == "1" else 2, of_one)


def sentence(text: str) -> str:
    """Return a sentence with a full stop, and a capital letter unless it begins with a name such as sd1.4."""
    text = text.strip()
    first = re.split(r"[\s,;:]", text, maxsplit=1)[0]
    begun = text[:1].upper() + text[1:] if first.isalpha() and first.islower() else text
    return begun + ("" if text.endswith((".", "!", "?", ":")) or not text else ".")


def date(text: str) -> str:
    """Return a date and time in ISO 8601 as a reader writes it, to the minute; another text as it is."""
    try:
        found = datetime.fromisoformat(text)
        return text if found.tzinfo is None else f"{found.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
    except (ValueError, OverflowError):
        return text


def doublings(ratio: float) -> float:
    """Return where a ratio is drawn on the axis of the figure of known truth: 46 units a doubling, 258 at 1."""
    return round(258 + 46 * min(max(math.log2(max(ratio, 1e-9)), -3.0), 3.0), 1)


def _csv(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    return delimited([columns, *rows], ",")


def _title_below(part: Part, kind: str) -> str:
    """Return the line under the title of a part's figure: its threshold."""
    if kind != part.scores[0].name:
        return f"estimator: {part.answer.estimator}"
    if part.answer.threshold is None:
        return "no threshold was found"
    interval = part.answer.interval
    ends = f" (95 % interval: {number(interval[0])} to {number(interval[1])})" if interval else ""
    said = "middle of a gradual rise" if part.answer.kind == "gradual" else "imitation threshold"
    return f"{said}: {number(part.answer.threshold)} {noun(part.answer.threshold, 'image')}{ends}"


def _figures(study: Study) -> dict[str, dict[str, str]]:
    """Return every figure in print quality: id of its element -> its SVG and PDF, packed."""
    found: dict[str, dict[str, str] | None] = {}
    for place, part in enumerate(study.parts):
        for kind in part.scores:
            found[f"figure-curve-{place}-{kind.name}"] = charts.curve_files(part, kind, _title_below(part, kind.name))
        found[f"figure-strips-{place}"] = charts.strip_files(part)
    for place, comparison in enumerate(study.comparisons):
        found[f"figure-pairs-{place}"] = charts.pair_files(comparison, comparison.sentence)
    return {name: figure for name, figure in found.items() if figure}


def _asset(name: str) -> str:
    return files("fit.explorer").joinpath("page", name).read_text(encoding="utf-8")


def _script(text: str) -> Markup:
    """Return a script for the page.

    Raises:
        ValueError: it has what would end its element.
    """
    if "</script" in text.lower() or "<!--" in text:
        raise ValueError("a script holds what ends its element")
    return Markup(text)


def _policy(scripts: Sequence[str]) -> str:
    """Return the content security policy: only these scripts run, nothing is loaded. Vega makes functions of text."""
    hashes = [f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'" for text in scripts]
    return (
        f"default-src 'none'; script-src {' '.join(hashes)} 'unsafe-eval'; style-src 'unsafe-inline'; "
        "img-src data: blob:; base-uri 'none'; form-action 'none'"
    )


def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(_asset),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    filters: tuple[Callable[..., Any], ...] = (number, noun, sentence, code, date, doublings)
    environment.filters |= {function.__name__: function for function in filters} | {"places": places_of}
    return environment


def _dumped(of_type: Any, value: Any) -> Any:
    return pydantic.TypeAdapter(of_type).dump_python(value, mode="json")


def build(
    study_file: str | Path, pictures: Sequence[str | Path], out: str | Path, settings: PageSettings | None = None
) -> Summary:
    """Write the page of a study.

    Args:
        study_file: what `fit explorer gather` wrote.
        pictures: folders .../{model}/{domain} of tables of thumbnails (contents.PICTURES), or such tables; of parts
            without one, the page shows no pictures.
        out: path of the HTML file.
        settings: of the page.

    Raises:
        FitError: the study, or a table, can't be used.
    """
    settings = settings or PageSettings()
    study = read_study(study_file)
    chosen = _choose(study.parts, pictures, settings.page_mb * MEGABYTE)
    scripts = [_script(charts.runtime()), *(_script(_asset(f"{name}.js")) for name in SCRIPTS)]
    data: dict[str, Any] = {
        "charts": charts.page_charts(),
        "glossary": [{"term": one.term, "words": one.words} for one in study.glossary],
        "parts": [{"name": f"{part.model}/{part.domain}", "concepts": len(part.concepts)} for part in study.parts],
        "comparisons": [_dumped(Comparison, one) for one in study.comparisons],
    }
    data |= {f"part-{place}": _dumped(Part, part) for place, part in enumerate(study.parts)}
    later: dict[str, Any] = _figures(study)
    later |= {f"table-{place}": _csv(one.columns, one.rows) for place, one in enumerate(study.tables)}
    text = (
        _environment()
        .get_template("page.html.j2")
        .render(
            study=study,
            policy=_policy(scripts),
            style=Markup(_asset("page.css")),
            scripts=scripts,
            first={name: htmlsafe_json_dumps(value) for name, value in data.items()},
            later={name: htmlsafe_json_dumps(value) for name, value in later.items()},
            pictures=chosen.each(study.parts),
            shown=chosen.number,
            left_out=chosen.left_out,
            page_mb=settings.page_mb,
            ruler=_ruler(study.parts),
            not_stated=NOT_STATED,
            data_note=DATA_NOTE,
            more=MORE,
            outliers=[[one for one in part.concepts if one.outlier] for part in study.parts],
        )
    )
    write_text(out, text)
    return Summary(len(text.encode()), chosen.number, chosen.left_out)
