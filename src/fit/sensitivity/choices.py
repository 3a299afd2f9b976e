"""How much the threshold of a table depends on the penalty, on single concepts, and on the choice of prompts.

An answer is a dict with a threshold (images, or None) and a weight, the share of its choice's settings that lead to it.
"""

from itertools import pairwise

import numpy as np
from ruptures import KernelCPD

from fit.thresholds.estimators import find_estimator
from fit.thresholds.estimators.pelt import change_points
from fit.thresholds.report import FEWEST
from fit.thresholds.scores import sort_scores

LEAST_PENALTY = 0.05
"""Penalty down to which segmentations are followed: below it, changes of a few hundredths in score are made much of."""


def locate(table, estimator, penalty):
    """The threshold of a table of concepts by one estimator, in images; None where it finds none.

    Only the place: measure also tests whether there is a jump at all, which no choice of this module asks anew.
    """
    if len(table) < FEWEST or np.ptp(table.counts) == 0:
        return None
    threshold = find_estimator(estimator).estimate(table, penalty).threshold
    return None if threshold is None else float(threshold)


def penalty_path(scores, floor=LEAST_PENALTY):
    """The best segmentation of `scores` [N] at every penalty from `floor` up.

    A segmentation with k changes costs its squared error + penalty x k. Of those with the same k, one has the least
    error (dynamic programming); which k is best as the penalty grows is read from the lower convex hull of the least
    errors. No penalty above `floor` wants more changes than `floor` does, so the hull up to there is the whole one's.

    Returns:
        A list of (lowest penalty, highest penalty, changes), ascending; changes: indices of the first point after each.
        The last one has no change, and an infinite highest penalty. Where two meet, both cost the same.
    """
    scores = np.asarray(scores, np.float64)
    most = len(change_points(scores, floor))
    segmentations: list[list[int]] = [[]]
    if most:
        fitted = KernelCPD(kernel="linear", min_size=1, jump=1).fit(scores[:, None])
        fitted.predict(n_bkps=most)  # and with it, every smaller number
        segmentations += [fitted.predict(n_bkps=k)[:-1] for k in range(1, most + 1)]
    errors = [
        sum(((part - part.mean()) ** 2).sum() for part in np.split(scores, at) if len(part)) for at in segmentations
    ]

    def meeting(fewer, more):
        return (errors[fewer] - errors[more]) / (more - fewer)

    hull: list[int] = []
    for k in range(most + 1):
        while len(hull) > 1 and meeting(hull[-2], hull[-1]) <= meeting(hull[-1], k):
            hull.pop()
        hull.append(k)
    ends = [np.inf, *(meeting(*pair) for pair in pairwise(hull)), floor]
    path = [(float(ends[i + 1]), float(ends[i]), segmentations[k]) for i, k in enumerate(hull)]
    return path[::-1]


def over_penalties(table, floor=LEAST_PENALTY):
    """PELT's answer at every penalty from `floor` up, by penalty_path; from, to (None: for ever), changes, concept.

    The weight is the share of the logarithm of the range of penalties at which there is a change.
    """
    path = penalty_path(table.scores, floor)
    if len(path) == 1:
        return [{"from": floor, "to": None, "changes": 0, "concept": None, "threshold": None, "weight": 1.0}]
    answers = []
    for low, high, changes in path:
        first = changes[0] if changes else None
        answers.append(
            {
                "from": low,
                "to": None if first is None else high,
                "changes": len(changes),
                "concept": None if first is None else str(table.concepts[first]),
                "threshold": None if first is None else float(table.counts[first]),
                "weight": 0.0 if first is None else float(np.log(high / low) / np.log(path[-1][0] / floor)),
            }
        )
    return answers


def leaving_out(table, estimator, penalty):
    """The threshold without each concept in turn: concept, effective_count, and the answer without it."""
    return [
        {
            "concept": str(table.concepts[row]),
            "effective_count": int(table.counts[row]),
            "threshold": locate(table.take(np.arange(len(table)) != row), estimator, penalty),
            "weight": 1 / len(table),
        }
        for row in range(len(table))
    ]


def by_prompt(table, estimator, penalty, names=()):
    """The threshold on each prompt alone, and without each; none where only one prompt, or no score of one, is known.

    Args:
        names: of the prompts, in their order; their numbers stand in where there are more or fewer.
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


def summarise(answers, headline):
    """How far `answers` move the threshold from `headline` (images, or None).

    Returns:
        A dict: lowest and highest threshold (None where no setting has one), and the shares of settings, by weight,
        that lead to the same threshold, and to none. Thresholds less than half an image apart are the same.
    """
    found = [answer["threshold"] for answer in answers if answer["threshold"] is not None]
    total = sum(answer["weight"] for answer in answers) or 1.0

    def share(holds):
        return sum(answer["weight"] for answer in answers if holds(answer["threshold"])) / total

    def same(threshold):
        if threshold is None or headline is None:
            return threshold is headline
        return abs(threshold - headline) < 0.5

    return {
        "lowest": min(found, default=None),
        "highest": max(found, default=None),
        "same": share(same),
        "none": share(lambda threshold: threshold is None),
    }
