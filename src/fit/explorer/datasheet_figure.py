"""The figure of a datasheet: every concept by count and score, with the threshold."""

import io
from typing import Any

import matplotlib
import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullLocator

from fit.explorer.contents import Concept, Part
from fit.reports.style import ACCENT, INK, SOFT

WIDTH, HEIGHT = 6.9, 3.5
"""Of the figure, in inches."""
NO_METADATA = dict.fromkeys(("Date", "Creator", "Format", "Type"))
"""matplotlib's, of an SVG: with them, its bytes depend on the day."""


def _by_prompt(of: Concept) -> list[float]:
    return [score for prompt in of.prompts if (score := prompt.scores.get("score")) is not None]


def curve(part: Part, marked: str | None = None) -> str:
    """Draw the concepts of a part, and return an SVG whose texts are outlines.

    Args:
        part: concepts without a count or a score are left out.
        marked: slug of a concept that gets a larger mark.
    """
    style: Any = {
        "svg.hashsalt": "fit",
        "svg.fonttype": "path",
        "font.family": "DejaVu Sans",
        "font.size": 9,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.edgecolor": INK,
    }
    with matplotlib.rc_context(style):
        figure = Figure(figsize=(WIDTH, HEIGHT), layout="constrained")
        axes = figure.subplots()
        shown = [(one, one.count, one.scores.get("score")) for one in part.concepts]
        known = [(one, count, score) for one, count, score in shown if count is not None and score is not None]
        thin: dict[str, Any] = {"color": SOFT, "linewidth": 0.5, "alpha": 0.35}
        spreads = [(count, min(scores), max(scores)) for one, count, _ in known if (scores := _by_prompt(one))]
        intervals = [(score, *one.count_interval) for one, _, score in known if one.count_interval]
        for draw, lines in ((axes.vlines, spreads), (axes.hlines, intervals)):
            if lines:
                draw(*zip(*lines, strict=True), **thin)
        size = 8 if len(known) > 150 else 16
        axes.scatter(
            [count for _, count, _ in known],
            [score for *_, score in known],
            s=size,
            color=SOFT,
            alpha=0.75,
            linewidths=0,
        )
        for one, count, score in known:
            if one.slug == marked:
                axes.scatter([count], [score], s=90, marker="D", color=INK, edgecolors="white", linewidths=1, zorder=5)
        threshold, interval = part.answer.threshold, part.answer.interval
        if threshold is not None:
            if interval:
                axes.axvspan(*interval, color=ACCENT, alpha=0.13, linewidth=0, zorder=0)
            axes.axvline(threshold, color=ACCENT, linewidth=1.5, zorder=1)
        ends = [value for one, count, _ in known for value in (count, *(one.count_interval or ()))]
        highest = max([1.0, *ends, *([threshold] if threshold is not None else []), *(interval or ())])
        axes.set_xscale("symlog", linthresh=1, linscale=0.3)
        axes.set_xlim(-0.15, highest * 1.3)
        decades = 10.0 ** np.arange(0, np.ceil(np.log10(highest * 1.3)))
        axes.set_xticks([0, *decades])
        axes.xaxis.set_major_formatter(FuncFormatter(lambda count, _: f"{count:,.0f}"))
        axes.xaxis.set_minor_locator(NullLocator())
        axes.set_xlabel("effective count: training images of the concept")
        axes.set_ylabel(part.score_label)
        if not known:
            axes.text(0.5, 0.5, "no concept has a count and a score", transform=axes.transAxes, ha="center")
        buffer = io.StringIO()
        figure.savefig(buffer, format="svg", metadata=NO_METADATA)
    return buffer.getvalue()
