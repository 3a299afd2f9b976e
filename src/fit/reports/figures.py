"""Figures: scores against counts, counts, similarities behind a match threshold, and the sensitivity."""

import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullLocator

from fit.io.shown import as_images, number_of
from fit.reports.style import ACCENT, INK, LEAF, SOFT
from fit.thresholds.answer import beside, why_none
from fit.thresholds.estimators import estimator_of_result
from fit.thresholds.headline import follow

WIDEST = 62
"""Characters of a line of a title, at most."""


def _axes(width: float, height: float) -> tuple[Figure, Axes]:
    plt.rcParams.update({"font.size": 10, "axes.spines.top": False, "axes.spines.right": False})
    return plt.subplots(figsize=(width, height), layout="constrained")


def _strip_and_axes(width: float, height: float, rows: int) -> tuple[Figure, Axes | None, Axes]:
    """Make a figure with axes and, above them, a strip of `rows` lines that shares their counts; None for no line."""
    figure, axes = _axes(width, height + 0.24 * rows)
    if not rows:
        return figure, None, axes
    axes.remove()
    strip, axes = figure.subplots(2, 1, sharex=True, height_ratios=[0.24 * rows, height - 1.5])
    strip.spines["bottom"].set_visible(False)
    strip.tick_params(bottom=False, labelbottom=False, left=False)
    return figure, strip, axes


def _counts_axis(axes: Axes, right: float) -> None:
    """Show counts in a logarithm that has a place for 0."""
    axes.set_xscale("symlog", linthresh=1, linscale=0.3)
    axes.set_xlim(-0.15, right)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda count, _: f"{count:,.0f}"))


def _name_sides(axes: Axes, at: float) -> None:
    """Say on which side of the threshold the model imitates, above the dots; turned where a side is narrow."""
    low, high = axes.get_ylim()
    axes.set_ylim(low, high + 0.11 * (high - low))
    place = axes.transAxes.inverted().transform(axes.transData.transform((at, high)))[0]
    for text, room, side, shift in (("does not imitate", place, "right", -5), ("imitates", 1 - place, "left", 5)):
        narrow = room < (0.22 if side == "right" else 0.12)
        axes.annotate(
            text,
            (at, 0.99),
            xycoords=axes.get_xaxis_transform(),
            xytext=(shift, 0),
            textcoords="offset points",
            ha=side,
            va="top",
            rotation=90 if narrow else 0,
            color=INK,
            fontsize=9,
            style="italic",
            annotation_clip=False,
        )


def _other_estimators(strip: Axes, others: dict[str, dict[str, Any]]) -> None:
    """Draw a line for each other estimator: where thresholds coincide, their marks lie below one another."""
    labels = []
    for row, (name, answer) in enumerate(others.items()):
        estimator = estimator_of_result(name)
        labels.append(f"{estimator.label}: {answer['threshold']:.0f}")
        if answer.get("interval"):
            strip.plot(answer["interval"], [row, row], color=INK, linewidth=1, alpha=0.5)
        strip.plot([answer["threshold"]], [row], marker=estimator.marker, color=INK, linestyle="none", markersize=6)
    strip.set_ylim(len(others) - 0.4, -0.6)
    strip.set_yticks(range(len(others)), labels=labels, fontsize=8)
    strip.spines["left"].set_visible(False)


def _fits(axes: Axes, answers: dict[str, dict[str, Any]], right: float) -> None:
    """Draw the curves that estimators fit."""
    for name, answer in answers.items():
        estimator = estimator_of_result(name)
        curve = estimator.curve(answer, right)
        if curve and curve.is_step:
            axes.step(
                curve.counts, curve.scores, where="post", color=INK, linewidth=1.2, label=f"{estimator.label} fit"
            )
        elif curve:
            smooth: dict[str, Any] = {"color": LEAF, "linewidth": 1.8, "linestyle": "-."}
            axes.plot(curve.counts, curve.scores, label=f"{estimator.label} fit", **smooth)


def _mark_threshold(axes: Axes, found: Mapping[str, Any], label: str) -> None:
    """Draw the headline's threshold and its interval, named by `label` unless that is empty."""
    threshold, interval = found["threshold"], found["interval"]
    line = axes.axvline(threshold, color=ACCENT, linewidth=1.8, zorder=1)
    if label:
        line.set_label(f"{label}: {as_images(threshold)}")
    if interval:
        shade = axes.axvspan(*interval, color=ACCENT, alpha=0.12, linewidth=0, zorder=0)
        if label:
            shade.set_label(f"its 95 % interval: {interval[0]:.0f} to {interval[1]:.0f} images")


def threshold_figure(
    counts: np.ndarray,
    scores: np.ndarray,
    found: Mapping[str, Any],
    title: str,
    part: str | Path,
    score: str = "imitation score",
) -> None:
    """Write the figure of draw_threshold to `part`, the temporary path of a picture (PNG, PDF, SVG)."""
    draw_threshold(counts, scores, found, title, score).savefig(part, dpi=160)


def draw_threshold(
    counts: np.ndarray,
    scores: np.ndarray,
    found: Mapping[str, Any],
    title: str = "",
    score: str = "imitation score",
) -> Figure:
    """Draw a score against effective count, with the headline's threshold and interval, and the estimators' fits.

    A strip above says what the other estimators found.

    Args:
        counts, scores: [N].
        found: dict of fit.thresholds.report.measure.
        title: of the figure; empty for a usual one.
        score: name of the score, at its axis.

    Returns:
        The figure; pyplot has closed it, so that it is drawn only where it is shown or saved.
    """
    found = follow(found)
    headline, threshold = found["estimator"], found["threshold"]
    others = {name: a for name, a in found["estimators"].items() if name != headline and a["threshold"] is not None}
    figure, strip, axes = _strip_and_axes(7.5, 5.0, len(others))
    many = len(counts) > 150
    one = f"a concept: its training images, its {score}"
    axes.scatter(counts, scores, s=9 if many else 18, color=SOFT, alpha=0.45 if many else 0.7, linewidths=0, label=one)
    right = float(np.max(counts, initial=1.0)) * 1.15
    _counts_axis(axes, right)
    title = textwrap.fill(title or f"{score[:1].upper()}{score[1:]} against training images", WIDEST)
    why = why_none(dict(found))
    if why:
        title += "\n" + textwrap.fill(f"no imitation threshold: {why}", WIDEST)
    if other := beside(found):
        title += "\n" + textwrap.fill(other, WIDEST)
    if threshold is not None and not why and found.get("interval_reason"):
        title += "\n" + textwrap.fill(f"no interval: {found['interval_reason']}", WIDEST)
    if threshold is not None:
        is_gradual = (found.get("headline") or {}).get("kind") == "gradual"
        said = "middle of a gradual rise" if is_gradual else "imitation threshold"
        said = "here the scores change" if why else said
        _mark_threshold(axes, found, f"{said} ({estimator_of_result(headline).label})")
        if strip is not None:
            _mark_threshold(strip, found, "")
    _fits(axes, found["estimators"], right)
    if not why:
        figure.draw_without_rendering()
        _name_sides(axes, threshold)
    if strip is not None:
        _other_estimators(strip, others)
        strip.set_ylabel("other\nestimators", fontsize=8, rotation=0, ha="right", va="center")
    (axes if strip is None else strip).set_title(title, fontsize=11)
    axes.set_xlabel("effective count: training images of the concept")
    axes.set_ylabel(score)
    # Below the axes, as concepts may lie anywhere within.
    figure.legend(frameon=False, loc="outside lower center", ncols=2)
    plt.close(figure)
    return figure


def counts_figure(counts: np.ndarray, title: str, part: str | Path) -> None:
    """Write the figure of draw_counts to `part`, the temporary path of a picture."""
    draw_counts(counts, title).savefig(part, dpi=160)


def draw_counts(counts: np.ndarray, title: str = "") -> Figure:
    """Draw how many concepts have how many captions: bars of equal width in the logarithm, and one for none.

    Args:
        counts: [N] captions per concept.
        title: of the figure, or empty.

    Returns:
        The figure, which pyplot has closed.
    """
    figure, axes = _axes(6, 3.2)
    top = max(1, int(np.ceil(np.log10(max(1, counts.max(initial=1)) + 1))))
    edges = np.concatenate([[-0.5, 0.5], 10 ** np.linspace(0, top, 4 * top + 1)[1:]])
    axes.hist(counts, edges.tolist(), color=SOFT, edgecolor="white", linewidth=0.5)
    axes.set_xscale("symlog", linthresh=1, linscale=0.4)
    axes.set_xlim(-0.6, 1.8 * max(1, counts.max(initial=1)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda count, _: f"{count:,.0f}"))
    axes.set_title(f"{title + ': ' if title else ''}captions of {number_of(len(counts), 'concept')}")
    axes.set_xlabel("captions that mention the concept")
    axes.set_ylabel("concepts")
    plt.close(figure)
    return figure


def match_threshold_figure(
    positive: np.ndarray,
    negative: np.ndarray,
    match_threshold: float | None,
    labels: Sequence[str],
    part: str | Path,
    title: str,
) -> None:
    """Draw the two histograms of cosines that a match threshold tells apart.

    Args:
        positive, negative: cosines [P] and [Q].
        match_threshold: None if none was found.
        labels: of the positive, the negative and the axis.
        part: temporary path of the picture.
        title: of the figure.
    """
    figure, axes = _axes(6, 3.8)
    every = np.concatenate([positive, negative, [] if match_threshold is None else [match_threshold]])
    if not len(every):
        every = np.zeros(1)
    bins = np.linspace(every.min(), every.max(), 60).tolist()
    kinds = ((negative, labels[1], SOFT, ""), (positive, labels[0], ACCENT, "////"))
    for values, label, colour, hatch in kinds:
        if len(values):
            weights = np.full(len(values), 1 / len(values))
            bars: dict[str, Any] = {"facecolor": (*to_rgb(colour), 0.45), "edgecolor": colour, "hatch": hatch}
            axes.hist(values, bins, weights=weights, histtype="stepfilled", label=label, **bars)
    if match_threshold is not None:
        axes.axvline(match_threshold, color=INK, linestyle="--", label=f"match threshold: {match_threshold:.3f}")
    axes.set_title(
        title if match_threshold is not None else f"{title}: no match threshold was found, too few references"
    )
    axes.set_xlabel(labels[2])
    axes.set_ylabel("share of each kind")
    # Below the axes: bars may rise anywhere within.
    if axes.get_legend_handles_labels()[0]:
        figure.legend(frameon=False, loc="outside lower center", ncols=3)
    figure.savefig(part, dpi=160)
    plt.close(figure)


APART = 0.24
"""Of a strip's height: between the marks of settings that have an interval each."""


def _settings_of_a_choice(axes: Axes, line: int, answers: Sequence[Mapping[str, Any]], named: set[str]) -> float:
    """Draw the threshold and interval at each setting of a choice, one below another.

    Args:
        axes: of the figure.
        line: of the choice's strip.
        answers: of fit.sensitivity.ways.over_ways.
        named: kinds of marks that the legend has already; those drawn are added.

    Returns:
        The highest count that is drawn.
    """
    right = 0.0
    for number, answer in enumerate(answers):
        height = line + (number - (len(answers) - 1) / 2) * APART
        if answer["threshold"] is None:
            continue
        low, high = answer["interval"] or (answer["threshold"], answer["threshold"])
        axes.plot([low, high], [height, height], color=INK, linewidth=1, alpha=0.6, zorder=2)
        kind = "as in the paper's code" if answer["published"] else "not as in the paper's code"
        marker, colour = ("D", LEAF) if answer["published"] else ("o", SOFT)
        edge = INK if answer["in_use"] else "white"
        label = None if kind in named else kind
        at = [answer["threshold"]], [height]
        axes.scatter(*at, s=40, marker=marker, color=colour, edgecolor=edge, zorder=3, label=label)
        named.add(kind)
        right = max(right, high, answer["threshold"])
    return right


def sensitivity_figure(
    found: Mapping[str, Any], names: Mapping[str, tuple[str, str]], title: str, part: str | Path
) -> None:
    """Draw the thresholds that each choice leads to, a strip a choice: a mark's area is its share of settings.

    Args:
        found: dict of fit.sensitivity.measure.measure.
        names: key of a choice -> (its name, what its strip says at the right).
        title: of the figure; empty for a usual one.
        part: temporary path of the picture.
    """
    choices = found["choices"]
    figure, axes = _axes(9, 1.5 + 0.62 * len(choices))
    axes.set_xscale("symlog", linthresh=1, linscale=0.3)
    if found["interval"]:
        axes.axvspan(*found["interval"], color=ACCENT, alpha=0.12, linewidth=0, label="its 95 % interval")
    if found["threshold"] is not None:
        axes.axvline(
            found["threshold"],
            color=ACCENT,
            label=f"imitation threshold of the study: {as_images(found['threshold'])}",
        )
    right, marked = 1.0, set[str]()
    for line, (key, choice) in enumerate(choices.items()):
        name, text = names[key]
        axes.text(1.02, line, f"{name}\n{text}", transform=axes.get_yaxis_transform(), va="center", fontsize=8)
        if any("published" in answer for answer in choice["answers"]):
            right = max(right, _settings_of_a_choice(axes, line, choice["answers"], marked))
            continue
        weights: dict[float, float] = {}
        for answer in choice["answers"]:
            if answer["threshold"] is not None:
                weights[answer["threshold"]] = weights.get(answer["threshold"], 0.0) + answer["weight"]
        axes.axhline(line, color=INK, linewidth=0.4, alpha=0.3, zorder=0)
        # The smallest mark can still be seen.
        sizes = [12 + 380 * weight for weight in weights.values()]
        axes.scatter(list(weights), [line] * len(weights), s=sizes, color=SOFT, alpha=0.75, edgecolor="white", zorder=3)
        right = max([right, *weights, *(found["interval"] or [])])
    axes.set_xlim(-0.3, right * 1.6)
    steps = [step for power in range(8) for step in (10**power, 3 * 10**power) if step <= right * 1.6]
    axes.set_xticks([0, *steps], labels=["0", *(f"{step:,}" for step in steps)])
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_ylim(len(choices) - 0.5, -0.5)
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)
    title = title or "How much each choice moves the threshold"
    axes.set_title(title if found["threshold"] is not None else f"{title}: the study has no threshold")
    # In two lines: the texts at the right leave the strips little width, and a longer label would be cut off.
    label = "threshold: training images of the concept\narea of a mark: share of the settings that lead to it"
    if marked:
        label += "\nmarks of one size: a setting each, with its 95 % interval; dark edge: the study's"
    axes.set_xlabel(label)
    if axes.get_legend_handles_labels()[0]:
        figure.legend(frameon=False, loc="outside lower center", ncols=2)
    figure.savefig(part, dpi=160)
    plt.close(figure)
