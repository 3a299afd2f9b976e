"""Which rows of the corpus would have to go for concepts to lie below a threshold."""

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv
import pyarrow.parquet as pq

from fit.audits.counts import ConceptCount
from fit.audits.verdicts import Audit, some
from fit.errors import DataError
from fit.images.collect import links_of
from fit.images.table import COLLECTED
from fit.io.concept_tables import ConceptTables
from fit.io.escaping import cell
from fit.io.files import atomic_write
from fit.io.parquet import read
from fit.io.shown import noun_of, number_of

PLAN = pa.schema(
    [
        ("concept", pa.string()),
        ("shard", pa.string()),
        ("row", pa.int64()),
        ("url", pa.string()),
        ("caption", pa.string()),
        ("image", pa.string()),
        ("similarity", pa.float32()),
    ]
)
"""image: "matches", or "not seen" if there is no picture to judge; similarity: of a match, else null."""

_ABOUT_NOTHING = 1e-9  # sums of shares are not exact

Seen = dict[str, tuple[int, float]]
"""Image id -> (how many of its faces match, or 1 if it matches whole; the highest similarity of these), of each image
that was judged."""


def _seen(concept: str, images: ConceptTables, matches: ConceptTables, image_ids: Collection[str]) -> Seen | None:
    """Read which images of a concept were judged, and match; None if the concept is not in the tables.

    Raises:
        DataError: the tables are of other rows of the corpus than `image_ids`, or of different images.
    """
    if concept not in images or concept not in matches:
        return None
    rows = images.read(concept, ["image_id", "status"], schema=COLLECTED).to_pylist()
    if not {row["image_id"] for row in rows} <= set(image_ids):
        raise DataError(
            f"{images.path(concept)}: it has images of other rows than the matched captions; collect the images of "
            "these matched captions"
        )
    seen = {row["image_id"]: (0, 0.0) for row in rows if row["status"] == "ok"}
    for row in matches.read(concept, ["image_id", "similarity", "match"]).to_pylist():
        if row["match"]:
            if row["image_id"] not in seen:
                raise DataError(
                    f"{matches.path(concept)}: {row['image_id']} is not a picture of {images.path(concept)}; match "
                    "these images again"
                )
            faces, similarity = seen[row["image_id"]]
            seen[row["image_id"]] = faces + 1, max(similarity, row["similarity"])
    return seen


def choose_rows(
    seen: Mapping[str, tuple[int, float]], image_ids: Sequence[str], mentions: int, most: float, target: int
) -> tuple[list[int], float]:
    """Choose rows whose removal leaves at most `target` images, by the high end of the count.

    A match counts as it is, a picture that does not match counts nothing, and a mention whose picture was not seen
    counts most / mentions. Matches are chosen first, the most similar ones before others, then rows that were not seen,
    in their order. A row that was seen not to match is never chosen: by this measure it adds nothing.

    Args:
        seen: as Seen says.
        image_ids: of the sampled rows.
        mentions: in the whole corpus, at least as many as the sampled rows.
        most: the largest number of images that the count allows for.
        target: how many images may be left.

    Returns:
        (indices of rows, how many images are left).
    """
    share = most / mentions if mentions else 0.0
    left: float = sum(faces for faces, _ in seen.values()) + share * (mentions - len(seen))
    matching = [i for i, name in enumerate(image_ids) if seen.get(name, (0, 0.0))[0]]
    matching.sort(key=lambda i: -seen[image_ids[i]][1])
    unseen = [i for i, name in enumerate(image_ids) if name not in seen]
    chosen: list[int] = []
    for i in [*matching, *unseen]:
        if left <= target + _ABOUT_NOTHING:
            break
        chosen.append(i)
        left -= seen[image_ids[i]][0] if image_ids[i] in seen else share
    return chosen, max(left, 0.0)


def _for_spreadsheets(table: pa.Table) -> pa.Table:
    """Escape the text of an Arrow table as fit.io.escaping.cell does."""
    for at, column in enumerate(table.schema):
        if pa.types.is_string(column.type):
            escaped = pa.array([cell(text) for text in table.column(at).to_pylist()], pa.string())
            table = table.set_column(at, column, escaped)
    return table


@dataclass(frozen=True)
class Removal:
    """The rows that are to go for one concept."""

    rows: pa.Table
    """Of the schema PLAN."""
    sampled: int
    """Mentions that there are to choose from."""
    left: float
    """Images that are left, by the high end of the count."""
    was_judged: bool
    """Whether the tables of images and matches have the concept."""


@contextmanager
def _plan_files(out: str) -> Iterator[tuple[pq.ParquetWriter, pacsv.CSVWriter]]:
    with (
        atomic_write(f"{out}.parquet") as parquet_part,
        atomic_write(f"{out}.csv") as csv_part,
        pq.ParquetWriter(parquet_part, PLAN, compression="zstd") as parquet_file,
        pacsv.CSVWriter(csv_part, PLAN) as csv_file,
    ):
        yield parquet_file, csv_file


def _choose(
    of: ConceptCount, matched_captions: str | Path, judged: tuple[ConceptTables, ConceptTables] | None, target: int
) -> Removal:
    """Choose the rows of a concept that are to go.

    Raises:
        DataError: the matched captions are not of these counts, or the images not of these matched captions.
    """
    sampled = read(matched_captions, PLAN.names[:5], only={"concept": [of.concept]})
    mentions = len(sampled) if of.captions is None else of.captions
    if mentions < len(sampled):
        raise DataError(
            f"{matched_captions}: {number_of(len(sampled), 'row', 'mentions')} {of.concept!r}, but its count is of "
            f"{number_of(mentions, 'caption')}; give the matched captions and the counts of one corpus"
        )
    image_ids = [link.image_id for link in links_of(sampled)]
    found = _seen(of.concept, *judged, image_ids) if judged else {}
    seen = found or {}
    most = of.most or 0
    # Without any mention the share of a row is unknown, and nothing can be removed.
    chosen, left = choose_rows(seen, image_ids, mentions, most, target) if mentions else ([], float(most))
    words = ["matches" if image_ids[i] in seen else "not seen" for i in chosen]
    similarity = [seen[image_ids[i]][1] if image_ids[i] in seen else None for i in chosen]
    rows = sampled.take(pa.array(chosen, pa.int64())).append_column("image", pa.array(words, pa.string()))
    rows = rows.append_column("similarity", pa.array(similarity, pa.float32())).cast(PLAN)
    return Removal(rows, len(sampled), left, found is not None)


def plan(
    found: Audit,
    counted: Sequence[ConceptCount],
    matched_captions: str | Path,
    out: str,
    judged: tuple[ConceptTables, ConceptTables] | None = None,
) -> None:
    """Write which rows of the corpus to remove, OUT.parquet and OUT.csv, and note in `found` what that leaves.

    Text in the CSV is escaped for spreadsheets (fit.io.escaping.cell); the Parquet file has it as the corpus does.

    Args:
        found: of `counted`; its rows get the columns PLAN_COLUMNS: rows planned, how many of them match, images left by
            the high end of the count.
        counted: the counts.
        matched_captions: path of the sampled rows of all concepts (`fit captions count`).
        out: path of the plan without its suffix.
        judged: image tables, and their matches; None: no picture was seen.

    Raises:
        DataError, ImageTableError: the matched captions are not of these counts, or the images not of these matched
            captions.
    """
    by_concept = {of.concept: of for of in counted}
    if not set(pc.unique(read(matched_captions, ["concept"]).column("concept")).to_pylist()) & set(by_concept):
        raise DataError(
            f"{matched_captions}: no row mentions a concept of these counts; give the matched captions and the counts "
            "of one corpus"
        )
    target = found.threshold.low
    unjudged, unmentioned, short = [], [], []
    with _plan_files(out) as (parquet_file, csv_file):
        for row in found.rows:
            if not row.get("to_remove"):
                continue
            of = by_concept[row["concept"]]
            removal = _choose(of, matched_captions, judged, target)
            if not removal.was_judged:
                unjudged.append(of.concept)
            if of.captions is None:
                unmentioned.append(of.concept)
            matching = removal.rows.column("image").to_pylist().count("matches")
            left = math.ceil(removal.left - _ABOUT_NOTHING)
            row |= {"planned": len(removal.rows), "matching": matching, "left": left}
            if removal.left > target + _ABOUT_NOTHING:
                of_all = "" if of.captions is None else f" of {of.captions:,}"
                mentions = noun_of(removal.sampled if of.captions is None else of.captions, "mention")
                short.append(
                    f"{of.concept} ({removal.sampled:,}{of_all} {mentions} sampled, {number_of(left, 'image')} left)"
                )
            if len(removal.rows):
                parquet_file.write_table(removal.rows)
                csv_file.write_table(_for_spreadsheets(removal.rows))
    if unmentioned:
        found.remarks.append(f"Captions unknown, the sampled rows taken for all mentions: {some(unmentioned)}.")
    if unjudged:
        found.remarks.append(f"No images or matches, so every row is taken as not seen: {some(unjudged)}.")
    if short:
        found.remarks.append(
            "The sample has too few rows for a plan that goes below the threshold; count with a larger "
            f"--max-matched-captions, so that the matched captions have every mention: {some(short)}."
        )
