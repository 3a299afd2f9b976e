"""What the explorer says of one model in one domain: the answer, its scores, its concepts, and what it rests on."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fit.audits.threshold import Threshold
from fit.audits.threshold import read_threshold as read_audited
from fit.audits.verdicts import some
from fit.concepts.sheet import Concept as SheetConcept
from fit.concepts.sheet import read_sheet
from fit.counts.estimate import Counts, read_counts_of, read_unrounded
from fit.errors import DataError, again
from fit.explorer.concepts import (
    OF_TABLE,
    Known,
    concepts_of,
    interval_of,
    known,
    prompts_of,
    read_excluded,
    read_names,
    read_outliers,
    verdicts_of,
)
from fit.explorer.contents import Answer, Concept, Estimate, Part, Published, ScoreKind
from fit.explorer.excluded import LESS_ALIKE, TOO_FEW
from fit.explorer.facts import calibration_of, penalties_of, read_rates, strips_of
from fit.explorer.sources import Sources
from fit.explorer.words import Difficulty, GroupRates, Measured, Missed, assumptions
from fit.io.parquet import open_parquet
from fit.io.parquet import read as read_parquet
from fit.io.shown import number_of
from fit.published import SOURCE, THRESHOLDS
from fit.reports.comparison import comparisons, published_way, why_no_threshold
from fit.thresholds.answer import beyond_the_counts, read, sentence, why_none
from fit.thresholds.by_score import ADJUSTED, adjusted_scores, decides, read_adjustment, read_by_score
from fit.thresholds.estimators import estimator_of_result
from fit.thresholds.headline import CHANCE, decisive_p_value, follow
from fit.thresholds.scores import Scores, read_table

Found = Mapping[str, Any]

KINDS = {
    "score": (
        "score",
        "The published score: the mean cosine between a concept's generated pictures and the targets that they "
        "resemble most. It rises with the number of targets, also where nothing is imitated.",
    ),
    "fixed": (
        "fixed_score",
        "The same score, if every concept had as many targets to choose from: it does not rise with their number.",
    ),
    "minus_null": (
        "minus_null",
        "The published score without its null: what is left of it when that of other concepts' pictures is taken off.",
    ),
    "fixed_minus_null": (
        "fixed_minus_null",
        "The score at a fixed number of targets, without its null.",
    ),
    "null": (
        "null_score",
        "The score of other concepts' pictures on this concept's targets: what the score would be without imitation.",
    ),
    ADJUSTED: (
        "adjusted_score",
        "The published score without what the difficulty of concepts does to it, among concepts of like counts.",
    ),
}
"""Name of a score in the JSON of a threshold ("score": the published one) -> ScoreKind.name, what it is."""


@dataclass(frozen=True, kw_only=True)
class PartOf:
    """Which part of a study, and what it is made of."""

    model: str
    domain: str
    corpus: str
    """That the model was trained on."""
    matched: str
    """The corpus whose images were matched: `corpus`, or the one that its counts are scaled from."""
    sheet: str
    """Path of the concept sheet."""
    embedder: str
    is_of_people: bool

    @property
    def name(self) -> str:
        """Model and domain."""
        return f"{self.model}/{self.domain}"


@dataclass(frozen=True)
class Read:
    """A part, and what comparisons and tables need of it besides."""

    part: Part
    table: Scores
    """Counts and scores of its concepts."""
    counts: Path
    """Path of its effective counts."""
    threshold: Path
    """Path of its threshold."""
    lacks: tuple[str, ...]
    """What was not measured, in sentences."""


def _json(path: Path | None) -> dict[str, Any] | None:
    if path is None:
        return None
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: not JSON that can be read ({error}); {again(path)}") from None
    if not isinstance(found, dict):
        raise DataError(f"{path}: not what a stage of FIT writes; {again(path)}")
    return found


# --- the answer -------------------------------------------------------------------------------------------------------


def _estimates(found: Found) -> Iterator[Estimate]:
    for name, answer in found["estimators"].items():
        threshold, reason = known(answer.get("threshold")), answer.get("reason")
        if threshold is not None and answer.get("direction") == "fall":
            reason = f"the scores fall instead of rising, at about {number_of(threshold, 'training image')}"
            threshold = None
        yield Estimate(
            estimator=name,
            label=estimator_of_result(name).label,
            threshold=threshold,
            interval=None if threshold is None else interval_of(answer.get("interval")),
            reason=reason if threshold is None else answer.get("no_interval"),
        )


def _of_counts(counts: Mapping[str, Counts]) -> str:
    """Say what the counts rest on, in a sentence."""

    def total(column: str) -> int | None:
        there = [row[column] for row in counts.values() if row.get(column) is not None]
        return sum(number or 0 for number in there) if there else None

    captions, downloaded, matches = (total(column) for column in ("captions", "downloaded", "matches"))
    if captions is None and downloaded is None:
        return "The counts were given: this study did not measure them."
    said = f"{number_of(captions, 'caption', 'names')} a concept" if captions is not None else ""
    if downloaded is not None:
        said += f"{'; ' if said else ''}{number_of(downloaded, 'image', 'was')} collected"
        said += f", and {matches:,} of them {'matches' if matches == 1 else 'match'}" if matches is not None else ""
    return f"{said}."


def _tests(found: Found) -> Iterator[str]:
    p_value = decisive_p_value(found)
    tests = found.get("permutation_test") or {}
    if p_value is not None:
        permutations = tests.get("permutations")
        verb = "often makes" if p_value > CHANCE else "seldom makes"
        yield (
            f"Chance alone {verb} such a jump: p = {p_value:.2g}, the largest of the tests against no jump "
            f"({number_of(permutations, 'permutation') if permutations else 'some permutations'})."
        )
    told = follow(found)
    share = told.get("resamples_with_a_change")
    if share is not None and told["threshold"] is not None:
        yield f"{100 * share:.0f} % of the resamples have a threshold."
    agree = (found.get("headline") or {}).get("agree") or []
    if len(agree) > 1:
        labels = [estimator_of_result(name).label for name in agree]
        yield f"These estimators agree: {', '.join(labels)}."
    by_score = found.get("by_score") or {}
    if by_score.get("survives"):
        names = [one["label"] for name, one in by_score["scores"].items() if decides(name)]
        yield f"The rise is there too by the {' and by the '.join(names)}."


def _why_without(concept: Concept) -> str:
    """Say why a concept has no count or no score, as far as its references and pictures tell."""
    references = [one for one in concept.excluded if one.step == "references" and one.why != LESS_ALIKE]
    usable = sum(one.number for one in references if one.why == TOO_FEW)
    others = [f"{one.number} left out: {one.why}" for one in references if one.why != TOO_FEW]
    said = [f"too few references, {usable} usable"] if usable else []
    if concept.scores.get("score") is None and not usable:
        said.append("no score")
    if concept.count is None:
        said.append("no count")
    if references and concept.scores.get("score") is None:
        said += [f"of its references, {text}" for text in others]
    return "; ".join(said) or "it is not in the table of scores"


def _left_out(concepts: Sequence[Concept]) -> list[str]:
    """Return the concepts of the sheet that no threshold rests on, each with the reason."""
    return [
        f"{one.name} ({_why_without(one)})" for one in concepts if one.count is None or one.scores.get("score") is None
    ]


def _rests_on(found: Found, concepts: Sequence[Concept], counts: Mapping[str, Counts]) -> list[str]:
    prompts = [one for concept in concepts for one in concept.prompts]
    most = max((len(concept.prompts) for concept in concepts), default=0)
    pictures = sum(one.images for one in prompts)
    unscored = len(concepts) - found["concepts"]
    said = [f"{number_of(found['concepts'], 'concept')} with a count and a score."]
    if unscored > 0:
        said[0] = f"{said[0][:-1]}; {unscored} more on the sheet {'has' if unscored == 1 else 'have'} none"
        named = _left_out(concepts)
        said[0] += f": {some(named)}." if named else "."
    said.append(f"{number_of(pictures, 'generated picture')} of {number_of(most, 'prompt')} that could be scored.")
    return [*said, _of_counts(counts), *_tests(found)]


def _sentence(text: str) -> str:
    """Return a text of a result as a sentence."""
    return f"{text[:1].upper()}{text[1:].rstrip('.')}."


def _warnings(found: Found, audited: Threshold) -> list[str]:
    said = []
    if beyond := beyond_the_counts(dict(found)):
        said.append(_sentence(beyond))
    if warning := (found.get("by_score") or {}).get("warning"):
        said.append(_sentence(f"the published score's jump does not survive: {warning}"))
    if audited.refusal and why_none(dict(found)) is None:
        said.append(_sentence(f"no verdict on a concept can be given, as {audited.refusal}"))
    elif not audited.refusal and not audited.has_interval:
        said.append("The threshold has no interval: how far off it may be is not known.")
    if why_none(dict(found)) is None and (why := follow(found).get("interval_reason")):
        said.append(_sentence(f"no interval is given: {why}"))
    return [*said, *audited.remarks]


def _published(of: PartOf, found: Found, path: Path) -> Published | None:
    pair = (of.model, of.domain)
    if pair not in THRESHOLDS:
        return None
    name = published_way(dict(found))
    ours = None if why_no_threshold(dict(found), name) else known(found["estimators"][name]["threshold"])
    said = comparisons({pair: path}, {}, [pair])[0].sentence()
    return Published(threshold=float(THRESHOLDS[pair]), ours=ours, sentence=f"{said}. Source: {SOURCE}.")


def _answer(of: PartOf, found: dict[str, Any], path: Path, rests_on: list[str], audited: Threshold) -> Answer:
    told, why = follow(found), why_none(found)
    kind = (found.get("headline") or {}).get("kind", "jump")
    return Answer(
        kind="none" if why else kind,
        sentence=sentence(found, of.model, of.domain),
        threshold=None if why else known(told["threshold"]),
        interval=None if why else interval_of(told["interval"]),
        estimator=told["estimator"],
        rests_on=rests_on,
        warnings=_warnings(found, audited),
        published=_published(of, found, path),
    )


# --- scores -----------------------------------------------------------------------------------------------------------


def _tables(path: Path, published: Scores) -> dict[str, Scores]:
    """Return name of KINDS -> the concepts with that score, of those that the table of scores has."""
    tables = {"score": published} | read_by_score(path, published)[0]
    adjustment = read_adjustment(path, published)
    if adjustment.is_possible:
        tables[ADJUSTED] = adjusted_scores(published, adjustment)
    return tables


def _kinds(found: Found, tables: Mapping[str, Scores]) -> list[ScoreKind]:
    """Return the kinds of score of a part, the published one first."""
    of_scores = {"score": found} | (found.get("by_score") or {}).get("scores", {})
    kinds = []
    for name, (key, words) in KINDS.items():
        if name not in of_scores:
            continue
        kinds.append(
            ScoreKind(
                name=key,
                label="published score" if name == "score" else of_scores[name]["label"],
                words=words,
                estimates=list(_estimates(of_scores[name])),
                penalties=penalties_of(tables[name], found["penalty"]) if name in tables else [],
            )
        )
    return kinds


# --- what was measured ------------------------------------------------------------------------------------------------


def _share(counts: Mapping[str, Counts], part: str, whole: str) -> float | None:
    rows = [row for row in counts.values() if row.get(part) is not None and row.get(whole) is not None]
    total = sum(row[whole] or 0 for row in rows)
    return sum(row[part] or 0 for row in rows) / total if total else None


def _missed(of: PartOf, sources: Sources) -> Missed | None:
    found = _json(sources.place("missed", of.model, f"{of.domain}.json"))
    sample = sources.place("missed", of.corpus, f"{of.domain}.parquet")
    if found is None or sample is None:
        return None
    looked_at = read_parquet(sample, ["downloaded"]).column("downloaded").to_pylist()
    counted, more = found.get("as_counted") or {}, found.get("with_missed") or {}
    ends = interval_of(counted.get("interval"))
    return Missed(
        images=max((number or 0 for number in looked_at), default=0),
        interval=(ends[0], ends[1]) if ends else None,
        with_missed=known(more.get("threshold")),
    )


def _difficulty(found: Found) -> Difficulty | None:
    by_score = found.get("by_score") or {}
    effects = by_score.get("difficulty") or {}
    if not effects:
        return None
    adjusted = by_score["scores"].get(ADJUSTED)
    told = follow(found)
    ends = interval_of(told["interval"])
    return Difficulty(
        adjusted_for=tuple(one["label"] for one in effects.values() if not one["reason"]),
        not_adjusted_for=tuple((one["label"], one["reason"]) for one in effects.values() if one["reason"]),
        published=None if why_none(dict(found)) else known(told["threshold"]),
        interval=(ends[0], ends[1]) if ends else None,
        adjusted=known(follow(adjusted)["threshold"]) if adjusted else None,
    )


def _measured(
    of: PartOf,
    sources: Sources,
    found: Found,
    counts: Mapping[str, Counts],
    matching: Found | None,
    rates: tuple[GroupRates, ...],
    sensitivity: Found | None,
    prompts: int,
) -> Measured:
    groups = found.get("group_difference") or {}
    matching = matching or {}
    worst = matching.get("worst_pair")
    by_prompt = ((sensitivity or {}).get("choices", {}).get("prompts") or {}).get("answers", [])
    unique = _share(counts, "unique_images", "downloaded")
    was_counted = any(row.get("captions") is not None or row.get("downloaded") is not None for row in counts.values())
    return Measured(
        corpus=of.corpus if was_counted else "",
        counts_from=of.matched if of.matched != of.corpus else "",
        downloaded_share=_share(counts, "downloaded", "requested"),
        copies_share=None if unique is None else 1 - unique,
        groups=tuple(groups.get("groups", ())),
        group_p_value=known(groups.get("p_value")),
        survives=(found.get("by_score") or {}).get("survives"),
        missed=_missed(of, sources),
        difficulty=_difficulty(found),
        image_tpr=known(matching.get("image_tpr")),
        image_fpr=known(matching.get("image_fpr")),
        worst_pair=(worst["images_of"], worst["taken_for"], worst["rate"]) if worst else None,
        verification=rates,
        prompts=prompts or None,
        prompt_thresholds=tuple(known(one["threshold"]) for one in by_prompt),
    )


def _lacking(of: PartOf, there: Mapping[str, bool]) -> tuple[str, ...]:
    """Return sentences about what is not there."""
    return tuple(f"{of.model} in {of.domain}: {text}." for text, is_there in there.items() if not is_there)


def read_part(of: PartOf, sources: Sources, top_k: int) -> Read:
    """Read all that is known of a part.

    Args:
        of: which part.
        sources: the study's files; those that are read are noted.
        top_k: of the study's score.

    Raises:
        FitError: a file that the part needs is missing or cannot be read.
    """
    path = sources.needed("thresholds", of.model, f"{of.domain}.json")
    scores = sources.needed("scores", of.model, f"{of.domain}.parquet")
    counts_path = sources.needed("counts", of.corpus, f"{of.domain}.parquet")
    sources.given(of.sheet, "names, aliases and groups of concepts")
    found = read(path, "below", "above", "permutation_test", "penalty")
    table, audited, sheet = read_table(scores), read_audited(str(path)), read_sheet(of.sheet)
    tables = _tables(scores, table)
    kinds = _kinds(found, tables)
    counts = read_counts_of(counts_path, ("effective_count",))
    names = read_names(sources.place("captions", of.corpus, of.domain, "names.parquet"))
    excluded = sources.tables("explorer", "excluded", of.model, of.domain)
    outliers = sources.place("sensitivity", of.model, f"{of.domain}.outliers.tsv")
    adjusted = _by_concept(tables[ADJUSTED]) if ADJUSTED in tables else {}
    concepts = _concepts(
        sheet, kinds, counts, counts_path, scores, adjusted, of, sources, audited, names, excluded, outliers
    )
    matching = _json(sources.place("matches", f"{of.domain}.threshold.json"))
    art = _json(sources.place("matches", f"{of.domain}.art.json"))
    facts, rates = read_rates(sources.place("matches", f"{of.domain}.verification.tsv"))
    sensitivity = _json(sources.place("sensitivity", of.model, f"{of.domain}.json"))
    prompts = max((len(concept.prompts) for concept in concepts), default=0)
    measured = _measured(of, sources, found, counts, matching, rates, sensitivity, prompts)
    calibration = [*calibration_of(matching, "same concept")] if matching else []
    calibration += [*calibration_of(art, "artworks")] if art else []
    part = Part(
        model=of.model,
        domain=of.domain,
        corpus=of.corpus,
        is_of_people=of.is_of_people,
        score_label=f"imitation score (mean cosine by {of.embedder})",
        answer=_answer(of, found, path, _rests_on(found, concepts, counts), audited),
        scores=kinds,
        concepts=concepts,
        calibration=[*calibration, *facts],
        sensitivity=strips_of(sensitivity, top_k),
        assumptions=assumptions(measured),
        outliers_sought=outliers is not None,
    )
    lacks = _lacking(
        of,
        {
            "captions were not counted by name and alias": not measured.corpus or bool(names),
            "how far each choice moves the threshold was not measured (`fit run sensitivity`)": bool(sensitivity),
            "outliers were not looked for (`fit run sensitivity`)": outliers is not None,
            "what each step left out is not known": excluded is not None,
            "how often the embedder errs by group was not measured (`fit run verification`)": bool(facts),
            "images that captions miss were not looked for (`fit run missed`)": (
                not measured.corpus or measured.missed is not None
            ),
            "the score was not compared with its null or at a fixed number of targets": len(kinds) > 1,
        },
    )
    if named := _left_out(concepts):
        without = f"{len(named)} of {number_of(len(concepts), 'concept')} {'is' if len(named) == 1 else 'are'} left out"
        lacks = (f"{of.model} in {of.domain}: {without}: {some(named)}.", *lacks)
    return Read(part, table, counts_path, path, lacks)


def _by_concept(table: Scores) -> dict[str, float]:
    return dict(zip(map(str, table.concepts), table.scores.tolist(), strict=True))


def _concepts(
    sheet: Sequence[SheetConcept],
    kinds: Sequence[ScoreKind],
    counts: Mapping[str, Counts],
    counts_path: Path,
    scores: Path,
    adjusted: Mapping[str, float],
    of: PartOf,
    sources: Sources,
    audited: Threshold,
    names: Any,
    excluded: Any,
    outliers: Path | None,
) -> list[Concept]:
    columns = dict.fromkeys(name for pair in OF_TABLE.values() for name in pair if name)
    wanted = ["concept", "fixed_targets", *columns]
    there = open_parquet(scores).schema_arrow.names
    rows = {row["concept"]: row for row in read_parquet(scores, [n for n in wanted if n in there]).to_pylist()}
    for concept, value in adjusted.items():
        rows[concept]["adjusted_score"] = value
    size = next((row["fixed_targets"] for row in rows.values() if row.get("fixed_targets") is not None), None)
    keys = [kind.name for kind in kinds]
    prompts = prompts_of(
        sources.tables("scores", of.model, of.domain),
        sources.tables("scores", "null", of.model, of.domain),
        size,
        keys,
        {concept: rows[concept]["score"] - value for concept, value in adjusted.items()},
    )
    known_of = Known(
        counts=counts,
        unrounded=read_unrounded(counts_path),
        scores=rows,
        prompts=prompts,
        names=names,
        excluded=read_excluded(excluded),
        verdicts=verdicts_of(counts_path, scores, audited),
        outliers=read_outliers(outliers),
    )
    return concepts_of(sheet, keys, known_of)
