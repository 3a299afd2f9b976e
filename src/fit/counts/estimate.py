"""The effective count: how many training images of a concept there are."""

import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from fit.concepts.sheet import read_sheet
from fit.counts.corrected import ImageErrors, corrected_count
from fit.errors import DataError
from fit.images.table import COLLECTED, count_unique
from fit.io.concept_tables import ConceptTables
from fit.io.nearby import nearest
from fit.io.numbers import LARGEST_COUNT, as_count, as_interval, as_number
from fit.io.shown import number_of, plain, shown
from fit.io.user_tables import once, read_user_table
from fit.thresholds.unseen import PRIOR, interval_of_total


def scaled_matches(matches: int, captions: int, downloaded: int) -> int:
    """Return the effective count without its interval.

    It is round(matches x captions / downloaded); where nothing was downloaded, the number of matches.
    """
    return round(matches * captions / downloaded) if downloaded else matches


def effective_count(
    matches: int, captions: int, downloaded: int, confidence: float = 0.95, beyond: int = 0
) -> tuple[int, int, int]:
    """Return how many training images of a concept there are, dead links and sampling accounted for.

    It is round(matches x captions / downloaded); where nothing was downloaded, the number of matches (arXiv 2410.15002,
    section 4). Captions that were read completely have no error; the interval is that of the matches among the images
    which were not downloaded (fit.thresholds.unseen). Where several faces of an image match, so may those of others.

    Args:
        matches: of the downloaded images.
        captions: that mention the concept.
        downloaded: of their images.
        confidence: of the interval.
        beyond: captions that may be in rows which were not read; the high end includes their matches.

    Returns:
        (effective count, low, high), integers.
    """
    count = scaled_matches(matches, captions, downloaded)
    if not downloaded:
        return count, count, max(count, captions + beyond)
    low, high = interval_of_total(matches, captions, downloaded, confidence)
    if beyond:
        high = interval_of_total(matches, captions + beyond, downloaded, confidence)[1]
    return count, min(low, count), max(high, count)


def captions_beyond(captions: int, read_rows: int, skipped_rows: int, confidence: float = 0.95) -> int:
    """Return how many captions of a concept the rows that were skipped may hold, at most.

    They are taken for rows like the others, so the number is the high end of a negative binomial: of Poisson captions
    whose rate has the posterior Gamma(captions + 1/2, read_rows).

    Args:
        captions: in the rows that were read.
        read_rows: how many were read; 0 if unknown, and then nothing can be said: 0.
        skipped_rows: how many were not.
        confidence: of an interval with two ends.
    """
    from scipy.stats import nbinom

    if not read_rows or not skipped_rows:
        return 0
    return int(nbinom.ppf((1 + confidence) / 2, captions + PRIOR, read_rows / (read_rows + skipped_rows)))


COUNTS = pa.schema(
    [
        ("concept", pa.string()),
        *((name, pa.int64()) for name in ("captions", "requested", "downloaded", "unique_images", "matches")),
        *((name, pa.int64()) for name in ("effective_count", "low", "high")),
        *((name, pa.int64()) for name in ("corrected_count", "corrected_low", "corrected_high")),
        *((name, pa.int64()) for name in ("skipped_rows", "skipped_shards")),
    ]
)
"""unique_images: different perceptual hashes among the downloaded, so copies and near copies count once. skipped_rows
and skipped_shards: what of the corpus could not be read, and is in no count; `high` allows for the rows.
corrected_count and its interval: the effective count without the errors of the recogniser (fit.counts.corrected); null
if its rates are unknown."""
UNROUNDED = pa.field("unrounded_count", pa.float64())
"""The effective count before it was rounded: a column of counts that ScalingSettings.round_scaled leaves unrounded."""
CORRECTED = ("corrected_count", "corrected_low", "corrected_high")
SKIPPED = ("skipped_rows", "skipped_shards")
READ_ROWS = "corpus_rows"
"""Column of caption counts: the rows that were read."""

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
    names = [*COUNTS.names[1:], READ_ROWS]
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


def read_unrounded(path: str | Path) -> dict[str, float]:
    """Read concept -> unrounded_count of counts that have this column; of no concept where they lack it.

    Raises:
        DataError: it cannot be read, or holds something that is not a number.
    """
    table = read_user_table(path, ("concept",), optional=(UNROUNDED.name,), empty=True)
    numbers = {
        concept: as_number(row.get(UNROUNDED.name), f"{table.where(index)}: {UNROUNDED.name}")
        for index, (concept, row) in enumerate(zip(once(table), table.rows, strict=True))
    }
    return {concept: number for concept, number in numbers.items() if number is not None}


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
    captions: str | Path | None,
    matches: ConceptTables,
    images: ConceptTables,
    sheet: str | Path,
    errors: ImageErrors | None = None,
) -> pa.Table:
    """Estimate the effective counts of the concepts of a sheet that the matches have.

    Args:
        captions: path of caption counts. None where the collected images are all there are: their matches are the
            count, exactly, and there is no number of captions.
        matches: tables of matches.
        images: image tables of the schema COLLECTED.
        sheet: path of the concept sheet, whose order the rows have.
        errors: how often the recogniser errs; None if unknown, so that no count is corrected.

    Returns:
        Arrow table of the schema COUNTS; low and high are the interval of effective_count.

    Raises:
        DataError: as read_counts_of; the caption counts or the images lack a concept; more images match than there
            are; or more images were downloaded than captions counted.
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
                f"{matches.path(concept)}, concept {concept!r}: {number_of(of_images, 'image', 'matches')}, but "
                f"{images.path(concept)} has {downloaded:,}; they are not of the same images: make the matches again, "
                "or remove the table of images that was made alone"
            )
        of_captions: Counts = _of_concept(concept, counted, captions) if captions else {}
        mentioned = of_captions.get("captions")
        if mentioned is None:
            count, low, high = (matched,) * 3
        else:
            if downloaded > mentioned:
                raise DataError(
                    f"{captions}, concept {concept!r}: {number_of(mentioned, 'caption')}, but "
                    f"{downloaded} of their images were "
                    "downloaded; the images are of other captions, so ask snakemake for both"
                )
            beyond = captions_beyond(mentioned, of_captions[READ_ROWS] or 0, of_captions["skipped_rows"] or 0)
            count, low, high = effective_count(matched, mentioned, downloaded, beyond=beyond)
        of_all = downloaded if mentioned is None else mentioned
        corrected = corrected_count(matched, of_all, downloaded, errors.of(concept)) if errors else None
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
                **dict(zip(CORRECTED, corrected or (None,) * 3, strict=True)),
                **{name: of_captions.get(name) or 0 for name in SKIPPED},
            }
        )
    _say_what_is_missing(rows, errors)
    return pa.Table.from_pylist(rows, schema=COUNTS)


def _say_what_is_missing(rows: list[dict[str, Any]], errors: ImageErrors | None) -> None:
    """Say on the screen what the intervals leave out."""
    shards, skipped = (max((row[name] for row in rows), default=0) for name in reversed(SKIPPED))
    if shards:
        print(
            f"fit: {number_of(shards, 'file')} of the corpus could not be read: the captions there are in no "
            f"count. The high end of each interval allows for {number_of(skipped, 'row')}, taken for rows like the "
            "others; files whose rows are unknown are in no interval",
            file=sys.stderr,
        )
    if errors and errors.rates[0] <= errors.rates[1]:
        print(
            "fit: the recogniser takes other concepts' references for a concept's as often as its own (true positive "
            f"rate {errors.rates[0]:.3f}, false {errors.rates[1]:.3f}), so no count can be corrected",
            file=sys.stderr,
        )


def _wider(theirs: Counts, captions: int, scaled: Counts) -> Counts:
    """Return low and high of a scaled count, which also hold what was not seen of this corpus's captions.

    A count that was exact where every image was seen is not exact in a larger corpus. Nothing is said where the other
    corpus's count is not its matches, scaled.
    """
    matches, downloaded, low, high = theirs["matches"], theirs["downloaded"], scaled["low"], scaled["high"]
    if matches is None or not downloaded or low is None or high is None:
        return {}
    if scaled_matches(matches, _number(theirs["captions"]), downloaded) != theirs["effective_count"]:
        return {}
    ends = interval_of_total(matches, captions, downloaded)
    return {"low": min(low, ends[0]), "high": max(high, ends[1])}


def scale_counts(captions: str | Path, counts: str | Path, *, round_scaled: bool = True) -> pa.Table:
    """Scale another corpus's counts by the ratio of this corpus's captions to its own.

    Args:
        captions: path of this corpus's caption counts.
        counts: path of the other corpus's effective counts, with its captions.
        round_scaled: of ScalingSettings.

    Returns:
        Arrow table of the schema COUNTS, with UNROUNDED where counts are not to be rounded, in the order of `counts`;
        low and high are null where these have no interval.

    Raises:
        DataError: as read_counts_of; the caption counts lack a concept; or a count cannot be scaled: it has no
            captions, or becomes too large.
    """
    ours, theirs = read_counts_of(captions, ("captions",)), read_counts_of(counts, ("captions", "effective_count"))
    rows: list[dict[str, str | float | None]] = []
    for concept, row in theirs.items():
        of_concept = _of_concept(concept, ours, captions)
        mentioned, mentioned_there = _number(of_concept["captions"]), _number(row["captions"])
        if row["effective_count"] and not mentioned_there:
            raise DataError(
                f"{counts}, concept {concept!r}: an effective count of {row['effective_count']:,} in 0 captions cannot "
                "be scaled; correct captions, or drop the row"
            )
        ratio = mentioned / mentioned_there if mentioned_there else 0.0
        scaled: Counts = {
            name: None if (number := row[name]) is None else round(number * ratio)
            for name in ("effective_count", "low", "high", *CORRECTED)
        }
        if any(number is not None and number > LARGEST_COUNT for number in scaled.values()):
            raise DataError(
                f"{counts}, concept {concept!r}: its counts, times {ratio:g} (captions here by captions there), are "
                f"more than any count is ({LARGEST_COUNT:,}); correct captions in it or in {captions}"
            )
        skipped = {name: of_concept[name] or 0 for name in SKIPPED}
        scaled |= _wider(row, mentioned, scaled)
        unrounded = {} if round_scaled else {UNROUNDED.name: _number(row["effective_count"]) * ratio}
        rows.append({"concept": concept, **row, **scaled, "captions": mentioned, **skipped, **unrounded})
    lost = [concept for concept, row in theirs.items() if not row["captions"] and ours[concept]["captions"]]
    if lost:
        print(
            f"fit: {counts}: concepts without captions there, so that their counts stay 0 whatever {captions} has: "
            f"{len(lost)} ({plain(lost, 5)})",
            file=sys.stderr,
        )
    return pa.Table.from_pylist(rows, schema=COUNTS if round_scaled else COUNTS.append(UNROUNDED))
