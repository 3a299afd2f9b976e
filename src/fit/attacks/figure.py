"""The figure of attacks: to how many training images each model's pictures correspond, before and under each attack."""

from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import polars as pl
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter

from fit.attacks.compare import ALL, BEFORE
from fit.attacks.tabulate import ANY
from fit.io.files import atomic_write
from fit.io.shown import number_of
from fit.reports.style import ACCENT, INK, SOFT

MARKERS = ("s", "^", "D", "v", "P", "X")
"""Of the attacks, in their order; BEFORE and ANY have circles."""
MOST_PANELS = 6
"""Concepts that are drawn; the table has all."""


def _draw_concept(
    axes: Axes, rows: pl.DataFrame, models: list[str], looks: dict[str, dict[str, Any]], end: float
) -> None:
    """Draw a concept: a line a model, a mark an attack, with the intervals of BEFORE and of the best attack."""
    for place, model in enumerate(models):
        found = {row["attack"]: row for row in rows.filter(pl.col("model") == model).iter_rows(named=True)}
        known = [(name, row) for name, row in found.items() if row["count"] is not None]
        for shift, name, colour in ((0.16, BEFORE, INK), (-0.16, ANY, ACCENT)):
            row = found.get(name)
            if row and row["count_low"] is not None:
                ends = np.clip([row["count_low"], row["count_high"]], 0, end)
                axes.hlines(place + shift, *ends, color=colour, linewidth=1.2, alpha=0.7)
        for name, row in known:
            shift = 0.16 if name == BEFORE else -0.16 if name == ANY else 0
            axes.plot(np.clip(row["count"], 0, end), place + shift, linestyle="none", **looks[name])
    counts = rows["effective_count"].drop_nulls()
    if len(counts):
        axes.axvline(counts[0], color=INK, linewidth=0.7, linestyle=":")
    axes.set_title(f"{rows['concept'][0]}", fontsize=9)
    axes.set_xscale("symlog", linthresh=1, linscale=0.3)
    axes.set_xlim(-0.2, end * 1.25)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda count, _: f"{count:,.0f}"))


def draw_attacks(compared: pl.DataFrame, path: str | Path) -> None:
    """Draw models and attacks on the axis of training images, a panel a concept.

    Args:
        compared: of the schema fit.attacks.compare.COMPARED.
        path: PNG to write.
    """
    plt.rcParams.update({"font.size": 8, "axes.spines.top": False, "axes.spines.right": False})
    rows = compared.filter(pl.col("concept") != ALL)
    every = rows["concept"].unique(maintain_order=True).to_list()
    concepts = every[:MOST_PANELS]
    models = rows["model"].unique(maintain_order=True).to_list()
    names = rows["attack"].unique(maintain_order=True).to_list()
    others = [name for name in names if name not in (BEFORE, ANY)]
    looks: dict[str, dict[str, Any]] = {
        name: {"marker": MARKERS[number % len(MARKERS)], "color": SOFT, "markersize": 4.5}
        for number, name in enumerate(others)
    }
    looks[BEFORE] = {"marker": "o", "color": INK, "markerfacecolor": "white", "markersize": 5}
    looks[ANY] = {"marker": "o", "color": ACCENT, "markersize": 5}
    finite = rows.select("count", "count_high", "effective_count").unpivot()["value"].drop_nulls()
    finite = finite.filter(finite.is_finite())
    end = 1.3 * max(10.0, float(finite.to_numpy().max(initial=10.0)))
    width = max(1, len(concepts))
    size = (2.0 + 2.8 * width, 1.4 + 0.42 * max(1, len(models)))
    figure, panels = plt.subplots(1, width, figsize=size, layout="constrained", sharey=True, squeeze=False)
    for axes, concept in zip(panels[0], concepts, strict=False):
        _draw_concept(axes, rows.filter(pl.col("concept") == concept), models, looks, end)
    panels[0, 0].set_yticks(range(len(models)), models)
    panels[0, 0].set_ylim(len(models) - 0.5, -0.5)
    said = "training images to which the pictures correspond (dotted: the concept's own)"
    left = len(every) - len(concepts)
    left_out = f"; the table has {number_of(left, 'more concept')}" if left else ""
    figure.supxlabel(said + left_out, fontsize=8)
    labels = {BEFORE: "asked by name, 95 %", ANY: "all attacks, the best chosen by half of the pictures, 95 %"}
    handles = [plt.Line2D([], [], linestyle="none", label=labels.get(name, name), **looks[name]) for name in names]
    figure.legend(handles=handles, loc="outside upper center", ncols=max(1, len(handles)), frameon=False)
    with atomic_write(path) as part:
        figure.savefig(part, dpi=160, format="png")
    plt.close(figure)
