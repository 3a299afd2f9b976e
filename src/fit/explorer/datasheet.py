"""The datasheet of a study: what is said, in which order, in blocks that HTML and PDF lay out alike.

Everything is of study.json and the tables of thumbnails beside it; nothing is measured here.
"""

import io
import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, fields, is_dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from PIL import Image, UnidentifiedImageError

from fit.errors import DataError, FitError, ImageTableError
from fit.explorer.contents import PICTURES, Concept, Estimate, Interval, Part, Strip, Study
from fit.explorer.datasheet_figure import curve
from fit.explorer.datasheet_settings import DatasheetSettings
from fit.explorer.reading import COMMAND
from fit.explorer.words import METHOD, in_percent, unbroken
from fit.io.concept_tables import ConceptTables
from fit.io.digest import sha256_of
from fit.io.nearby import nearest, with_words
from fit.io.shown import plain

LONGEST = 600
"""Characters of a text of strangers, such as a name or a caption, that is shown."""


# --- blocks -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Text:
    """A paragraph."""

    text: str
    kind: Literal["text", "answer", "warning", "note"] = "text"


@dataclass(frozen=True)
class Bullets:
    """A list."""

    items: tuple[str, ...]


@dataclass(frozen=True)
class Code:
    """Lines that a reader may run."""

    lines: tuple[str, ...]


@dataclass(frozen=True)
class Grid:
    """A table."""

    columns: tuple[str, ...]
    """Empty texts: no line of headings."""
    rows: tuple[tuple[str, ...], ...]
    widths: tuple[int, ...]
    """Of the columns, relative to each other."""
    numbers: frozenset[int] = frozenset()
    """Columns that are aligned to the right."""
    code: frozenset[int] = frozenset()
    """Columns in a font of equal widths."""


@dataclass(frozen=True)
class Figure:
    """A figure."""

    svg: str
    caption: str
    alt: str
    """What it shows, for those who do not see it."""


@dataclass(frozen=True)
class Thumbnail:
    """A picture."""

    data: bytes
    """Of a WebP file."""
    caption: str
    alt: str


@dataclass(frozen=True)
class Thumbnails:
    """Groups of pictures beside each other, each group under its label."""

    title: str
    groups: tuple[tuple[str, tuple[Thumbnail, ...]], ...]


Block = Text | Bullets | Code | Grid | Figure | Thumbnails


@dataclass(frozen=True)
class Section:
    """A heading and what is below it."""

    title: str
    blocks: list[Block] = field(default_factory=list)
    inside: list["Section"] = field(default_factory=list)


@dataclass(frozen=True)
class Datasheet:
    """A whole datasheet."""

    title: str
    study: str
    date: str
    """YYYY-MM-DD."""
    author: str
    """Who hands it over; may be empty."""
    fit: str
    facts: Grid
    sections: list[Section]

    def texts(self) -> Iterator[str]:
        """Yield every text of it; not those within figures."""
        yield from _texts(self)


def _texts(of: object) -> Iterator[str]:
    if isinstance(of, str):
        yield of
    elif isinstance(of, (list, tuple)):
        for one in of:
            yield from _texts(one)
    elif is_dataclass(of):
        for each in fields(of):
            if each.name not in ("svg", "kind"):
                yield from _texts(getattr(of, each.name))


# --- texts ------------------------------------------------------------------------------------------------------------


def visible(text: str) -> str:
    """Return a text of strangers in one line, with invisible characters as [U+202E], and not longer than LONGEST.

    Characters that turn the direction of writing, for example, could make a name read as another.
    """
    text = re.sub(r"\s+", " ", text).strip()
    text = unbroken(text)
    more = f" ... ({len(text):,} characters)" if len(text) > LONGEST else ""
    hidden = ("Cc", "Cf", "Co", "Cs", "Zl", "Zp")
    shown = [f"[U+{ord(sign):04X}]" if unicodedata.category(sign) in hidden else sign for sign in text[:LONGEST]]
    return "".join(shown) + more


def _sentence(text: str) -> str:
    """Return an answer as a sentence. Its first word may be the name of a model, which stays as it is."""
    text = visible(text)
    text = f"N{text[1:]}" if text.startswith("no imitation") else f"I{text[1:]}" if text.startswith("imit") else text
    return text if text.endswith((".", "!", "?")) else f"{text}."


def _images(value: float | None) -> str:
    return "-" if value is None else f"{value:,.0f}"


def _span(interval: Interval | None) -> str:
    return "-" if interval is None else f"{interval[0]:,.0f} to {interval[1]:,.0f}"


def _score(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def _facts(rows: Sequence[tuple[str, str]]) -> Grid:
    return Grid(("", ""), tuple((label, visible(value)) for label, value in rows), (4, 9))


def _grid(columns: Sequence[str], rows: Sequence[Sequence[str]], widths: Sequence[int], **more: Any) -> Grid:
    return Grid(tuple(columns), tuple(tuple(map(visible, row)) for row in rows), tuple(widths), **more)


def _when(time: str) -> str:
    """Return a date and time as one reads it: ISO's "T" and offset of UTC in words."""
    return re.sub(r"^(\d{4}-\d\d-\d\d)T([\d:.]+)(?:\+00:00|Z)$", r"\1 \2 UTC", time)


def name_of(part: Part) -> str:
    """Return what a part is called."""
    return f"{visible(part.model)} in {visible(part.domain)}"


# --- pictures ---------------------------------------------------------------------------------------------------------


class Pictures:
    """The thumbnails of a study that a datasheet may show."""

    def __init__(self, study: Study, folder: str | Path, shown: str):
        """`folder`: of the tables, {model}/{domain}/*.parquet; `shown`: DatasheetSettings.pictures."""
        self._folder, self._shown, self._left_out = Path(folder), shown, study.pictures_left_out
        self._known = {source.file: source.sha256 for source in study.sources}
        self._tables: dict[tuple[str, str], ConceptTables | None] = {}
        self.used: dict[str, str] = {}
        """Tables that pictures were read from -> their SHA-256."""

    @property
    def others(self) -> list[str]:
        """Tables that pictures were read from, and that are not the ones that the study was made with."""
        return [table for table, sha256 in self.used.items() if self._sources_of(table) not in (set(), {sha256})]

    def _sources_of(self, table: str) -> set[str]:
        return {sha256 for file, sha256 in self._known.items() if file.endswith(f"explorer/{table}")}

    def _is_shown_by_study(self, part: Part) -> bool:
        """Whether the study shows pictures of a part: then their tables are among its sources."""
        inside = f"explorer/pictures/{part.model}/{part.domain}/"
        return not self._left_out or any(inside in file for file in self._known)

    def why_none(self, part: Part) -> str:
        """Say why a part is shown without pictures; empty if it has some."""
        if self._shown == "none":
            return "Pictures are left out of this datasheet."
        if self._shown == "without_people" and part.is_of_people:
            return "Pictures of people are left out of this datasheet."
        if not self._is_shown_by_study(part):
            return self._left_out
        if self._of(part) is None:
            return f"The tables of pictures were not found in {self._folder.name}/{part.model}/{part.domain}."
        return ""

    def _of(self, part: Part) -> ConceptTables | None:
        key = (part.model, part.domain)
        if key not in self._tables:
            place = Path(self._folder, *key)
            there = place.is_dir() and any(place.glob("*.parquet"))
            self._tables[key] = ConceptTables([place]) if there else None
        return self._tables[key]

    def has(self, part: Part, concept: Concept) -> bool:
        """Whether there may be pictures of a concept."""
        tables = None if self.why_none(part) else self._of(part)
        return tables is not None and concept.slug in tables

    def read(self, part: Part, concept: Concept) -> list[dict[str, Any]]:
        """Return the rows of a concept, by role and rank.

        Raises:
            ImageTableError: a picture can't be decoded.
        """
        tables = self._of(part)
        if tables is None or not self.has(part, concept):
            return []
        path = tables.path(concept.slug)
        rows: list[dict[str, Any]] = tables.read(concept.slug, PICTURES.names, PICTURES).to_pylist()
        for row in rows:
            try:
                with Image.open(io.BytesIO(row["bytes"]), formats=["WEBP"]) as picture:
                    picture.load()
            except (UnidentifiedImageError, OSError, ValueError, Image.DecompressionBombError) as error:
                raise ImageTableError(
                    f"{path}: the thumbnail {row['image_id']!r} of {concept.slug!r} can't be decoded ({error}); "
                    f"remove the table and run `{COMMAND}`"
                ) from None
        name = path.relative_to(self._folder.parent).as_posix()
        self.used.setdefault(name, sha256_of(path))
        return sorted(rows, key=lambda row: (row["role"], row["rank"]))


def _thumbnail(row: dict[str, Any], concept: Concept, caption: str) -> Thumbnail:
    what = {"reference": "Reference", "generated": "Generated picture", "target": "Target"}[row["role"]]
    return Thumbnail(row["bytes"], visible(caption), f"{what} of {visible(concept.name)}")


def _beside(rows: list[dict[str, Any]], concept: Concept, title: str) -> Thumbnails | None:
    """Show references beside generated pictures."""
    of_role = {role: [row for row in rows if row["role"] == role] for role in ("reference", "generated")}
    groups = [
        (label, tuple(_thumbnail(row, concept, "") for row in of_role[role][:most]))
        for role, label, most in (("reference", "references", 2), ("generated", "generated by the model", 4))
        if of_role[role]
    ]
    return Thumbnails(title, tuple(groups)) if groups else None


def _spread(concepts: Sequence[Concept], number: int) -> list[Concept]:
    """Return `number` of concepts, spread evenly over their ranks in count."""
    if len(concepts) <= number:
        return list(concepts)
    return [concepts[at] for at in np.unique(np.linspace(0, len(concepts) - 1, number).round().astype(int))]


def _examples(part: Part, pictures: Pictures, number: int) -> list[Block]:
    why = pictures.why_none(part)
    if why or not number:
        return [Text(visible(why or "Pictures are left out of this datasheet."), "note")]
    scored = [one for one in part.concepts if one.count is not None and pictures.has(part, one)]
    chosen = _spread(scored, number)
    blocks: list[Block] = []
    for concept in chosen:
        title = f"{concept.name}: {_images(concept.count)} training images, score {_score(concept.scores.get('score'))}"
        if shown := _beside(pictures.read(part, concept), concept, visible(title)):
            blocks.append(shown)
    if not blocks:
        return [Text("No concept of this part has pictures.", "note")]
    rule = (
        f"{len(blocks)} concepts, evenly spaced in the order of their counts, and chosen by count alone. Of each, the "
        "first references and generated pictures of the study's thumbnails."
    )
    return [Text(rule), *blocks]


# --- sections of a study ----------------------------------------------------------------------------------------------


def _question(study: Study) -> Section:
    models = sorted({visible(part.model) for part in study.parts})
    domains = sorted({visible(part.domain) for part in study.parts})
    many = "which" if len(models) > 1 else models[0] if models else "the model"
    ask = (
        f"How many training images of a concept does {many} need before its pictures resemble that concept?"
        if len(models) == 1
        else f"How many training images of a concept does each of {', '.join(models)} need before its pictures "
        "resemble that concept?"
    )
    return Section("Question", [Text(ask), Text(f"Concepts of: {', '.join(domains)}."), *map(Text, METHOD[:1])])


KINDS = {
    "jump": "jump: scores rise at this number of training images",
    "gradual": "gradual rise: this is its middle, not a line",
    "none": "no imitation threshold was found",
}


def _answer(part: Part) -> Section:
    answer = part.answer
    rows = [("what was found", KINDS[answer.kind])]
    if answer.threshold is not None:
        rows.append(("training images", _images(answer.threshold)))
    if answer.interval is not None:
        said = f"above {_images(answer.interval[0])}, at most {_images(answer.interval[1])}"
        rows.append(("95 % interval", said))
    scored = sum(one.count is not None and one.scores.get("score") is not None for one in part.concepts)
    rows += [
        ("estimator", answer.estimator),
        ("concepts", f"{len(part.concepts)}, of which {scored} have a count and a score"),
        ("counted in", part.corpus or "counts that were given"),
    ]
    blocks: list[Block] = [Text(_sentence(answer.sentence), "answer"), _facts(rows)]
    blocks += [Text(visible(warning), "warning") for warning in answer.warnings]
    if answer.published:
        blocks.append(Text(f"Published: {_sentence(answer.published.sentence)}"))
    if answer.rests_on:
        blocks += [Text("It rests on:"), Bullets(tuple(map(visible, answer.rests_on)))]
    return Section(name_of(part), blocks)


def _estimates(estimates: Sequence[Estimate]) -> Grid:
    rows = [(one.label, _images(one.threshold), _span(one.interval), one.reason or "") for one in estimates]
    return _grid(("estimator", "images", "95 % interval", "why none"), rows, (5, 2, 3, 5), numbers=frozenset({1, 2}))


def _figure(part: Part, marked: Concept | None = None) -> Figure:
    answer = part.answer
    at = "no threshold was found"
    if answer.threshold is not None:
        at = f"the vertical line is at {_images(answer.threshold)} training images"
        at += f", its interval, shaded, {_span(answer.interval)}" if answer.interval else ", without an interval"
    caption = (
        f"{name_of(part)}: each dot is a concept, by its effective count and its {visible(part.score_label)}. Thin "
        f"lines: from the lowest to the highest prompt, and the interval of the count. {at[0].upper()}{at[1:]}."
    )
    if marked is not None and marked.count is not None and marked.scores.get("score") is not None:
        caption += f" {visible(marked.name)} is the larger mark."
    shown = [one for one in part.concepts if one.count is not None and one.scores.get("score") is not None]
    alt = f"Scatter plot of {len(shown)} concepts; {at}."
    return Figure(curve(part, marked.slug if marked else None), caption, alt)


def _evidence(part: Part, pictures: Pictures, settings: DatasheetSettings) -> Section:
    blocks: list[Block] = [_figure(part)]
    for kind in part.scores[:1]:
        blocks += [Text(f"Thresholds by the {visible(kind.label)}, by every estimator:"), _estimates(kind.estimates)]
    if part.answer.kind == "none":
        blocks.append(Text("The study found no imitation threshold, so no number of an estimator is one."))
    others = [(kind.label, kind.words, *_first(kind.estimates)) for kind in part.scores[1:]]
    if others:
        columns = ("score", "what it is", "images", "95 % interval")
        blocks += [
            Text("By other kinds of score, each by the first estimator that answers:"),
            _grid(columns, others, (4, 7, 2, 3), numbers=frozenset({2, 3})),
        ]
    outliers = [one for one in part.concepts if one.outlier]
    if outliers:
        rows = [
            (
                one.name,
                _images(one.count),
                _score(one.scores.get("score")),
                "; ".join(one.outlier.causes) or "none found",
            )
            for one in outliers[:20]
            if one.outlier
        ]
        more = f" The first 20 of {len(outliers)}." if len(outliers) > 20 else ""
        blocks += [
            Text(
                "Concepts whose score is unlike that of most concepts with such a count, "
                f"and what was measured that may explain it.{more}"
            ),
            _grid(("concept", "images", "score", "possible causes"), rows, (4, 2, 2, 8), numbers=frozenset({1, 2})),
        ]
    return Section(name_of(part), [*blocks, *_examples(part, pictures, settings.examples)])


def _first(estimates: Sequence[Estimate]) -> tuple[str, str]:
    found = next((one for one in estimates if one.threshold is not None), None)
    return (_images(found.threshold), _span(found.interval)) if found else ("none", "-")


FEW = 8
"""Values of a choice that are told one by one; of more, the range."""


def _moved(strip: Strip) -> str:
    """Say the thresholds at the values of a choice that the study does not use."""
    others = [value for value in strip.values if not value.is_used]
    if len(others) <= FEW:
        return "; ".join(f"{value.label}: {_images(value.threshold)}" for value in others) or "-"
    found = [value.threshold for value in others if value.threshold is not None]
    none = len(others) - len(found)
    without = f"; none at {none}" if none else ""
    span = f"{_images(min(found))} to {_images(max(found))}" if found else "no threshold"
    return f"{len(others)} other values, from {others[0].label} to {others[-1].label}: {span}{without}"


def _used(strip: Strip) -> str:
    return "; ".join(f"{value.label}: {_images(value.threshold)}" for value in strip.values if value.is_used) or "-"


def _rests_on(part: Part) -> Section:
    rows = [(one.assumption, one.status, one.words) for one in part.assumptions]
    blocks: list[Block] = [_grid(("assumption", "status", "how it was checked"), rows, (6, 3, 9))] if rows else []
    if part.calibration:
        facts = [(fact.label, f"{fact.value}{'. ' if fact.words else ''}{fact.words}") for fact in part.calibration]
        blocks += [Text("Calibration:"), _facts(facts)]
    strips = [(strip.choice, _moved(strip), _used(strip)) for strip in part.sensitivity]
    if strips:
        blocks += [
            Text("How each choice moves the threshold, in training images (-: no threshold):"),
            _grid(("choice", "made otherwise", "as in the study"), strips, (4, 9, 4)),
        ]
    elif part.concepts:
        blocks.append(Text("How much each choice moves the threshold was not measured.", "note"))
    return Section(name_of(part), blocks)


def _comparisons(study: Study) -> list[Section]:
    if not study.comparisons:
        return []
    rows = [
        (
            one.first,
            one.second,
            "-" if one.ratio is None else f"{one.ratio:.2f}",
            "-" if one.interval is None else f"{one.interval[0]:.2f} to {one.interval[1]:.2f}",
            "-" if one.p_value is None else f"{one.p_value:.2g}",
            str(one.concepts),
        )
        for one in study.comparisons
    ]
    columns = ("first", "second", "ratio", "95 % interval", "p", "concepts")
    texts = [Text(_sentence(one.sentence)) for one in study.comparisons]
    table = _grid(columns, rows, (5, 5, 2, 4, 2, 3), numbers=frozenset({2, 3, 4, 5}))
    return [Section("Compared", [*texts, table])]


# --- sections of a concept --------------------------------------------------------------------------------------------


def _verdict(part: Part, concept: Concept) -> Section:
    score = concept.scores.get("score")
    verdict = concept.verdict
    said = verdict.words if verdict else "There is no verdict on this concept: the study did not audit it."
    rows = [
        ("verdict", verdict.verdict if verdict else "none"),
        ("training images", f"{_images(concept.count)} (95 %: {_span(concept.count_interval)})"),
    ]
    if concept.corrected_count is not None:
        corrected = f"{_images(concept.corrected_count)} (95 %: {_span(concept.corrected_interval)})"
        rows.append(("without the embedder's errors", corrected))
    if part.answer.threshold is not None:
        label = "middle of the rise" if part.answer.kind == "gradual" else "imitation threshold"
        rows.append((label, f"{_images(part.answer.threshold)} (95 %: {_span(part.answer.interval)})"))
    if verdict and verdict.p_above is not None:
        rows.append(("P(count reaches the threshold)", in_percent(verdict.p_above)))
    rows.append((part.score_label, _score(score)))
    others = [
        value for one in part.concepts if one.slug != concept.slug and (value := one.scores.get("score")) is not None
    ]
    if score is not None and others:
        lower = sum(other < score for other in others)
        rows.append(("beside others", f"its score is higher than that of {lower} of {len(others)} other concepts"))
    if verdict and verdict.p_high is not None:
        rows.append(("P(a concept with this count has a high score)", in_percent(verdict.p_high)))
    blocks: list[Block] = [Text(_sentence(said), "answer"), _facts(rows)]
    blocks.append(Text(f"The study on {name_of(part)}: {_sentence(part.answer.sentence)}"))
    blocks += [Text(visible(warning), "warning") for warning in part.answer.warnings]
    if concept.outlier:
        causes = "; ".join(concept.outlier.causes) or "no cause was found"
        blocks.append(
            Text(
                "Its score is unlike that of most concepts with such a count. What was measured that may explain it: "
                f"{visible(causes)}."
            )
        )
    return Section(name_of(part), blocks)


def _evidence_on(part: Part, concept: Concept, pictures: Pictures) -> Section:
    blocks: list[Block] = [_figure(part, concept)]
    if concept.count is None or concept.scores.get("score") is None:
        lacks = " and no ".join(
            what for what, value in (("count", concept.count), ("score", concept.scores.get("score"))) if value is None
        )
        blocks.append(Text(f"It is not in the figure: it has no {lacks}.", "note"))
    counted = [
        ("captions that name it", _images(concept.captions)),
        ("images of them that were collected", _images(concept.downloaded)),
        ("of these, images that match", _images(concept.matches)),
        ("effective count", f"{_images(concept.count)} (95 %: {_span(concept.count_interval)})"),
    ]
    counted += [(f"captions with {visible(name.name)!r}", _images(name.captions)) for name in concept.names]
    blocks += [Text("How its training images were counted:"), _facts(counted)]
    blocks += _by_prompt(part, concept)
    if concept.excluded:
        rows = [(one.step, str(one.number), one.why) for one in concept.excluded]
        blocks += [
            Text("What was left out, and why:"),
            _grid(("step", "pictures", "why"), rows, (4, 2, 9), numbers=frozenset({1})),
        ]
    return Section(name_of(part), [*blocks, *_pictures_of(part, concept, pictures)])


SIDE_BY_SIDE = 3
"""Kinds of scores in one table of prompts: of more, the words of the headings would not fit."""


def _by_prompt(part: Part, concept: Concept) -> list[Block]:
    """Return the scores of a concept at each prompt, in tables of SIDE_BY_SIDE kinds."""
    if not concept.prompts:
        return []
    kinds = [kind for kind in part.scores if any(kind.name in prompt.scores for prompt in concept.prompts)]
    blocks: list[Block] = [Text("Its scores, by prompt:")]
    for first in range(0, max(1, len(kinds)), SIDE_BY_SIDE):
        some = kinds[first : first + SIDE_BY_SIDE]
        counted = ("pictures", "targets") if not first else ()
        rows = [
            (
                prompt.prompt or "unknown",
                *(_score(prompt.scores.get(kind.name)) for kind in some),
                *((str(prompt.images), str(prompt.targets)) if counted else ()),
            )
            for prompt in concept.prompts
        ]
        columns = ("prompt", *(kind.label for kind in some), *counted)
        widths = (26, *([10] * len(some)), *((9, 8) if counted else ()))
        blocks.append(_grid(tuple(map(visible, columns)), rows, widths, numbers=frozenset(range(1, len(columns)))))
    return blocks


def _pictures_of(part: Part, concept: Concept, pictures: Pictures) -> list[Block]:
    if why := pictures.why_none(part):
        return [Text(visible(why), "note")]
    rows = pictures.read(part, concept)
    of_role = {role: [row for row in rows if row["role"] == role] for role in ("reference", "generated", "target")}
    blocks: list[Block] = []
    if of_role["reference"]:
        shown = tuple(_thumbnail(row, concept, "") for row in of_role["reference"])
        blocks.append(Thumbnails("", (("references", shown),)))
    near: dict[str, list[dict[str, Any]]] = {}
    for row in of_role["target"]:
        near.setdefault(row["near"], []).append(row)
    pairs = []
    for row in of_role["generated"]:
        targets = sorted(near.get(row["image_id"], []), key=lambda target: -target["cosine"])[:2]
        shown = (
            _thumbnail(row, concept, f"generated: {row['prompt']}" if row["prompt"] else "generated, prompt unknown"),
            *(_thumbnail(target, concept, f"target, cosine {target['cosine']:.3f}") for target in targets),
        )
        pairs.append(("", shown))
    if pairs:
        text = (
            "Generated pictures, each beside the target that is nearest to it by the embedder. The study chose them "
            "over its prompts, not by how they look. A high cosine does not show that one is a copy of the other."
        )
        blocks += [Text(text), Thumbnails("", tuple(pairs))]
    return blocks or [Text("The study has no pictures of this concept.", "note")]


def find_concept(study: Study, slug: str) -> list[tuple[Part, Concept]]:
    """Return the parts that have a concept, and it in each.

    Raises:
        FitError: none has it; the message suggests another.
    """
    found = [(part, one) for part in study.parts for one in part.concepts if one.slug == slug]
    if found:
        return found
    every = {one.slug: one.name for part in study.parts for one in part.concepts}
    named = {name: of for of, name in every.items()}
    meant = nearest(slug, every) or named.get(nearest(slug, named) or "")
    several = [of for of, name in every.items() if with_words(slug, [of, name])]
    raise FitError(
        f"study {study.study}: it has no concept {slug!r}; "
        + (
            f"is {meant!r} meant?"
            if meant
            else f"is one of these meant: {plain(several, 5)}?"
            if several
            else f"name one of its {len(every)} by its slug, as the concept sheet has it"
        )
    )


# --- the whole --------------------------------------------------------------------------------------------------------


def _limits(study: Study) -> Section:
    return Section("What this does not show", [Bullets(tuple(study.limits))])


def _check(study: Study, sha256: str, place: str, options: str, date: str) -> Section:
    blocks: list[Block] = [
        Text("This datasheet only lays out a file of the study. That file is the right one if its hash is"),
        Code((f"{sha256}  {place}",)),
        Text(
            "In the folder that holds the study's results, these commands compute the hash; hold every file that "
            "numbers come from against the hash that the study has of it, and say which differ; and write this "
            "datasheet again:"
        ),
        Code(
            (
                f"sha256sum {place}",
                f"fit report {place} --verify",
                f"fit report {place}{options} --date {date} --pdf again.pdf --html again.html",
            )
        ),
        Text(
            "With the same version of fit and of the packages below, the same file, pictures and fonts, the HTML and "
            "the PDF have the same bytes again."
        ),
        Text("To measure again, run the workflow with the same configuration, inputs and versions in an empty folder:"),
        Code((f"fit run {place}",)),
        Text(
            (
                f"The seed of the study is {study.seed}. "
                if study.seed is not None
                else "The study does not say its seed. "
            )
            + "Another machine may give slightly other pictures and numbers. An independent check would use other "
            "pictures, another embedder, or training with and without the images of a concept."
        ),
    ]
    return Section("How to check it", blocks)


def _versions(study: Study, pictures: Pictures) -> Section:
    versions = ", ".join(f"{package} {version}" for package, version in sorted(study.versions.items()))
    blocks: list[Block] = [Text(visible(f"fit {study.fit}; {versions}" if versions else f"fit {study.fit}"))]
    if study.sources:
        rows = [(one.file, f"{one.rule}, {_when(one.made)}", one.says, one.sha256) for one in study.sources]
        columns = ("file", "made by, on", "what it says", "SHA-256")
        blocks.append(_grid(columns, rows, (5, 4, 5, 6), code=frozenset({3})))
    else:
        blocks.append(Text("The study does not say which files its numbers come from.", "warning"))
    if pictures.used:
        shown = ("table of the pictures shown", "SHA-256")
        blocks.append(_grid(shown, sorted(pictures.used.items()), (10, 9), code=frozenset({1})))
    if pictures.others:
        blocks.append(
            Text(f"Not the tables of pictures that the study was made with: {', '.join(pictures.others)}.", "warning")
        )
    return Section("Versions and files", blocks)


def _annex(study: Study, most: int) -> Section:
    number = sum(len(part.concepts) for part in study.parts)
    if number > most:
        text = (
            f"The {number:,} concepts are more than the {most:,} that this annex lists at most (--annex-rows). They "
            "are in the study's tables of scores, which are among the files above."
        )
        return Section("Annex: every concept", [Text(text)])
    inside = []
    for part in study.parts:
        rows = [
            (
                one.name,
                one.group,
                _images(one.count),
                _span(one.count_interval),
                _score(one.scores.get("score")),
                one.verdict.verdict if one.verdict else "-",
            )
            for one in part.concepts
        ]
        columns = ("concept", "group", "images", "95 % interval", "score", "verdict")
        grid = _grid(columns, rows, (6, 3, 2, 4, 2, 3), numbers=frozenset({2, 3, 4}))
        inside.append(Section(name_of(part), [grid] if rows else [Text("No concept.", "note")]))
    intro = Text(
        "Ascending in count. The verdict compares the count with the interval of the threshold; it is not about the "
        "score of that concept."
    )
    return Section("Annex: every concept", [intro], inside)


def make_datasheet(
    study: Study,
    *,
    sha256: str,
    place: str,
    folder: str | Path,
    date: str,
    author: str = "",
    concept: str | None = None,
    settings: DatasheetSettings | None = None,
) -> Datasheet:
    """Return what the datasheet of a study says, or that of one concept of it.

    Args:
        study: of study.json.
        sha256: of that file.
        place: path of that file, as a reader runs commands on it.
        folder: that holds the tables of thumbnails, {model}/{domain}/*.parquet; may be missing.
        date: of the datasheet, YYYY-MM-DD.
        author: who hands it over.
        concept: slug of a concept; None for the whole study.
        settings: what is shown.

    Raises:
        DataError: the study has no parts.
        FitError: it has no such concept.
        ImageTableError: a thumbnail can't be decoded.
    """
    settings = settings or DatasheetSettings()
    if not study.parts:
        raise DataError(f"study {study.study}: it has no model and domain, so there is nothing to report")
    pictures = Pictures(study, folder, settings.pictures)
    options = "" if settings.pictures == "all" else f" --pictures {settings.pictures}"
    defaults = DatasheetSettings()
    for name in ("examples", "annex_rows"):
        if getattr(settings, name) != getattr(defaults, name):
            options += f" --{name.replace('_', '-')} {getattr(settings, name)}"
    if concept is None:
        title = f"Imitation threshold: the study {visible(study.study)}"
        parts = study.parts
        first = [
            _question(study),
            Section("Answer", [], [_answer(part) for part in parts]),
            Section("Evidence", [], [_evidence(part, pictures, settings) for part in parts]),
            *_comparisons(study),
        ]
    else:
        found = find_concept(study, concept)
        parts = [part for part, _ in found]
        options += f" --concept {concept}"
        title = f"Imitation of {visible(found[0][1].name)}: a concept in the study {visible(study.study)}"
        first = [
            _question_on(found),
            Section("Verdict", [Text(VERDICT_NOTE)], [_verdict(part, one) for part, one in found]),
            Section("Evidence", [], [_evidence_on(part, one, pictures) for part, one in found]),
        ]
    if author:
        options += f" --author {_quoted(author)}"
    lacks = [Section("What the study lacks", [Bullets(tuple(map(visible, study.missing)))])] if study.missing else []
    sections = [
        *first,
        Section("What it rests on", [], [_rests_on(part) for part in parts]),
        *lacks,
        _limits(study),
        Section("How it was measured", [Bullets(METHOD[1:])]),
        Section("Terms", [_facts([(term.term, term.words) for term in study.glossary])]),
        _check(study, sha256, place, options, date),
        _versions(study, pictures),
        *([_annex(study, settings.annex_rows)] if concept is None else []),
    ]
    facts = [
        ("study", study.study),
        ("models and domains", "; ".join(name_of(part) for part in parts)),
        ("gathered on", _when(study.made)),
        ("date of this datasheet", date),
        *([("handed over by", author)] if author else []),
        ("made with", f"fit {study.fit}"),
    ]
    return Datasheet(title, visible(study.study), date, visible(author), visible(study.fit), _facts(facts), sections)


VERDICT_NOTE = (
    "The verdict compares the concept's count of training images with the threshold of the study. That it is above "
    "does not show that the model imitates it; that it is below does not show that it does not. Its own score is "
    "beside it."
)


def _quoted(text: str) -> str:
    return "'" + visible(text).replace("'", "'\\''") + "'"


def _question_on(found: list[tuple[Part, Concept]]) -> Section:
    concept = found[0][1]
    name = visible(concept.name)
    models = ", ".join(sorted({visible(part.model) for part, _ in found}))
    ask = (
        f"Does the number of training images of {name} reach the imitation threshold of {models}, and how closely do "
        f"its pictures resemble {name}?"
    )
    aliases = sorted({visible(alias) for _, one in found for alias in one.aliases})
    also = [Text(f"Also counted under: {', '.join(aliases)}.")] if aliases else []
    return Section("Question", [Text(ask), *also, *map(Text, METHOD[:1])])
