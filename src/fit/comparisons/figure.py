"""Two tables of concepts and their thresholds in one figure."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from fit.comparisons.words import sentence
from fit.io.shown import as_images
from fit.reports.style import ACCENT, INK, SOFT
from fit.thresholds.estimators import estimator_of_result
from fit.thresholds.scores import Scores


def _draw_table(axes: Axes, table: Scores, found: dict[str, Any], name: str, colour: str, marker: str, by: str) -> None:
    axes.scatter(table.counts, table.scores, s=16, color=colour, marker=marker, alpha=0.5, linewidths=0, label=name)
    answer = found["estimators"][by]
    curve = estimator_of_result(by).curve(answer, float(table.counts.max()))
    if curve:
        style: dict[str, Any] = {"drawstyle": "steps-post"} if curve.is_step else {}
        axes.plot(curve.counts, curve.scores, color=colour, linewidth=1.8, **style)
    axes.axvline(
        answer["threshold"],
        color=colour,
        linewidth=1.5,
        label=f"{name}: {as_images(answer['threshold'])}",
    )
    if answer["interval"]:
        axes.axvspan(*answer["interval"], color=colour, alpha=0.1, linewidth=0)


def _draw_ratios(axes: Axes, found: dict[str, Any]) -> None:
    able = {name: answer for name, answer in found["estimators"].items() if answer.get("interval")}
    for row, answer in enumerate(able.values()):
        axes.plot(answer["interval"], [row, row], color=INK, linewidth=1.5)
        axes.plot([answer["ratio"]], [row], "o", color=INK)
    axes.axvline(1, color=INK, linewidth=0.8, linestyle=":")
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter(FuncFormatter(lambda ratio, _: f"{ratio:g}"))
    axes.xaxis.set_minor_formatter(FuncFormatter(lambda ratio, _: f"{ratio:g}" if f"{ratio:e}"[0] in "25" else ""))
    axes.set_yticks(range(len(able)), labels=[estimator_of_result(name).label for name in able])
    axes.set_ylim(len(able) - 0.5, -0.5)
    axes.set_xlabel("ratio of the thresholds, second to first, with its 95 % interval")


def comparison_figure(
    tables: Sequence[Scores], found: dict[str, Any], names: tuple[str, str], title: str, part: str | Path
) -> None:
    """Write the figure of draw_comparison to `part`, the temporary path of a picture."""
    draw_comparison(tables, found, names, title).savefig(part, dpi=160)


def draw_comparison(tables: Sequence[Scores], found: dict[str, Any], names: tuple[str, str], title: str = "") -> Figure:
    """Draw the concepts of two tables with their thresholds, and below them the ratio by each estimator.

    Args:
        tables: the two.
        found: dict of fit.comparisons.compare.compare.
        names: of the tables.
        title: of the figure; empty for the answer in a sentence.

    Returns:
        The figure, which pyplot has closed.
    """
    plt.rcParams.update({"font.size": 10, "axes.spines.top": False, "axes.spines.right": False})
    figure, (above, below) = plt.subplots(2, 1, figsize=(7.5, 6.6), height_ratios=[3.6, 1], layout="constrained")
    by = found["estimator"]
    for table, side, name, colour, marker in zip(
        tables, ("first", "second"), names, (SOFT, ACCENT), ("o", "^"), strict=True
    ):
        if by is None:
            above.scatter(table.counts, table.scores, s=16, color=colour, marker=marker, alpha=0.5, label=name)
        else:
            _draw_table(above, table, found[side], name, colour, marker, by)
    above.set_xscale("symlog", linthresh=1, linscale=0.3)
    above.set_xlim(-0.15, 1.15 * max(float(np.max(table.counts, initial=1)) for table in tables))
    above.xaxis.set_major_formatter(FuncFormatter(lambda count, _: f"{count:,.0f}"))
    above.set_xlabel("effective count: training images of the concept")
    above.set_ylabel("score")
    above.set_title(title or sentence(found, names), fontsize=10, wrap=True)
    _draw_ratios(below, found)
    figure.legend(*above.get_legend_handles_labels(), frameon=False, loc="outside lower center", ncols=2)
    plt.close(figure)
    return figure
