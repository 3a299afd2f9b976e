"""The effective count: how many training images of a concept there are."""

import sys
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from fit.errors import DataError
from fit.images.table import COLLECTED, count_unique
from fit.io.nearby import nearest
from fit.io.parquet import read
from fit.io.user_tables import LARGEST_COUNT, as_count, as_interval, once, plain, read_user_table, shown


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
