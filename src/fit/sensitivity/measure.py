"""How much each choice moves the threshold: penalty, concepts, prompts, top-k, match threshold, and the paper's ways.

The first three need the table of scores. For the others each concept is scored again from its embeddings, at every
top-k, match threshold and setting at once (fit.sensitivity.rescore).
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa

from fit.counts.estimate import scaled_matches
from fit.errors import DataError
from fit.io.concept_tables import ConceptTables
from fit.io.shown import as_images, number_of
from fit.matches.threshold import MatchThreshold
from fit.scores.settings import ScoreSettings
from fit.sensitivity import counted, ways
from fit.sensitivity.choices import (
    LEAST_PENALTY,
    Answer,
    Summary,
    by_prompt,
    leaving_out,
    locate,
    over_penalties,
    summarise,
)
from fit.sensitivity.rescore import RESCORED, TOP_K, threshold_in_use, thresholds_around
from fit.thresholds.scores import EVIDENCE, ROUNDING, Scores, sort_scores

CHOICES = {
    "penalty": "penalty",
    "score": "score",
    "concepts": "concept left out",
    "prompts": "prompts",
    "top_k": "top-k",
    "match_threshold": "match threshold",
    **counted.CHOICES,
    **ways.CHOICES,
}
"""Keys of what measure finds, and their names in figure and text."""


def _counts_at(table: Scores, matches: Mapping[str, int | None]) -> np.ndarray:
    """Return the effective counts [N] of a table's concepts if so many (concept -> number) of their images matched."""
    counts = table.counts.copy()
    captions, downloaded = (
        table.evidence[:, EVIDENCE.index("captions")],
        table.evidence[:, EVIDENCE.index("downloaded")],
    )
    for row, concept in enumerate(table.concepts):
        matched = matches[concept]
        if matched is None or not np.isfinite(downloaded[row]):
            continue
        # Without captions the collected images are all there are.
        whole = int(downloaded[row] if np.isnan(captions[row]) else captions[row])
        counts[row] = scaled_matches(matched, whole, int(downloaded[row]))
    return counts


def counts_at_thresholds(table: Scores, row: int, rescored: pa.Table) -> dict[float, float]:
    """Return match threshold -> effective count of the concept in a row of `table`, ascending.

    Args:
        table: of the study.
        row: of the concept.
        rescored: what rescore_concept found for it.
    """
    columns = pl.DataFrame(rescored.select(["match_threshold", "matches", "choice"]))
    pairs = columns.filter(pl.col("choice").is_null()).drop("choice").drop_nulls().unique().sort("match_threshold")
    part = table.take([row])
    return {
        threshold: float(_counts_at(part, {str(part.concepts[0]): matches})[0])
        for threshold, matches in pairs.iter_rows()
    }


def read_rescored(rescored: ConceptTables) -> pl.DataFrame:
    """Read tables of RESCORED: concept, match_threshold, matches, top_k, and score, the mean over prompts."""
    parts = []
    for concept, rows in rescored.each(RESCORED.names[1:7], schema=RESCORED):
        on_grid = pl.DataFrame(rows).filter(pl.col("choice").is_null())
        means = on_grid.group_by("match_threshold", "matches", "top_k").agg(pl.col("score").mean())
        parts.append(means.select(pl.lit(concept).alias("concept"), "match_threshold", "matches", "top_k", "score"))
    return pl.concat(parts).filter(pl.col("score").is_not_null())


def _table_at(table: Scores, rows: pl.DataFrame) -> Scores:
    """Return the concepts that `table` has at other scores and matches.

    Args:
        table: of the study.
        rows: of read_rescored, at one match threshold and top-k.
    """
    of_concept = {row["concept"]: row for row in rows.to_dicts()}
    part = table.take(np.isin(table.concepts, list(of_concept)))
    matches = {concept: of_concept[concept]["matches"] for concept in of_concept}
    return sort_scores(part.concepts, _counts_at(part, matches), [of_concept[c]["score"] for c in part.concepts])


def _check(table: Scores, at_use: Scores) -> None:
    """Check that the new scores at the study's own top-k and match threshold are those of its table.

    Raises:
        DataError: they are of another run.
    """
    score_of = dict(zip(at_use.concepts, at_use.scores, strict=True))
    for concept, score in zip(table.concepts, table.scores, strict=True):
        if concept not in score_of or abs(score_of[concept] - score) > ROUNDING:
            again = score_of.get(concept, float("nan"))
            raise DataError(
                f"concept {str(concept)!r}: its score is {score:.4f} in the table, and {again:.4f} when it is computed "
                "again; the files are of different runs, ask snakemake for them"
            )


def _over_match_thresholds(
    table: Scores, at_top_k: pl.DataFrame, match_threshold: MatchThreshold, estimator: str, penalty: float
) -> Iterator[Answer]:
    """Yield the answer at each match threshold.

    Args:
        table: of the study.
        at_top_k: rows of read_rescored at its top-k.
        match_threshold: of the study.
        estimator: of the study.
        penalty: of the study.
    """
    tried = thresholds_around(match_threshold)
    known = {"midpoint": match_threshold["midpoint"], "best_f1": match_threshold["best_f1"]}
    for value in tried:
        at_value = _table_at(table, at_top_k.filter(pl.col("match_threshold") == value))
        named = [name for name, of_name in known.items() if of_name is not None and abs(of_name - value) < 1e-9]
        yield {
            "match_threshold": value,
            "named": [*named, *(["in use"] if value == threshold_in_use(match_threshold) else [])],
            "threshold": locate(at_value, estimator, penalty),
            "weight": 1 / len(tried),
        }


def _by_score(found: Mapping[str, Any]) -> list[Answer]:
    """Return the answer by each score of a study, where it was measured; the null is not a choice."""
    by_score = (found.get("by_score") or {}).get("scores", {})
    scores = {"published": found} | {name: one for name, one in by_score.items() if name != "null"}
    if len(scores) == 1:
        return []
    return [
        {
            "score": one.get("label", "published score"),
            "threshold": one["threshold"],
            "weight": 1 / len(scores),
        }
        for one in scores.values()
    ]


def measure(
    table: Scores,
    found: Mapping[str, Any],
    *,
    rescored: ConceptTables | None = None,
    settings: ScoreSettings | None = None,
    match_threshold: MatchThreshold | None = None,
    prompts: Sequence[str] = (),
    counts: str | Path | None = None,
    missed: str | Path | None = None,
    resamples: int = 1000,
    seed: int = 0,
) -> dict[str, Any]:
    """Measure how much each choice moves a study's threshold.

    Args:
        table: of the study.
        found: what fit.thresholds.measure returned for it.
        rescored: tables of RESCORED; None to leave top-k and match threshold out.
        settings: of the study.
        match_threshold: of the study; None without training images.
        prompts: their templates, to name them by.
        counts: path of effective counts, also of concepts without a score in the study, which some settings give one.
        missed: table of `fit missed measure`; None if it was not made.
        resamples: of the bootstrap, for the intervals at the settings of fit.sensitivity.ways.
        seed: of its draws.

    Returns:
        A dict of builtins: threshold, interval, estimator and penalty of the study, and choices: a key of CHOICES ->
        summary (fit.sensitivity.choices.summarise) and answers (see there), where the choice can be tried. The
        penalty is always PELT's; every other choice is tried with the study's estimator and penalty.

    Raises:
        DataError: the new scores are not of the same run as the table.
    """
    estimator, penalty = found["estimator"], found["penalty"]
    top_k = (settings or ScoreSettings()).top_k
    answers = {
        "penalty": over_penalties(table),
        "score": _by_score(found),
        "concepts": leaving_out(table, estimator, penalty),
        "prompts": by_prompt(table, estimator, penalty, prompts),
        "counts": counted.over_counts(table, counts, missed, found, resamples, seed),
    }
    if rescored is not None:
        scores = read_rescored(rescored)
        in_use = (
            pl.col("match_threshold").is_null()
            if match_threshold is None
            else pl.col("match_threshold") == threshold_in_use(match_threshold)
        )
        _check(table, _table_at(table, scores.filter(in_use, pl.col("top_k") == top_k)))
        answers["top_k"] = [
            {
                "top_k": k,
                "threshold": locate(_table_at(table, scores.filter(in_use, pl.col("top_k") == k)), estimator, penalty),
                "weight": 1 / TOP_K,
            }
            for k in range(1, TOP_K + 1)
        ]
        if match_threshold is not None:
            at_top_k = scores.filter(pl.col("top_k") == top_k)
            answers["match_threshold"] = list(
                _over_match_thresholds(table, at_top_k, match_threshold, estimator, penalty)
            )
        answers |= ways.over_ways(table, rescored, counts, found, resamples, seed)
    choices = {
        key: {"summary": summarise(of_choice, found["threshold"]), "answers": of_choice}
        for key, of_choice in ((key, answers.get(key)) for key in CHOICES)
        if of_choice
    }
    return {name: found[name] for name in ("threshold", "interval", "estimator", "penalty")} | {"choices": choices}


# --- in words ---------------------------------------------------------------------------------------------------------


def _images(threshold: float | None) -> str:
    return "none" if threshold is None else as_images(threshold)


def _of_penalties(answers: Sequence[Answer], headline: float | None) -> Iterator[str]:
    yield f"  from {LEAST_PENALTY:g} up; no change from {answers[-1]['from']:.3g}"
    for one in answers[:-1]:
        changes = number_of(one["changes"], "change")
        first = "none, the first change is a fall" if one["threshold"] is None else _images(one["threshold"])
        yield f"  {one['from']:.3g} to {one['to']:.3g}: {first}, {changes}"


def _of_scores(answers: Sequence[Answer], headline: float | None) -> Iterator[str]:
    for one in answers:
        yield f"  {one['score']}: {_images(one['threshold'])}"


def _of_concepts(answers: Sequence[Answer], headline: float | None) -> Iterator[str]:
    for one in answers:
        if summarise([one], headline)["same"] < 1:
            yield f"  without {one['concept']} ({as_images(one['effective_count'])}): {_images(one['threshold'])}"


def _of_prompts(answers: Sequence[Answer], headline: float | None) -> Iterator[str]:
    for one in answers:
        yield f"  {one['prompt']!r} {one['kind']}: {_images(one['threshold'])}"


def _of_top_k(answers: Sequence[Answer], headline: float | None) -> Iterator[str]:
    start = answers[0]
    for one, following in pairwise([*answers, None]):
        assert one is not None
        if following is None or following["threshold"] != one["threshold"]:
            yield f"  {start['top_k']} to {one['top_k']}: {_images(one['threshold'])}"
            start = following or one


def _of_match_thresholds(answers: Sequence[Answer], headline: float | None) -> Iterator[str]:
    for one in answers:
        named = f" ({', '.join(one['named'])})" if one["named"] else ""
        yield f"  {one['match_threshold']:.4f}{named}: {_images(one['threshold'])}"


DETAILS: dict[str, Callable[[Sequence[Answer], float | None], Iterator[str]]] = {
    "penalty": _of_penalties,
    "score": _of_scores,
    "concepts": _of_concepts,
    "prompts": _of_prompts,
    "top_k": _of_top_k,
    "match_threshold": _of_match_thresholds,
    **dict.fromkeys([*counted.CHOICES, *ways.CHOICES], lambda answers, headline: ways.details(answers)),
}
"""Key of CHOICES -> function(answers, threshold of the study) that yields what a reader wants to know by name."""


def say(key: str, choice: Mapping[str, Any]) -> str:
    """Return in a few words how far a choice, of what measure found, moves the threshold."""
    has_settings = key in ways.CHOICES or key in counted.CHOICES
    return ways.in_short(choice["answers"]) if has_settings else in_short(choice["summary"])


def in_short(summary: Summary) -> str:
    """Return a summary of fit.sensitivity.choices.summarise in a few words."""
    if summary["lowest"] is None:
        return "no threshold"
    low, high = (f"{summary[end]:.0f}" for end in ("lowest", "highest"))
    text = as_images(summary["lowest"]) if low == high else f"{low} to {high} images"
    text += f"; {summary['same']:.0%} as in the study"
    return text + (f", {summary['none']:.0%} none" if summary["none"] else "")


def describe(found: Mapping[str, Any]) -> list[str]:
    """Return the result of `measure` in lines of text."""
    lines = [f"threshold of the study ({found['estimator']}): {_images(found['threshold'])}"]
    for key, choice in found["choices"].items():
        lines.append(f"{CHOICES[key]}: {say(key, choice)}")
        lines += DETAILS[key](choice["answers"], found["threshold"])
    return lines
