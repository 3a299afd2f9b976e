"""The count to which a score corresponds on a model's own curve of scores against counts, read backwards.

The curve is the isotonic fit of scores against counts (it never falls), as points that lie in the middle of the fit's
level pieces and are joined by straight lines in log(1 + count). A score below the lowest level corresponds to fewer
images than any concept of the model has, or to as few; one above the highest to more.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import spearmanr

from fit.errors import DataError
from fit.io.shown import as_images
from fit.thresholds.estimators.isotonic import isotonic
from fit.thresholds.scores import Scores

CONFIDENCE = 0.95
BELOW, ABOVE = -np.inf, np.inf
"""Readings of a score that is below the curve's lowest level, or above its highest."""
FEWEST_CONCEPTS = 5
"""Concepts with different counts below which no curve is fitted."""
UNEQUAL = 0.05
"""P-value of the rank correlation of scores with counts above which a curve is called flat."""


@dataclass(frozen=True)
class Curve:
    """A curve that does not fall."""

    places: np.ndarray
    """[P] log(1 + count), ascending."""
    levels: np.ndarray
    """[P] scores, ascending, each once."""

    def read(self, scores: np.ndarray) -> np.ndarray:
        """Return the counts [...] at which the curve has `scores` [...]; BELOW or ABOVE where it has them nowhere."""
        scores = np.asarray(scores, float)
        found = np.expm1(np.interp(scores, self.levels, self.places))
        return np.where(scores < self.levels[0], BELOW, np.where(scores > self.levels[-1], ABOVE, found))


def fit_curve(counts: np.ndarray, scores: np.ndarray) -> Curve:
    """Fit the curve of a model.

    A level piece of the fit lies at the mean log(1 + count) of its concepts.

    Args:
        counts: [N] effective counts, in images.
        scores: [N] imitation scores.
    """
    places, fitted = isotonic(counts, scores)
    levels, piece = np.unique(fitted, return_inverse=True)
    concepts = np.bincount(np.searchsorted(places, counts), minlength=len(places))
    logs = np.bincount(piece, concepts * np.log1p(places)) / np.bincount(piece, concepts)
    return Curve(logs, levels)


@dataclass(frozen=True)
class Reading:
    """A score, read on a curve: the count, and its 95 % interval. BELOW and ABOVE are answers."""

    count: float
    low: float
    high: float


def in_words(reading: Reading, counts: np.ndarray) -> str:
    """Say what a reading is: the count with its interval, in images.

    Args:
        reading: of a score.
        counts: [N] of the concepts of the curve.
    """
    low, high = counts.min(), counts.max()

    def end(value: float) -> str:
        if value in (BELOW, ABOVE):
            return "below the smallest" if value == BELOW else "above the largest"
        return f"{value:.0f}"

    if reading.count in (BELOW, ABOVE):
        what = "below the smallest count" if reading.count == BELOW else "above the largest count"
        what += f" ({as_images(low if reading.count == BELOW else high)})"
    else:
        what = as_images(round(reading.count))
    return f"{what}; 95 %: {end(reading.low)} to {end(reading.high)}"


def why_flat(table: Scores) -> str | None:
    """Say why readings on the curve of a table mean nothing, if its scores do not rise with the counts; else None."""
    rank = spearmanr(table.counts, table.scores)
    if rank.statistic > 0 and rank.pvalue < UNEQUAL:
        return None
    return (
        f"the base's scores do not rise with the counts (rank correlation {rank.statistic:.2f}, p {rank.pvalue:.2f}): "
        "its curve is flat, and what a score corresponds to on it means nothing"
    )


def resample_scores(images: Sequence[np.ndarray], resamples: int, rng: np.random.Generator) -> np.ndarray:
    """Return a concept's score [resamples] over pictures that are drawn again, prompt by prompt.

    Args:
        images: scores of the pictures of each prompt; prompts without any are passed over.
        resamples: how often they are drawn.
        rng: of the draws.

    Raises:
        DataError: there is no picture.
    """
    of_prompts = [
        np.asarray(values)[rng.integers(len(values), size=(resamples, len(values)))].mean(axis=1)
        for values in images
        if len(values)
    ]
    if not of_prompts:
        raise DataError("no picture to draw again")
    return np.mean(of_prompts, axis=0)


def draw_scores(
    images: list[list[np.ndarray]], scores: np.ndarray, resamples: int, rng: np.random.Generator
) -> np.ndarray:
    """Return scores [resamples, N] over pictures drawn again; the score itself where single pictures are not known.

    Args:
        images: of N concepts, scores of the pictures of each prompt.
        scores: [N].
        resamples: how often they are drawn.
        rng: of the draws.
    """
    return np.stack(
        [
            resample_scores(of_concept, resamples, rng) if any(map(len, of_concept)) else np.full(resamples, score)
            for of_concept, score in zip(images, scores, strict=True)
        ],
        axis=1,
    )


class ReadBackwards:
    """A model's curve, and curves of the same concepts and pictures drawn again."""

    def __init__(
        self,
        counts: np.ndarray,
        scores: np.ndarray,
        drawn: np.ndarray | None,
        rows: np.ndarray,
    ) -> None:
        """Fit the curve, and one for each resample.

        Args:
            counts: [N] effective counts, in images.
            scores: [N] scores.
            drawn: [resamples, N] scores over pictures that were drawn again; None where single pictures are not known.
            rows: [resamples, N] concepts that were drawn, with replacement.

        Raises:
            DataError: there are too few concepts.
        """
        if len(np.unique(counts)) < FEWEST_CONCEPTS:
            raise DataError(
                f"{len(np.unique(counts))} different counts, and a curve takes {FEWEST_CONCEPTS} or more: "
                "add concepts to the sheet"
            )
        self.counts = counts
        self.curve = fit_curve(counts, scores)
        values = np.broadcast_to(scores, rows.shape) if drawn is None else drawn
        self._curves = [
            fit_curve(counts[of_rows], of_scores[of_rows]) for of_rows, of_scores in zip(rows, values, strict=True)
        ]

    def read(self, score: float, drawn: np.ndarray | None = None) -> Reading:
        """Read a score backwards, with a percentile interval (Efron and Tibshirani 1993, chapter 13).

        Each resample reads a score over other pictures on a curve of other concepts and pictures.

        Args:
            score: to be read.
            drawn: [resamples] the score over pictures that were drawn again; None where single pictures are not known.
        """
        values = np.full(len(self._curves), score) if drawn is None else drawn
        found = np.array([curve.read(value) for curve, value in zip(self._curves, values, strict=True)])
        low, high = np.quantile(found, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2], method="closest_observation")
        return Reading(float(self.curve.read(np.array(score))), float(low), float(high))
