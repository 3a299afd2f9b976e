"""Counts of concepts beside the threshold that they are compared with."""

from typing import Any

import matplotlib.pyplot as plt
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from fit.audits.verdicts import VERDICTS, Audit
from fit.io.shown import as_images, number_of
from fit.reports.style import ACCENT, INK, LEAF, SOFT

STYLES: dict[str, dict[str, Any]] = {
    "above": {"color": ACCENT, "marker": "^"},
    "within": {"color": INK, "marker": "s"},
    "below": {"color": SOFT, "marker": "o"},
    "refused": {"color": LEAF, "marker": "x"},
}
"""Verdict -> how its concepts are drawn; those without a count have no place in the figure."""
NAMED = 60
"""Up to so many concepts, each is named at the axis."""


def draw_audit(found: Audit, title: str = "") -> Figure:
    """Draw the count of each concept, the largest on top, with its interval, the threshold and its interval.

    Args:
        found: of fit.audits.verdicts.audit.
        title: of the figure; empty for how many concepts have which verdict.

    Returns:
        The figure, which pyplot has closed.
    """
    rows = [row for row in found.rows if row.get("count") is not None]
    plt.rcParams.update({"font.size": 10, "axes.spines.top": False, "axes.spines.right": False})
    figure, axes = plt.subplots(figsize=(7.5, 1.6 + min(9.0, 0.2 * max(len(rows), 5))), layout="constrained")
    for place, row in enumerate(rows):
        if row.get("low") is not None:
            axes.plot([row["low"], row["high"]], [place, place], color=STYLES[row["verdict"]]["color"], linewidth=1)
    for verdict in VERDICTS:
        places = [place for place, row in enumerate(rows) if row["verdict"] == verdict]
        if places:
            counts = [rows[place]["count"] for place in places]
            axes.scatter(counts, places, s=18, label=f"{verdict}: {len(places)}", zorder=3, **STYLES[verdict])
    threshold = found.threshold
    if threshold.images is not None:
        axes.axvline(
            threshold.images,
            color=INK,
            linewidth=1.2,
            label=f"threshold: {as_images(threshold.images)}",
        )
        if threshold.has_interval:
            axes.axvspan(threshold.low, threshold.high, color=INK, alpha=0.1, linewidth=0, label="its 95 % interval")
    most = max((row.get("high") or row["count"] for row in rows), default=1)
    axes.set_xscale("symlog", linthresh=1, linscale=0.3)
    axes.set_xlim(-0.15, 1.3 * max(most, threshold.high, 1))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda count, _: f"{count:,.0f}"))
    axes.set_xlabel("effective count: training images of the concept")
    axes.set_ylim(max(len(rows), 1) - 0.4, -0.6)
    if len(rows) <= NAMED:
        axes.set_yticks(range(len(rows)), labels=[row["concept"] for row in rows], fontsize=8)
    else:
        axes.set_ylabel(f"{number_of(len(rows), 'concept')}, the largest count first")
        axes.set_yticks([])
    axes.set_title(title or found.summary, fontsize=11, wrap=True)
    figure.legend(frameon=False, loc="outside lower center", ncols=3)
    plt.close(figure)
    return figure
