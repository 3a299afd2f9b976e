"""The figure of the poisoning experiment: attack success against poisoned pairs."""

from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import polars as pl
from matplotlib.ticker import FuncFormatter

from fit.io.files import atomic_write
from fit.poisoning.measure import AFTER, BEFORE
from fit.poisoning.settings import OBJECTIVES
from fit.reports.style import ACCENT, INK, SOFT
from fit.thresholds.headline import follow

LOOKS = {
    (OBJECTIVES[0], BEFORE): (SOFT, "-", "o"),
    (OBJECTIVES[0], AFTER): (SOFT, "--", "s"),
    (OBJECTIVES[1], BEFORE): (ACCENT, "-", "^"),
    (OBJECTIVES[1], AFTER): (ACCENT, "--", "v"),
}
"""(objective, stage) -> colour, line and marker."""
WORDS = {OBJECTIVES[0]: "contrastive", OBJECTIVES[1]: "with self-supervision"}
"""Objective -> what the legend calls it."""


def draw(models: pl.DataFrame, answer: dict[str, Any], path: str | Path) -> None:
    """Draw the attack success of every model against its poisoned pairs, and the mean of each objective and stage.

    A line down marks each threshold.

    Args:
        models: a frame of the schema fit.poisoning.measure.MODELS.
        answer: of fit.poisoning.measure.estimate.
        path: PNG to write.
    """
    plt.rcParams.update({"font.size": 10, "axes.spines.top": False, "axes.spines.right": False})
    figure, axes = plt.subplots(figsize=(7.2, 4.2), layout="constrained")
    for objective, of_objective in answer["lines"].items():
        for stage, line in of_objective.items():
            colour, style, marker = LOOKS[objective, stage]
            rows = models.filter((pl.col("objective") == objective) & (pl.col("stage") == stage))
            axes.scatter(rows["poisoned_pairs"], rows["attack_success"], s=14, color=colour, marker=marker, alpha=0.5)
            counts = line["counts"]
            label = f"{WORDS[objective]}, {'cleaned' if stage == AFTER else 'as trained'}"
            pairs = [one["poisoned_pairs"] for one in counts]
            axes.plot(pairs, [one["attack_success"] for one in counts], style, color=colour, marker=marker, label=label)
            threshold = follow(line["threshold"])["threshold"]
            if threshold is not None:
                axes.axvline(threshold, color=colour, linestyle=style, linewidth=0.8)
    axes.set_xscale("symlog", linthresh=1, linscale=0.3)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda count, _: f"{count:,.0f}"))
    axes.set_xlim(-0.15, 1.2 * float(models["poisoned_pairs"].to_numpy().max() or 1))
    axes.set_ylim(-0.03, 1.03)
    axes.set_xlabel("poisoned pairs among the training pairs")
    axes.set_ylabel("attack success", color=INK)
    axes.legend(frameon=False)
    with atomic_write(path) as part:
        figure.savefig(part, dpi=160, format="png")
    plt.close(figure)
