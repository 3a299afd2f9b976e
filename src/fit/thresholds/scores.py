"""Tables of concepts with counts and scores, and what is known of the errors of both."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from fit.errors import DataError
from fit.io.numbers import LARGEST_SCORE, as_count, as_interval, as_number
from fit.io.shown import shown
from fit.io.user_tables import Source, UserTable, once, read_user_table

ROUNDING = 1e-3
"""How far a score may be from the mean of its image scores, in a table that was rounded for reading."""


@dataclass(frozen=True)
class Scores:
    """N concepts, ascending in count, and by name where counts are equal: results do not depend on row order."""

    concepts: np.ndarray
    """[N] slugs."""
    counts: np.ndarray
    """[N] effective counts, in images."""
    scores: np.ndarray
    """[N] imitation scores."""
    groups: np.ndarray
    """[N] names of groups, empty for none."""
    images: list[list[np.ndarray]]
    """[N] lists of arrays: the scores of the images of each prompt, none where a prompt has no usable image. An empty
    list where only the score is known."""
    evidence: np.ndarray = field(repr=False)
    """[N, 5]: captions, downloaded and matches that a count comes from, and the low and high end of its 95 % interval;
    NaN if unknown."""
    families: np.ndarray | None = field(default=None, repr=False)
    """[N] names of families of like concepts, empty for none; None if unknown."""

    def __len__(self) -> int:
        return len(self.concepts)

    @property
    def resampled(self) -> list[str]:
        """Return what of the table a bootstrap can resample: names, for reading."""
        names = ["concepts"]
        if any(len(of_concept) for of_concept in self.images):
            names += ["prompts", "images"]
        if np.isfinite(self.evidence).any():
            names.append("counts")
        return names

    def take(self, rows: np.ndarray | Sequence[int]) -> "Scores":
        """Return the concepts at `rows`, indices [M] in ascending order or a mask [N]."""
        at = np.arange(len(self))[rows]
        images = [self.images[row] for row in at]
        families = None if self.families is None else self.families[at]
        return Scores(
            self.concepts[at], self.counts[at], self.scores[at], self.groups[at], images, self.evidence[at], families
        )


EVIDENCE = ("captions", "downloaded", "matches", "low", "high")


def sort_scores(
    concepts: Iterable[str],
    counts: Iterable[float],
    scores: Iterable[float],
    groups: Iterable[str | None] | None = None,
    images: Iterable[Any] | None = None,
    evidence: Any = None,
    families: Iterable[str | None] | None = None,
) -> Scores:
    """Check concepts and bring them in order.

    Args:
        concepts, counts, scores: [N].
        groups: [N] names, or None each.
        images: [N] lists of a list per prompt, or None each.
        evidence: [N, 5], in the order of EVIDENCE, NaN if unknown.
        families: [N] names of families of like concepts, or None each.

    Raises:
        DataError: a count or score is not a number, a count is negative, a concept occurs twice, or a score is not the
            mean of its image scores.
    """
    slugs = np.asarray(concepts, dtype=str)
    count_of, score_of = np.asarray(counts, np.float64), np.asarray(scores, np.float64)
    _check(slugs, count_of, score_of)
    number = len(slugs)
    of_prompts = [[np.asarray(prompt or [], np.float64) for prompt in one or []] for one in images or [None] * number]
    for concept, prompts, score in zip(slugs, of_prompts, score_of, strict=True):
        means = [prompt.mean() for prompt in prompts if len(prompt)]
        if means and not abs(np.mean(means) - score) <= ROUNDING:
            raise DataError(
                f"concept {str(concept)!r}: its score {score:.4f} is not the mean over prompts of its image_scores; "
                "take the column out, or tabulate the scores again"
            )
    group_of = np.array([group or "" for group in groups], dtype=str) if groups is not None else np.full(number, "")
    known = np.full((number, len(EVIDENCE)), np.nan) if evidence is None else np.asarray(evidence, np.float64)
    order = np.lexsort((slugs, count_of))
    family_of = None if families is None else np.array([family or "" for family in families], dtype=str)[order]
    images_of = [of_prompts[i] for i in order]
    return Scores(slugs[order], count_of[order], score_of[order], group_of[order], images_of, known[order], family_of)


def _check(slugs: np.ndarray, counts: np.ndarray, scores: np.ndarray) -> None:
    for name, values in (("effective_count", counts), ("score", scores)):
        if not np.isfinite(values).all():
            bad = str(slugs[~np.isfinite(values)][0])
            raise DataError(f"concept {bad!r}: its {name} is not a number; fix or drop the row")
    if len(counts) and counts.min() < 0:
        lowest = int(counts.argmin())
        raise DataError(f"concept {str(slugs[lowest])!r}: effective_count {counts[lowest]:g} is below 0; fix the row")
    names, times = np.unique(slugs, return_counts=True)
    if (times > 1).any():
        raise DataError(f"concept {str(names[times > 1][0])!r} is in {times.max()} rows; keep one row a concept")


def nested_lists(value: Any, depth: int) -> list[Any]:
    """Return `value`, or the JSON in it, as lists in `depth` levels of numbers up to LARGEST_SCORE or None.

    Raises:
        ValueError: it is something else.
    """
    if isinstance(value, str):
        value = json.loads(value) if value.strip() else None
    if value is None:
        return []
    if not isinstance(value, list):
        raise ValueError
    if depth > 1:
        return [nested_lists(one, depth - 1) for one in value]
    for one in value:
        if isinstance(one, bool) or not isinstance(one, int | float | None):
            raise ValueError
        if one is not None and not abs(one) <= LARGEST_SCORE:
            raise ValueError
    return value


def _nested(table: UserTable) -> list[list[Any]] | None:
    """Return the column image_scores, or prompt_scores as prompts of one image each; None if there is neither."""
    column = next((name for name in ("image_scores", "prompt_scores") if name in table.columns), None)
    if column is None:
        return None
    lists = []
    for index, value in enumerate(table.values(column)):
        try:
            lists.append(nested_lists(value, 2 if column == "image_scores" else 1))
        except (ValueError, RecursionError):
            raise DataError(
                f"{table.where(index)}: {column} holds something that is not a list of numbers of at most "
                f"{LARGEST_SCORE:g}: {shown(value)}; correct the row, or take the column out"
            ) from None
    if column == "image_scores":
        return lists
    return [[[] if score is None else [score] for score in one] for one in lists]


def _unrounded(value: object, count: int, where: str) -> float:
    """Return the count before rounding, where it is known, or the whole `count`."""
    number = as_number(value, f"{where}: unrounded_count")
    if number is not None and abs(number - count) > 0.5:
        raise DataError(f"{where}: effective_count {count} is not unrounded_count {number:g} rounded; correct the row")
    return count if number is None else number


def _table_in(folder: Path) -> str:
    """Say which table in `folder`, of a study or of results, is meant."""
    patterns = ["results/scores/*/*.parquet", "scores/*/*.parquet", "*.parquet"]
    if folder.name == "scores":
        patterns.append("*/*.parquet")
    for pattern in patterns:
        tables = sorted(folder.glob(pattern))
        if tables:
            several = f" or another of the {len(tables)} there" if len(tables) > 1 else ""
            return f"name the table in it: {tables[0]}{several}"
    return "name a table of scores; a study has them in results/scores/MODEL/DOMAIN.parquet"


def read_table(path: Source) -> Scores:
    """Read a table of concepts, CSV, TSV or Parquet, or one in memory.

    Columns: concept, effective_count and score. Optional columns: unrounded_count, which replaces the effective count;
    group; family, of like concepts; image_scores (a list per prompt of the scores of its images) or prompt_scores (a
    list), written as JSON in a CSV; captions, downloaded and matches, or low and high, of the counts.

    Raises:
        DataError: it can't be read, lacks a column or has a misspelt one, has a concept twice, a count that is not
            whole or not within its interval, an empty count or score, or holds something that sort_scores refuses.
    """
    if isinstance(path, (str, Path)) and Path(path).is_dir():
        raise DataError(f"{path}: this is a folder; {_table_in(Path(path))}")
    optional = ("group", "family", "unrounded_count", "image_scores", "prompt_scores", *EVIDENCE)
    table = read_user_table(path, ("concept", "effective_count", "score"), optional=optional, empty=True)
    concepts = once(table)
    counts: list[float] = []
    scores: list[float] = []
    evidence = np.full((len(concepts), len(EVIDENCE)), np.nan)
    for index, (concept, row) in enumerate(zip(concepts, table.rows, strict=True)):
        where = f"{table.where(index)}, concept {shown(concept)}"
        count = as_count(row["effective_count"], f"{where}: effective_count")
        score = as_number(row["score"], f"{where}: score")
        if count is None or score is None:
            name = "effective_count" if count is None else "score"
            raise DataError(f"{where}: {name} is empty; write a number, or drop the row")
        counts.append(_unrounded(row.get("unrounded_count"), count, where))
        scores.append(score)
        known = [as_number(row.get(name), f"{where}: {name}", whole=True) for name in EVIDENCE[:3]]
        known += as_interval(row, count, where)
        evidence[index] = [np.nan if number is None else number for number in known]
    groups = [str(group or "") for group in table.values("group")] if "group" in table.columns else None
    families = [str(family or "") for family in table.values("family")] if "family" in table.columns else None
    nested = _nested(table)
    try:
        return sort_scores(concepts, counts, scores, groups, nested, evidence, families)
    except DataError as error:
        raise DataError(f"{path}: {error}") from None


def read_scores(path: str | Path) -> tuple[list[str], np.ndarray, np.ndarray]:
    """Read (concepts, counts [N], scores [N]) of a table as read_table does, ascending in count."""
    found = read_table(path)
    return found.concepts.tolist(), found.counts, found.scores
