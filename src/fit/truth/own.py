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
from scipy.optimize import minimize, minimize_scalar
from scipy.special import expit, logsumexp

from fit.errors import DataError

GRID = np.linspace(-3.2, 3.2, 41)
"""Standard normal values at which a painter's threshold is looked at."""
PARAMETERS = ("low", "high", "slope", "median", "spread", "low_spread", "noise_low", "noise_high")
_POSITIVE = np.array([name in ("slope", "spread", "low_spread", "noise_low", "noise_high") for name in PARAMETERS])
_LEAST = 0.02
"""No spread or noise is smaller: a likelihood grows without bound where one is 0."""
_BOUNDS = [(-10.0, 4.0) if positive else (-100.0, 100.0) for positive in _POSITIVE]
"""Of the parameters where they are searched: nothing overflows."""
FURTHEST = 5.0
"""The largest shift of a curve that is looked for, in log(1 + count): a factor of 148."""


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
    log_likelihood: float = float("nan")
    """Of the scores that were fitted."""

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


@dataclass(frozen=True)
class _Parts:
    """What the likelihood of scores [P, M] is made of, with painters' thresholds at each place of GRID."""

    above: np.ndarray
    """[P, GRID, M] how far log(1 + count) is above the threshold."""
    risen: np.ndarray
    """[P, GRID, M] how much of the rise is done, 0..1."""
    error: np.ndarray
    """[P, GRID, M] the score less the curve of the mean level; 0 where there is no score."""
    precision: np.ndarray
    """[P, GRID, M] one over the noise's variance; 0 where there is no score."""
    inner: np.ndarray
    """[P, GRID] precision of the painter's own level, given its scores."""
    level: np.ndarray
    """[P, GRID] its mean, given its scores."""
    log_likelihoods: np.ndarray
    """[P, GRID]"""


def _parts(values: np.ndarray, x: np.ndarray, scores: np.ndarray) -> _Parts:
    """Return the parts of the likelihood.

    Args:
        values: of PARAMETERS.
        x: [P, M] log(1 + count).
        scores: [P, M], NaN where a painter has none.
    """
    low, high, slope, median, spread, low_spread, noise_low, noise_high = values
    above = x[:, None, :] - (median + spread * GRID)[None, :, None]
    risen = expit(slope * above)
    known = ~np.isnan(scores)[:, None, :]
    error = np.where(known, np.nan_to_num(scores)[:, None, :] - (low + (high - low) * risen), 0)
    variance = noise_low**2 + (noise_high**2 - noise_low**2) * risen
    precision = known / variance
    # A level of its own, N(0, low_spread^2), is added as far as the curve has not risen: a covariance of rank one.
    share = 1 - risen
    along = (precision * share * error).sum(2)
    inner = 1 / low_spread**2 + (precision * share**2).sum(2)
    squares = (precision * error**2).sum(2) - along**2 / inner
    log_determinant = np.where(known, np.log(variance), 0).sum(2) + np.log(inner * low_spread**2)
    log_likelihoods = -(squares + log_determinant + known.sum(2) * np.log(2 * np.pi)) / 2
    return _Parts(above, risen, error, precision, inner, along / inner, log_likelihoods)


def _gradient(values: np.ndarray, parts: _Parts, weights: np.ndarray) -> np.ndarray:
    """Return the derivatives of the summed log likelihood by PARAMETERS; `weights` [P, GRID]: of each place of GRID."""
    low, high, slope, _, _, low_spread, noise_low, noise_high = values
    risen, share, precision = parts.risen, 1 - parts.risen, parts.precision
    level, inner = parts.level[:, :, None], parts.inner[:, :, None]
    left = parts.error - level * share
    # By the variance of a score, by its curve, and through `risen` by both and by the share of the painter's level.
    by_variance = weights[:, :, None] * precision * (precision * (left**2 + share**2 / inner) - 1) / 2
    by_curve = weights[:, :, None] * precision * left
    by_share = weights[:, :, None] * precision * (left * level - share / inner)
    by_risen = by_variance * (noise_high**2 - noise_low**2) + by_curve * (high - low) - by_share
    by_risen *= risen * share
    by_place = -slope * by_risen.sum(2)
    by_level = (weights * (parts.level**2 / low_spread**3 + 1 / (low_spread**3 * parts.inner) - 1 / low_spread)).sum()
    return np.array(
        [
            (by_curve * share).sum(),
            (by_curve * risen).sum(),
            (by_risen * parts.above).sum(),
            by_place.sum(),
            (by_place * GRID).sum(),
            by_level,
            2 * noise_low * (by_variance * share).sum(),
            2 * noise_high * (by_variance * risen).sum(),
        ]
    )


def _log_weights() -> np.ndarray:
    weights = np.exp(-(GRID**2) / 2)
    return np.log(weights / weights.sum())


def _likelihood(values: np.ndarray, x: np.ndarray, scores: np.ndarray) -> tuple[float, np.ndarray, _Parts]:
    """Return the log likelihood of all scores, how likely a painter's places on GRID are [P, GRID], and the parts."""
    parts = _parts(values, x, scores)
    joint = parts.log_likelihoods + _log_weights()
    of_painters = logsumexp(joint, axis=1, keepdims=True)
    return float(of_painters.sum()), np.exp(joint - of_painters), parts


def _loss(packed: np.ndarray, x: np.ndarray, scores: np.ndarray) -> tuple[float, np.ndarray]:
    """Return the negative log likelihood and its derivatives [8] by the packed parameters."""
    values = _unpacked(packed)
    found, weights, parts = _likelihood(values, x, scores)
    return -found, -_gradient(values, parts, weights) * np.where(_POSITIVE, values - _LEAST, 1)


def fit_own_curves(
    counts: np.ndarray, scores: np.ndarray, start: Mapping[str, float] | OwnCurves | None = None
) -> OwnCurves:
    """Fit the painters' own curves.

    Args:
        counts: [P, M] count of each painter in each model.
        scores: [P, M] its score there; NaN where there is none.
        start: where the search begins, such as the fit to more of the models; None: at several places, the best of
            which is kept.

    Raises:
        DataError: there is no score.
    """
    x = np.log1p(np.asarray(counts, float))
    scores = np.asarray(scores, float)
    if np.isnan(scores).all():
        raise DataError("true thresholds: no painter has a score in any model; ask snakemake for the scores")
    if start is None:
        lowest, highest = np.nanquantile(scores, [0.1, 0.9])
        middles = np.quantile(x, [0.35, 0.5, 0.65])
        starts = [np.array([lowest, highest, 2.0, middle, 0.5, 0.1, 0.15, 0.1]) for middle in middles]
    else:
        given = start.as_dict() if isinstance(start, OwnCurves) else start
        starts = [np.array([given[name] for name in PARAMETERS])]
    tried = [
        minimize(_loss, _packed(values), (x, scores), jac=True, method="L-BFGS-B", bounds=_BOUNDS) for values in starts
    ]
    best = min(tried, key=lambda found: found.fun)
    values = _unpacked(best.x)
    posterior = _likelihood(values, x, scores)[1]
    places = values[3] + values[4] * GRID
    means = posterior @ places
    variances = posterior @ places**2 - means**2
    named = dict(zip(PARAMETERS, values.tolist(), strict=True))
    return OwnCurves(
        **named,
        thresholds=means,
        uncertainty=np.sqrt(np.maximum(variances, 0)),
        log_likelihood=-float(best.fun),
    )


def shows_a_rise(counts: np.ndarray, scores: np.ndarray, fitted: OwnCurves) -> bool:
    """Return whether scores show that they rise with the count; where they do not, the thresholds mean nothing.

    The Bayesian information criterion decides, against the same curves without a rise of the mean: their noise may
    change with the count, which is not a rise.

    Args:
        counts: [P, M] count of each painter in each model.
        scores: [P, M] its score there; NaN where there is none.
        fitted: of fit_own_curves, to the same.
    """
    x, scores = np.log1p(np.asarray(counts, float)), np.asarray(scores, float)
    start = _packed(np.array([getattr(fitted, name) for name in PARAMETERS]))
    start[0] = float(np.nanmean(scores))

    def loss(level_and_rest: np.ndarray) -> tuple[float, np.ndarray]:
        value, by_each = _loss(np.concatenate([level_and_rest[:1], level_and_rest]), x, scores)
        return value, np.concatenate([[by_each[0] + by_each[1]], by_each[2:]])

    flat = minimize(loss, np.delete(start, 1), jac=True, method="L-BFGS-B", bounds=[_BOUNDS[0], *_BOUNDS[2:]])
    # The height of the rise, and its place and steepness as far as the noise does not tell them.
    needed = 3 / 2 * np.log(np.count_nonzero(~np.isnan(scores)))
    return bool(fitted.high > fitted.low and fitted.log_likelihood + float(flat.fun) > needed)


def fit_shift(fitted: OwnCurves, counts: np.ndarray, scores: np.ndarray, known: tuple[np.ndarray, np.ndarray]) -> float:
    """Return by how much more log(1 + count) the scores [P, M] look than their counts [P, M] say.

    The painters' curves stay those that were fitted, and each painter's scores in the models that are known say where
    its own threshold and level lie; the shift of all other scores is then the most likely one.

    Args:
        fitted: of fit_own_curves, to the known models.
        counts: count of each painter in each other model.
        scores: its score there; NaN where there is none.
        known: counts and scores [P, K] that `fitted` was fitted to, the same painters.

    Returns:
        The shift; +-FURTHEST if the scores look like no count.
    """
    values = np.array([getattr(fitted, name) for name in PARAMETERS])
    x, of_known = np.log1p(np.asarray(counts, float)), np.log1p(np.asarray(known[0], float))
    both = np.concatenate([known[1], scores], axis=1)

    def loss(shift: float) -> float:
        return -_likelihood(values, np.concatenate([of_known, x + shift], axis=1), both)[0]

    places = np.linspace(-FURTHEST, FURTHEST, 21)
    best = places[int(np.argmin([loss(place) for place in places]))]
    ends = max(-FURTHEST, best - 0.5), min(FURTHEST, best + 0.5)
    return float(minimize_scalar(loss, bounds=ends, method="bounded", options={"xatol": 1e-3}).x)


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
