"""Figures of the truth experiment."""

from pathlib import Path
from textwrap import fill
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from fit.atelier.changes import WORLDS
from fit.io.files import atomic_write
from fit.io.shown import as_images, number_of
from fit.reports.style import ACCENT, INK, LEAF, SOFT
from fit.truth.compare import TRUE_SCORE
from fit.truth.design import USUAL
from fit.truth.own import PARAMETERS, OwnCurves

ESTIMATORS = ("headline", "pelt", "pelt_scaled", "one_change", "isotonic", "logistic")
"""Estimators whose answers are drawn, in this order."""
NAMES = {"headline": "what a user is told"}
"""Estimator -> how it is called, where not by its name."""


def _save(figure: Figure, path: str | Path) -> None:
    with atomic_write(path) as part:
        figure.savefig(part, dpi=160, format="png")
    plt.close(figure)


def _counts_axis(axes: Axes, right: float) -> None:
    axes.set_xscale("symlog", linthresh=1, linscale=0.3)
    axes.set_xlim(-0.15, right)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda count, _: f"{count:,.0f}"))


def _panels(worlds: dict[str, Any], height: float, rows: int) -> tuple[Figure, np.ndarray]:
    plt.rcParams.update({"font.size": 10, "axes.spines.top": False, "axes.spines.right": False})
    size = (5.2 * len(worlds), height)
    return plt.subplots(rows, len(worlds), figsize=size, layout="constrained", squeeze=False, sharex="col")


def draw_curves(painters: pl.DataFrame, answer: dict[str, Any], path: str | Path) -> None:
    """Draw, a world a column, every painter's score against its own count, and below it the painters' thresholds.

    Args:
        painters: a frame of the schema fit.truth.measure.PAINTERS.
        answer: of fit.truth.compare.estimate_truth.
        path: PNG to write.
    """
    worlds = answer["worlds"]
    figure, panels = _panels(worlds, 7.5, 2)
    right = 1.2 * float(painters["true_count"].to_numpy().max())
    line = np.geomspace(1, 1 + right, 200) - 1
    for (world, found), (above, below) in zip(worlds.items(), panels.T, strict=True):
        of_world = painters.filter((pl.col("changes") == USUAL) & (pl.col("world") == int(world)))
        above.scatter(of_world["true_count"], of_world[TRUE_SCORE], s=7, color=SOFT, alpha=0.35, linewidths=0)
        above.set_ylabel("score of a painter in a model")
        below.set_ylabel("painters, by their own threshold")
        below.set_yticks([])
        below.set_xlabel("the painter's images in the training set")
        _counts_axis(below, right)
        models = f"world {world}: {number_of(found['models'], 'model')}"
        if found["median"] is None:
            above.set_title(f"{models}, no threshold", fontsize=10)
            continue
        curves = OwnCurves(
            **{name: found["curves"][name] for name in PARAMETERS}, thresholds=np.zeros(0), uncertainty=np.zeros(0)
        )
        above.plot(line, curves.mean_score(line), color=INK, linewidth=1.6)
        above.axvline(found["median"], color=ACCENT, linewidth=1.4)
        above.set_title(f"{models}, median threshold {as_images(found['median'])}", fontsize=10)
        ranked = sorted(found["painters"], key=lambda painter: painter["threshold"])
        places = np.arange(len(ranked))
        ends = np.array([painter["interval"] for painter in ranked])
        below.hlines(places, ends[:, 0], ends[:, 1], color=LEAF, linewidth=2)
        below.scatter([painter["threshold"] for painter in ranked], places, s=12, color=INK, zorder=3)
        below.axvline(found["median"], color=ACCENT, linewidth=1.4)
        below.axvspan(*found["median_interval"], color=ACCENT, alpha=0.15, linewidth=0)
    _save(figure, path)


def draw_estimates(thresholds: pl.DataFrame, answer: dict[str, Any], path: str | Path) -> None:
    """Draw, a world a column, what each estimator says of each single model, with its interval, beside the true median.

    Args:
        thresholds: a frame of the schema fit.truth.measure.THRESHOLDS.
        answer: of fit.truth.compare.estimate_truth.
        path: PNG to write.
    """
    worlds = answer["worlds"]
    published = thresholds.filter((pl.col("changes") == USUAL) & (pl.col("score") == "published"))
    shown = [name for name in ESTIMATORS if name in set(published["estimator"])]
    figure, panels = _panels(worlds, 1.1 * max(1, len(shown)) + 1, 1)
    ends = pl.concat([published["threshold"], published["high"]]).drop_nulls().to_numpy()
    right = 1.5 * ends.max(initial=1.0)
    for (world, found), axes in zip(worlds.items(), panels[0], strict=True):
        of_world = published.filter((pl.col("world") == int(world)) & pl.col("claimed"))
        for line, name in enumerate(shown):
            rows = of_world.filter(pl.col("estimator") == name).sort("threshold")
            places = line + np.linspace(-0.36, 0.36, max(2, len(rows)))[: len(rows)]
            known = rows.with_columns(
                pl.col("low").fill_null(pl.col("threshold")), pl.col("high").fill_null(pl.col("threshold"))
            )
            axes.hlines(places, known["low"], known["high"], color=LEAF, linewidth=1.4)
            axes.scatter(rows["threshold"], places, s=9, color=SOFT, zorder=3)
        if found["median"] is not None:
            axes.axvline(found["median"], color=ACCENT, linewidth=1.4)
            axes.axvspan(*found["tenth_to_ninetieth"], color=ACCENT, alpha=0.12, linewidth=0)
        axes.set_yticks(range(len(shown)), [NAMES.get(name, name.replace("_", " ")) for name in shown])
        axes.set_ylim(max(1, len(shown)) - 0.5, -0.5)
        axes.set_title(f"world {world}: a dot is one model's answer", fontsize=10)
        axes.set_xlabel("imitation threshold, images")
        _counts_axis(axes, right)
    _save(figure, path)


def draw_changes(thresholds: pl.DataFrame, answer: dict[str, Any], path: str | Path) -> None:
    """Draw, a row for each world that breaks an assumption, what an image is worth there, and what a user is told.

    Args:
        thresholds: a frame of the schema fit.truth.measure.THRESHOLDS.
        answer: of fit.truth.compare.estimate_truth.
        path: PNG to write; without such a world it says so.
    """
    worths = {worth["changes"]: worth for worth in answer["worths"]}
    plt.rcParams.update({"font.size": 10, "axes.spines.top": False, "axes.spines.right": False})
    size = (10.4, 0.42 * max(3, len(worths)) + 1.2)
    figure, (left, right) = plt.subplots(1, 2, figsize=size, layout="constrained", sharey=True)
    told = thresholds.filter((pl.col("estimator") == "headline") & (pl.col("score") == "published") & pl.col("claimed"))
    for place, (changes, worth) in enumerate(worths.items()):
        if "worth" in worth:
            left.hlines(place, *worth["interval"], color=LEAF, linewidth=2)
            left.scatter(worth["worth"], place, s=26, color=INK, zorder=3)
            right.scatter(worth["median"], place, s=60, marker="|", color=ACCENT, linewidths=2.5, zorder=2)
        images = told.filter((pl.col("changes") == changes) & (pl.col("world") == int(worth["world"])))["threshold"]
        right.scatter(images, [place] * len(images), s=22, color=SOFT, zorder=3)
        usual = answer["worlds"][worth["world"]]
        right.vlines(usual["median"], place - 0.4, place + 0.4, color=ACCENT, linewidth=1, alpha=0.35)
    left.axvline(1, color=ACCENT, linewidth=1.2)
    words = [WORLDS[changes].breaks if changes in WORLDS else changes for changes in worths]
    left.set_yticks(range(len(words)), [fill(text, 44) for text in words], fontsize=8)
    left.set_ylim(max(1, len(words)) - 0.5, -0.5)
    left.set_title("what an image is worth, in images of the usual world", fontsize=10)
    right.set_title("told (dots) and true (line; faint: of the usual world)", fontsize=10)
    for axes, label in ((left, "images of the usual world"), (right, "imitation threshold, images")):
        axes.set_xscale("log")
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda images, _: f"{images:g}"))
        axes.xaxis.set_minor_formatter(NullFormatter())
        axes.set_xlabel(label)
    if not words:
        left.text(0.5, 0.5, "no changed world was trained", transform=left.transAxes, ha="center")
    _save(figure, path)
