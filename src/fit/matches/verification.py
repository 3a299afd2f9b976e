"""How well an embedder verifies that two images show one concept, by group of concepts.

An embedder that errs more on one group than on another would move that group's threshold. The words are those of
ISO/IEC 19795-1: false match rate (FMR) and false non-match rate (FNMR).
"""

from collections.abc import Iterable, Sequence
from typing import Any, TypedDict

import numpy as np

from fit.concepts.sheet import Concept
from fit.errors import DataError
from fit.io.concept_tables import ConceptTables
from fit.io.escaping import delimited
from fit.matches.threshold import MatchThreshold, concept_means, find_match_threshold
from fit.references.kept import kept_vectors

EVERYONE = "all"
"""Name of the row of all concepts."""
RESAMPLES = 1000
"""Of the bootstrap."""
COLUMNS = ("embedder", "group", "concepts", "match_threshold", "ROC AUC", "equal error rate", "FNMR", "FMR")


class ErrorRates(TypedDict):
    """How often an embedder errs on a group of concepts; a rate without pairs is None, and so is its interval."""

    group: str
    concepts: int
    genuine_pairs: int
    impostor_pairs: int
    fnmr: float | None
    fnmr_low: float | None
    fnmr_high: float | None
    fmr: float | None
    fmr_low: float | None
    fmr_high: float | None


def count_pairs(embeddings: list[np.ndarray], match_threshold: float) -> tuple[np.ndarray, np.ndarray]:
    """Count the pairs of images of each two concepts, and how many of them exceed the match threshold.

    Args:
        embeddings: C arrays [M_i, D] of unit vectors.
        match_threshold: cosine.

    Returns:
        (above [C, C], pairs [C, C]), symmetric. On the diagonal are pairs of two images of one concept, each once; an
        image is not compared with itself.
    """
    sizes = np.array([len(vectors) for vectors in embeddings])
    every = np.concatenate(embeddings)
    starts = np.concatenate([[0], np.cumsum(sizes)[:-1]])
    above = np.stack(
        [
            np.add.reduceat((vectors @ every.T > match_threshold).sum(axis=0, dtype=np.int64), starts)
            for vectors in embeddings
        ]
    )
    pairs = np.outer(sizes, sizes)
    of_itself = [int((np.einsum("md,md->m", vectors, vectors) > match_threshold).sum()) for vectors in embeddings]
    above[np.diag_indices(len(sizes))] = (np.diag(above) - of_itself) // 2
    pairs[np.diag_indices(len(sizes))] = sizes * (sizes - 1) // 2
    return above, pairs


def _rates(above: np.ndarray, pairs: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return (FNMR [R], FMR [R]) of R rows of weights [R, C]: how often each concept was drawn."""
    genuine, accepted = np.diag(pairs), np.diag(above)
    others = 1 - np.eye(len(pairs))
    with np.errstate(invalid="ignore", divide="ignore"):
        fnmr = 1 - (weights @ accepted) / (weights @ genuine)
        fmr = np.einsum("rc,rc->r", weights @ (above * others), weights) / np.einsum(
            "rc,rc->r", weights @ (pairs * others), weights
        )
    return fnmr, fmr


def _error_rates(group: str, above: np.ndarray, pairs: np.ndarray, rng: np.random.Generator) -> ErrorRates:
    """Return the error rates of one group; `above` [C, C] and `pairs` [C, C] are as count_pairs returns them."""
    size = len(pairs)
    draws = rng.multinomial(size, np.full(size, 1 / size), size=RESAMPLES).astype(np.float64)
    ends: list[tuple[float | None, float | None, float | None]] = []
    points = _rates(above, pairs, np.ones((1, size)))
    for point, resampled in zip(points, _rates(above, pairs, draws), strict=True):
        usable = resampled[np.isfinite(resampled)]
        if not np.isfinite(point[0]):
            ends.append((None, None, None))
        elif not len(usable):
            ends.append((float(point[0]), None, None))
        else:
            low, high = np.quantile(usable, [0.025, 0.975])
            ends.append((float(point[0]), float(low), float(high)))
    (fnmr, fnmr_low, fnmr_high), (fmr, fmr_low, fmr_high) = ends
    genuine = int(np.diag(pairs).sum())
    return {
        "group": group,
        "concepts": size,
        "genuine_pairs": genuine,
        "impostor_pairs": int(pairs.sum() - genuine) // 2,
        "fnmr": fnmr,
        "fnmr_low": fnmr_low,
        "fnmr_high": fnmr_high,
        "fmr": fmr,
        "fmr_low": fmr_low,
        "fmr_high": fmr_high,
    }


def error_rates(
    embeddings: list[np.ndarray], groups: Sequence[str], match_threshold: float, seed: int
) -> list[ErrorRates]:
    """Return how often an embedder errs, over everyone and by group.

    The false non-match rate (FNMR) is the share of pairs of images of one concept whose cosine is at most the match
    threshold. The false match rate (FMR) is the share of pairs of images of two concepts *of one group* whose cosine
    exceeds it (ISO/IEC 19795-1, with pairs of single images as trials). Their 95 % intervals are percentiles of a
    bootstrap over concepts, since the pairs of one concept are not independent trials.

    Args:
        embeddings: C arrays [M_i, D] of unit vectors, M_i at least 1.
        groups: [C] names, "" for none.
        match_threshold: cosine.
        seed: of the bootstrap.

    Returns:
        A row for everyone, and then a row for each group.
    """
    above, pairs = count_pairs(embeddings, match_threshold)
    of_concepts = np.asarray(groups, dtype=str)
    rng = np.random.default_rng(seed)
    rows = []
    for group in [EVERYONE, *sorted(set(of_concepts.tolist()) - {""})]:
        members = np.flatnonzero((of_concepts == group) | (group == EVERYONE))
        of_group = np.ix_(members, members)
        rows.append(_error_rates(group, above[of_group], pairs[of_group], rng))
    return rows


def verify(
    concepts: Iterable[Concept],
    references: ConceptTables,
    embeddings: ConceptTables,
    method: str | float,
    seed: int,
    *,
    mean_with_itself: bool = False,
) -> tuple[MatchThreshold, list[ErrorRates]]:
    """Return the error rates of one embedder at its own match threshold.

    Args:
        concepts: of the sheet; those without a usable reference are left out.
        references: image tables with the column `kept`.
        embeddings: embeddings of the same images by the embedder.
        method: of the match threshold, as fit.matches.threshold.find_match_threshold takes it.
        seed: of the bootstrap.
        mean_with_itself: of MeanSettings.

    Returns:
        (what find_match_threshold returns, what error_rates returns).

    Raises:
        DataError: a table lacks a concept, or there are not enough references to find a match threshold.
    """
    vectors, groups = [], []
    for concept in concepts:
        of_concept = kept_vectors(references, embeddings, concept.slug)
        if len(of_concept):
            vectors.append(of_concept)
            groups.append(concept.group)
    if not vectors:
        raise DataError(f"{', '.join(map(str, embeddings.places))}: no concept has a usable reference")
    found = find_match_threshold(*concept_means(vectors, with_itself=mean_with_itself), method)
    threshold = found["match_threshold"]
    assert threshold is not None
    return found, error_rates(vectors, groups, threshold, seed)


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}"


def _rate(rate: float | None, low: float | None, high: float | None) -> str:
    if rate is None:
        return ""
    return f"{rate:.4f}" if low is None or high is None else f"{rate:.4f} ({low:.4f} to {high:.4f})"


def tabulate(verified: Iterable[tuple[str, MatchThreshold, list[ErrorRates]]]) -> str:
    """Return the errors of embedders by group as tab-separated text, with 95 % intervals in brackets.

    Args:
        verified: (name of the embedder, *what verify returns) each.
    """
    lines: list[tuple[str | int, ...]] = [COLUMNS]
    for name, found, rows in verified:
        quality = [_number(found[key]) for key in ("match_threshold", "roc_auc", "equal_error_rate")]
        for row in rows:
            fnmr = _rate(row["fnmr"], row["fnmr_low"], row["fnmr_high"])
            fmr = _rate(row["fmr"], row["fmr_low"], row["fmr_high"])
            lines.append((name, row["group"], row["concepts"], *quality, fnmr, fmr))
    return delimited(lines)


def rows_of_verified(verified: Iterable[tuple[str, MatchThreshold, list[ErrorRates]]]) -> list[dict[str, Any]]:
    """Return what `tabulate` writes in builtins: a row for each embedder and group, its numbers not rounded."""
    keys = ("match_threshold", "roc_auc", "equal_error_rate")
    return [
        {"embedder": name, **row, **{key: found.get(key) for key in keys}}
        for name, found, rows in verified
        for row in rows
    ]
