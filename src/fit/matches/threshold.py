"""The match threshold: the cosine above which two images show the same concept, or an image is an artwork."""

from typing import Any

import numpy as np

from fit.embeddings.files import read_embeddings
from fit.errors import DataError
from fit.matches.similarity import highest_similarities
from fit.references.kept import kept_vectors


def concept_means(embeddings):
    """Mean cosine within each concept, and between each two.

    Args:
        embeddings: list of N arrays [M_i, D] of unit vectors, the references of a concept each.

    Returns:
        (within [N], between [N(N-1)/2]). Within a concept, an image is not compared with itself; a concept of one image
        has no mean and is left out of `within`.
    """
    if not embeddings:
        return np.zeros(0), np.zeros(0)
    sums = np.stack([vectors.sum(axis=0) for vectors in embeddings]).astype(np.float64)
    sizes = np.array([len(vectors) for vectors in embeddings], float)
    products = sums @ sums.T
    several = sizes > 1
    within = ((np.diag(products) - sizes) / np.where(several, sizes * (sizes - 1), 1))[several]
    upper = np.triu_indices(len(embeddings), 1)
    return within, (products / np.outer(sizes, sizes))[upper]


def roc_auc(positive, negative):
    """Area under the ROC curve: the probability that a positive exceeds a negative, ties counted half."""
    negative = np.sort(negative)
    below, up_to = (np.searchsorted(negative, positive, side=side) for side in ("left", "right"))
    return float((below + up_to).mean() / 2 / len(negative))


def _best_f1(positive, negative):
    """The match threshold with the highest harmonic mean of TPR and 1 - FPR, in the middle of the widest gap that reaches it."""
    values = np.unique(np.concatenate([positive, negative]))
    match_thresholds = np.concatenate([[values[0] - 1e-6], (values[1:] + values[:-1]) / 2])
    tpr = 1 - np.searchsorted(np.sort(positive), match_thresholds, side="right") / len(positive)
    tnr = np.searchsorted(np.sort(negative), match_thresholds, side="right") / len(negative)
    f1 = 2 * tpr * tnr / np.maximum(tpr + tnr, 1e-12)
    best = np.flatnonzero(f1 >= f1.max() - 1e-12)
    gaps = np.diff(values, prepend=values[0])[best]
    return float(match_thresholds[best[np.argmax(gaps)]])


def _equal_error_rate(positive, negative):
    """Where as large a share of positives is refused as of negatives let through: (that share, the match threshold).

    Between two values the shares don't change, so they may cross without meeting; the rate is then their mean.
    """
    values = np.unique(np.concatenate([positive, negative]))
    match_thresholds = np.concatenate([[values[0] - 1e-6], (values[1:] + values[:-1]) / 2, [values[-1]]])
    refused = np.searchsorted(np.sort(positive), match_thresholds, side="right") / len(positive)
    let_through = 1 - np.searchsorted(np.sort(negative), match_thresholds, side="right") / len(negative)
    nearest = np.flatnonzero(np.abs(refused - let_through) <= np.abs(refused - let_through).min() + 1e-12)
    at = nearest[len(nearest) // 2]
    return float((refused[at] + let_through[at]) / 2), float(match_thresholds[at])


def find_match_threshold(positive, negative, method):
    """The cosine that tells `positive` similarities from `negative` ones.

    Args:
        positive, negative: arrays of cosines (mean within each concept and between each two; or similarity to a text of
            artworks and of photographs).
        method: "midpoint" of the lowest positive and the highest negative; "best_f1", the highest harmonic mean of the
            true positive rate and 1 - the false positive rate (arXiv 2410.15002); or a number, taken as it is.

    Returns:
        A dict: match threshold, method, and how well it tells them apart: tpr and fpr at the match threshold, roc_auc, equal_error_rate and
        equal_error_threshold, lowest_positive, highest_negative; and both match thresholds that can be found, midpoint and best_f1. With
        a given match threshold either side may be empty; what takes it is then None.

    Raises:
        DataError: there is nothing to find a match threshold with.
    """
    given = not isinstance(method, str)
    found: dict[str, Any] = {"positives": len(positive), "negatives": len(negative)}
    if len(positive) and len(negative):
        found["roc_auc"] = roc_auc(positive, negative)
        found["equal_error_rate"], found["equal_error_threshold"] = _equal_error_rate(positive, negative)
        found["midpoint"] = float((positive.min() + negative.max()) / 2)
        found["best_f1"] = _best_f1(positive, negative)
    elif given:
        found |= dict.fromkeys(("roc_auc", "equal_error_rate", "equal_error_threshold", "midpoint", "best_f1"))
    else:
        raise DataError(
            "no match threshold can be found: it takes two concepts or more, with two usable references or more each (for an art "
            "filter, references and photographs); add pictures to `domains.NAME.references`, lower "
            "`domains.NAME.references.least`, or give the cosine itself (`match_threshold`, or `art_filter.threshold`)"
        )
    match_threshold = float(method) if given else found[method]
    return {
        "match_threshold": match_threshold,
        "method": "given" if given else method,
        "tpr": float((positive > match_threshold).mean()) if len(positive) else None,
        "fpr": float((negative > match_threshold).mean()) if len(negative) else None,
        "lowest_positive": float(positive.min()) if len(positive) else None,
        "highest_negative": float(negative.max()) if len(negative) else None,
        **found,
    }


def no_match_threshold(positive, negative, reason):
    """As find_match_threshold returns it, where no match threshold was found and none is needed: `match_threshold` is None, and `reason` says why."""
    numbers = ("tpr", "fpr", "roc_auc", "equal_error_rate", "equal_error_threshold", "midpoint", "best_f1")
    found = dict.fromkeys(("match_threshold", *numbers, "lowest_positive", "highest_negative"))
    return found | {"method": "none", "reason": reason, "positives": len(positive), "negatives": len(negative)}


def reference_means(references, embeddings):
    """concept_means of the kept references in files, a pair of paths per concept; concepts without any are left out."""
    vectors = [kept_vectors(*files) for files in zip(references, embeddings, strict=True)]
    return concept_means([of_concept for of_concept in vectors if len(of_concept)])


def similarity_to_texts(embeddings, texts):
    """The highest cosine of each image to any text, [N]; `embeddings`: paths of images; `texts`: path of texts."""
    of_texts = read_embeddings(texts)[1]
    return np.concatenate([np.zeros(0), *(highest_similarities(path, of_texts)[1] for path in embeddings)])
