"""Which training images show a concept: the cut on similarity, the matches above it, and the effective count."""

import sys
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from fit.embedders.files import read_embeddings, read_single_faces, stream_embeddings
from fit.errors import DataError
from fit.images.table import COLLECTED, REFERENCES, count_unique, read
from fit.nearby import nearest
from fit.usertables import LARGEST_COUNT, as_count, as_interval, once, plain, read_user_table, shown


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
    """The cut with the highest harmonic mean of TPR and 1 - FPR, in the middle of the widest gap that reaches it."""
    values = np.unique(np.concatenate([positive, negative]))
    cuts = np.concatenate([[values[0] - 1e-6], (values[1:] + values[:-1]) / 2])
    tpr = 1 - np.searchsorted(np.sort(positive), cuts, side="right") / len(positive)
    tnr = np.searchsorted(np.sort(negative), cuts, side="right") / len(negative)
    f1 = 2 * tpr * tnr / np.maximum(tpr + tnr, 1e-12)
    best = np.flatnonzero(f1 >= f1.max() - 1e-12)
    gaps = np.diff(values, prepend=values[0])[best]
    return float(cuts[best[np.argmax(gaps)]])


def _equal_error_rate(positive, negative):
    """Where as large a share of positives is refused as of negatives let through: (that share, the cut).

    Between two values the shares don't change, so they may cross without meeting; the rate is then their mean.
    """
    values = np.unique(np.concatenate([positive, negative]))
    cuts = np.concatenate([[values[0] - 1e-6], (values[1:] + values[:-1]) / 2, [values[-1]]])
    refused = np.searchsorted(np.sort(positive), cuts, side="right") / len(positive)
    let_through = 1 - np.searchsorted(np.sort(negative), cuts, side="right") / len(negative)
    nearest = np.flatnonzero(np.abs(refused - let_through) <= np.abs(refused - let_through).min() + 1e-12)
    at = nearest[len(nearest) // 2]
    return float((refused[at] + let_through[at]) / 2), float(cuts[at])


def find_cut(positive, negative, method):
    """The cosine that tells `positive` similarities from `negative` ones.

    Args:
        positive, negative: arrays of cosines (mean within each concept and between each two; or similarity to a text of
            artworks and of photographs).
        method: "midpoint" of the lowest positive and the highest negative; "best_f1", the highest harmonic mean of the
            true positive rate and 1 - the false positive rate (arXiv 2410.15002); or a number, taken as it is.

    Returns:
        A dict: cut, method, and how well it tells them apart: tpr and fpr at the cut, roc_auc, equal_error_rate and
        equal_error_cut, lowest_positive, highest_negative; and both cuts that can be found, midpoint and best_f1. With
        a given cut either side may be empty; what takes it is then None.

    Raises:
        DataError: there is nothing to find a cut with.
    """
    given = not isinstance(method, str)
    found: dict[str, Any] = {"positives": len(positive), "negatives": len(negative)}
    if len(positive) and len(negative):
        found["roc_auc"] = roc_auc(positive, negative)
        found["equal_error_rate"], found["equal_error_cut"] = _equal_error_rate(positive, negative)
        found["midpoint"] = float((positive.min() + negative.max()) / 2)
        found["best_f1"] = _best_f1(positive, negative)
    elif given:
        found |= dict.fromkeys(("roc_auc", "equal_error_rate", "equal_error_cut", "midpoint", "best_f1"))
    else:
        raise DataError(
            "no cut can be found: it takes two concepts or more, with two usable references or more each (for an art "
            "filter, references and photographs); add pictures to `domains.NAME.references`, lower "
            "`domains.NAME.references.least`, or give the cosine itself (`same_concept_cut`, or `art_filter.cut`)"
        )
    cut = float(method) if given else found[method]
    return {
        "cut": cut,
        "method": "given" if given else method,
        "tpr": float((positive > cut).mean()) if len(positive) else None,
        "fpr": float((negative > cut).mean()) if len(negative) else None,
        "lowest_positive": float(positive.min()) if len(positive) else None,
        "highest_negative": float(negative.max()) if len(negative) else None,
        **found,
    }


def highest_similarity(vectors, references):
    """The highest cosine of each of `vectors` [N, D] to any of `references` [R, D]; [N], -1 where there are none."""
    if not len(vectors) or not len(references):
        return np.full(len(vectors), -1.0, np.float32)
    return (vectors @ references.T).max(axis=1)


def highest_similarities(embeddings, references):
    """As highest_similarity, of a file of embeddings (a path) of any length, together with their image_ids [N]."""
    names, similarities = [np.zeros(0, object)], [np.zeros(0, np.float32)]
    for of_batch, vectors in stream_embeddings(embeddings):
        names.append(of_batch)
        similarities.append(highest_similarity(vectors, references))
    return np.concatenate(names), np.concatenate(similarities)


def scaled_matches(matches, captions, downloaded):
    """The effective count without its interval: round(matches x captions / downloaded), the number of matches where
    nothing was downloaded."""
    return round(matches * captions / downloaded) if downloaded else matches


def effective_count(matches, captions, downloaded, confidence=0.95):
    """How many training images of a concept there are, dead links and sampling accounted for.

    round(matches x captions / downloaded); where nothing was downloaded, the number of matches (arXiv 2410.15002,
    section 4). Its interval is Wilson's for the share of matches among the downloaded, times the captions; several
    faces of one image may match, so the share is held at 1 for the interval.

    Returns:
        (effective count, low, high), integers.
    """
    from scipy.stats import binomtest  # takes longer to import than matching a concept takes

    count = scaled_matches(matches, captions, downloaded)
    if not downloaded:
        return count, 0, captions
    share = binomtest(min(matches, downloaded), downloaded).proportion_ci(confidence, method="wilson")
    return (
        count,
        int(np.floor(share.low * captions)),
        int(np.ceil(share.high * captions)),
    )


def kept_vectors(references, embeddings):
    """Vectors [R, D] of the references that were kept and show exactly one face (or are embedded whole).

    Args:
        references: image table with `kept`; embeddings: of its candidates; paths.
    """
    table = read(references, ["image_id", "kept"], schema=REFERENCES)
    kept = set(table.filter(pc.field("kept")).column("image_id").to_pylist())
    names, vectors = read_single_faces(embeddings)
    return vectors[[name in kept for name in names]]


def no_cut(positive, negative, reason):
    """As find_cut returns it, where no cut was found and none is needed: `cut` is None, and `reason` says why."""
    numbers = ("tpr", "fpr", "roc_auc", "equal_error_rate", "equal_error_cut", "midpoint", "best_f1")
    found = dict.fromkeys(("cut", *numbers, "lowest_positive", "highest_negative"))
    return found | {"method": "none", "reason": reason, "positives": len(positive), "negatives": len(negative)}


def reference_means(references, embeddings):
    """concept_means of the kept references in files, a pair of paths per concept; concepts without any are left out."""
    vectors = [kept_vectors(*files) for files in zip(references, embeddings, strict=True)]
    return concept_means([of_concept for of_concept in vectors if len(of_concept)])


def similarity_to_texts(embeddings, texts):
    """The highest cosine of each image to any text, [N]; `embeddings`: paths of images; `texts`: path of texts."""
    of_texts = read_embeddings(texts)[1]
    return np.concatenate([np.zeros(0), *(highest_similarities(path, of_texts)[1] for path in embeddings)])


def match_images(images, references, reference_embeddings, cut, filtering=None):
    """Say of each training face or image of a concept whether it shows the concept.

    Args:
        images: embeddings of the training images; references, reference_embeddings: as kept_vectors takes them; paths.
        cut: cosine above which two images show the same concept.
        filtering: for styles, (embeddings of the same images by the art filter, embeddings of its texts, its cut).

    Returns:
        Arrow table with a row per row of `images`, in their order: image_id, similarity, match, and art_similarity
        where there is a filter.

    Raises:
        DataError: the art filter's embeddings are of other images.
    """
    names, similarity = highest_similarities(images, kept_vectors(references, reference_embeddings))
    match = similarity > cut
    columns = {"image_id": pa.array(names.tolist(), pa.string()), "similarity": pa.array(similarity)}
    if filtering:
        art_embeddings, texts, art_cut = filtering
        art_names, art_similarity = highest_similarities(art_embeddings, read_embeddings(texts)[1])
        if names.tolist() != art_names.tolist():
            raise DataError(f"{art_embeddings}: not of the same images as {images}; remove both and run again")
        match &= art_similarity > art_cut
        columns["art_similarity"] = pa.array(art_similarity)
    return pa.table(columns | {"match": pa.array(match)})


COUNTS = pa.schema(
    [
        ("concept", pa.string()),
        *((name, pa.int64()) for name in ("captions", "requested", "downloaded", "unique_images", "matches")),
        *((name, pa.int64()) for name in ("effective_count", "low", "high")),
        *((name, pa.int64()) for name in ("skipped_rows", "skipped_shards")),
    ]
)
"""unique_images: different perceptual hashes among the downloaded, so copies and near copies count once. skipped_rows
and skipped_shards: what of the corpus could not be read, and is in no count."""


SKIPPED = ("skipped_rows", "skipped_shards")
_MATCHES = pa.schema([("match", pa.bool_())])


def read_counts_of(path, needed):
    """Counts of concepts, as earlier stages write them or as somebody else may.

    Args:
        path: CSV, TSV or Parquet with the column concept; needed: columns of COUNTS that no row may lack.

    Returns:
        concept -> {column of COUNTS: whole number, None where it has none}, in the order of the rows.

    Raises:
        DataError: it can't be read, lacks a column or a number in it, has a concept twice, or holds something that is
            not a whole count or not within its interval.
    """
    names = COUNTS.names[1:]
    optional = [name for name in names if name not in needed]
    table = read_user_table(path, ("concept", *needed), optional=optional, empty=True)
    found = {}
    for index, (concept, row) in enumerate(zip(once(table), table.rows, strict=True)):
        where = f"{table.where(index)}, concept {shown(concept)}"
        found[concept] = {name: as_count(row.get(name), f"{where}: {name}") for name in names}
        for name in needed:
            if found[concept][name] is None:
                raise DataError(f"{where}: {name} is empty; write a whole number, or drop the row")
        as_interval(row, found[concept]["effective_count"], where)
    return found


def _of_concept(concept, found, path):
    """found[concept]; a DataError that names the file of `found` where it is not there."""
    if concept not in found:
        other = nearest(concept, found)
        meant = f" (is {plain([other])} of it?)" if other else ""
        raise DataError(
            f"{path}: no row of {concept!r}{meant}; count its captions too, or take it out of the other table"
        )
    return found[concept]


def estimate_counts(captions, matches, images):
    """Effective counts of concepts.

    Args:
        captions: path of caption counts, None where the images at hand are all there are: their matches are the count,
            exactly, and no captions stand beside it.
        matches: concept -> path of its matches; images: path of its image table, in the same order.

    Returns:
        Arrow table of the schema COUNTS; low and high are the interval of effective_count.

    Raises:
        DataError: as read_counts_of, or the caption counts lack a concept.
    """
    counted = read_counts_of(captions, ("captions",)) if captions else {}
    rows = []
    for (concept, of_concept), collected in zip(matches.items(), images, strict=True):
        images = read(collected, ["status", "perceptual_hash", "sha256"], schema=COLLECTED)
        status = images.column("status")
        downloaded = pc.sum(pc.equal(status, "ok")).as_py() or 0
        matched = pc.sum(read(of_concept, ["match"], schema=_MATCHES).column("match")).as_py() or 0
        of_captions = _of_concept(concept, counted, captions) if captions else {}
        mentioned = of_captions.get("captions")
        count, low, high = effective_count(matched, mentioned, downloaded) if captions else (matched,) * 3
        row: tuple[Any, ...] = (
            concept,
            mentioned,
            len(status),
            downloaded,
            count_unique(images),
            matched,
            count,
            low,
            high,
        )
        row += tuple(of_captions.get(name) or 0 for name in SKIPPED)
        rows.append(dict(zip(COUNTS.names, row, strict=True)))
    return pa.Table.from_pylist(rows, schema=COUNTS)


def scale_counts(captions, counts):
    """Another corpus's counts, scaled by the ratio of this corpus's captions to its own.

    Args:
        captions: path of this corpus's caption counts; counts: of the other's effective counts, with its captions.

    Returns:
        Arrow table of the schema COUNTS, in the order of `counts`; low and high are null where these have no interval.

    Raises:
        DataError: as read_counts_of; the caption counts lack a concept; or a count can't be scaled: it is of no
            captions, or becomes too large.
    """
    ours, theirs = read_counts_of(captions, ("captions",)), read_counts_of(counts, ("captions", "effective_count"))
    rows = []
    for concept, row in theirs.items():
        of_concept = _of_concept(concept, ours, captions)
        if row["effective_count"] and not row["captions"]:
            raise DataError(
                f"{counts}, concept {concept!r}: an effective count of {row['effective_count']:,} in 0 captions can't "
                "be scaled; correct captions, or drop the row"
            )
        ratio = of_concept["captions"] / row["captions"] if row["captions"] else 0.0
        scaled = {
            name: None if row[name] is None else round(row[name] * ratio) for name in ("effective_count", "low", "high")
        }
        if any(number is not None and number > LARGEST_COUNT for number in scaled.values()):
            raise DataError(
                f"{counts}, concept {concept!r}: its counts, times {ratio:g} (captions here by captions there), are "
                f"more than any count is ({LARGEST_COUNT:,}); correct captions in it or in {captions}"
            )
        rows.append({"concept": concept} | row | scaled | {"captions": of_concept["captions"]})
        rows[-1] |= {name: of_concept[name] or 0 for name in SKIPPED}
    if lost := [row["concept"] for row in rows if row["captions"] and not theirs[row["concept"]]["captions"]]:
        print(
            f"fit: {counts}: concepts without captions there, so that their counts stay 0 whatever {captions} has: "
            f"{len(lost)} ({plain(lost, 5)})",
            file=sys.stderr,
        )
    return pa.Table.from_pylist(rows, schema=COUNTS)
