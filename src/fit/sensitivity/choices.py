"""How much the threshold of a table depends on the penalty, on single concepts, and on the choice of prompts.

An answer is a threshold (images, or None) with its weight: the share of its choice's settings that lead to it.
"""

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any, TypedDict

import numpy as np

from fit.thresholds.compiled import rises_at
from fit.thresholds.estimators import find_estimator
from fit.thresholds.estimators.pelt import changes_between_counts
from fit.thresholds.report import FEWEST
from fit.thresholds.scores import Scores, sort_scores

Answer = dict[str, Any]
"""threshold (images, or None), weight, and what the setting is, which differs between choices."""


class Summary(TypedDict):
    """How far the settings of a choice move the threshold."""

    lowest: float | None
    """The lowest threshold, in images; None where no setting has one."""
    highest: float | None
    same: float
    """Share of the settings, by weight, that lead to the threshold of the study."""
    none: float
    """Share of the settings, by weight, that lead to no threshold."""


LEAST_PENALTY = 0.05
"""Penalty down to which segmentations are followed: below it, changes of a few hundredths in score count as jumps."""


def locate(table: Scores, estimator: str, penalty: float) -> float | None:
    """Return the threshold of a table of concepts by one estimator, in images; None where it finds none.

    Whether there is a jump at all is not tested again for each setting of a choice.
    """
    if len(table) < FEWEST or np.ptp(table.counts) == 0:
        return None
    by = find_estimator(estimator)
    found = by.estimate(table, penalty)
    if found.threshold is None or found.first_above is None:
        return None
    is_fall = not by.answers_falls and by.direction(table, found.first_above, penalty) == "fall"
    return None if is_fall else float(found.threshold)


def penalty_path(
    scores: np.ndarray, floor: float = LEAST_PENALTY, counts: np.ndarray | None = None
) -> list[tuple[float, float, list[int]]]:
    """Return the best segmentation of `scores` [N] at every penalty from `floor` up.

    A segmentation with k changes costs its squared error + penalty x k. Two of them cost the same at one penalty; the
    best one there is a third, or both are neighbours (CROPS: Haynes, Eckley and Fearnhead 2017).

    Args:
        scores: in order of count.
        floor: the lowest penalty.
        counts: [N], between which changes lie; None: all differ.

    Returns:
        A list of (lowest penalty, highest penalty, changes), ascending; changes: indices of the first point after each.
        The last one has no change, and an infinite highest penalty. Where two meet, both cost the same.
    """
    scores = np.asarray(scores, np.float64)
    places = np.arange(len(scores)) if counts is None else counts

    def error(at: Sequence[int]) -> float:
        return sum(((part - part.mean()) ** 2).sum() for part in np.split(scores, at) if len(part))

    def meeting(more: Sequence[int], fewer: Sequence[int]) -> float:
        return (error(fewer) - error(more)) / (len(more) - len(fewer))

    def between(more: list[int], fewer: list[int]) -> list[list[int]]:
        if len(more) - len(fewer) < 2:
            return []
        penalty = meeting(more, fewer)
        best = changes_between_counts(places, scores, penalty)
        gain = error(fewer) + penalty * len(fewer) - error(best) - penalty * len(best)
        if not len(fewer) < len(best) < len(more) or gain <= 1e-12 * error([]):
            return []
        return [*between(more, best), best, *between(best, fewer)]

    most = changes_between_counts(places, scores, floor)
    hull = [most, *between(most, []), []] if most else [[]]
    ends = [floor, *(meeting(*pair) for pair in pairwise(hull)), np.inf]
    return [(float(ends[i]), float(ends[i + 1]), changes) for i, changes in enumerate(hull)]


def over_penalties(table: Scores, floor: float = LEAST_PENALTY) -> list[Answer]:
    """Return PELT's answer at every penalty from `floor` up, by penalty_path: from, to, changes, concept.

    `to` is None for the last answer, which holds at every higher penalty. The weight is the share of the logarithm of
    the range of penalties at which there is a change. Where the first change is a fall there is no threshold.
    """
    path = penalty_path(table.scores, floor, table.counts)
    if len(path) == 1:
        return [{"from": floor, "to": None, "changes": 0, "concept": None, "threshold": None, "weight": 1.0}]
    answers = []
    for low, high, changes in path:
        first = changes[0] if changes else None
        is_rise = first is not None and rises_at(table.scores, np.array(changes))
        answers.append(
            {
                "from": low,
                "to": None if first is None else high,
                "changes": len(changes),
                "concept": None if first is None else str(table.concepts[first]),
                "threshold": float(table.counts[first]) if is_rise else None,
                "weight": 0.0 if first is None else float(np.log(high / low) / np.log(path[-1][0] / floor)),
            }
        )
    return answers


def leaving_out(table: Scores, estimator: str, penalty: float) -> list[Answer]:
    """Return the threshold without each concept in turn: concept, effective_count, and the answer without it."""
    return [
        {
            "concept": str(table.concepts[row]),
            "effective_count": int(table.counts[row]),
            "threshold": locate(table.take(np.arange(len(table)) != row), estimator, penalty),
            "weight": 1 / len(table),
        }
        for row in range(len(table))
    ]


def by_prompt(table: Scores, estimator: str, penalty: float, names: Sequence[str] = ()) -> list[Answer]:
    """Return the threshold on each prompt alone, and without each.

    The list is empty where only one prompt, or no score of a prompt, is known.

    Args:
        table: of the study.
        estimator: its name.
        penalty: of PELT.
        names: of the prompts, in their order; their numbers are used where there are more or fewer.
    """
    prompts = max((len(of_concept) for of_concept in table.images), default=0)
    if prompts < 2:
        return []
    means = np.full((len(table), prompts), np.nan)
    for row, of_concept in enumerate(table.images):
        for prompt, images in enumerate(of_concept):
            if len(images):
                means[row, prompt] = images.mean()
    names = list(names) if len(names) == prompts else [f"prompt {number + 1}" for number in range(prompts)]
    answers = []
    for kind in ("alone", "left out"):
        for prompt, name in enumerate(names):
            chosen = means[:, [prompt]] if kind == "alone" else np.delete(means, prompt, axis=1)
            known = np.isfinite(chosen).any(axis=1)
            scores = np.nanmean(chosen[known], axis=1)
            part = sort_scores(table.concepts[known], table.counts[known], scores)
            threshold = locate(part, estimator, penalty)
            answers.append({"prompt": name, "kind": kind, "threshold": threshold, "weight": 1 / (2 * prompts)})
    return answers


def summarise(answers: Sequence[Answer], headline: float | None) -> Summary:
    """Return how far `answers` move the threshold from `headline` (images, or None).

    Thresholds less than half an image apart are the same.
    """
    found = [answer["threshold"] for answer in answers if answer["threshold"] is not None]
    total = sum(answer["weight"] for answer in answers) or 1.0

    def share(holds: Callable[[float | None], bool]) -> float:
        return sum(answer["weight"] for answer in answers if holds(answer["threshold"])) / total

    def same(threshold: float | None) -> bool:
        if threshold is None or headline is None:
            return threshold is headline
        return abs(threshold - headline) < 0.5

    return {
        "lowest": min(found, default=None),
        "highest": max(found, default=None),
        "same": share(same),
        "none": share(lambda threshold: threshold is None),
    }
