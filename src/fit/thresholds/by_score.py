"""The threshold by other scores than the published one: does the jump survive where the score can't rise by itself?

The published score is the mean over the targets that pictures resemble most, and concepts of more training images have
more targets to choose from. So it rises with the count, whatever the pictures show. Three other scores do not: the one
at a fixed number of targets, and both minus their null, which is the same score of other concepts' pictures.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from fit.errors import DataError
from fit.io.numbers import as_number
from fit.io.shown import as_images, number_of, plain, shown
from fit.io.user_tables import Source, UserTable, once, read_user_table
from fit.thresholds.difficulty import COVARIATES, Adjustment, Effect, adjust
from fit.thresholds.families import families_of
from fit.thresholds.headline import CHANCE, decide, decisive_p_value, follow, withhold_intervals
from fit.thresholds.neighbours import why_no_interval
from fit.thresholds.report import measure
from fit.thresholds.scores import Scores, nested_lists

Found = dict[str, Any]
"""A result, or a part of one, in builtins."""


@dataclass(frozen=True)
class OtherScore:
    """A score that is made of columns of a table of concepts."""

    label: str
    """What tables, figures and sentences call it."""
    column: str
    lists: str
    """Column of its lists per prompt, which the bootstrap resamples."""
    null: str = ""
    """Column of the null that is taken off; empty for none."""
    null_lists: str = ""
    decides: bool = False
    """Whether the published score's jump has to be found in it too."""


OTHER_SCORES = {
    "fixed": OtherScore("score at a fixed number of targets", "fixed_score", "fixed_images", decides=True),
    "minus_null": OtherScore("score minus null", "score", "image_scores", "null_score", "null_others", decides=True),
    "fixed_minus_null": OtherScore(
        "score at a fixed number of targets, minus null",
        *("fixed_score", "fixed_images", "fixed_null_score", "fixed_null_others"),
    ),
    "null": OtherScore("null (other concepts' pictures)", "null_score", "null_others"),
}
"""Name -> what it is made of, in the order in which they are shown."""
ADJUSTED = "adjusted"
"""Name of the published score without what the difficulty of concepts does to it."""
LABELS = {name: one.label for name, one in OTHER_SCORES.items()} | {ADJUSTED: "score adjusted for difficulty"}
"""Name of every score -> what tables, figures and sentences call it."""


def _column(table: UserTable, name: str) -> list[float | None] | None:
    """Return the numbers [N] of a column, None where a cell is empty; None if it is missing or all of it is empty."""
    if name not in table.columns:
        return None
    values = [as_number(value, f"{table.where(index)}: {name}") for index, value in enumerate(table.values(name))]
    return None if all(value is None for value in values) else values


def _lists(table: UserTable, name: str) -> list[list[np.ndarray]]:
    """Return the lists per prompt [N] of a column; empty ones where it is missing."""
    if name not in table.columns:
        return [[] for _ in table.rows]
    found = []
    for index, value in enumerate(table.values(name)):
        try:
            lists = nested_lists(value, 2)
        except (ValueError, RecursionError):
            raise DataError(
                f"{table.where(index)}: {name} holds something that is not a list of lists of numbers: {shown(value)}; "
                "correct the row, or take the column out"
            ) from None
        found.append([np.asarray(prompt or [], np.float64) for prompt in lists])
    return found


def _minus(images: list[np.ndarray], others: list[np.ndarray]) -> list[np.ndarray]:
    """Return the scores of images minus the mean of others', prompt by prompt; nothing where a prompt has no null."""
    if len(images) != len(others) or any(
        len(one) and not len(other) for one, other in zip(images, others, strict=True)
    ):
        return []
    return [one - other.mean() if len(one) else one for one, other in zip(images, others, strict=True)]


def _is_lacking(columns: Mapping[str, list[float | None] | None], row: int) -> bool:
    return any(values is None or values[row] is None for values in columns.values())


def read_by_score(path: Source, published: Scores) -> tuple[dict[str, Scores], dict[str, str], int | None]:
    """Read the other scores of a table of concepts, as far as it has their columns.

    Args:
        path: CSV, TSV, Parquet or a table in memory, as fit.thresholds.scores.read_table reads it. Optional columns:
            fixed_score, null_score, fixed_null_score; with lists per prompt for the bootstrap, fixed_images,
            null_others and fixed_null_others; and fixed_targets.
        published: what read_table found in it.

    Returns:
        (name of OTHER_SCORES -> the same concepts with that score; name -> why it is left out, where some concepts lack
        it; how many targets the fixed score chooses from, None if unknown).

    Raises:
        DataError: a cell is not a number, or not a list of lists of numbers.
    """
    needed = {name for one in OTHER_SCORES.values() for name in (one.column, one.null) if name} - {"score"}
    table = read_user_table(path, ("concept", "effective_count", "score"), empty=True)
    values = {name: _column(table, name) for name in [*sorted(needed), "score", "fixed_targets"]}
    row_of = {concept: row for row, concept in enumerate(once(table))}
    order = [row_of[str(concept)] for concept in published.concepts]
    found, left_out = {}, {}
    for name, one in OTHER_SCORES.items():
        columns = {column: values[column] for column in (one.column, one.null) if column}
        if any(column is None for column in columns.values()):
            continue
        lacking = [str(c) for c, row in zip(published.concepts, order, strict=True) if _is_lacking(columns, row)]
        if lacking:
            left_out[name] = f"{number_of(len(lacking), 'concept', 'has')} none: {plain(lacking, 5)}"
            continue
        nothing = [0.0] * len(table.rows)
        numbers, nulls = (np.array(columns.get(c) or nothing, np.float64)[order] for c in (one.column, one.null))
        lists = _lists(table, one.lists)
        if one.null:
            lists = [_minus(*pair) for pair in zip(lists, _lists(table, one.null_lists), strict=True)]
        # No thresholds of groups; but groups may be the families (fit.thresholds.families).
        families = published.families
        if families is None and families_of(published) is not None:
            families = published.groups
        images, groups = [lists[row] for row in order], np.full(len(order), "")
        found[name] = replace(published, scores=numbers - nulls, images=images, groups=groups, families=families)
    sizes = {size for size in values["fixed_targets"] or [] if size is not None}
    return found, left_out, int(sizes.pop()) if len(sizes) == 1 else None


def read_adjustment(path: Source, published: Scores) -> Adjustment:
    """Read the covariates of a table of concepts, and find what they do to the published score.

    Args:
        path: of the table, as read_by_score takes it. Optional columns: those of COVARIATES; one that a concept lacks
            is not adjusted for.
        published: what read_table found in it.

    Raises:
        DataError: a cell is not a number.
    """
    table = read_user_table(path, ("concept", "effective_count", "score"), empty=True)
    columns = {name: _column(table, name) for name in COVARIATES}
    row_of = {concept: row for row, concept in enumerate(once(table))}
    order = [row_of[str(concept)] for concept in published.concepts]
    known, lacking = {}, {}
    for name, column in columns.items():
        if column is None or not order:
            continue
        values = [column[row] for row in order]
        without = [str(c) for c, value in zip(published.concepts, values, strict=True) if value is None]
        if without:
            lacking[name] = Effect(
                COVARIATES[name], f"{number_of(len(without), 'concept', 'has')} none: {plain(without, 5)}"
            )
        else:
            known[name] = np.array(values, np.float64)
    found = adjust(published.counts, published.scores, known)
    effects = lacking | found.effects
    return replace(found, effects={name: effects[name] for name in COVARIATES if name in effects})


def adjusted_scores(published: Scores, adjustment: Adjustment) -> Scores:
    """Return the same concepts with adjusted scores; those of a concept's images are moved as far as its score."""
    scores = adjustment.take_off(published.scores)
    moved = published.scores - scores
    lists = [[prompt - less for prompt in prompts] for prompts, less in zip(published.images, moved, strict=True)]
    return replace(published, scores=scores, images=lists, groups=np.full(len(scores), ""))


def _measure_adjusted(published: Scores, adjustment: Adjustment, settings: Mapping[str, Any]) -> Found:
    """Return what `measure` does of the adjusted score, with a test that knows the error of the slopes."""
    table = adjusted_scores(published, adjustment)
    found = measure(table, **settings)
    if found["reason"] is None:
        found["permutation_test"]["p_value_adjusted"] = adjustment.p_value(
            published, settings["resamples"], settings["seed"]
        )
        if (decisive_p_value(found) or 0) > CHANCE:
            found["headline"] = decide(found) | {"below": None, "above": None}
    return {"label": LABELS[ADJUSTED], "rise_p_value": rise_p_value(table), **found}


def rise_p_value(table: Scores) -> float | None:
    """Return the p-value of Spearman's rank correlation of score and count where it is positive; None where it is not.

    The permutation test takes all scores for equally noisy. Those of concepts with many targets are less noisy,
    at a fixed number of targets above all, and then it finds a jump in up to a fifth of studies without one. Ranks
    hardly mind.
    """
    from scipy.stats import spearmanr

    if np.ptp(table.scores) == 0 or np.ptp(table.counts) == 0:
        return None
    found = spearmanr(table.counts, table.scores)
    return float(found.pvalue) if found.statistic > 0 else None


def decides(name: str) -> bool:
    """Return whether the published score's jump has to be found in a score of LABELS too."""
    return name in OTHER_SCORES and OTHER_SCORES[name].decides


def _holds(found: Found) -> bool:
    """Whether a score rises with the count by more than chance: by the permutation test, and by ranks."""
    p_value, rise = found["permutation_test"]["p_value"], found["rise_p_value"]
    return p_value is not None and p_value <= CHANCE and rise is not None and rise <= CHANCE


def _why_not(found: Found) -> str:
    """Say why a score has no jump, of one that does not hold."""
    p_value = found["permutation_test"]["p_value"]
    if p_value is None:
        return str(found["reason"])
    if p_value > CHANCE:
        return f"p = {p_value:.2g}"
    rise = found["rise_p_value"]
    return "it does not rise with the count" if rise is None else f"p = {rise:.2g} by ranks"


def _warning(scores: Mapping[str, Found], labels: Mapping[str, str]) -> str | None:
    """Say in which scores the published score's jump is not found; None where it is in all that decide."""
    lost = [name for name in scores if decides(name) and not _holds(scores[name])]
    if not lost:
        return None
    of_each = " and ".join(f"by the {labels[name]} ({_why_not(scores[name])})" for name in lost)
    null = scores.get("null")
    by_null = null is not None and _holds(null)
    more = "; the score of other concepts' pictures rises with the count too" if by_null else ""
    return f"there is none {of_each}{more}"


def _labels(size: int | None) -> dict[str, str]:
    """Return name of LABELS -> its label, with the number of targets where it is known."""
    fixed = "a fixed number of targets" if size is None else f"{number_of(size, 'target')} for each concept"
    return {name: label.replace("a fixed number of targets", fixed) for name, label in LABELS.items()}


def measure_by_score(
    path: Source,
    published: Scores,
    found: Mapping[str, Any],
    *,
    penalty: float,
    resamples: int,
    seed: int,
    estimators: Sequence[str],
    **more: Any,
) -> Found | None:
    """Measure the threshold by the other scores of a table, and say whether the published score's jump survives.

    It survives where each score that can't rise by itself, the one at a fixed number of targets and the one minus null,
    rises with the count by more than chance. Where its threshold lies then, and whether the headline's penalty lets it
    have one, is another matter: these scores are lower, and so are their jumps.

    Args:
        path: of the table.
        published: what fit.thresholds.scores.read_table found in it.
        found: what fit.thresholds.report.measure found for it.
        penalty, resamples, seed, estimators, more: as `measure` takes them.

    Returns:
        A dict of builtins; None where the table has no other score. fixed_targets (None if unknown), scores (name of
        LABELS -> label, rise_p_value, and what `measure` returns), left_out (name -> why), difficulty (key of
        COVARIATES -> its Effect), survives (None where the published score has no jump that could, or no score
        decides), warning (why it does not survive, or None).
    """
    tables, left_out, size = read_by_score(path, published)
    adjustment = read_adjustment(path, published)
    if adjustment.effects and not adjustment.is_possible:
        why = (f"{effect.label}: {effect.reason}" for effect in adjustment.effects.values())
        left_out[ADJUSTED] = "; ".join(why)
    if not tables and not adjustment.effects and not left_out:
        return None
    labels = _labels(size)
    settings: dict[str, Any] = {
        "penalty": penalty,
        "resamples": resamples,
        "seed": seed,
        "estimators": estimators,
    } | more
    scores = {}
    for name, table in tables.items():
        measured = measure(table, **settings)
        scores[name] = {"label": labels[name], "rise_p_value": rise_p_value(table), **measured}
    if adjustment.is_possible:
        scores[ADJUSTED] = _measure_adjusted(published, adjustment, settings)
    if alike := why_no_interval(found["neighbours"]):  # of the same concepts
        scores = {name: withhold_intervals(one, alike) for name, one in scores.items()}
    p_value = found["permutation_test"]["p_value"]
    claims = follow(found)["threshold"] is not None or (p_value is not None and p_value <= CHANCE)
    decided = claims and any(decides(name) for name in scores)
    warning = _warning(scores, labels) if decided else None
    return {
        "fixed_targets": size,
        "scores": scores,
        "left_out": left_out,
        "difficulty": {name: asdict(effect) for name, effect in adjustment.effects.items()},
        "survives": warning is None if decided else None,
        "warning": warning,
    }


# --- in words ---------------------------------------------------------------------------------------------------------


def reason_of(told: Mapping[str, Any]) -> str:
    """Return why a score has no threshold, of a result that follows its headline."""
    return str(told["reason"] or told["estimators"][told["estimator"]]["reason"])


def p_value_of(found: Mapping[str, Any]) -> float | None:
    """Return the p-value against no jump of one score: of an adjusted one, that which knows the error of the slopes."""
    tests = found["permutation_test"]
    known: float | None = tests.get("p_value_adjusted", tests["p_value"])
    return known


def in_short(found: Mapping[str, Any]) -> str:
    """Say the threshold of one score, by its headline, in a few words."""
    told, p_value = follow(found), p_value_of(found)
    if told["threshold"] is None:
        text = f"none: {reason_of(told)}"
    else:
        ends = told["interval"]
        text = as_images(told["threshold"]) + (f", {ends[0]:.0f} to {ends[1]:.0f}" if ends else "")
    if found["reason"] is None and "rise_p_value" in found and found["rise_p_value"] is None:
        text += "; it does not rise"
    return text if p_value is None else f"{text}; p = {p_value:.2g}"


def describe_by_score(found: Mapping[str, Any]) -> Iterator[str]:
    """Yield lines that say the thresholds by the other scores, of a result that has them."""
    by_score = found.get("by_score")
    if not by_score:
        return
    yield f"by the published score: {in_short(found)}"
    for one in by_score["scores"].values():
        yield f"by the {one['label']}: {in_short(one)}"
    for name, why in by_score["left_out"].items():
        yield f"by the {LABELS[name]}: left out, {why}"
    for effect in by_score.get("difficulty", {}).values():
        if effect["reason"]:
            yield f"  not adjusted for the {effect['label']}: {effect['reason']}"
        else:
            yield (
                f"  adjusted for the {effect['label']}: {effect['slope']:+.3g} in score per unit (standard error "
                f"{effect['standard_error']:.2g}, p = {effect['p_value']:.2g})"
            )
    if by_score["warning"]:
        yield f"the published score's jump does not survive: {by_score['warning']}"
