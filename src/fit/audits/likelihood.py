"""How likely it is that a count reaches the threshold, and that a concept of such a count has a high score."""

from collections.abc import Sequence

import numpy as np
from scipy.stats import beta, norm

from fit.audits.threshold import Threshold
from fit.errors import DataError
from fit.io.shown import as_images, number_of
from fit.io.user_tables import Source
from fit.thresholds.estimators.isotonic import isotonic
from fit.thresholds.scores import Scores, read_table

WINDOW = 30
"""Concepts, on either side of a count, of which an interval of the share of high scores is."""
CONFIDENCE = 0.95
_SPREAD = 2 * norm.ppf((1 + CONFIDENCE) / 2)
"""Width of a 95 % interval, in standard deviations."""


def probability_of_reaching(
    counts: Sequence[int], lows: Sequence[int | None], highs: Sequence[int | None], quantiles: Sequence[float]
) -> np.ndarray:
    """Return P(count >= threshold) for each of the threshold's quantiles.

    The count is normal in log(1 + count), with one spread below and another above it, so that 2.5 % lie below its low
    end and 2.5 % above its high end; without an interval it is exact.

    Args:
        counts: [N].
        lows, highs: [N] ends of the counts' 95 % intervals, None if there is none.
        quantiles: [Q] thresholds, each as likely as another.

    Returns:
        [N, Q]; the mean over the quantiles is P(count >= threshold).
    """
    at = np.log1p(np.asarray(counts, np.float64))[:, None]
    pairs = zip(counts, lows, highs, strict=True)
    ends = [(count, count) if low is None or high is None else (low, high) for count, low, high in pairs]
    low, high = np.log1p(np.reshape(np.asarray(ends, np.float64), (-1, 2))).T[:, :, None]
    thresholds = np.log1p(np.asarray(quantiles, np.float64))
    spread = np.where(thresholds < at, at - low, high - at) * 2 / _SPREAD
    reached = (at >= thresholds).astype(np.float64)
    return np.where(spread > 0, norm.sf((thresholds - at) / np.where(spread > 0, spread, 1)), reached)


class HighScores:
    """The share of concepts with a high score, by count, in a study.

    A score is high above the middle of the mean scores below and above the threshold. The model is only that the share
    does not fall as counts grow.
    """

    def __init__(self, table: Scores, threshold: int):
        """Divide the scores of `table` into low and high ones.

        Raises:
            DataError: no concept is on one side of the threshold, or the scores do not rise there.
        """
        above = table.counts >= threshold
        if above.all() or not above.any():
            side = "below" if above.all() else "above"
            raise DataError(
                f"no concept with a score is {side} {as_images(threshold)}, so that nothing says what a high score is; "
                "give the table that the threshold was found in"
            )
        low, high = table.scores[~above].mean(), table.scores[above].mean()
        if low >= high:
            raise DataError(
                f"the scores do not rise at {as_images(threshold)} (mean {low:.3f} below, {high:.3f} above), so that "
                "none of them shows imitation; give the table that the threshold was found in"
            )
        self.level = float(low + high) / 2
        """Scores above this are high."""
        self._counts = table.counts
        self._is_high = table.scores > self.level
        self._row_of = {str(concept): row for row, concept in enumerate(table.concepts)}
        self._known: dict[tuple[int, bool | None], tuple[float, float, float]] = {}

    def probability(self, concept: str, count: int) -> tuple[float, float, float]:
        """Return P(score is high | count) of a concept, and its 95 % interval: (p, low, high).

        The concept's own score is left out. With its score taken for low, isotonic regression gives its count p0; taken
        for high, p1: p = p1 / (1 - p0 + p1) (the Venn-Abers predictor: V. Vovk, I. Petej, "Venn-Abers predictors",
        2012). The low end is Clopper and Pearson's for the WINDOW concepts next below or at the count, the high end
        that of the WINDOW next above or at it: they hold where the share does not fall as counts grow.
        """
        row = self._row_of.get(concept)
        own = None if row is None else bool(self._is_high[row])
        # Concepts of one count and one kind are alike, so that it does not matter which of them is left out.
        key = (count, own) if row is not None and self._counts[row] == count else (count, None)
        if key[1] is None and row is not None:
            return self._predict(count, row)
        if key not in self._known:
            self._known[key] = self._predict(count, row)
        return self._known[key]

    def _predict(self, count: int, row: int | None) -> tuple[float, float, float]:
        others = np.arange(len(self._counts)) != (-1 if row is None else row)
        counts, is_high = self._counts[others], self._is_high[others].astype(np.float64)
        if_low, if_high = (
            fitted[np.searchsorted(places, count)]
            for places, fitted in (isotonic(np.append(counts, count), np.append(is_high, own)) for own in (0.0, 1.0))
        )
        tail = (1 - CONFIDENCE) / 2
        before, after = is_high[counts <= count], is_high[counts >= count]
        at_most, at_least = counts[counts <= count], counts[counts >= count]
        # Concepts that share the count at the window's end are all in it: results do not depend on their names.
        before = before[at_most >= at_most[max(len(at_most) - WINDOW, 0)]] if len(at_most) else before
        after = after[at_least <= at_least[min(WINDOW, len(at_least)) - 1]] if len(at_least) else after
        low = beta.ppf(tail, before.sum(), len(before) - before.sum() + 1) if before.sum() else 0.0
        high = beta.ppf(1 - tail, after.sum() + 1, len(after) - after.sum()) if after.sum() < len(after) else 1.0
        return float(if_high / (1 - if_low + if_high)), float(low), float(high)


def read_high_scores(path: Source, threshold: Threshold) -> HighScores:
    """Read the table that a threshold was found in.

    Raises:
        DataError: as fit.thresholds.scores.read_table and HighScores; or it is of another study.
    """
    table = read_table(path)
    if threshold.concepts is not None and threshold.concepts != len(table):
        raise DataError(
            f"{path}: {number_of(len(table), 'concept')}, but the threshold was found in {threshold.concepts}; give "
            "the "
            "table that the threshold was found in"
        )
    if threshold.images is None:
        raise DataError(f"{path}: there is no threshold, so that nothing says what a high score is")
    try:
        return HighScores(table, threshold.images)
    except DataError as error:
        raise DataError(f"{path}: {error}") from None
