"""The threshold adjusted for difficulty: some concepts are easier to imitate than others, whatever their count is.

A covariate is a number per concept that says how easy it is. If easy concepts happen to be the frequent ones, a score
rises with the count although more images change nothing. The linear effect of covariates on the score *within counts*
is taken off: their slopes come from concepts of like counts alone, so that a covariate which rises with the count is
not given what the count itself does.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from fit.thresholds.estimators.one_change import error_removed
from fit.thresholds.scores import Scores

COVARIATES = {
    "before_score": "score of the base model",
    "reference_spread": "spread of the references",
}
"""Column of a table of concepts -> what tables, figures and sentences call the covariate."""
CHUNK = 200
"""Permutations at a time."""
GROUP = 5
"""Concepts of like counts that make a group, at least."""
FEWEST_GROUPS = 4
"""Groups that slopes take, at least: with fewer, concepts of like counts are not alike in count."""
LEAST_APART = 0.1
"""Share of a covariate's variance within groups, below which it cannot be told apart from the count: a variance
inflation factor of 10 (Marquardt 1970, doi 10.1080/00401706.1970.10488699)."""


@dataclass(frozen=True)
class Effect:
    """What a covariate does to the score; a number is None where it is unknown."""

    label: str
    reason: str | None = None
    """Why the score is not adjusted for it; None if it is."""
    apart: float | None = None
    """Share of its variance within groups of like counts: 1 if it has nothing to do with the count, 0 if it is a
    function of it."""
    slope: float | None = None
    """Score per unit of the covariate, at like counts and like values of the other covariates."""
    standard_error: float | None = None
    p_value: float | None = None
    """Of the slope 0, by Student's t."""


def groups_of_like_counts(counts: np.ndarray, size: int = GROUP) -> np.ndarray:
    """Return the group [N] of each concept: concepts that follow each other in count, `size` of them or more.

    Concepts of one count are in one group.

    Args:
        counts: [N] ascending.
        size: of a group, at least, if there are so many concepts.
    """
    starts = np.flatnonzero(np.diff(counts, prepend=np.nan) != 0)
    first = [0]
    for start in starts:
        if start - first[-1] >= size:
            first.append(int(start))
    if len(first) > 1 and len(counts) - first[-1] < size:
        first.pop()
    return np.searchsorted(first, np.arange(len(counts)), side="right") - 1


def _within(values: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """Return values [N, K] minus the mean of their group."""
    sums = np.zeros((groups.max() + 1, values.shape[1]))
    np.add.at(sums, groups, values)
    return values - (sums / np.bincount(groups)[:, None])[groups]


def share_apart(values: np.ndarray, groups: np.ndarray) -> float:
    """Return the share of the variance of values [N] within groups, each variance by its degrees of freedom, at most 1.

    It is one minus the adjusted R squared of the groups.
    """
    number, several = len(values), groups.max() + 1
    within = float((_within(values[:, None], groups) ** 2).sum()) / max(number - several, 1)
    return min(1.0, within / (float(((values - values.mean()) ** 2).sum()) / (number - 1)))


def _why_not(values: np.ndarray, groups: np.ndarray) -> tuple[str | None, float | None]:
    """Return (why a covariate [N] cannot be adjusted for, or None; its share_apart)."""
    from scipy.stats import rankdata

    if np.ptp(values) == 0:
        return "it is the same for all concepts", None
    # Of a curve that is steep at one end, most of the variance is within the last group; its ranks show the curve.
    apart = min(share_apart(values, groups), share_apart(rankdata(values), groups))
    return ("it cannot be told apart from the count" if apart < LEAST_APART else None), apart


@dataclass(frozen=True)
class Adjustment:
    """The covariates [K] that scores can be adjusted for, of N concepts."""

    effects: dict[str, Effect]
    """Key of COVARIATES -> what it does to the score."""
    covariates: np.ndarray
    """[N, K] minus their means."""
    weights: np.ndarray
    """[K, N]: their products with scores are the slopes."""

    @property
    def is_possible(self) -> bool:
        """Whether there is a covariate to adjust for."""
        return len(self.weights) > 0

    def take_off(self, scores: np.ndarray) -> np.ndarray:
        """Return scores [..., N] without the linear effect that covariates have on them within counts."""
        return scores - scores @ self.weights.T @ self.covariates.T

    def p_value(self, table: Scores, permutations: int, seed: int) -> float:
        """Return how often chance alone makes so good a split of adjusted scores, if covariates have their effect.

        The permutation test of Freedman and Lane (1983, doi 10.2307/1391660): the residuals of a regression on the
        covariates alone are dealt to the concepts again, and adjusted as the scores were. So the error of the slopes
        is in what chance makes. Without it, the test finds a jump in up to a seventh of studies that have none.

        Args:
            table: of the concepts, with the scores before they were adjusted.
            permutations: how many.
            seed: of the draws.
        """
        design = np.column_stack([np.ones(len(table)), self.covariates])
        residuals = table.scores - design @ np.linalg.lstsq(design, table.scores, rcond=None)[0]
        observed = error_removed(table.counts, self.take_off(table.scores)[None]).max()
        rng, reached = np.random.default_rng(seed), 0
        for start in range(0, permutations, CHUNK):
            number = min(CHUNK, permutations - start)
            # The effect of the covariates is taken off whole, so it need not be put on before.
            dealt = self.take_off(rng.permuted(np.tile(residuals, (number, 1)), axis=1))
            reached += int((error_removed(table.counts, dealt).max(axis=1) >= observed * (1 - 1e-12)).sum())
        return (1 + reached) / (1 + permutations)


def _none(effects: dict[str, Effect], number: int) -> Adjustment:
    return Adjustment(effects, np.zeros((number, 0)), np.zeros((0, number)))


def adjust(counts: np.ndarray, scores: np.ndarray, covariates: Mapping[str, np.ndarray]) -> Adjustment:
    """Find the linear effect of covariates on scores within counts.

    The model is score = f(count) + covariates x slopes + noise, with an f that is constant within groups of like
    counts and free between them. Least squares gives the slopes by regressing scores minus the mean of their group on
    covariates minus the mean of theirs (Frisch and Waugh 1933, doi 10.2307/1907330; Robinson 1988, doi
    10.2307/1912705, of the partly linear model).

    Args:
        counts: [N] ascending.
        scores: [N].
        covariates: key of COVARIATES -> [N].
    """
    from scipy.stats import t

    groups = groups_of_like_counts(counts)
    several = int(groups.max(initial=0)) + 1
    if several < FEWEST_GROUPS:
        why = f"too few concepts of different counts: groups of {GROUP} of like counts make {several}, it takes "
        return _none({name: Effect(COVARIATES[name], f"{why}{FEWEST_GROUPS}") for name in covariates}, len(counts))
    looked = {name: _why_not(values, groups) for name, values in covariates.items()}
    effects = {name: Effect(COVARIATES[name], why, apart) for name, (why, apart) in looked.items()}
    able = [name for name, (why, _) in looked.items() if why is None]
    if not able:
        return _none(effects, len(counts))
    x = np.column_stack([covariates[name] - covariates[name].mean() for name in able])
    if np.linalg.matrix_rank(_within(x / x.std(axis=0), groups)) < len(able):
        # Two covariates that say the same: the first stands for both.
        for name in able[1:]:
            why = f"it cannot be told apart from the {COVARIATES[able[0]]}"
            effects[name] = Effect(COVARIATES[name], why, looked[name][1])
        able, x = able[:1], x[:, :1]
    # Products with covariates minus their groups' means are the same with scores minus theirs.
    apart_x = _within(x, groups)
    weights = np.linalg.pinv(apart_x)
    free = len(scores) - several - len(able)
    left = _within((scores - x @ weights @ scores)[:, None], groups)
    errors = np.sqrt(float((left**2).sum()) / free * np.diag(weights @ weights.T))
    for name, slope, error in zip(able, weights @ scores, errors, strict=True):
        p_value = float(2 * t.sf(abs(slope) / error, free)) if error > 0 else 0.0
        effects[name] = Effect(COVARIATES[name], None, looked[name][1], float(slope), float(error), p_value)
    return Adjustment(effects, x, weights)
