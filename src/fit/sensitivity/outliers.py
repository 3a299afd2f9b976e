"""Outliers: concepts below the threshold with a high score, and above it with a low one, and what may explain them."""

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from fit.errors import DataError
from fit.io.escaping import delimited
from fit.io.shown import as_images
from fit.sensitivity.causes import RULES, Measured, Measurements, Outlier
from fit.thresholds.headline import follow
from fit.thresholds.scores import Scores

NONE_FOUND = "no cause found in the measurements"
BETWEEN = " | "
"""Between causes in the column `why`; a semicolon may be in one."""
COLUMNS = (
    "concept",
    "side",
    "effective_count",
    "low",
    "high",
    "score",
    "own_side",
    "other_side",
    "past",
    "causes",
    "why",
)


def find_outliers(scores: np.ndarray, split: int) -> tuple[list[tuple[int, str, float]], tuple[float, float]]:
    """Find concepts whose score is nearer to the median of the other side of the threshold than to that of their own.

    Args:
        scores: [N], ascending in count.
        split: index of the first concept above the threshold.

    Returns:
        (list of (row, "below" or "above", past), those below first, the farthest past the middle first; the medians of
        both sides). The list is empty where the scores do not rise across the threshold.
    """
    below, above = float(np.median(scores[:split])), float(np.median(scores[split:]))
    if below >= above:
        return [], (below, above)
    middle, half = (below + above) / 2, (above - below) / 2
    past = (scores - middle) / half
    past[split:] *= -1
    order = sorted(np.flatnonzero(past > 0).tolist(), key=lambda row: (row >= split, -past[row]))
    return [(row, "below" if row < split else "above", float(past[row])) for row in order], (below, above)


def explain(
    table: Scores, found: Mapping[str, Any], measurements: Measurements
) -> tuple[list[Outlier], tuple[float, float] | None]:
    """Find the concepts that defy the threshold, each with what was measured that may explain it.

    Args:
        table: of the study.
        found: what fit.thresholds.measure returned for it.
        measurements: of the stages.

    Returns:
        (outliers as find_outliers orders them, (median score below, above)), or ([], None) where there is no threshold
        with concepts on both sides.

    Raises:
        DataError: the threshold is of another table.
    """
    found = follow(found)
    if found["threshold"] is None or not found["below"]:
        return [], None
    split = found["below"]["concepts"]
    if found["concepts"] != len(table) or str(table.concepts[split]) != found["above"]["nearest"]["concept"]:
        raise DataError("the threshold was found in another table of scores; ask snakemake for both")
    rows, medians = find_outliers(table.scores.copy(), split)
    outliers = [Outlier(str(table.concepts[row]), row, side, past) for row, side, past in rows]
    if not outliers:
        return [], medians
    measured = Measured(table, found["threshold"], medians, measurements)
    leaks = measured.leaks([outlier.concept for outlier in outliers if outlier.side == "below"])
    explained = []
    for outlier in outliers:
        causes = [(name, text) for name, rule in RULES.items() if (text := rule(measured, outlier))]
        text = measured.leaked(outlier, leaks.get(outlier.concept, {}))
        causes += [("leaked", text)] if text else []
        explained.append(replace(outlier, causes=tuple(causes)))
    return explained, medians


def tabulate(table: Scores, outliers: Sequence[Outlier], medians: tuple[float, float] | None) -> str:
    """Return outliers as tab-separated text, a row each, with the columns COLUMNS.

    own_side, other_side: median scores; past: Outlier.past; causes: their names; why: what was measured, with BETWEEN.
    """
    rows: list[tuple[str, ...]] = [COLUMNS]
    below, above = medians or (np.nan, np.nan)
    for one in outliers:
        low, high = table.evidence[one.row, -2:]
        own, other = (below, above) if one.side == "below" else (above, below)
        rows.append(
            (
                one.concept,
                one.side,
                f"{table.counts[one.row]:.0f}",
                *("" if np.isnan(end) else f"{end:.0f}" for end in (low, high)),
                *(f"{value:.3f}" for value in (table.scores[one.row], own, other)),
                f"{one.past:.2f}",
                ", ".join(name for name, _ in one.causes) or NONE_FOUND,
                BETWEEN.join(why for _, why in one.causes),
            )
        )
    return delimited(rows)


def rows_of(table: Scores, outliers: Sequence[Outlier], medians: tuple[float, float] | None) -> dict[str, Any]:
    """Return outliers in builtins: medians (below and above; None without a threshold), and rows with all causes."""
    rows = [
        {
            "concept": one.concept,
            "side": one.side,
            "effective_count": float(table.counts[one.row]),
            "score": float(table.scores[one.row]),
            "past": one.past,
            "causes": dict(one.causes),
        }
        for one in outliers
    ]
    return {"medians": medians, "rows": rows}


def describe(table: Scores, outliers: Sequence[Outlier], medians: tuple[float, float] | None) -> list[str]:
    """Return outliers in lines of text."""
    if medians is None:
        return ["no threshold, so no concept can defy it"]
    if medians[0] >= medians[1]:
        return ["the scores do not rise across the threshold, so no concept can defy it"]
    lines = [f"median score below the threshold {medians[0]:.3f}, above {medians[1]:.3f}"]
    for side, level in (("below", "high"), ("above", "low")):
        of_side = [one for one in outliers if one.side == side]
        lines.append(f"{side} with a {level} score: {len(of_side)}")
        for one in of_side:
            lines.append(f"  {one.concept}: {as_images(table.counts[one.row])}, score {table.scores[one.row]:.3f}")
            lines += [f"    {name}: {why}" for name, why in one.causes] or [f"    {NONE_FOUND}"]
    return lines


def label(table: Scores, outlier: Outlier) -> str:
    """Return the text beside an outlier's pictures."""
    causes = ", ".join(name for name, _ in outlier.causes) or NONE_FOUND
    level = "high" if outlier.side == "below" else "low"
    lines = [
        outlier.concept,
        f"{as_images(table.counts[outlier.row])} ({outlier.side}), {level} score {table.scores[outlier.row]:.2f}",
    ]
    return "\n".join([*lines, *textwrap.wrap(causes, 44)[:3]])
