"""The effective count: how many training images of a concept there are."""

import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from fit.concepts.sheet import read_sheet
from fit.errors import DataError
from fit.images.table import COLLECTED, count_unique
from fit.io.concept_tables import ConceptTables
from fit.io.nearby import nearest
from fit.io.numbers import LARGEST_COUNT, as_count, as_interval
from fit.io.shown import plain, shown
from fit.io.user_tables import once, read_user_table


def scaled_matches(matches: int, captions: int, downloaded: int) -> int:
    """Return the effective count without its interval.

    It is round(matches x captions / downloaded); where nothing was downloaded, the number of matches.
    """
    return round(matches * captions / downloaded) if downloaded else matches


def effective_count(matches: int, captions: int, downloaded: int, confidence: float = 0.95) -> tuple[int, int, int]:
    """Return how many training images of a concept there are, dead links and sampling accounted for.

    It is round(matches x captions / downloaded); where nothing was downloaded, the number of matches (arXiv 2410.15002,
    section 4). Its interval is Wilson's for the share of matches among the downloaded images, times the captions.
    Several faces of one image may match, so the share is at most 1 for the interval.

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

Counts = dict[str, int | None]
"""Column of COUNTS -> a concept's number; None where it has none."""

_MATCHES = pa.schema([("image_id", pa.string()), ("match", pa.bool_())])


def read_counts_of(path: str | Path, needed: tuple[str, ...]) -> dict[str, Counts]:
    """Read counts of concepts, as earlier stages write them or as somebody else may.

    Args:
        path: CSV, TSV or Parquet with the column concept.
        needed: columns of COUNTS that no row may lack.

    Returns:
        concept -> its counts, in the order of the rows.

    Raises:
        DataError: it cannot be read, lacks a column or a number in it, has a concept twice, or holds something that is
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


def _of_concept(concept: str, found: dict[str, Counts], path: str | Path) -> Counts:
    """Return found[concept]; raise a DataError that names the file of `found` where it is not there."""
    if concept not in found:
        other = nearest(concept, found)
        meant = f" (is {plain([other])} of it?)" if other else ""
        raise DataError(
            f"{path}: no row of {concept!r}{meant}; count its captions too, or take it out of the other table"
        )
    return found[concept]


def _number(value: int | None) -> int:
    """Return a number that was read with read_counts_of as `needed`, so that it is known."""
    assert value is not None
    return value


def estimate_counts(
    captions: str | Path | None, matches: ConceptTables, images: ConceptTables, sheet: str | Path
) -> pa.Table:
    """Estimate the effective counts of the concepts of a sheet that the matches have.

    Args:
        captions: path of caption counts. None where the collected images are all there are: their matches are the
            count, exactly, and there is no number of captions.
        matches: tables of matches.
        images: image tables of the schema COLLECTED.
        sheet: path of the concept sheet, whose order the rows have.

    Returns:
        Arrow table of the schema COUNTS; low and high are the interval of effective_count.

    Raises:
        DataError: as read_counts_of; the caption counts or the images lack a concept; or more images match than there
            are.
    """
    counted = read_counts_of(captions, ("captions",)) if captions else {}
    concepts = [concept.slug for concept in read_sheet(sheet) if concept.slug in matches]
    wanted = set(concepts)
    matched_of = {
        concept: (
            pc.sum(rows.column("match")).as_py() or 0,
            pc.count_distinct(rows.column("image_id").filter(rows.column("match"))).as_py(),
        )
        for concept, rows in matches.each(["image_id", "match"], schema=_MATCHES)
        if concept in wanted
    }
    collected_of = {
        concept: (len(rows), pc.sum(pc.equal(rows.column("status"), "ok")).as_py() or 0, count_unique(rows))
        for concept, rows in images.each(["status", "perceptual_hash", "sha256"], schema=COLLECTED)
        if concept in wanted
    }
    rows = []
    for concept in concepts:
        if concept not in collected_of:
            images.path(concept)  # raises a DataError
        requested, downloaded, unique = collected_of[concept]
        matched, of_images = matched_of[concept]
        if of_images > downloaded:
            raise DataError(
                f"{matches.path(concept)}, concept {concept!r}: {of_images:,} images match, but {images.path(concept)} "
                f"has {downloaded:,}; they are not of the same images: make the matches again, or remove the table of "
                "images that was made alone"
            )
        of_captions = _of_concept(concept, counted, captions) if captions else {}
        mentioned = of_captions.get("captions")
        count, low, high = (matched,) * 3 if mentioned is None else effective_count(matched, mentioned, downloaded)
        rows.append(
            {
                "concept": concept,
                "captions": mentioned,
                "requested": requested,
                "downloaded": downloaded,
                "unique_images": unique,
                "matches": matched,
                "effective_count": count,
                "low": low,
                "high": high,
                **{name: of_captions.get(name) or 0 for name in SKIPPED},
            }
        )
    return pa.Table.from_pylist(rows, schema=COUNTS)


def scale_counts(captions: str | Path, counts: str | Path) -> pa.Table:
    """Scale another corpus's counts by the ratio of this corpus's captions to its own.

    Args:
        captions: path of this corpus's caption counts.
        counts: path of the other corpus's effective counts, with its captions.

    Returns:
        Arrow table of the schema COUNTS, in the order of `counts`; low and high are null where these have no interval.

    Raises:
        DataError: as read_counts_of; the caption counts lack a concept; or a count cannot be scaled: it has no
            captions, or becomes too large.
    """
    ours, theirs = read_counts_of(captions, ("captions",)), read_counts_of(counts, ("captions", "effective_count"))
    rows: list[dict[str, str | int | None]] = []
    for concept, row in theirs.items():
        of_concept = _of_concept(concept, ours, captions)
        mentioned, mentioned_there = _number(of_concept["captions"]), _number(row["captions"])
        if row["effective_count"] and not mentioned_there:
            raise DataError(
                f"{counts}, concept {concept!r}: an effective count of {row['effective_count']:,} in 0 captions cannot "
                "be scaled; correct captions, or drop the row"
            )
        ratio = mentioned / mentioned_there if mentioned_there else 0.0
        scaled = {
            name: None if (number := row[name]) is None else round(number * ratio)
            for name in ("effective_count", "low", "high")
        }
        if any(number is not None and number > LARGEST_COUNT for number in scaled.values()):
            raise DataError(
                f"{counts}, concept {concept!r}: its counts, times {ratio:g} (captions here by captions there), are "
                f"more than any count is ({LARGEST_COUNT:,}); correct captions in it or in {captions}"
            )
        skipped = {name: of_concept[name] or 0 for name in SKIPPED}
        rows.append({"concept": concept, **row, **scaled, "captions": mentioned, **skipped})
    lost = [concept for concept, row in theirs.items() if not row["captions"] and ours[concept]["captions"]]
    if lost:
        print(
            f"fit: {counts}: concepts without captions there, so that their counts stay 0 whatever {captions} has: "
            f"{len(lost)} ({plain(lost, 5)})",
            file=sys.stderr,
        )
    return pa.Table.from_pylist(rows, schema=COUNTS)
