"""Sections of a datasheet on a whole study: question, answers, evidence, what they rest on."""

from collections.abc import Sequence

from fit.explorer.contents import Concept, Estimate, Part, Strip, Study
from fit.explorer.datasheet_blocks import (
    Block,
    Bullets,
    Figure,
    Grid,
    Section,
    Text,
    as_sentence,
    facts_of,
    grid_of,
    in_a_span,
    in_images,
    name_of,
    shown_score,
    visible,
)
from fit.explorer.datasheet_figure import curve
from fit.explorer.datasheet_pictures import Pictures, examples_of
from fit.explorer.datasheet_settings import DatasheetSettings
from fit.explorer.words import METHOD
from fit.io.shown import number_of
from fit.reports.data import DATA_NOTE, NOT_STATED, places_of


def question_of(study: Study) -> Section:
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


def answer_of(part: Part) -> Section:
    answer = part.answer
    rows = [("what was found", KINDS[answer.kind])]
    if answer.threshold is not None:
        rows.append(("training images", in_images(answer.threshold)))
    if answer.interval is not None:
        said = f"above {in_images(answer.interval[0])}, at most {in_images(answer.interval[1])}"
        rows.append(("95 % interval", said))
    scored = sum(one.count is not None and one.scores.get("score") is not None for one in part.concepts)
    rows += [
        ("estimator", answer.estimator),
        ("concepts", f"{len(part.concepts)}, of which {scored} {'has' if scored == 1 else 'have'} a count and a score"),
        ("counted in", part.corpus or "counts that were given"),
    ]
    blocks: list[Block] = [Text(as_sentence(answer.sentence), "answer"), facts_of(rows)]
    blocks += [Text(visible(warning), "warning") for warning in answer.warnings]
    if answer.published:
        blocks.append(Text(f"Published: {as_sentence(answer.published.sentence)}"))
    if answer.rests_on:
        blocks += [Text("It rests on:"), Bullets(tuple(map(visible, answer.rests_on)))]
    return Section(name_of(part), blocks)


def _estimates(estimates: Sequence[Estimate]) -> Grid:
    rows = [(one.label, in_images(one.threshold), in_a_span(one.interval), one.reason or "") for one in estimates]
    return grid_of(("estimator", "images", "95 % interval", "why none"), rows, (5, 2, 3, 5), numbers=frozenset({1, 2}))


def curve_of(part: Part, marked: Concept | None = None) -> Figure:
    answer = part.answer
    at = "no threshold was found"
    if answer.threshold is not None:
        at = f"the vertical line is at {number_of(answer.threshold, 'training image')}"
        at += f", its interval, shaded, {in_a_span(answer.interval)}" if answer.interval else ", without an interval"
    caption = (
        f"{name_of(part)}: each dot is a concept, by its effective count and its {visible(part.score_label)}. Thin "
        f"lines: from the lowest to the highest prompt, and the interval of the count. {at[0].upper()}{at[1:]}."
    )
    if marked is not None and marked.count is not None and marked.scores.get("score") is not None:
        caption += f" {visible(marked.name)} is the larger mark."
    shown = [one for one in part.concepts if one.count is not None and one.scores.get("score") is not None]
    alt = f"Scatter plot of {number_of(len(shown), 'concept')}; {at}."
    return Figure(curve(part, marked.slug if marked else None), caption, alt)


def evidence_of(part: Part, pictures: Pictures, settings: DatasheetSettings) -> Section:
    blocks: list[Block] = [curve_of(part)]
    for kind in part.scores[:1]:
        blocks += [Text(f"Thresholds by the {visible(kind.label)}, by every estimator:"), _estimates(kind.estimates)]
    if part.answer.kind == "none":
        blocks.append(Text("The study found no imitation threshold, so no number of an estimator is one."))
    others = [(kind.label, kind.words, *_first(kind.estimates)) for kind in part.scores[1:]]
    if others:
        columns = ("score", "what it is", "images", "95 % interval")
        blocks += [
            Text("By other kinds of score, each by the first estimator that answers:"),
            grid_of(columns, others, (4, 7, 2, 3), numbers=frozenset({2, 3})),
        ]
    outliers = [one for one in part.concepts if one.outlier]
    if outliers:
        rows = [
            (
                one.name,
                in_images(one.count),
                shown_score(one.scores.get("score")),
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
            grid_of(("concept", "images", "score", "possible causes"), rows, (4, 2, 2, 8), numbers=frozenset({1, 2})),
        ]
    return Section(name_of(part), [*blocks, *examples_of(part, pictures, settings.examples)])


def _first(estimates: Sequence[Estimate]) -> tuple[str, str]:
    found = next((one for one in estimates if one.threshold is not None), None)
    return (in_images(found.threshold), in_a_span(found.interval)) if found else ("none", "-")


FEW = 8
"""Values of a choice that are told one by one; of more, the range."""


def _moved(strip: Strip) -> str:
    """Say the thresholds at the values of a choice that the study does not use."""
    others = [value for value in strip.values if not value.is_used]
    if len(others) <= FEW:
        return "; ".join(f"{value.label}: {in_images(value.threshold)}" for value in others) or "-"
    found = [value.threshold for value in others if value.threshold is not None]
    none = len(others) - len(found)
    without = f"; none at {none}" if none else ""
    span = f"{in_images(min(found))} to {in_images(max(found))}" if found else "no threshold"
    return f"{len(others)} other values, from {others[0].label} to {others[-1].label}: {span}{without}"


def _used(strip: Strip) -> str:
    return "; ".join(f"{value.label}: {in_images(value.threshold)}" for value in strip.values if value.is_used) or "-"


def rests_on(part: Part) -> Section:
    rows = [(one.assumption, one.status, one.words) for one in part.assumptions]
    blocks: list[Block] = [grid_of(("assumption", "status", "how it was checked"), rows, (6, 3, 9))] if rows else []
    if part.calibration:
        facts = [(fact.label, f"{fact.value}{'. ' if fact.words else ''}{fact.words}") for fact in part.calibration]
        blocks += [Text("Calibration:"), facts_of(facts)]
    strips = [(strip.choice, _moved(strip), _used(strip)) for strip in part.sensitivity]
    if strips:
        blocks += [
            Text("How each choice moves the threshold, in training images (-: no threshold):"),
            grid_of(("choice", "made otherwise", "as in the study"), strips, (4, 9, 4)),
        ]
    elif part.concepts:
        blocks.append(Text("How much each choice moves the threshold was not measured.", "note"))
    return Section(name_of(part), blocks)


def data_of(study: Study) -> Section:
    """Return what data a study rests on: where each thing is from, its licence as stated, what sites refused."""
    title = "What data it rests on"
    if not study.data:
        return Section(title, [Text("The study does not say what data it rests on.", "warning")])
    rows = [
        (
            f"{one.kind} {one.name}",
            places_of(one.places),
            one.origin or NOT_STATED,
            one.licence or NOT_STATED,
            one.opt_outs or "-",
        )
        for one in study.data
    ]
    columns = ("what", "from", "made or published by", "licence, as stated", "opt-outs")
    return Section(title, [grid_of(columns, rows, (4, 5, 5, 4, 4)), Text(DATA_NOTE, "note")])


def comparisons_of(study: Study) -> list[Section]:
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
    texts = [Text(as_sentence(one.sentence)) for one in study.comparisons]
    table = grid_of(columns, rows, (5, 5, 2, 4, 2, 3), numbers=frozenset({2, 3, 4, 5}))
    return [Section("Compared", [*texts, table])]
