"""Models of the truth experiment whose truth is known: scores that rise at each painter's own threshold."""

import numpy as np
import polars as pl
from scipy.special import expit

from fit.atelier.corpus import counts_on_ladder, deal_counts
from fit.truth.design import Run
from fit.truth.measure import PAINTERS, RUN, THRESHOLDS

MEDIAN = float(np.log1p(40))
SPREAD = 0.5


def simulate(
    painters=24,
    deals=6,
    trainings=1,
    *,
    seed=0,
    low=0.2,
    high=0.8,
    noise=(0.12, 0.05),
    median=MEDIAN,
    noise_seed=None,
):
    """Return (counts [P, M], scores [P, M], thresholds [P] as log(1 + count)); models are deal by deal.

    Another `noise_seed` trains the same painters again.
    """
    rng = np.random.default_rng(seed)
    ladder, order = counts_on_ladder(painters, 2, 4, 400), rng.permutation(painters)
    counts = np.array([deal_counts(ladder, order, deal, deals) for deal in range(deals) for _ in range(trainings)]).T
    thresholds = median + SPREAD * rng.normal(size=painters)
    levels = 0.07 * rng.normal(size=painters)
    risen = expit(3 * (np.log1p(counts) - thresholds[:, None]))
    sd = np.sqrt(noise[0] ** 2 * (1 - risen) + noise[1] ** 2 * risen)
    if noise_seed is not None:
        rng = np.random.default_rng(noise_seed)
    scores = low + levels[:, None] * (1 - risen) + (high - low) * risen + sd * rng.normal(size=counts.shape)
    return counts, scores, thresholds


def runs_of(deals, trainings, world=7, changes="usual"):
    """The models of `simulate`, in its order."""
    return [Run(world, changes, deal, training) for deal in range(deals) for training in range(1, trainings + 1)]


def of_run(run):
    return {name: getattr(run, name) for name in RUN}


def painters_frame(counts, scores, models):
    """A frame of the schema PAINTERS; all scores of a painter in a model are the same."""
    rows = [
        of_run(run)
        | {"concept": f"painter-{row:02d}", "true_count": int(counts[row, column]), "effective_count": 1}
        | dict.fromkeys(("score", "reference_score", "fixed_score"), float(scores[row, column]))
        | {"null_score": 0.1, "fixed_null_score": 0.1}
        for column, run in enumerate(models)
        for row in range(len(counts))
    ]
    return pl.DataFrame(rows, schema=PAINTERS)


def answer_row(run, estimator, threshold, interval=None, score="published", *, claimed=True):
    low, high = interval or (None, None)
    found = {"score": score, "estimator": estimator, "threshold": threshold, "low": low, "high": high}
    return of_run(run) | found | {"claimed": claimed and threshold is not None}


def thresholds_frame(rows):
    return pl.DataFrame(rows, schema=THRESHOLDS)
