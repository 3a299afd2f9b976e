"""The match threshold: the cosine above which two images show the same concept, or an image is an artwork."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TypedDict

import numpy as np

from fit.embeddings.files import read_embeddings
from fit.errors import DataError
from fit.io.concept_tables import ConceptTables
from fit.matches.similarity import highest_similarities
from fit.references.kept import kept_vectors


class MatchThreshold(TypedDict, total=False):
    """A match threshold, how it was found, and how well it tells positive similarities from negative ones.

    A number is None where it is unknown.
    """

    match_threshold: float | None
    """The cosine; None where none was found and none is needed."""
    method: str
    """A name of METHODS, "given", or "none"."""
    reason: str
    """Why none was found."""
    positives: int
    negatives: int
    tpr: float | None
    """True positive rate at the match threshold."""
    fpr: float | None
    """False positive rate at the match threshold."""
    roc_auc: float | None
    equal_error_rate: float | None
    equal_error_threshold: float | None
    midpoint: float | None
    """The match threshold by that method, whichever method was asked for; `best_f1` likewise."""
    best_f1: float | None
    mean_with_itself: bool
    """Whether the means within a concept include the cosine of each reference with itself (MeanSettings)."""
    by_mean: dict[str, dict[str, float]]
    """The match threshold by each method of METHODS, from either kind of mean: a key of MEANS -> method -> cosine. Only
    in files of means of references, as the key before."""
    lowest_positive: float | None
    highest_negative: float | None


MEANS = {"without_itself": False, "with_itself": True}
"""Name of a kind of mean within a concept -> MeanSettings.mean_with_itself."""


def concept_means(embeddings: list[np.ndarray], *, with_itself: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """Return the mean cosine within each concept, and between each two.

    Args:
        embeddings: N arrays [M_i, D] of unit vectors, the references of a concept each.
        with_itself: whether the mean within a concept includes the cosine of each image with itself, as in the code of
            arXiv 2410.15002: of M images with a mean m over pairs it is (1 + (M - 1) m) / M.

    Returns:
        (within [N], between [N(N-1)/2]). A concept of one image has no mean and is left out of `within`.
    """
    if not embeddings:
        return np.zeros(0), np.zeros(0)
    sums = np.stack([vectors.sum(axis=0) for vectors in embeddings]).astype(np.float64)
    sizes = np.array([len(vectors) for vectors in embeddings], float)
    products = sums @ sums.T
    several = sizes > 1
    if with_itself:
        within = (np.diag(products) / sizes**2)[several]
    else:
        within = ((np.diag(products) - sizes) / np.where(several, sizes * (sizes - 1), 1))[several]
    upper = np.triu_indices(len(embeddings), 1)
    return within, (products / np.outer(sizes, sizes))[upper]


def roc_auc(positive: np.ndarray, negative: np.ndarray) -> float:
    """Return the area under the ROC curve: the probability that a positive exceeds a negative, ties counted half."""
    negative = np.sort(negative)
    below, up_to = (np.searchsorted(negative, positive, side=side) for side in ("left", "right"))
    return float((below + up_to).mean() / 2 / len(negative))


def _midpoint(positive: np.ndarray, negative: np.ndarray) -> float:
    """Return the middle between the lowest positive and the highest negative similarity."""
    return float((positive.min() + negative.max()) / 2)


def _best_f1(positive: np.ndarray, negative: np.ndarray) -> float:
    """Return the threshold with the highest harmonic mean of TPR and 1 - FPR (arXiv 2410.15002).

    Of several such thresholds, it is the middle of the widest gap between two similarities.
    """
    values = np.unique(np.concatenate([positive, negative]))
    match_thresholds = np.concatenate([[values[0] - 1e-6], (values[1:] + values[:-1]) / 2])
    tpr = 1 - np.searchsorted(np.sort(positive), match_thresholds, side="right") / len(positive)
    tnr = np.searchsorted(np.sort(negative), match_thresholds, side="right") / len(negative)
    f1 = 2 * tpr * tnr / np.maximum(tpr + tnr, 1e-12)
    best = np.flatnonzero(f1 >= f1.max() - 1e-12)
    gaps = np.diff(values, prepend=values[0])[best]
    return float(match_thresholds[best[np.argmax(gaps)]])


def _best_f1_published(positive: np.ndarray, negative: np.ndarray) -> float:
    """Return the threshold with the highest harmonic mean of TPR and 1 - FPR as the code of arXiv 2410.15002 finds it.

    It tries the similarities themselves, from the highest down, as scikit-learn's roc_curve lists them, takes what
    reaches a similarity as accepted, and keeps the first of the best. So it is the lowest positive that is still
    accepted. Here an image matches if it exceeds the threshold, so the largest number below that positive is returned.
    """
    tried = np.unique(np.concatenate([positive, negative]))[::-1]
    tpr = (len(positive) - np.searchsorted(np.sort(positive), tried)) / len(positive)
    fpr = (len(negative) - np.searchsorted(np.sort(negative), tried)) / len(negative)
    # Both are 0 where all negatives, and no positive, are accepted.
    f1 = 2 * tpr * (1 - fpr) / np.maximum(tpr + (1 - fpr), 1e-300)
    return float(np.nextafter(tried[np.argmax(f1)], -np.inf))


METHODS: dict[str, Callable[[np.ndarray, np.ndarray], float]] = {
    "midpoint": _midpoint,
    "best_f1": _best_f1,
    "best_f1_published": _best_f1_published,
}
"""Name of a method -> function(positive [P], negative [N]) that finds a threshold. A number may be given instead."""


def _equal_error_rate(positive: np.ndarray, negative: np.ndarray) -> tuple[float, float]:
    """Return (rate, threshold) where the share of positives that is refused equals that of negatives that is accepted.

    Between two similarities the shares do not change, so they may cross without meeting; the rate is then their mean.
    """
    values = np.unique(np.concatenate([positive, negative]))
    match_thresholds = np.concatenate([[values[0] - 1e-6], (values[1:] + values[:-1]) / 2, [values[-1]]])
    refused = np.searchsorted(np.sort(positive), match_thresholds, side="right") / len(positive)
    accepted = 1 - np.searchsorted(np.sort(negative), match_thresholds, side="right") / len(negative)
    nearest = np.flatnonzero(np.abs(refused - accepted) <= np.abs(refused - accepted).min() + 1e-12)
    at = nearest[len(nearest) // 2]
    return float((refused[at] + accepted[at]) / 2), float(match_thresholds[at])


def find_match_threshold(positive: np.ndarray, negative: np.ndarray, method: str | float) -> MatchThreshold:
    """Find the cosine that tells positive similarities from negative ones.

    Args:
        positive: [P] cosines: the mean within each concept, or the similarity of artworks to a text.
        negative: [N] cosines: the mean between each two concepts, or the similarity of photographs to a text.
        method: a name of METHODS; or a cosine, which is taken as it is ("given").

    Returns:
        The match threshold and its quality. Where it is given, either side may be empty; what needs that side is None.

    Raises:
        DataError: there is nothing to find a match threshold with.
    """
    quality: MatchThreshold = {"positives": len(positive), "negatives": len(negative)}
    if len(positive) and len(negative):
        quality["roc_auc"] = roc_auc(positive, negative)
        quality["equal_error_rate"], quality["equal_error_threshold"] = _equal_error_rate(positive, negative)
        quality["midpoint"], quality["best_f1"] = _midpoint(positive, negative), _best_f1(positive, negative)
    elif isinstance(method, str):
        raise DataError(
            "no match threshold can be found: it takes two concepts or more, with two usable references or more each "
            "(for an art filter, references and photographs); add pictures to `domains.NAME.references`, lower "
            "`domains.NAME.references.least`, or give the cosine itself (`match_threshold`, or `art_filter.threshold`)"
        )
    else:
        quality["roc_auc"] = quality["equal_error_rate"] = quality["equal_error_threshold"] = None
        quality["midpoint"] = quality["best_f1"] = None
    threshold = METHODS[method](positive, negative) if isinstance(method, str) else float(method)
    return {
        "match_threshold": threshold,
        "method": method if isinstance(method, str) else "given",
        "tpr": float((positive > threshold).mean()) if len(positive) else None,
        "fpr": float((negative > threshold).mean()) if len(negative) else None,
        "lowest_positive": float(positive.min()) if len(positive) else None,
        "highest_negative": float(negative.max()) if len(negative) else None,
        **quality,
    }


def no_match_threshold(positive: np.ndarray, negative: np.ndarray, reason: str) -> MatchThreshold:
    """Return what find_match_threshold returns, where no match threshold was found and none is needed.

    Args:
        positive: [P] cosines.
        negative: [N] cosines.
        reason: why none was found.
    """
    return {
        "match_threshold": None,
        "tpr": None,
        "fpr": None,
        "roc_auc": None,
        "equal_error_rate": None,
        "equal_error_threshold": None,
        "midpoint": None,
        "best_f1": None,
        "lowest_positive": None,
        "highest_negative": None,
        "method": "none",
        "reason": reason,
        "positives": len(positive),
        "negatives": len(negative),
    }


def reference_vectors(references: ConceptTables, embeddings: ConceptTables) -> dict[str, np.ndarray]:
    """Return the vectors of the kept references: concept -> [R, D]; concepts without any are left out.

    Args:
        references: image tables with the column `kept`.
        embeddings: embeddings of the same images.
    """
    vectors = ((concept, kept_vectors(references, embeddings, concept)) for concept in references)
    return {concept: of_concept for concept, of_concept in vectors if len(of_concept)}


def reference_means(
    references: ConceptTables, embeddings: ConceptTables, *, with_itself: bool = False
) -> tuple[np.ndarray, np.ndarray]:
    """Return concept_means of the vectors that reference_vectors returns."""
    return concept_means(list(reference_vectors(references, embeddings).values()), with_itself=with_itself)


def say_means(found: MatchThreshold, vectors: list[np.ndarray], with_itself: bool) -> MatchThreshold:
    """Return a match threshold of references with the keys mean_with_itself and by_mean.

    Args:
        found: of find_match_threshold or no_match_threshold.
        vectors: the references [M_i, D] of each concept.
        with_itself: what concept_means was told for `found`.
    """
    by_mean = {}
    for name, itself in MEANS.items():
        within, between = concept_means(vectors, with_itself=itself)
        if len(within) and len(between):
            by_mean[name] = {method: find(within, between) for method, find in METHODS.items()}
    return {**found, "mean_with_itself": with_itself, "by_mean": by_mean}


def similarity_to_texts(embeddings: ConceptTables, texts: str | Path) -> np.ndarray:
    """Return the highest cosine of each image of each concept to any text, [N].

    Args:
        embeddings: embeddings of images.
        texts: path of the embeddings of texts by the same embedder.
    """
    return _similarity_to_texts(((embeddings.path(concept), concept) for concept in embeddings), texts)


def similarity_of_photographs(embeddings: Iterable[str | Path], texts: str | Path) -> np.ndarray:
    """Return what similarity_to_texts returns, of photographs, which are of no concept.

    Args:
        embeddings: paths of embeddings.
        texts: path of the embeddings of texts by the same embedder.
    """
    return _similarity_to_texts(((path, None) for path in embeddings), texts)


def _similarity_to_texts(parts: Iterable[tuple[str | Path, str | None]], texts: str | Path) -> np.ndarray:
    of_texts = read_embeddings(texts)[1]
    return np.concatenate([np.zeros(0), *(highest_similarities(path, of_texts, concept)[1] for path, concept in parts)])
