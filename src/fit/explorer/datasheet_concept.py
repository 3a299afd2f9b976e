"""Sections of a datasheet on one concept: question, verdict, evidence."""

from typing import Any

from fit.errors import FitError
from fit.explorer.contents import Concept, Part, Study
from fit.explorer.datasheet_blocks import (
    Block,
    Section,
    Text,
    Thumbnails,
    as_sentence,
    facts_of,
    grid_of,
    in_a_span,
    in_images,
    name_of,
    shown_score,
    visible,
)
from fit.explorer.datasheet_pictures import Pictures, thumbnail_of
from fit.explorer.datasheet_study import curve_of
from fit.explorer.words import METHOD, in_percent
from fit.io.nearby import nearest, with_words
from fit.io.shown import number_of, plain


def verdict_on(part: Part, concept: Concept) -> Section:
    score = concept.scores.get("score")
    verdict = concept.verdict
    said = verdict.words if verdict else "There is no verdict on this concept: the study did not audit it."
    rows = [
        ("verdict", verdict.verdict if verdict else "none"),
        ("training images", f"{in_images(concept.count)} (95 %: {in_a_span(concept.count_interval)})"),
    ]
    if concept.corrected_count is not None:
        corrected = f"{in_images(concept.corrected_count)} (95 %: {in_a_span(concept.corrected_interval)})"
        rows.append(("without the embedder's errors", corrected))
    if part.answer.threshold is not None:
        label = "middle of the rise" if part.answer.kind == "gradual" else "imitation threshold"
        rows.append((label, f"{in_images(part.answer.threshold)} (95 %: {in_a_span(part.answer.interval)})"))
    if verdict and verdict.p_above is not None:
        rows.append(("P(count reaches the threshold)", in_percent(verdict.p_above)))
    rows.append((part.score_label, shown_score(score)))
    others = [
        value for one in part.concepts if one.slug != concept.slug and (value := one.scores.get("score")) is not None
    ]
    if score is not None and others:
        lower = sum(other < score for other in others)
        rows.append(
            ("beside others", f"its score is higher than that of {lower} of {number_of(len(others), 'other concept')}")
        )
    if verdict and verdict.p_high is not None:
        rows.append(("P(a concept with this count has a high score)", in_percent(verdict.p_high)))
    blocks: list[Block] = [Text(as_sentence(said), "answer"), facts_of(rows)]
    blocks.append(Text(f"The study on {name_of(part)}: {as_sentence(part.answer.sentence)}"))
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


def evidence_on(part: Part, concept: Concept, pictures: Pictures) -> Section:
    blocks: list[Block] = [curve_of(part, concept)]
    if concept.count is None or concept.scores.get("score") is None:
        lacks = " and no ".join(
            what for what, value in (("count", concept.count), ("score", concept.scores.get("score"))) if value is None
        )
        blocks.append(Text(f"It is not in the figure: it has no {lacks}.", "note"))
    counted = [
        ("captions that name it", in_images(concept.captions)),
        ("images of them that were collected", in_images(concept.downloaded)),
        ("of these, images that match", in_images(concept.matches)),
        ("effective count", f"{in_images(concept.count)} (95 %: {in_a_span(concept.count_interval)})"),
    ]
    counted += [(f"captions with {visible(name.name)!r}", in_images(name.captions)) for name in concept.names]
    blocks += [Text("How its training images were counted:"), facts_of(counted)]
    blocks += _by_prompt(part, concept)
    if concept.excluded:
        rows = [(one.step, str(one.number), one.why) for one in concept.excluded]
        blocks += [
            Text("What was left out, and why:"),
            grid_of(("step", "pictures", "why"), rows, (4, 2, 9), numbers=frozenset({1})),
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
                *(shown_score(prompt.scores.get(kind.name)) for kind in some),
                *((str(prompt.images), str(prompt.targets)) if counted else ()),
            )
            for prompt in concept.prompts
        ]
        columns = ("prompt", *(kind.label for kind in some), *counted)
        widths = (26, *([10] * len(some)), *((9, 8) if counted else ()))
        blocks.append(grid_of(tuple(map(visible, columns)), rows, widths, numbers=frozenset(range(1, len(columns)))))
    return blocks


def _pictures_of(part: Part, concept: Concept, pictures: Pictures) -> list[Block]:
    if why := pictures.why_none(part):
        return [Text(visible(why), "note")]
    rows = pictures.read(part, concept)
    of_role = {role: [row for row in rows if row["role"] == role] for role in ("reference", "generated", "target")}
    blocks: list[Block] = []
    if of_role["reference"]:
        shown = tuple(thumbnail_of(row, concept, "") for row in of_role["reference"])
        blocks.append(Thumbnails("", (("references", shown),)))
    near: dict[str, list[dict[str, Any]]] = {}
    for row in of_role["target"]:
        near.setdefault(row["near"], []).append(row)
    pairs = []
    for row in of_role["generated"]:
        targets = sorted(near.get(row["image_id"], []), key=lambda target: -target["cosine"])[:2]
        shown = (
            thumbnail_of(row, concept, f"generated: {row['prompt']}" if row["prompt"] else "generated, prompt unknown"),
            *(thumbnail_of(target, concept, f"target, cosine {target['cosine']:.3f}") for target in targets),
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


VERDICT_NOTE = (
    "The verdict compares the concept's count of training images with the threshold of the study. That it is above "
    "does not show that the model imitates it; that it is below does not show that it does not. Its own score is "
    "beside it."
)


def question_on(found: list[tuple[Part, Concept]]) -> Section:
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
