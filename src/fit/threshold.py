"""The count at which resemblance jumps."""

from pathlib import Path

import numpy as np
import polars as pl
from ruptures import KernelCPD

from fit.errors import DataError

CONFIDENCE = 0.95


def change_points(scores, penalty):
    """Where PELT with the l2 cost (min_size 1, jump 1) splits `scores` [N]: indices of the first point after a change.

    KernelCPD with a linear kernel minimises the same cost exactly, in C.
    """
    if len(scores) < 2:
        return []
    signal = np.asarray(scores, np.float64)[:, None]
    return KernelCPD(kernel="linear", min_size=1, jump=1).fit(signal).predict(pen=penalty)[:-1]


def best_split(scores):
    """The split of `scores` [N] into two that leaves the least squared error.

    Returns:
        (index of the first point after it, share of the squared error that it removes); (None, 0) for fewer than two
        points or constant scores.
    """
    scores = np.asarray(scores, np.float64)
    count = len(scores)
    if count < 2 or np.ptp(scores) == 0:
        return None, 0.0
    sizes = np.arange(1, count)
    sums = np.cumsum(scores)[:-1]
    between = (sums - sizes * scores.mean()) ** 2 * count / (sizes * (count - sizes))
    at = int(np.argmax(between))
    return at + 1, float(between[at] / ((scores - scores.mean()) ** 2).sum())


def _side(concepts, counts, scores, rows, at):
    return {
        "concepts": len(scores[rows]),
        "mean_score": float(scores[rows].mean()),
        "sd_score": float(scores[rows].std()),
        "nearest": {"concept": str(concepts[at]), "effective_count": int(counts[at])},
    }


def _bootstrap(counts, scores, penalty, resamples, seed):
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(resamples):
        rows = np.sort(rng.integers(len(counts), size=len(counts)))
        changes = change_points(scores[rows], penalty)
        if changes:
            found.append(counts[rows[changes[0]]])
    tail = (1 - CONFIDENCE) / 2
    interval = [float(q) for q in np.quantile(found, [tail, 1 - tail])] if found else None
    return interval, len(found) / resamples


def detect(concepts, counts, scores, *, penalty, resamples, seed):
    """The imitation threshold of a study.

    Args:
        concepts: [N] slugs; counts: [N] effective counts; scores: [N] imitation scores.
        penalty: of PELT.
        resamples: of the bootstrap over concepts; seed: of its draws.

    Returns:
        A dict: threshold (effective count of the first concept after the first change, or None), interval (percentile
        bootstrap over concepts, None without one), changes (every change), below and above (the concepts beside the
        first change), single (the best single split).

    Raises:
        DataError: fewer than two concepts, or a count or score that is no number.
    """
    counts, scores = np.asarray(counts, np.float64), np.asarray(scores, np.float64)
    concepts = np.asarray(concepts, dtype=str)
    if len(concepts) < 2:
        raise DataError(
            f"{len(concepts)} concepts have a score; a threshold takes two, and some dozens to mean anything"
        )
    for name, values in (("effective_count", counts), ("score", scores)):
        if not np.isfinite(values).all():
            bad = str(concepts[~np.isfinite(values)][0])
            raise DataError(f"concept {bad!r}: its {name} is no number; mend or drop the row")
    order = np.lexsort((concepts, counts))
    concepts, counts, scores = concepts[order], counts[order], scores[order]
    changes = change_points(scores, penalty)
    split, removed = best_split(scores)
    interval, share = _bootstrap(counts, scores, penalty, resamples, seed)
    first = changes[0] if changes else 0
    return {
        "threshold": int(counts[first]) if changes else None,
        "interval": interval,
        "interval_kind": f"percentile bootstrap over concepts, {CONFIDENCE:.0%}, {resamples} resamples",
        "resamples_with_a_change": share,
        "estimator": "pelt",
        "penalty": penalty,
        "concepts": len(concepts),
        "changes": [{"concept": str(concepts[c]), "effective_count": int(counts[c])} for c in changes],
        "below": _side(concepts, counts, scores, slice(None, first), first - 1) if changes else None,
        "above": _side(concepts, counts, scores, slice(first, None), first) if changes else None,
        "single": {
            "threshold": None if split is None else int(counts[split]),
            "concepts_below": split,
            "squared_error_removed": removed,
        },
    }


def read_scores(path):
    """Read a table of concepts, CSV or Parquet.

    Returns:
        (concepts, counts [N], scores [N]) of its columns concept, effective_count and score.

    Raises:
        DataError: it can't be read, lacks a column, or holds something that is no number.
    """
    try:
        table = pl.read_parquet(path) if Path(path).suffix == ".parquet" else pl.read_csv(path)
    except (OSError, pl.exceptions.PolarsError) as error:
        raise DataError(f"{path}: neither Parquet nor CSV that can be read ({error})") from None
    for column in ("concept", "effective_count", "score"):
        if column not in table.columns:
            raise DataError(f"{path}: no column {column!r}; it has {', '.join(table.columns)}")
    try:
        numbers = [table[column].cast(pl.Float64).to_numpy() for column in ("effective_count", "score")]
    except pl.exceptions.PolarsError as error:
        raise DataError(f"{path}: effective_count or score holds something that is no number ({error})") from None
    return table["concept"].to_list(), *numbers
