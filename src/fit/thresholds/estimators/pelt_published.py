"""PELT as the paper runs it, on the sorted scores alone: it may split concepts of one count."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from fit.io.shown import as_images
from fit.thresholds.compiled import first_changes
from fit.thresholds.estimators.pelt import Pelt, change_points
from fit.thresholds.scores import Scores


class PeltPublished(Pelt):
    """The first change point of the scores in order of count, and of name where counts are equal; a fall too."""

    name = "pelt_published"
    label = "PELT as published"
    marker = "x"
    answers_falls = True
    why_none = Pelt.why_none
    why_none_in_a_sentence = Pelt.why_none_in_a_sentence

    def changes(self, counts: np.ndarray, scores: np.ndarray, penalty: float) -> list[int]:
        """Return the first index after each change; counts are not looked at."""
        return change_points(scores, penalty)

    def details(self, table: Scores, at: int | None, penalty: float) -> dict[str, Any]:
        """Return how many changes there are, and how many concepts share the count within which the first one lies."""
        counts, more = table.counts, super().details(table, at, penalty)
        if at and counts[at - 1] == counts[at]:
            more["tie"] = int((counts == counts[at]).sum())
        return more

    def many(self, counts: np.ndarray, scores: np.ndarray, penalty: float) -> np.ndarray:
        """Split many data sets: as if no two counts were equal, which is the same cost, and faster than ruptures."""
        at = first_changes(np.asarray(scores, np.float64), float(penalty))
        return np.where(at > 0, counts[np.arange(len(counts)), at], np.nan)

    def remarks(self, answer: dict[str, Any]) -> Iterator[str]:
        """Say that the change lies within concepts of one count, or is a fall."""
        if tie := answer.get("tie"):
            at = answer["first_above"]["effective_count"]
            yield (
                f"the change of {self.label} lies within {tie} concepts that all have {as_images(at)}, whose order is "
                "that of their names"
            )
        if answer.get("direction") == "fall":
            yield f"the scores fall at the change of {self.label}: it is not a threshold of imitation"
