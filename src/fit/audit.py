"""Which concepts lie above a measured threshold, and which rows of the corpus would have to go for them to lie below.

Nothing is measured here: counts are compared with a threshold, and the uncertainty of both is taken into account. Where
something is unknown, the result says so.
"""

import json
import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv
import pyarrow.parquet as pq

from fit.errors import DataError
from fit.images.collect import links_of
from fit.images.table import COLLECTED
from fit.io.concept_tables import ConceptTables
from fit.io.escaping import cell, delimited
from fit.io.files import atomic_write
from fit.io.numbers import as_count, as_interval, as_number
from fit.io.parquet import read
from fit.io.shown import plain, shown
from fit.io.user_tables import once, read_user_table
from fit.thresholds.answer import falls, why_none
from fit.thresholds.headline import follow

STATEMENT = (
    "This compares counts with one measured threshold. It speaks of imitation by this study's score, for its model and "
    "its corpus, on the assumptions of its method (docs/audit.md). That a concept is below does not show that no model "
    "imitates it; that it is above does not show that one does. It says nothing about rights."
)
"""Printed with every audit, and written beside its files."""

COLUMNS = ("concept", "verdict", "count", "low", "high", "by", "sure", "to_remove")
PLAN_COLUMNS = ("planned", "matching", "left")

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


@dataclass(frozen=True)
class Threshold:
    """What counts are compared with, in images."""

    images: int
    low: int
    """Counts smaller than this are below."""
    high: int
    """Counts larger than this are above."""
    has_interval: bool

    def place(self, count: int) -> str:
        """Return "below", "within" or "above"."""
        if count < self.low:
            return "below"
        return "above" if count > self.high else "within"

    def __str__(self) -> str:
        """Return the threshold in words."""
        interval = f"interval: {self.low} to {self.high}" if self.has_interval else "no interval"
        return f"threshold: {self.images} images ({interval})"


@dataclass(frozen=True)
class ConceptCount:
    """A concept's effective count; None if unknown."""

    concept: str
    count: int | None
    low: int | None = None
    high: int | None = None
    captions: int | None = None
    """Mentions in the whole corpus."""

    @property
    def most(self) -> int | None:
        """Return the largest number of images that the count allows for."""
        return self.count if self.high is None else self.high


@dataclass
class Audit:
    """A row per concept, the largest counts first, and remarks on them."""

    threshold: Threshold
    rows: list[dict[str, Any]]
    remarks: list[str] = field(default_factory=list)

    def table(self) -> str:
        """Return the rows as tab-separated text; an unknown value is an empty cell."""
        planned = any("planned" in row for row in self.rows)
        columns = COLUMNS + PLAN_COLUMNS * planned
        return delimited([columns, *([row.get(column, "") for column in columns] for row in self.rows)])

    def note(self) -> str:
        """Return the threshold, how many concepts lie where, what is unknown, and STATEMENT, as text."""
        verdicts = [row["verdict"] for row in self.rows]
        parts = [f"{verdicts.count(verdict)} {verdict}" for verdict in ("above", "within", "below", "unknown")]
        surely = sum(row["sure"] == "yes" for row in self.rows)
        found = f"{len(self.rows)} concepts: {', '.join(parts)}; sure for {surely}"
        return "\n".join([str(self.threshold), found, *self.remarks, STATEMENT]) + "\n"


def read_threshold(given: str) -> Threshold:
    """Read a threshold: a number of images, or the path of JSON as `fit thresholds detect` writes it.

    The ends of an interval are rounded to the whole counts inside it; it is widened where it leaves its own threshold
    out. Without an interval, a count as large as the threshold is above.

    Raises:
        DataError: it is neither; or the study found no threshold.
    """
    images: Any
    interval: Any
    if Path(given).is_file():
        try:
            found = follow(json.loads(Path(given).read_text(encoding="utf-8")))
            images, interval = found["threshold"], found.get("interval")
        except (ValueError, KeyError, TypeError, AttributeError):
            raise DataError(
                f"{given}: not JSON with `threshold`; give a file that `fit thresholds detect --out` wrote"
            ) from None
        if images is None:
            why = why_none(found)
            raise DataError(f"{given}: there is no threshold to compare with: {why}; give a number of images")
        if falls(found):
            raise DataError(
                f"{given}: the scores fall at {images:.0f} images, so that this is not a threshold of imitation; give "
                "a number of images"
            )
    else:
        images, interval = given, None
        if not str(given).lower().endswith((".json", ".txt")):
            try:
                images = as_number(given, "--threshold", whole=True)
            except DataError as error:
                raise DataError(
                    f"{error}; give a number of images, or a file that `fit thresholds detect --out` wrote"
                ) from None
    try:
        images = math.ceil(float(images))
        low, high = (math.ceil(interval[0]), math.floor(interval[1])) if interval else (images, images - 1)
        if images < 0 or (interval and low > high + 1):
            raise ValueError
    except (TypeError, ValueError, OverflowError, IndexError, KeyError):
        raise DataError(
            f"{given}: not a threshold; give a number of images, or a file that `fit thresholds detect --out` wrote"
        ) from None
    if not interval:
        return Threshold(images, low, high, False)
    return Threshold(images, min(low, images), max(high, images), True)


def read_counted(path: str | Path) -> tuple[list[ConceptCount], int, bool]:
    """Read effective counts of concepts.

    Args:
        path: Parquet, CSV or TSV with the columns concept and effective_count, and optionally low, high and captions,
            such as fit.counts.estimate.COUNTS. Of a table that `fit captions count` wrote, the captions are taken.

    Returns:
        (list of ConceptCount, how many rows of the corpus could not be read, so that the counts leave them out, whether
        captions are taken for effective counts). Low and high enclose the count: where several faces of an image match,
        and a count exceeds its interval, high is the count.

    Raises:
        DataError: it can't be read, lacks a column or has a misspelt one, repeats a concept, or holds a count that is
            not whole or not within its interval.
    """
    optional = ("effective_count", "captions", "low", "high", "matches", "downloaded", "skipped_rows")
    table = read_user_table(path, ("concept",), optional=optional)
    of_captions = "effective_count" not in table.columns and "captions" in table.columns
    column = "captions" if of_captions else "effective_count"
    if column not in table.columns:
        raise DataError(
            f"{path}: no column 'effective_count', and no 'captions' in its place (found: {plain(table.columns)})"
        )
    counted: list[ConceptCount] = []
    skipped = 0
    for index, concept in enumerate(once(table)):
        row, place = table.rows[index], f"{table.where(index)}, concept {shown(concept)}"

        def whole_number(name: str, row: dict[str, Any] = row, place: str = place) -> int | None:
            return as_count(row.get(name), f"{place}: {name}")

        count, captions = whole_number(column), whole_number("captions")
        low, high = (None, None) if of_captions else as_interval(row, count, place)
        if count is None or low is None or high is None:
            low = high = None
        else:
            low, high = math.floor(low), max(math.ceil(high), count)
        counted.append(ConceptCount(concept, count, low, high, captions))
        skipped = max(skipped, whole_number("skipped_rows") or 0)
    return counted, skipped, of_captions


def _some(concepts: Sequence[str]) -> str:
    rest = len(concepts) - 5
    return ", ".join(concepts[:5]) + (f" and {rest} more" if rest > 0 else "")


def _row(of: ConceptCount, threshold: Threshold) -> dict[str, Any]:
    row: dict[str, Any] = {"concept": of.concept, "verdict": "unknown", "sure": "unknown"}
    if of.count is None:
        return row
    verdict = threshold.place(of.count)
    row |= {"verdict": verdict, "count": of.count}
    row["by"] = {"below": threshold.low - of.count, "above": of.count - threshold.high, "within": 0}[verdict]
    if of.low is not None and of.high is not None:
        row |= {"low": of.low, "high": of.high}
        if threshold.has_interval:
            ends = {threshold.place(of.low), threshold.place(of.high)}
            row["sure"] = "yes" if ends == {verdict} else "no"
    if threshold.low > 0:
        row["to_remove"] = max(0, (of.most or 0) - threshold.low + 1)
    return row


def audit(counted: Sequence[ConceptCount], threshold: Threshold, skipped: int = 0, of_captions: bool = False) -> Audit:
    """Compare counts with a threshold.

    Args:
        counted: the counts.
        threshold: what they are compared with.
        skipped: rows of the corpus that the counts leave out.
        of_captions: whether the counts are of captions.

    Returns:
        A row of COLUMNS per concept: verdict (below, within the threshold's interval, above, or unknown), by
        how many images it is beyond the nearer end of the interval, whether that is sure (the count's whole interval
        gives the same verdict, and the threshold has one too), and how many images must go for the high end of the
        count to be below the low end of the threshold's interval.
    """
    ordered = sorted(counted, key=lambda of: (-1 if of.count is None else of.count, of.concept), reverse=True)
    remarks = []
    if of_captions:
        remarks.append(
            "These are counts of captions, not effective counts: how many of their images show the concept is not "
            "known, and a threshold is in images. `fit counts estimate` makes effective counts."
        )
    if not threshold.has_interval:
        remarks.append("The threshold has no interval: how far off it may be is not known, so no verdict is sure.")
    if threshold.low == 0:
        remarks.append("The threshold reaches down to 0 images: no count is below it, so nothing can be pruned to be.")
    if unknown := [of.concept for of in ordered if of.count is None]:
        remarks.append(f"No count, so no verdict: {_some(unknown)}.")
    if bare := [of.concept for of in ordered if of.count is not None and of.high is None]:
        remarks.append(f"A count without an interval, taken as exact: {_some(bare)}.")
    if skipped:
        remarks.append(f"{skipped:,} rows of the corpus could not be read and are in no count.")
    return Audit(threshold, [_row(of, threshold) for of in ordered], remarks)


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
            f"{matched_captions}: {len(sampled)} rows mention {of.concept!r}, but its count is of {mentions} captions; "
            "give the matched captions and the counts of one corpus"
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
    target = found.threshold.low - 1
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
                short.append(f"{of.concept} ({removal.sampled:,}{of_all} mentions sampled, {left:,} images left)")
            if len(removal.rows):
                parquet_file.write_table(removal.rows)
                csv_file.write_table(_for_spreadsheets(removal.rows))
    if unmentioned:
        found.remarks.append(f"Captions unknown, the sampled rows taken for all mentions: {_some(unmentioned)}.")
    if unjudged:
        found.remarks.append(f"No images or matches, so every row is taken as not seen: {_some(unjudged)}.")
    if short:
        found.remarks.append(
            "The sample has too few rows for a plan that goes below the threshold; count with a larger "
            f"--max-matched-captions, so that the matched captions have every mention: {_some(short)}."
        )


def write_audit(found: Audit, table: str | Path | None = None, plan_out: str | None = None) -> None:
    """Write the table to the path `table`, and the note beside it and beside the plan, as .txt."""
    files = {f"{table}.txt": found.note(), str(table): found.table()} if table else {}
    if plan_out:
        files[f"{plan_out}.txt"] = found.note()
    for path, text in files.items():
        with atomic_write(path) as part:
            part.write_text(text, encoding="utf-8")
