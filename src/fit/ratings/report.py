"""Compare people's ratings with the score, with each other, and with the threshold."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import kendalltau, rankdata

from fit.errors import DataError
from fit.ratings.agreement import krippendorff_alpha
from fit.ratings.pairs import read_concepts
from fit.ratings.store import SCALE, Rating, latest, read_ratings
from fit.thresholds.estimators.one_change import best_split
from fit.thresholds.estimators.pelt import change_points

CONFIDENCE = 0.95


def spearman(x: ArrayLike, y: ArrayLike) -> np.ndarray:
    """Return Spearman's rank correlation of x and y, [..., N] each: [...], NaN where x or y is constant.

    It is Pearson's correlation of ranks; ties have their mean rank. scipy.stats.spearmanr takes no batch of resamples.
    """
    a, b = (rankdata(values, axis=-1) - (np.shape(values)[-1] + 1) / 2 for values in (x, y))
    with np.errstate(invalid="ignore"):
        return (a * b).sum(-1) / np.sqrt((a**2).sum(-1) * (b**2).sum(-1))


def correlate(scores: ArrayLike, means: ArrayLike, *, resamples: int, seed: int) -> dict[str, Any]:
    """Correlate the ranks of scores and of mean ratings, [N] each.

    Returns:
        A dict: concepts (N), spearman, interval (percentile bootstrap over concepts), kendall (tau-b); None where they
        have no meaning, as with constant values.
    """
    score_of, mean_of = np.asarray(scores), np.asarray(means)
    found: dict[str, Any] = {"concepts": len(score_of), "spearman": None, "interval": None, "kendall": None}
    found["interval_kind"] = f"percentile bootstrap over concepts, {CONFIDENCE:.0%}, {resamples} resamples"
    if len(score_of) < 2 or np.ptp(score_of) == 0 or np.ptp(mean_of) == 0:
        return found
    rows = np.random.default_rng(seed).integers(len(score_of), size=(resamples, len(score_of)))
    drawn = spearman(score_of[rows], mean_of[rows])
    drawn = drawn[np.isfinite(drawn)]
    tail = (1 - CONFIDENCE) / 2
    found["spearman"] = float(spearman(score_of, mean_of))
    found["interval"] = [float(q) for q in np.quantile(drawn, [tail, 1 - tail])] if len(drawn) else None
    found["kendall"] = float(kendalltau(score_of, mean_of).statistic)
    return found


def _agreement(ratings: Sequence[Rating]) -> dict[str, Any]:
    raters = {rating.rater: row for row, rating in enumerate({rating.rater: rating for rating in ratings}.values())}
    units = {about: column for column, about in enumerate(dict.fromkeys(rating.about[1:] for rating in ratings))}
    matrix = np.full((len(raters), len(units)), np.nan)
    for rating in ratings:
        matrix[raters[rating.rater], units[rating.about[1:]]] = rating.given
    return {
        "raters": len(raters),
        "pictures_with_two_or_more": int((np.isfinite(matrix).sum(0) >= 2).sum()),
        **{f"alpha_{metric}": krippendorff_alpha(matrix, metric) for metric in ("ordinal", "interval")},
    }


def _by_rater(ratings: Sequence[Rating]) -> dict[str, Any]:
    given: dict[str, list[int]] = defaultdict(list)
    for rating in ratings:
        given[rating.rater].append(rating.given)
    return {
        rater: {"ratings": len(values), "mean": float(np.mean(values)), "sd": float(np.std(values))}
        for rater, values in sorted(given.items())
    }


def _by_concept(ratings: Sequence[Rating], known: Mapping[str, tuple[float, float]]) -> list[dict[str, Any]]:
    """Return a dict per concept, sorted by effective count. Each picture has one weight, whatever its raters."""
    pictures: dict[str, dict[str, list[int]]] = defaultdict(lambda: defaultdict(list))
    for rating in ratings:
        pictures[rating.concept][rating.image_id].append(rating.given)
    rows = [
        {
            "concept": concept,
            "effective_count": int(known[concept][0]),
            "score": known[concept][1],
            "mean_rating": float(np.mean([np.mean(values) for values in of_concept.values()])),
            "pictures": len(of_concept),
            "ratings": sum(len(values) for values in of_concept.values()),
        }
        for concept, of_concept in pictures.items()
    ]
    return sorted(rows, key=lambda row: (row["effective_count"], row["concept"]))


def _threshold(counts: np.ndarray, values: np.ndarray, penalty: float) -> dict[str, Any]:
    changes = change_points(values, penalty)
    split, removed = best_split(counts, values)
    first = changes[0] if changes else None
    return {
        "threshold": None if first is None else int(counts[first]),
        "mean_below": None if first is None else float(values[:first].mean()),
        "mean_above": None if first is None else float(values[first:].mean()),
        "changes": [int(counts[change]) for change in changes],
        "one_change": {"threshold": None if split is None else int(counts[split]), "squared_error_removed": removed},
    }


def make_report(
    files: Sequence[str | Path], table: str | Path, *, penalty: float, resamples: int, seed: int
) -> dict[str, Any]:
    """Compare people's ratings with the score.

    Args:
        files: CSVs of ratings; a later row of a rater about a picture replaces an earlier one.
        table: CSV or Parquet with the columns concept, effective_count and score.
        penalty: of PELT, on scores and on ratings from 0 to 1 alike.
        resamples: of the bootstrap over concepts.
        seed: of its draws.

    Returns:
        A dict: how many ratings, raters, pictures and concepts, and how many were skipped; unknown_concepts, which
        `table` does not have; by_rater; correlation (see `correlate`); agreement (Krippendorff's alpha); threshold, on
        the ratings and on the scores of the same concepts; by_concept.

    Raises:
        DataError: a file can't be read, or no concept of `table` has a rating.
    """
    known = read_concepts(table)
    every = [rating for path in files for rating in read_ratings(path)]
    given = latest(every)
    ratings = [rating for rating in given if rating.concept in known]
    if not ratings:
        named = ", ".join(sorted({rating.concept for rating in given})[:3]) or "none"
        raise DataError(
            f"{', '.join(map(str, files))}: no rating of a concept that {table} has (rated: {named}); "
            "name concepts as the table does"
        )
    rows = _by_concept(ratings, known)
    counts, scores, means = (
        np.array([row[key] for row in rows]) for key in ("effective_count", "score", "mean_rating")
    )
    low, high = SCALE[0], SCALE[-1]
    return {
        "ratings": len(ratings),
        "raters": len({rating.rater for rating in ratings}),
        "pictures": sum(row["pictures"] for row in rows),
        "concepts": len(rows),
        "skipped": len({rating.about for rating in every}) - len(given),
        "unknown_concepts": sorted({rating.concept for rating in given} - set(known)),
        "mean_rating": float(np.mean([rating.given for rating in ratings])),
        "by_rater": _by_rater(ratings),
        "correlation": correlate(scores, means, resamples=resamples, seed=seed),
        "agreement": _agreement(ratings),
        "threshold": {
            "scale": f"ratings are (mean rating - {low}) / {high - low}, so 0 to 1",
            "penalty": penalty,
            "ratings": _threshold(counts, (means - low) / (high - low), penalty),
            "scores": _threshold(counts, scores, penalty),
        },
        "by_concept": rows,
    }


def _found(found: Mapping[str, Any]) -> str:
    single = "none" if found["one_change"]["threshold"] is None else f"{found['one_change']['threshold']} images"
    if found["threshold"] is None:
        return f"no change point; best single split: {single}"
    return (
        f"{found['threshold']} images ({found['mean_below']:.2f} below, {found['mean_above']:.2f} above); "
        f"best single split: {single}"
    )


def summary(report: Mapping[str, Any]) -> str:
    """Say a report of `make_report` in a few lines for a terminal."""
    correlation, agreement, threshold = report["correlation"], report["agreement"], report["threshold"]
    lines = [
        f"{report['ratings']} ratings by {report['raters']} raters, {report['pictures']} pictures of "
        f"{report['concepts']} concepts, {report['skipped']} skipped; mean rating {report['mean_rating']:.2f}"
    ]
    if correlation["spearman"] is None:
        why = "one concept" if correlation["concepts"] < 2 else "all scores or all ratings the same"
        lines.append(f"score and mean rating of a concept: no correlation: {why}")
    else:
        interval = correlation["interval"]
        among = f"{interval[0]:.2f} to {interval[1]:.2f}" if interval else "none, there are too few concepts"
        lines.append(
            f"score and mean rating of a concept: Spearman {correlation['spearman']:.2f} "
            f"(95 % bootstrap interval over concepts: {among}), Kendall {correlation['kendall']:.2f}"
        )
    both = agreement["pictures_with_two_or_more"]
    if agreement["alpha_ordinal"] is None:
        why = "all of them rated alike" if both else "nothing to compare"
        lines.append(f"agreement of raters: {both} pictures have two ratings or more; {why}")
    else:
        lines.append(
            f"agreement of raters: Krippendorff's alpha {agreement['alpha_ordinal']:.2f} (ordinal), "
            f"{agreement['alpha_interval']:.2f} (interval), on {both} pictures with two ratings or more"
        )
    lines += [
        f"threshold on ratings (0 to 1, penalty {threshold['penalty']}): {_found(threshold['ratings'])}",
        f"threshold on scores of the same concepts (penalty {threshold['penalty']}): {_found(threshold['scores'])}",
    ]
    return "\n".join(lines)
