"""The figure of a defended model: where its scores lie on the base's curve, and whom else it hits."""

from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import polars as pl
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter

from fit.defences.roles import GROUPS
from fit.io.files import atomic_write
from fit.reports.style import ACCENT, INK, LEAF, SOFT

MOST_NAMED = 12
"""Erased concepts whose names are written."""


def _inside(value: float, low: float, high: float) -> float:
    """Return a reading as it is drawn: what is below or above all counts lies at the edge."""
    return float(np.clip(value, low, high))


def _draw_curve(axes: Axes, rows: pl.DataFrame, curve: dict[str, list[float]]) -> None:
    scores = rows.filter((pl.col("quantity") == "score") & ~pl.col("of").is_in(GROUPS)).drop_nulls("value")
    counts = rows.filter(pl.col("quantity") == "count").select("of", count="base")
    known = scores.join(counts, on="of", how="left").drop_nulls("count")
    right = 1.6 * (float(known["count"].to_numpy().max()) if len(known) else 1.0)
    axes.scatter(known["count"], known["base"], s=12, color=SOFT, alpha=0.5, linewidths=0, label="base model")
    axes.scatter(known["count"], known["defended"], s=14, color=LEAF, marker="D", linewidths=0, label="defended model")
    if curve:
        axes.plot(curve["counts"], curve["levels"], color=INK, linewidth=1.4, label="the base's curve")
    erased = rows.filter((pl.col("quantity") == "count") & pl.col("role").str.contains("erased")).drop_nulls("value")
    for number, row in enumerate(erased.iter_rows(named=True)):
        base = known.filter(pl.col("of") == row["of"])["base"].item()
        place = _inside(row["value"], 0, right)
        low, high = (_inside(row[name], 0, right) for name in ("low", "high"))
        axes.annotate(
            "",
            (place, row["defended"]),
            (row["base"], base),
            arrowprops={"arrowstyle": "->", "color": ACCENT, "linewidth": 1.2},
        )
        label = "_nolegend_" if number else "erased: what it corresponds to"
        axes.hlines(row["defended"], low, high, color=ACCENT, linewidth=2, label=label)
        if number < MOST_NAMED:
            axes.annotate(
                row["of"], (place, row["defended"]), (4, 5), textcoords="offset points", fontsize=7, color=INK
            )
    axes.set_xscale("symlog", linthresh=1, linscale=0.3)
    axes.set_xlim(-0.15, right)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda count, _: f"{count:,.0f}"))
    axes.set_xlabel("training images (effective count)")
    axes.set_ylabel("imitation score")
    axes.legend(fontsize=7, frameon=False, loc="upper left")


def _draw_groups(axes: Axes, rows: pl.DataFrame) -> None:
    found = {row["of"]: row for row in rows.filter(pl.col("quantity") == "score").iter_rows(named=True)}
    named = [name for name in GROUPS if name in found]
    for place, name in enumerate(named):
        row: dict[str, Any] = found[name]
        axes.hlines(place, row["low"], row["high"], color=ACCENT if name == "erased" else SOFT, linewidth=2)
        axes.plot(row["value"], place, marker="o", markersize=4, color=INK)
    axes.axvline(0, color=INK, linewidth=0.6)
    axes.set_yticks(range(len(named)), [f"{name} ({found[name]['concepts']})" for name in named])
    axes.set_ylim(len(named) - 0.5, -0.5)
    axes.set_xlabel("change of the mean score, 95 %")


def draw_defence(rows: pl.DataFrame, curve: dict[str, list[float]], title: str, path: str | Path) -> None:
    """Draw one defended model.

    Args:
        rows: a frame of the schema fit.defences.measure.ROWS.
        curve: counts and levels of the base's curve; empty where it has none.
        title: of the figure.
        path: PNG to write.
    """
    plt.rcParams.update({"font.size": 9, "axes.spines.top": False, "axes.spines.right": False})
    figure, (left, right) = plt.subplots(
        1, 2, figsize=(9.5, 4), layout="constrained", gridspec_kw={"width_ratios": [2, 1]}
    )
    _draw_curve(left, rows, curve)
    _draw_groups(right, rows)
    figure.suptitle(title, fontsize=10)
    with atomic_write(path) as part:
        figure.savefig(part, dpi=160, format="png")
    plt.close(figure)
