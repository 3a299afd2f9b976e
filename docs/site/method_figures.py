"""Figures of docs/method.md: simulated studies, measured by the package and drawn when the site is built."""

import html
import io
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter, StrMethodFormatter

from fit.reports.style import ACCENT, INK, LEAF, SOFT
from fit.thresholds.report import detect

CONCEPTS, RESAMPLES, SEED, NEAREST = 120, 200, 1, 10
"""Concepts of a simulated study; resamples; the seed; targets of which a score is the mean."""


def _counts(rng: np.random.Generator) -> np.ndarray:
    """[CONCEPTS] counts from 1 to 10,000, evenly spread in the logarithm."""
    return np.sort(np.round(np.exp(rng.uniform(0, np.log(10_000), CONCEPTS))))


def _found(counts: np.ndarray, scores: np.ndarray) -> dict[str, Any]:
    names = [f"concept-{at:03}" for at in range(len(counts))]
    return detect(names, counts, scores, penalty=0.9, resamples=RESAMPLES, seed=SEED)


@cache
def a_jump() -> tuple[np.ndarray, np.ndarray, dict[str, Any]]:
    """Counts, scores and what is found in a study whose scores jump at 300 images."""
    rng = np.random.default_rng(SEED)
    counts = _counts(rng)
    scores = np.where(counts >= 300, 0.7, 0.25) + rng.normal(0, 0.09, CONCEPTS)
    return counts, scores, _found(counts, scores)


@cache
def a_gradual_rise() -> tuple[np.ndarray, np.ndarray, dict[str, Any]]:
    """The same of a study whose scores rise from 30 to 3,000 images."""
    rng = np.random.default_rng(SEED + 1)
    counts = _counts(rng)
    steepness = 2 * np.log(9) / np.log(100)
    rise = 1 / (1 + np.exp(-steepness * (np.log(counts) - np.log(300))))
    scores = 0.25 + 0.45 * rise + rng.normal(0, 0.06, CONCEPTS)
    return counts, scores, _found(counts, scores)


def _drawn(draw: Callable[[Axes], str], ylabel: str, xlabel: str = "effective count (training images)") -> str:
    """A figure as SVG in a page, with the caption that `draw` returns."""
    figure = Figure(figsize=(7, 3.2), layout="constrained")
    axes = figure.subplots()
    caption = draw(axes)
    axes.set(xlabel=xlabel, ylabel=ylabel)
    axes.spines[["top", "right"]].set_visible(False)
    _, labels = axes.get_legend_handles_labels()
    if labels:
        axes.legend(frameon=False, fontsize=8)
    text = io.StringIO()
    figure.savefig(text, format="svg", metadata={"Date": None})
    svg = text.getvalue()
    svg = svg[svg.index("<svg") :].replace("<svg ", f'<svg role="img" aria-label="{html.escape(caption)}" ', 1)
    # Ids of one drawing must not be those of another on the same page.
    mark = draw.__name__.strip("_")
    for word in ('id="', "url(#", 'href="#'):
        svg = svg.replace(word, f"{word}{mark}-")
    lines = "".join(line.strip() + " " for line in svg.splitlines())
    return f'<figure class="drawn">{lines}<figcaption>{html.escape(caption)}</figcaption></figure>'


def _logarithmic(axes: Axes) -> None:
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
    axes.xaxis.set_minor_formatter(NullFormatter())


def _dots(axes: Axes, counts: np.ndarray, scores: np.ndarray) -> None:
    _logarithmic(axes)
    axes.plot(counts, scores, "o", color=SOFT, markersize=3.5, label="a concept")


def _jump(axes: Axes) -> str:
    counts, scores, found = a_jump()
    threshold, (low, high) = found["threshold"], found["interval"]
    _dots(axes, counts, scores)
    axes.axvspan(low, high, color=ACCENT, alpha=0.15, label="95 % interval")
    axes.axvline(threshold, color=ACCENT, label=f"threshold: {threshold:.0f} images")
    return (
        f"A simulated study of {CONCEPTS} concepts whose scores jump at 300 images. Found: {threshold:.0f} images "
        f"(95 %: {low:.0f} to {high:.0f})."
    )


def _gradual(axes: Axes) -> str:
    counts, scores, found = a_gradual_rise()
    logistic, pelt = found["estimators"]["logistic"], found["estimators"]["pelt"]["threshold"]
    low, high = logistic["from"], logistic["to"]
    _dots(axes, counts, scores)
    axes.axvspan(low, high, color=LEAF, alpha=0.3, label=f"10 to 90 % of the rise: {low:,.0f} to {high:,.0f}")
    axes.axvline(logistic["threshold"], color=ACCENT, label=f"middle: {logistic['threshold']:.0f} images")
    beside = "finds no jump" if pelt is None else f"says {pelt:.0f} images, as if it were a jump"
    return (
        "A simulated study whose scores rise gradually, with the middle at 300 images. FIT gives the middle and the "
        f"width. PELT alone {beside}."
    )


def _targets(axes: Axes) -> str:
    rng = np.random.default_rng(SEED)
    sizes = np.unique(np.round(np.geomspace(NEAREST + 1, 3000, 14)).astype(int))
    # Cosines of pictures that show somebody else, on targets of different number: the ten highest are chosen.
    drawn = [rng.normal(0.1, 0.06, (60, size)) for size in sizes]
    chosen = [np.sort(cosines, axis=1)[:, -NEAREST:].mean() for cosines in drawn]
    fixed = [np.sort(cosines[:, : sizes[0]], axis=1)[:, -NEAREST:].mean() for cosines in drawn]
    _logarithmic(axes)
    axes.plot(sizes, chosen, "o-", color=ACCENT, markersize=3.5, label="all targets")
    axes.plot(sizes, fixed, "s--", color=INK, markersize=3.5, label=f"{sizes[0]} targets for each concept")
    axes.set_ylim(bottom=0)
    return (
        f"Pictures that imitate nobody, compared with the {NEAREST} nearest of more and more targets. The score rises "
        "though nothing is imitated; at a fixed number of targets it does not."
    )


def _interval(axes: Axes) -> str:
    _, _, found = a_jump()
    low, high = found["interval"]
    quantiles = np.array(found["estimators"]["pelt"]["quantiles"])
    axes.hist(quantiles, bins=np.linspace(quantiles.min() - 1, quantiles.max() + 1, 30), color=SOFT)
    axes.axvspan(low, high, color=ACCENT, alpha=0.15, label=f"95 % interval: {low:.0f} to {high:.0f}")
    axes.axvline(found["threshold"], color=ACCENT, label="threshold of the study")
    return (
        f"The first study drawn again {RESAMPLES} times: the thresholds that were found in the resamples. The interval "
        "reaches from concept to concept, since nothing is known of the counts between two of them."
    )


FIGURES: dict[str, Callable[[], str]] = {
    "jump": lambda: _drawn(_jump, "imitation score"),
    "gradual": lambda: _drawn(_gradual, "imitation score"),
    "targets": lambda: _drawn(_targets, "score", "number of targets"),
    "interval": lambda: _drawn(_interval, "resamples of 100", "threshold of a resample (training images)"),
}
"""Name in `<!-- site: NAME -->` -> what draws it."""
