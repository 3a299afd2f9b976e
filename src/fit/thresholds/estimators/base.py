"""What an estimator is: it finds where a score jumps as counts grow, for one table and for many resamples of it."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from fit.thresholds.scores import Scores


@dataclass(frozen=True)
class Estimate:
    """What an estimator finds in one table."""

    first_above: int | None = None
    """Row of the first concept above the threshold; None if there is no threshold."""
    threshold: float | None = None
    """In images: an int where it is the count of a concept."""
    details: dict[str, Any] = field(default_factory=dict)
    """What else the estimator says, in builtins: keys of its part of the result."""


@dataclass(frozen=True)
class Curve:
    """Scores that an estimator fits, for the figure."""

    counts: np.ndarray
    """[P] ascending, in images."""
    scores: np.ndarray
    """[P]."""
    is_step: bool
    """Whether the fit stays at a score until the next count."""


class Estimator(ABC):
    """An estimator of the threshold. A subclass sets the words, and overrides `estimate` and `many`.

    Counts [N] ascend, and scores [N] are in the same order. Concepts of one count are one place: only `pelt_published`,
    the paper's PELT on the sorted scores alone, may split them.
    """

    name: str = ""
    """Its key in the registry, in settings and in results."""
    label: str = ""
    """What figures call it; by default its name."""
    column: str = ""
    """What tables call it, over its thresholds; by default its label."""
    phrase: str = ""
    """What a sentence calls it, after "by"; by default its label."""
    marker: str = "o"
    """Of matplotlib: how figures mark its threshold."""
    is_tested: bool = True
    """Whether it has no answer where the permutation test finds no more of a jump than chance makes."""
    is_of_one_rise: bool = True
    """Whether it looks for the place of one rise; else for the first of several changes."""
    answers_falls: bool = False
    """Whether it keeps its answer where the scores fall there."""
    why_no_interval: str = ""
    """Why the bootstrap gives it no interval; empty if it does."""
    why_none: str = "the scores do not rise with the counts"
    """Why it has no answer, as results say it."""
    why_none_in_a_sentence: str = ""
    """The same within a sentence, with {penalty:g} for the penalty; empty: as why_none."""

    def __init_subclass__(cls) -> None:
        """Give a subclass the words that it does not say."""
        cls.label = cls.label if "label" in vars(cls) else cls.name
        for words in ("column", "phrase"):
            if words not in vars(cls):
                setattr(cls, words, cls.label)

    @abstractmethod
    def estimate(self, table: Scores, penalty: float) -> Estimate:
        """Estimate the threshold of a table. `penalty`: of each change, for an estimator that has one."""

    @abstractmethod
    def many(self, counts: np.ndarray, scores: np.ndarray, penalty: float) -> np.ndarray:
        """Estimate the thresholds of many data sets, as the bootstrap needs them.

        Args:
            counts, scores: [R, N], each row ascending in counts.
            penalty: of each change.

        Returns:
            [R] thresholds, in images; NaN where there is none, or where the scores fall and `answers_falls` is not set.
        """

    def many_and_more(self, counts: np.ndarray, scores: np.ndarray, penalty: float) -> dict[str, np.ndarray]:
        """Estimate many data sets as `many`: "threshold" -> [R], and other keys of its details -> [R]."""
        return {"threshold": self.many(counts, scores, penalty)}

    def direction(self, table: Scores, at: int, penalty: float) -> str:
        """Return whether the scores "rise" or "fall" at the concept `at`, the first above: by the means of both sides.

        At the lowest count of all there is no side below, and no change: "none".
        """
        if not at:
            return "none"
        below, above = table.scores[:at].mean(), table.scores[at:].mean()
        return "rise" if above > below else "fall"

    def interval(self, ends: np.ndarray, around: np.ndarray) -> np.ndarray:
        """Return the interval [low, high] of the threshold: it is above low, and at most high.

        An estimator that answers with the first concept above knows the threshold only as far as the concepts lie:
        between the last concept below and the first one above.

        Args:
            ends: [2, ...] percentiles of the resampled thresholds, of one interval or of several.
            around: [2, ...] counts of the concept before the lower end, and of the concept at or after the upper end.
        """
        return around

    def remarks(self, answer: dict[str, Any]) -> Iterator[str]:
        """Yield what a reader has to know of `answer`, its part of a result with a threshold."""
        yield from ()

    def curve(self, answer: dict[str, Any], highest: float) -> Curve | None:
        """Return the curve that it fits, up to the count `highest`, from `answer`; None if it fits none."""
        return None


class ConceptEstimator(Estimator):
    """An estimator that answers with the first concept above: the count of that concept is the threshold.

    A subclass overrides `first_above`; `details` and, where it is faster, `many`.
    """

    @abstractmethod
    def first_above(self, counts: np.ndarray, scores: np.ndarray, penalty: float) -> int | None:
        """Return the index of the first of N concepts above the threshold; None if there is none."""

    def details(self, table: Scores, at: int | None, penalty: float) -> dict[str, Any]:
        """Return what else it says of a table whose first concept above is `at`, in builtins."""
        return {}

    def estimate(self, table: Scores, penalty: float) -> Estimate:
        """Estimate the threshold of a table."""
        at = self.first_above(table.counts, table.scores, penalty)
        return Estimate(at, None if at is None else int(table.counts[at]), self.details(table, at, penalty))

    def many(self, counts: np.ndarray, scores: np.ndarray, penalty: float) -> np.ndarray:
        """Estimate the thresholds of many data sets, one after the other."""
        found = np.full(len(counts), np.nan)
        for row, (of_row, y) in enumerate(zip(counts, scores, strict=True)):
            at = self.first_above(of_row, y, penalty)
            if at is not None:
                found[row] = of_row[at]
        return found
