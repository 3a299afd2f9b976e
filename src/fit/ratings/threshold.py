"""The threshold on ratings, and how far it would move with other raters and concepts."""

from typing import Any

import numpy as np

from fit.ratings.resampling import RatedConcepts
from fit.ratings.store import SCALE
from fit.thresholds.estimators import find_estimator
from fit.thresholds.estimators.one_change import best_split
from fit.thresholds.estimators.pelt import change_points
from fit.thresholds.report import CHANCE, FEWEST
from fit.thresholds.scores import sort_scores
from fit.thresholds.uncertainty import TIE, interval, permutation_p_value

ESTIMATORS = ("pelt", "one_change")


def from_0_to_1(ratings: np.ndarray) -> np.ndarray:
    """Return ratings of SCALE as numbers from 0 to 1."""
    return (ratings - SCALE[0]) / (SCALE[-1] - SCALE[0])


def find_threshold(
    counts: np.ndarray, values: np.ndarray, *, penalty: float, permutations: int, seed: int
) -> dict[str, Any]:
    """Find the threshold of scores, or of ratings from 0 to 1.

    Args:
        counts, values: [N], ascending in counts.
        penalty: of PELT.
        permutations: of the permutation test.
        seed: of them.

    Returns:
        A dict: threshold (the first change that PELT finds), mean_below, mean_above, falls (whether the second is the
        smaller: then it is not a threshold of imitation), changes, one_change, p_value (against no jump), and reason,
        why there is no answer. The best single split has none where chance makes as much of a jump.
    """
    nothing: dict[str, Any] = {"threshold": None, "mean_below": None, "mean_above": None, "falls": None, "changes": []}
    nothing |= {"one_change": {"threshold": None, "squared_error_removed": 0.0}, "p_value": None}
    if len(values) < FEWEST:
        return nothing | {"reason": f"too few concepts: {len(values)}, at least {FEWEST}"}
    for name, numbers in (("counts", counts), ("values", values)):
        if np.ptp(numbers) == 0:
            return nothing | {"reason": f"all {name} are the same"}
    table = sort_scores([f"{place:09d}" for place in range(len(values))], counts, values)
    p_value = permutation_p_value(table, permutations, seed)
    changes, (split, removed) = change_points(values, penalty), best_split(counts, values)
    first = changes[0] if changes else None
    below, above = (None, None) if first is None else (float(values[:first].mean()), float(values[first:].mean()))
    return {
        "threshold": None if first is None else int(counts[first]),
        "mean_below": below,
        "mean_above": above,
        "falls": None if below is None or above is None else below > above,
        "changes": [int(counts[change]) for change in changes],
        "one_change": {
            "threshold": None if split is None or p_value > CHANCE else int(counts[split]),
            "squared_error_removed": removed,
        },
        "p_value": p_value,
        "reason": None if changes else "no change point",
    }


def add_intervals(found: dict[str, Any], rated: RatedConcepts, *, penalty: float, resamples: int, seed: int) -> None:
    """Add to the threshold on ratings, and to its one_change, interval and resamples_with_an_answer.

    Raters and concepts are drawn with replacement; one rater alone stays. Ties in count are ordered by chance. An
    interval is as fit.thresholds.uncertainty.interval says: the threshold is above its first number, and at most its
    second.

    Args:
        found: what find_threshold returned for the ratings.
        rated: the concepts.
        penalty: of PELT.
        resamples: how many.
        seed: of the draws.
    """
    rng = np.random.default_rng([seed, len(ESTIMATORS)])
    drawn: dict[str, list[np.ndarray]] = {name: [] for name in ESTIMATORS}
    answers = {"pelt": found, "one_change": found["one_change"]}
    if any(answer["threshold"] is not None for answer in answers.values()):
        for rows, means in rated.resample(resamples, rng, also_raters=rated.raters > 1):
            order = np.argsort(rated.counts[rows] + rng.random(rows.shape) * TIE, axis=1)
            counts = np.take_along_axis(rated.counts[rows], order, axis=1)
            values = from_0_to_1(np.take_along_axis(means, order, axis=1))
            for name, parts in drawn.items():
                parts.append(find_estimator(name).many(counts, values, penalty))
    for name, answer in answers.items():
        there = answer["threshold"] is not None
        thresholds = np.concatenate(drawn[name]) if there else np.array([])
        answer["interval"] = interval(name, thresholds, rated.counts) if there else None
        answer["resamples_with_an_answer"] = float(np.isfinite(thresholds).mean()) if there else None
