"""Compare people's ratings with the score, with each other, and with the threshold."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import kendalltau

from fit.errors import DataError
from fit.io.shown import as_images, number_of
from fit.ratings.agreement import alpha_interval, krippendorff_alpha
from fit.ratings.correlation import CONFIDENCE, FEWEST, correlate, given_count, overall
from fit.ratings.pairs import read_concepts
from fit.ratings.resampling import RatedConcepts, rated_concepts
from fit.ratings.store import SCALE, Rating, latest, read_ratings
from fit.ratings.threshold import add_intervals, find_threshold, from_0_to_1


def _agreement(rated: RatedConcepts, resamples: int, seed: int) -> dict[str, Any]:
    found: dict[str, Any] = {
        "raters": rated.raters,
        "pictures_with_two_or_more": int((np.isfinite(rated.given).sum(0) >= 2).sum()),
        "interval_kind": "percentile bootstrap over concepts with their pictures, 95 %, "
        f"{number_of(resamples, 'resample')}; of these raters",
    }
    for metric in ("ordinal", "interval"):
        found[f"alpha_{metric}"] = alpha = krippendorff_alpha(rated.given, metric)
        found[f"alpha_{metric}_95"] = None
        if alpha is not None:
            draws: dict[str, Any] = {"resamples": resamples, "seed": seed, "fewest": FEWEST}
            found[f"alpha_{metric}_95"] = alpha_interval(rated.given, metric, rated.concept_of, **draws)
    return found


def _correlation(rated: RatedConcepts, at: int | None, resamples: int, seed: int) -> dict[str, Any]:
    """Correlate scores and mean ratings: of all concepts, given the count, and on each side of `at` images."""
    found = correlate(rated, overall, resamples=resamples, seed=seed)
    found["kendall"] = None
    if found["spearman"] is not None:
        found["kendall"] = float(kendalltau(rated.scores, rated.means).statistic)
    found["interval_kind"] = (
        f"bootstrap over raters and concepts, {CONFIDENCE:.0%}, {number_of(resamples, 'resample')}, Fisher's transform"
        ", Student's t: for as many other raters; interval_of_these_raters: percentile bootstrap over concepts"
    )
    found["given_count"] = correlate(rated, given_count, resamples=resamples, seed=seed)
    found["sides"] = {"threshold_on_scores": at, "below": None, "above": None}
    if at is not None:
        for side, mask in (("below", rated.counts < at), ("above", rated.counts >= at)):
            if mask.any():
                found["sides"][side] = correlate(rated.take(mask), overall, resamples=resamples, seed=seed)
    return found


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


def make_report(
    files: Sequence[str | Path], table: str | Path, *, penalty: float, resamples: int, seed: int
) -> dict[str, Any]:
    """Compare people's ratings with the score.

    Args:
        files: CSVs of ratings; a later row of a rater about a picture replaces an earlier one.
        table: CSV or Parquet with the columns concept, effective_count and score.
        penalty: of PELT, on scores and on ratings from 0 to 1 alike.
        resamples: of each bootstrap, and permutations of each test.
        seed: of their draws.

    Returns:
        A dict: how many ratings, raters, pictures and concepts, and how many were skipped; unknown_concepts, which
        `table` does not have; by_rater; correlation (see `correlate`), also given the count and on each side of the
        threshold on scores; agreement (Krippendorff's alpha); threshold, on the ratings and on the scores of the same
        concepts; by_concept. It does not depend on the order of rows.

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
    rated = rated_concepts(ratings, known, [row["concept"] for row in rows])
    draws: dict[str, Any] = {"penalty": penalty, "permutations": resamples, "seed": seed}
    on_scores = find_threshold(rated.counts, rated.scores, **draws)
    on_ratings = find_threshold(rated.counts, from_0_to_1(rated.means), **draws)
    add_intervals(on_ratings, rated, penalty=penalty, resamples=resamples, seed=seed)
    at = on_scores["threshold"] if on_scores["threshold"] is not None else on_scores["one_change"]["threshold"]
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
        "correlation": _correlation(rated, at, resamples, seed),
        "agreement": _agreement(rated, resamples, seed),
        "threshold": {
            "scale": f"ratings are (mean rating - {low}) / {high - low}, so 0 to 1",
            "penalty": penalty,
            "interval_kind": "percentile bootstrap over raters and concepts; above the first number, at most the "
            "second",
            "ratings": on_ratings,
            "scores": on_scores,
        },
        "by_concept": rows,
    }


def _range(ends: Sequence[float] | None, digits: int = 2) -> str:
    return "none" if ends is None else f"{ends[0]:.{digits}f} to {ends[1]:.{digits}f}"


def _found(found: Mapping[str, Any]) -> str:
    """Say a threshold on ratings or scores."""
    if found["p_value"] is None:
        return f"none: {found['reason']}"
    single, chance = found["one_change"], f"p = {found['p_value']:.2g} against no jump"
    if single["threshold"] is not None:
        best = f"best single split: {_images(single)}; {chance}"
    else:
        best = f"best single split: none, since chance alone often makes such a jump; {chance}"
    if found["threshold"] is None:
        return f"no change point; {best}"
    sides = f"({found['mean_below']:.2f} below, {found['mean_above']:.2f} above)"
    fall = "; they fall there: this is not a threshold of imitation" if found["falls"] else ""
    return f"{_images(found)} {sides}{fall}; {best}"


def _images(found: Mapping[str, Any]) -> str:
    text = as_images(found["threshold"])
    if "interval" not in found:
        return text
    share = found["resamples_with_an_answer"]
    few = f" of the {share:.0%} of resamples that have one" if share < CONFIDENCE else ""
    return f"{text} (95 %{few}: {_range(found['interval'], 0)})"


def _said(found: Mapping[str, Any]) -> str:
    """Say a correlation with its intervals."""
    if found["spearman"] is None:
        return f"no correlation: {found['reason']}"
    text = f"Spearman {found['spearman']:.2f}"
    if found["interval"]:
        text += (
            f" (95 %, for {number_of(found['raters'], 'other rater')} and other concepts: {_range(found['interval'])})"
        )
    elif found["interval_of_these_raters"]:
        of_these = _range(found["interval_of_these_raters"])
        text += f" (95 %, other concepts: {of_these}; no interval for other raters: {found['reason']})"
    else:
        text += f" (no interval: {found['reason']})"
    return text


def _correlation_lines(found: Mapping[str, Any]) -> Iterator[str]:
    kendall = "" if found["kendall"] is None else f", Kendall {found['kendall']:.2f}"
    yield f"score and mean rating of a concept: {_said(found)}{kendall}"
    yield f"the same, given the count (partial correlation): {_said(found['given_count'])}"
    at = found["sides"]["threshold_on_scores"]
    if at is None:
        yield "the same on each side of the threshold on scores: none, there is no such threshold"
        return
    for side in ("below", "above"):
        if found["sides"][side]:
            yield f"the same among concepts {side} {as_images(at)}: {_said(found['sides'][side])}"
    inside = [found["sides"][side] for side in ("below", "above") if found["sides"][side]]
    if found["interval"] and found["interval"][0] > 0 and not any((one["interval"] or [0])[0] > 0 for one in inside):
        yield (
            "score and people agree on which concepts have many images; whether they agree among concepts of like "
            "counts is not shown"
        )


def summary(report: Mapping[str, Any]) -> str:
    """Say a report of `make_report` in a few lines for a terminal."""
    agreement, threshold = report["agreement"], report["threshold"]
    lines = [
        f"{number_of(report['ratings'], 'rating')} by {number_of(report['raters'], 'rater')}, "
        f"{number_of(report['pictures'], 'picture')} of "
        f"{number_of(report['concepts'], 'concept')}, {report['skipped']} skipped; mean rating "
        f"{report['mean_rating']:.2f}",
        *_correlation_lines(report["correlation"]),
    ]
    both = agreement["pictures_with_two_or_more"]
    if agreement["alpha_ordinal"] is None:
        why = "all of them rated alike" if both else "nothing to compare"
        lines.append(f"agreement of raters: {number_of(both, 'picture', 'has')} two ratings or more; {why}")
    else:
        lines.append(
            f"agreement of raters: Krippendorff's alpha {agreement['alpha_ordinal']:.2f} (ordinal; 95 %: "
            f"{_range(agreement['alpha_ordinal_95'])}), {agreement['alpha_interval']:.2f} (interval; 95 %: "
            f"{_range(agreement['alpha_interval_95'])}), on {number_of(both, 'picture')} with two ratings or more"
        )
    lines += [
        f"threshold on ratings (0 to 1, penalty {threshold['penalty']}): {_found(threshold['ratings'])}",
        f"threshold on scores of the same concepts (penalty {threshold['penalty']}): {_found(threshold['scores'])}",
    ]
    return "\n".join(lines)
