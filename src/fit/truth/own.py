"""True thresholds: each painter's score against its own count, over models that were trained with other counts of it.

A painter's score rises with its own count along a logistic curve in log(1 + count), from a level of its own (what the
model paints for a name that it does not know: its namesake, near to the painter or not) to a common one. Where the rise
is half done is the painter's threshold. Thresholds of painters are normal in the logarithm. The noise may differ
between the two ends of the curve. All of it is fitted at once by maximum likelihood: a painter's level is integrated
out exactly, its threshold over a grid.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.optimize import minimize
from scipy.special import expit, logsumexp

GRID = np.linspace(-3.2, 3.2, 41)
"""Standard normal values at which a painter's threshold is looked at."""
PARAMETERS = ("low", "high", "slope", "median", "spread", "low_spread", "noise_low", "noise_high")
_POSITIVE = np.array([name in ("slope", "spread", "low_spread", "noise_low", "noise_high") for name in PARAMETERS])
_LEAST = 0.02
"""No spread or noise is smaller: a likelihood grows without bound where one is 0."""


@dataclass(frozen=True)
class OwnCurves:
    """What was fitted to the painters of a world."""

    low: float
    """Mean score of a painter whom the model does not know."""
    high: float
    """Score of a painter whom it knows."""
    slope: float
    """Of the logistic curve, per unit of log(1 + count)."""
    median: float
    """Median of the painters' thresholds, as log(1 + count)."""
    spread: float
    """Standard deviation of the painters' thresholds, in the same unit."""
    low_spread: float
    """Standard deviation of the painters' own low levels."""
    noise_low: float
    """Standard deviation of a score below the rise, from model to model."""
    noise_high: float
    """The same above the rise."""
    thresholds: np.ndarray
    """[P] a painter's threshold as log(1 + count): the mean of what the scores leave possible."""
    uncertainty: np.ndarray
    """[P] its standard deviation."""

    @property
    def median_count(self) -> float:
        """The median threshold, in images."""
        return float(np.expm1(self.median))

    def mean_score(self, counts: np.ndarray) -> np.ndarray:
        """Return the mean score over painters at `counts` [N]."""
        weights = np.exp(-(GRID**2) / 2)
        at = expit(self.slope * (np.log1p(counts)[:, None] - (self.median + self.spread * GRID)))
        return self.low + (self.high - self.low) * (at @ (weights / weights.sum()))

    def as_dict(self) -> dict[str, float]:
        """Return the parameters, and the median in images, by name."""
        return {name: float(getattr(self, name)) for name in PARAMETERS} | {"median_count": self.median_count}


def _unpacked(packed: np.ndarray) -> np.ndarray:
    return np.where(_POSITIVE, np.exp(np.where(_POSITIVE, packed, 0)) + _LEAST, packed)


def _packed(values: np.ndarray) -> np.ndarray:
    return np.where(_POSITIVE, np.log(np.maximum(np.where(_POSITIVE, values, 1) - _LEAST, 1e-3)), values)


def _log_likelihoods(values: np.ndarray, x: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Return the log likelihood of each painter's scores with its threshold at each place of GRID, [P, GRID].

    Args:
        values: of PARAMETERS. x: [P, M] log(1 + count). scores: [P, M], NaN where a painter has none.
    """
    low, high, slope, median, spread, low_spread, noise_low, noise_high = values
    risen = expit(slope * (x[:, None, :] - (median + spread * GRID)[None, :, None]))  # [P, GRID, M]
    known = ~np.isnan(scores)[:, None, :]
    error = np.where(known, scores[:, None, :] - (low + (high - low) * risen), 0)
    precision = known / (noise_low**2 * (1 - risen) + noise_high**2 * risen)
    # A level of its own, N(0, low_spread^2), is added as far as the curve has not risen: a covariance of rank one.
    share = 1 - risen
    along = (precision * share * error).sum(2)
    inner = 1 / low_spread**2 + (precision * share**2).sum(2)
    squares = (precision * error**2).sum(2) - along**2 / inner
    log_determinant = -np.where(known, np.log(np.where(known, precision, 1)), 0).sum(2) + np.log(inner * low_spread**2)
    return -(squares + log_determinant + known.sum(2) * np.log(2 * np.pi)) / 2


def _log_weights() -> np.ndarray:
    weights = np.exp(-(GRID**2) / 2)
    return np.log(weights / weights.sum())


def fit_own_curves(
    counts: np.ndarray, scores: np.ndarray, start: Mapping[str, float] | OwnCurves | None = None
) -> OwnCurves:
    """Fit the painters' own curves.

    Args:
        counts: [P, M] count of each painter in each model.
        scores: [P, M] its score there; NaN where there is none.
        start: where the search begins, such as the fit to more of the models; None: at several places, the best of
            which is kept.
    """
    x = np.log1p(np.asarray(counts, float))
    scores = np.asarray(scores, float)

    def loss(packed: np.ndarray) -> float:
        found = _log_likelihoods(_unpacked(packed), x, scores)
        return -float(logsumexp(found + _log_weights(), axis=1).sum())

    if start is None:
        lowest, highest = np.nanquantile(scores, [0.1, 0.9])
        middles = np.quantile(x, [0.35, 0.5, 0.65])
        starts = [np.array([lowest, highest, 2.0, middle, 0.5, 0.1, 0.15, 0.1]) for middle in middles]
    else:
        given = start.as_dict() if isinstance(start, OwnCurves) else start
        starts = [np.array([given[name] for name in PARAMETERS])]
    best = min((minimize(loss, _packed(values), method="L-BFGS-B") for values in starts), key=lambda found: found.fun)
    values = _unpacked(best.x)
    posterior = _log_likelihoods(values, x, scores) + _log_weights()
    posterior = np.exp(posterior - logsumexp(posterior, axis=1, keepdims=True))
    places = values[3] + values[4] * GRID
    means = posterior @ places
    variances = posterior @ places**2 - means**2
    named = dict(zip(PARAMETERS, values.tolist(), strict=True))
    return OwnCurves(**named, thresholds=means, uncertainty=np.sqrt(np.maximum(variances, 0)))


def matrices(painters: Any, score: str) -> tuple[list[str], list[tuple], np.ndarray, np.ndarray]:
    """Return (concepts [P], models [M], counts [P, M], scores [P, M]) of a world's painters.

    Args:
        painters: a polars frame of the schema fit.truth.measure.PAINTERS, of one world.
        score: a column of it. Scores that are missing are NaN.
    """
    concepts = sorted(painters["concept"].unique())
    models = sorted(painters.select("deal", "training").unique().rows())
    row = {name: number for number, name in enumerate(concepts)}
    column = {model: number for number, model in enumerate(models)}
    counts, scores = np.zeros((len(concepts), len(models))), np.full((len(concepts), len(models)), np.nan)
    for concept, deal, training, count, value in painters.select(
        "concept", "deal", "training", "true_count", score
    ).iter_rows():
        at = row[concept], column[deal, training]
        counts[at] = count
        scores[at] = np.nan if value is None else value
    return concepts, models, counts, scores
