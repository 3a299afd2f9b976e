"""PELT with a penalty in units of the noise: it does not depend on the scale of the embedder's cosines."""

from typing import Any

import numpy as np

from fit.thresholds.compiled import first_rises, noise_variance
from fit.thresholds.estimators.pelt import Pelt, changes_between_counts
from fit.thresholds.scores import Scores

FALSE_ALARMS = 0.05
"""Share of studies without a change in which it finds one, with normal noise and no two equal counts."""
CRITICAL = {
    10: 16.26,
    15: 13.77,
    20: 12.99,
    30: 11.84,
    50: 11.53,
    100: 11.17,
    200: 11.13,
    400: 11.39,
    1000: 11.94,
    2000: 12.96,
}
"""Concepts -> penalty, in variances of the noise, that so many studies without a change exceed. Printed by
`python benchmarks/threshold.py --penalties`: the quantile of the critical penalties of simulated studies."""


def scaled_penalty(concepts: int) -> float:
    """Return the penalty in variances of the noise: CRITICAL, linear in the logarithm of the number of concepts.

    Beyond its ends the next line goes on.
    """
    known, values = np.log(list(CRITICAL)), np.array(list(CRITICAL.values()))
    at = min(max(int(np.searchsorted(known, np.log(concepts))), 1), len(known) - 1)
    slope = (values[at] - values[at - 1]) / (known[at] - known[at - 1])
    return float(values[at - 1] + slope * (np.log(concepts) - known[at - 1]))


class PeltScaled(Pelt):
    """The first change point of PELT with a penalty in variances of the noise."""

    name = "pelt_scaled"
    label = "PELT, scaled"
    phrase = "PELT with a scaled penalty"
    marker = "P"
    is_tested = True
    why_no_interval = "a resample repeats concepts, so that noise looks smaller than it is"
    why_none = f"no change point at a penalty that chance exceeds in {FALSE_ALARMS:.0%} of studies"

    def changes(self, counts: np.ndarray, scores: np.ndarray, penalty: float) -> list[int]:
        """Return the first index after each change; `penalty` is not used."""
        penalty = scaled_penalty(len(scores)) * noise_variance(counts, scores)
        return changes_between_counts(counts, scores, penalty)

    def details(self, table: Scores, at: int | None, penalty: float) -> dict[str, Any]:
        """Return the number of changes, the standard deviation of the noise, and the penalty in score units."""
        variance = noise_variance(table.counts, table.scores)
        more = {"noise_sd": float(np.sqrt(variance)), "penalty": float(scaled_penalty(len(table)) * variance)}
        return super().details(table, at, penalty) | more

    def many(self, counts: np.ndarray, scores: np.ndarray, penalty: float) -> np.ndarray:
        """Split many data sets; a first change that is a fall is no answer."""
        penalties = np.full(len(counts), scaled_penalty(counts.shape[1]))
        return first_rises(counts.astype(np.float64), scores, penalties, True)
