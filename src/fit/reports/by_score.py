"""Thresholds by other scores than the published one, as rows of a table and as a figure."""

import textwrap
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter

from fit.reports.style import ACCENT, INK, LEAF, SOFT
from fit.thresholds.answer import read
from fit.thresholds.by_score import LABELS, in_short, p_value_of, reason_of
from fit.thresholds.headline import follow
from fit.thresholds.scores import Scores

COLUMNS = ("model", "domain", "score", "threshold", "95 % interval", "p-value", "the published score's jump survives")
SURVIVES = {True: "yes", False: "no", None: ""}


def by_score_rows(thresholds: Mapping[tuple[str, str], str | Path]) -> list[tuple[str, ...]]:
    """Return rows of COLUMNS, one for each score of each study that has other scores.

    Args:
        thresholds: (model, domain) -> path of the JSON that `fit thresholds detect` wrote.
    """
    rows: list[tuple[str, ...]] = []
    for pair, path in thresholds.items():
        found = read(path, "permutation_test")
        by_score = found.get("by_score")
        if not by_score:
            continue
        of_scores = {"published score": found} | {one["label"]: one for one in by_score["scores"].values()}
        for label, one in of_scores.items():
            told = follow(one)
            ends, p_value = told["interval"], p_value_of(one)
            rows.append(
                (
                    *pair,
                    label,
                    f"none: {reason_of(told)}" if told["threshold"] is None else f"{told['threshold']:.0f}",
                    f"{ends[0]:.0f} to {ends[1]:.0f}" if ends else "",
                    "" if p_value is None else f"{p_value:.2g}",
                    SURVIVES[by_score["survives"]] if one is found else "",
                )
            )
        rows += [(*pair, LABELS[name], f"left out: {why}", "", "", "") for name, why in by_score["left_out"].items()]
    return rows


def _panel(
    axes: Axes, counts: np.ndarray, score: np.ndarray, null: np.ndarray | None, lines: Mapping[str, Any]
) -> None:
    """Draw a score, its null, and thresholds: label -> (what `measure` returned, style of its line)."""
    axes.scatter(counts, score, s=14, color=SOFT, alpha=0.6, linewidths=0, label="a concept's score")
    if null is not None:
        marks: dict[str, Any] = {"facecolors": "none", "edgecolors": INK, "linewidths": 0.6, "alpha": 0.6}
        axes.scatter(counts, null, s=14, marker="s", label="its null: other concepts' pictures on its targets", **marks)
    for label, (found, style) in lines.items():
        if found and (threshold := follow(found)["threshold"]) is not None:
            axes.axvline(threshold, linewidth=1.6, zorder=1, **style)
        axes.plot([], [], label=f"{label}: {in_short(found)}" if found else f"{label}: not measured", **style)
    axes.set_xscale("symlog", linthresh=1, linscale=0.3)
    axes.set_xlim(-0.15, float(np.max(counts, initial=1.0)) * 1.15)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda count, _: f"{count:,.0f}"))
    axes.set_xlabel("effective count: training images of the concept")
    axes.legend(frameon=False, loc="upper left", bbox_to_anchor=(0, -0.16), fontsize=8)


def by_score_figure(
    published: Scores, others: Mapping[str, Scores], found: Mapping[str, Any], title: str, part: str | Path
) -> None:
    """Draw the published score beside the one at a fixed number of targets, each with its null and its thresholds.

    Args:
        published: the concepts with their published scores.
        others: the same with other scores (fit.thresholds.by_score.read_by_score).
        found: dict of fit.thresholds.report.measure, with by_score.
        title: of the figure; empty for a usual one.
        part: temporary path of the picture.
    """
    measured: dict[str, Any] = (found.get("by_score") or {}).get("scores", {})
    fixed, minus = others.get("fixed"), others.get("fixed_minus_null")
    plt.rcParams.update({"font.size": 10, "axes.spines.top": False, "axes.spines.right": False})
    figure, panels = plt.subplots(
        1,
        1 if fixed is None else 2,
        figsize=(7 if fixed is None else 12, 5.4),
        sharey=True,
        squeeze=False,
        layout="constrained",
    )
    solid, dashed = {"color": ACCENT, "linestyle": "-"}, {"color": LEAF, "linestyle": "--"}
    null = others["null"].scores if "null" in others else None
    left = {"threshold": (found, solid), "of score minus null": (measured.get("minus_null"), dashed)}
    if "adjusted" in measured:
        left["of score adjusted for difficulty"] = (measured["adjusted"], {"color": INK, "linestyle": ":"})
    _panel(panels[0, 0], published.counts, published.scores, null, left)
    panels[0, 0].set_title("published score")
    panels[0, 0].set_ylabel("score")
    if fixed is not None:
        null = None if minus is None else fixed.scores - minus.scores
        right = {
            "threshold": (measured.get("fixed"), solid),
            "of score minus null": (measured.get("fixed_minus_null"), dashed),
        }
        _panel(panels[0, 1], published.counts, fixed.scores, null, right)
        label = measured["fixed"]["label"] if "fixed" in measured else LABELS["fixed"]
        panels[0, 1].set_title(label)
    title = textwrap.fill(title or "The published score, and one that can't rise by itself", 90)
    warning = (found.get("by_score") or {}).get("warning")
    if warning:
        title += "\n" + textwrap.fill(f"the published score's jump does not survive: {warning}", 110)
    figure.suptitle(title, fontsize=11)
    figure.savefig(part, dpi=160)
    plt.close(figure)
