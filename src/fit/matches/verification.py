"""How well an embedder recognises the concepts of each group: a recogniser that errs more on one group than on another
would move that group's threshold."""

from pathlib import Path

import numpy as np

from fit.errors import DataError
from fit.matches.threshold import concept_means, find_match_threshold
from fit.references.kept import kept_vectors

EVERYONE = "all"
RESAMPLES = 1000


def count_pairs(embeddings, match_threshold):
    """Pairs of images of each two concepts, and how many of them exceed the match threshold.

    Args:
        embeddings: list of C arrays [M_i, D] of unit vectors; match threshold: cosine.

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


def _rates(above, pairs, weights):
    """(FNMR [R], FMR [R]) of R rows of weights [R, C]: how often each concept was drawn."""
    genuine, accepted = np.diag(pairs), np.diag(above)
    others = 1 - np.eye(len(pairs))
    with np.errstate(invalid="ignore", divide="ignore"):
        fnmr = 1 - (weights @ accepted) / (weights @ genuine)
        fmr = np.einsum("rc,rc->r", weights @ (above * others), weights) / np.einsum(
            "rc,rc->r", weights @ (pairs * others), weights
        )
    return fnmr, fmr


def error_rates(embeddings, groups, match_threshold, seed):
    """How often a recogniser errs, over everyone and by group.

    The false non-match rate (FNMR) is the share of pairs of images of one concept whose cosine is at most the match threshold; the
    false match rate (FMR) is the share of pairs of images of two concepts *of one group* whose cosine exceeds it
    (ISO/IEC 19795-1, with pairs of single images as trials). Their 95 % intervals are percentiles of a bootstrap over
    concepts, since the pairs of one concept are no independent trials.

    Args:
        embeddings: list of C arrays [M_i, D] of unit vectors, M_i at least 1.
        groups: [C] names, "" for none; match threshold: cosine; seed: of the bootstrap.

    Returns:
        A list of dicts, everyone first: group, concepts, genuine_pairs, impostor_pairs, fnmr, fnmr_low, fnmr_high, fmr,
        fmr_low, fmr_high; a rate without pairs is None.
    """
    above, pairs = count_pairs(embeddings, match_threshold)
    groups = np.asarray(groups, dtype=str)
    rng = np.random.default_rng(seed)
    rows = []
    for group in [EVERYONE, *sorted(set(groups) - {""})]:
        members = np.flatnonzero((groups == group) | (group == EVERYONE))
        of_group = above[np.ix_(members, members)], pairs[np.ix_(members, members)]
        size = len(members)
        draws = rng.multinomial(size, np.full(size, 1 / size), size=RESAMPLES).astype(np.float64)
        row = {"group": group, "concepts": size}
        row["genuine_pairs"] = int(np.diag(of_group[1]).sum())
        row["impostor_pairs"] = int(of_group[1].sum() - row["genuine_pairs"]) // 2
        points = _rates(*of_group, np.ones((1, size)))
        for name, point, resampled in zip(("fnmr", "fmr"), points, _rates(*of_group, draws), strict=True):
            usable = resampled[np.isfinite(resampled)]
            known = bool(np.isfinite(point[0]))
            row[name] = float(point[0]) if known else None
            row[f"{name}_low"], row[f"{name}_high"] = (
                map(float, np.quantile(usable, [0.025, 0.975])) if known and len(usable) else (None, None)
            )
        rows.append(row)
    return rows


def assess(concepts, references, embeddings, method, seed):
    """The error rates of one recogniser at its own match threshold.

    Args:
        concepts: list of fit.concepts.sheet.Concept; references: folder of reference tables, a file SLUG.parquet each.
        embeddings: folder of their embeddings; method: of the match threshold, as fit.matches.threshold.find_match_threshold takes it; seed: an integer.

    Returns:
        (what find_match_threshold returns, what error_rates returns). Concepts without a usable reference are left out.

    Raises:
        DataError: the folder lacks a concept, or there are not enough references to find a match threshold.
    """
    vectors, groups = [], []
    for concept in concepts:
        files = [Path(folder, f"{concept.slug}.parquet") for folder in (references, embeddings)]
        for file in files:
            if not file.is_file():
                raise DataError(f"{file}: there is no such file; ask snakemake for it, or take the row from the sheet")
        of_concept = kept_vectors(*files)
        if len(of_concept):
            vectors.append(of_concept)
            groups.append(concept.group)
    if not vectors:
        raise DataError(f"{embeddings}: no concept has a usable reference")
    within, between = concept_means(vectors)
    found = find_match_threshold(within, between, method)
    return found, error_rates(vectors, groups, found["match_threshold"], seed)
