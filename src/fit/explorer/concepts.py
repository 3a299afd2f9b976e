"""What the explorer says of each concept: counts, scores by prompt, what was left out, and the verdict."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from fit.audits.counts import read_counted
from fit.audits.likelihood import read_high_scores
from fit.audits.threshold import Threshold
from fit.audits.verdicts import audit
from fit.concepts.sheet import Concept as SheetConcept
from fit.counts.estimate import Counts
from fit.errors import DataError
from fit.explorer.contents import Concept, Excluded, NameCount, Outlier, Prompt, Verdict
from fit.explorer.excluded import EXCLUDED
from fit.explorer.words import in_percent
from fit.io.concept_tables import ConceptTables
from fit.io.parquet import read
from fit.io.shown import number_of
from fit.io.user_tables import read_user_table
from fit.scores.imitation import OF_PROMPT
from fit.scores.null import OF_NULL
from fit.scores.tabulate import at_size
from fit.sensitivity.outliers import BETWEEN
from fit.sensitivity.outliers import COLUMNS as OUTLIER_COLUMNS

Scored = dict[str, float | None]
"""Name of a kind of score (fit.explorer.contents.ScoreKind) -> a score; None where it is unknown."""

OF_TABLE: dict[str, tuple[str, str | None]] = {
    "score": ("score", None),
    "fixed_score": ("fixed_score", None),
    "minus_null": ("score", "null_score"),
    "fixed_minus_null": ("fixed_score", "fixed_null_score"),
    "null_score": ("null_score", None),
    "adjusted_score": ("adjusted_score", None),
}
"""Kind of score -> its columns in a table of fit.scores.tabulate.OF_CONCEPT: one, and what is taken off it.

adjusted_score is added by fit.explorer.part: it follows from the whole table."""


def known(value: Any) -> float | None:
    """Return a number as a float; None where it is missing or not finite."""
    return None if value is None or not np.isfinite(value) else float(value)


def whole(value: Any) -> int | None:
    """Return a whole number; None where it is missing."""
    return None if known(value) is None else int(value)


def interval_of(ends: Iterable[Any] | None) -> list[float] | None:
    """Return [low, high]; None where an end is missing or not finite."""
    low, high = (known(end) for end in (ends or (None, None)))
    return None if low is None or high is None else [low, high]


def _minus(value: Any, other: Any) -> float | None:
    one, off = known(value), known(other)
    return None if one is None or off is None else one - off


def scores_of(row: Mapping[str, Any], kinds: Iterable[str]) -> Scored:
    """Return the scores of a concept, of a row of a table of scores."""
    found: Scored = {}
    for kind in kinds:
        column, off = OF_TABLE[kind]
        found[kind] = known(row.get(column)) if off is None else _minus(row.get(column), row.get(off))
    return found


# --- prompt by prompt -------------------------------------------------------------------------------------------------


def _of_fixed(rows: pa.Table, size: int | None) -> list[float | None]:
    """Return the score [rows] at a fixed number of targets; None where a row has none."""
    scored = [bool(sizes) for sizes in rows.column("fixed_sizes").to_pylist()]
    if size is None or not any(scored):
        return [None] * len(rows)
    values = iter(at_size(rows.filter(pa.array(scored)), "fixed_scores", size))
    return [known(next(values)) if has else None for has in scored]


def _nulls(nulls: ConceptTables | None, size: int | None) -> dict[str, dict[str, tuple[float | None, float | None]]]:
    """Return concept -> prompt -> mean score of other concepts' pictures: (published, at a fixed number)."""
    found: dict[str, dict[str, tuple[float | None, float | None]]] = {}
    if nulls is None:
        return found
    for concept, rows in nulls.each(["prompt", "score", "fixed_sizes", "fixed_scores"], schema=OF_NULL):
        of_prompts: dict[str, list[tuple[float | None, float | None]]] = {}
        columns = (rows.column("prompt").to_pylist(), rows.column("score").to_pylist(), _of_fixed(rows, size))
        for prompt, score, fixed in zip(*columns, strict=True):
            of_prompts.setdefault(prompt, []).append((known(score), fixed))
        found[concept] = {
            prompt: (_mean(one for one, _ in of), _mean(two for _, two in of)) for prompt, of in of_prompts.items()
        }
    return found


def _mean(values: Iterable[float | None]) -> float | None:
    there = [value for value in values if value is not None]
    return float(np.mean(there)) if there else None


def prompts_of(
    scores: ConceptTables | None,
    nulls: ConceptTables | None,
    size: int | None,
    kinds: Iterable[str],
    taken_off: Mapping[str, float] | None = None,
) -> dict[str, list[Prompt]]:
    """Return concept -> its prompts with their scores.

    Args:
        scores: tables of the schema OF_PROMPT; None without any.
        nulls: tables of the schema OF_NULL; None without any.
        size: how many targets the score at a fixed number of targets chooses from; None if unknown.
        kinds: keys of OF_TABLE that the part has.
        taken_off: concept -> what the adjusted score takes off its score, at each prompt alike.
    """
    taken_off = taken_off or {}
    found: dict[str, list[Prompt]] = {}
    if scores is None:
        return found
    kinds, null_of = tuple(kinds), _nulls(nulls, size)
    columns = ["prompt", "score", "images", "targets", "fixed_sizes", "fixed_scores"]
    for concept, rows in scores.each(columns, schema=OF_PROMPT):
        prompts = []
        for row, fixed in zip(
            rows.drop(["fixed_sizes", "fixed_scores"]).to_pylist(), _of_fixed(rows, size), strict=True
        ):
            null, fixed_null = null_of.get(concept, {}).get(row["prompt"], (None, None))
            by_column = {
                "score": row["score"],
                "fixed_score": fixed,
                "null_score": null,
                "fixed_null_score": fixed_null,
                "adjusted_score": _minus(row["score"], taken_off.get(concept)),
            }
            of_prompt = Prompt(
                prompt=row["prompt"] or "",
                scores=scores_of(by_column, kinds),
                images=row["images"] or 0,
                targets=row["targets"] or 0,
            )
            prompts.append(of_prompt)
        found[concept] = prompts
    return found


# --- verdicts ---------------------------------------------------------------------------------------------------------


def _in_words(row: Mapping[str, Any], threshold: Threshold) -> str:
    """Say a row of an audit in sentences."""
    verdict = row["verdict"]
    if verdict == "unknown":
        return "No verdict: its count is not known."
    if verdict == "refused":
        return f"No verdict, as {row['reason']}."
    images = number_of(row["count"], "training image")
    ends = f"which lies above {threshold.low:,} and is at most {threshold.high:,}"
    ends = ends if threshold.has_interval else f"which is {threshold.images:,}, without an interval"
    place = {
        "above": "above the threshold",
        "below": "below the threshold",
        "within": "within the interval of the threshold",
    }
    said = f"{images}: {place[verdict]}, {ends}."
    if "p_above" in row:
        said += f" Its count reaches the threshold with a probability of {in_percent(row['p_above'])}."
    if "p_high" in row:
        said += f" Of concepts with such a count, {in_percent(row['p_high'])} have a high score."
    return said


def verdicts_of(counts: str | Path, scores: str | Path, threshold: Threshold) -> dict[str, Verdict]:
    """Return concept -> what `fit audit` says of it.

    Args:
        counts: path of effective counts.
        scores: path of the table that the threshold was found in.
        threshold: of the study.
    """
    counted, skipped, of_captions = read_counted(counts)
    try:
        high = None if threshold.refusal else read_high_scores(scores, threshold)
    except DataError:  # without concepts on both sides, nothing says what a high score is
        high = None
    return {
        row["concept"]: Verdict(
            verdict=row["verdict"],
            words=_in_words(row, threshold),
            p_above=known(row.get("p_above")),
            p_high=known(row.get("p_high")),
        )
        for row in audit(counted, threshold, skipped, of_captions, high).rows
    }


# --- the rest ---------------------------------------------------------------------------------------------------------


def read_outliers(path: Path | None) -> dict[str, Outlier]:
    """Return concept -> how it defies the threshold, of a table that `fit sensitivity outliers` wrote; none without."""
    found: dict[str, Outlier] = {}
    if path is None:
        return found
    for row in read_user_table(path, OUTLIER_COLUMNS, empty=True).rows:
        causes = [text for text in str(row["why"] or "").split(BETWEEN) if text]
        found[row["concept"]] = Outlier(side=row["side"], causes=causes)
    return found


def read_excluded(tables: ConceptTables | None) -> dict[str, list[Excluded]]:
    """Return concept -> what each step left out of it; none without tables."""
    if tables is None:
        return {}
    return {
        concept: [Excluded(**row) for row in rows.to_pylist()]
        for concept, rows in tables.each(["step", "number", "why"], schema=EXCLUDED)
    }


def read_names(path: Path | None) -> dict[str, list[NameCount]]:
    """Return concept -> captions by name and alias; none without a table."""
    found: dict[str, list[NameCount]] = {}
    if path is not None:
        for row in read(path, ["concept", "name", "captions"]).to_pylist():
            found.setdefault(row["concept"], []).append(NameCount(name=row["name"], captions=row["captions"]))
    return found


@dataclass(frozen=True, kw_only=True)
class Known:
    """What is known of the concepts of a part, each by slug."""

    counts: Mapping[str, Counts]
    unrounded: Mapping[str, float]
    scores: Mapping[str, Mapping[str, Any]]
    """Rows of the table of scores."""
    prompts: Mapping[str, list[Prompt]]
    names: Mapping[str, list[NameCount]]
    excluded: Mapping[str, list[Excluded]]
    verdicts: Mapping[str, Verdict]
    outliers: Mapping[str, Outlier]


def _left_out(prompts: Iterable[Prompt]) -> Iterator[Excluded]:
    empty = sum(not one.images for one in prompts)
    if empty:
        yield Excluded(step="prompts", number=empty, why="they have no picture that can be used")


def concepts_of(sheet: Iterable[SheetConcept], kinds: Iterable[str], of: Known) -> list[Concept]:
    """Return the concepts of a sheet, ascending in count; those without a count last."""
    kinds, found = tuple(kinds), []
    for one in sheet:
        slug = one.slug
        counts = of.counts.get(slug, {})
        count, prompts = of.unrounded.get(slug, counts.get("effective_count")), of.prompts.get(slug, [])
        concept = Concept(
            slug=slug,
            name=one.name,
            aliases=list(one.aliases),
            group=one.group,
            count=known(count),
            count_interval=interval_of((counts.get("low"), counts.get("high"))),
            captions=whole(counts.get("captions")),
            downloaded=whole(counts.get("downloaded")),
            matches=whole(counts.get("matches")),
            names=of.names.get(slug, []),
            corrected_count=known(counts.get("corrected_count")),
            corrected_interval=interval_of((counts.get("corrected_low"), counts.get("corrected_high"))),
            scores=scores_of(of.scores.get(slug, {}), kinds),
            prompts=prompts,
            excluded=[*of.excluded.get(slug, []), *_left_out(prompts)],
            verdict=of.verdicts.get(slug),
            outlier=of.outliers.get(slug),
        )
        found.append(concept)
    return sorted(found, key=lambda one: (one.count is None, one.count or 0, one.slug))
