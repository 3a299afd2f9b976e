"""Which generated pictures people are asked about, and beside which references."""

import math
import random
from collections import defaultdict, deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path

from fit.errors import DataError
from fit.images.table import rows_to_show
from fit.io.concept_tables import ConceptTables
from fit.io.parquet import read
from fit.thresholds.scores import read_scores

BINS = 10
"""Number of parts, equally wide in the logarithm, into which the range of effective counts is divided."""

SHOWN = 6
"""How many references are shown beside a picture."""


@dataclass(frozen=True)
class Picture:
    """A picture in an image table."""

    table: Path
    concept: str
    image_id: str


@dataclass(frozen=True)
class Pair:
    """A generated picture, and references of its concept to compare it with."""

    concept: str
    prompt: str
    generated: Picture
    references: tuple[Picture, ...]


def read_concepts(path: str | Path) -> dict[str, tuple[float, float]]:
    """Read a table of concepts: concept -> (effective count, score).

    Raises:
        DataError: as fit.thresholds.scores.read_scores, or a number is missing or infinite, or a count is below 0.
    """
    concepts, counts, scores = read_scores(path)
    found = {}
    for concept, count, score in zip(concepts, counts, scores, strict=True):
        if not (math.isfinite(count) and count >= 0 and math.isfinite(score)):
            raise DataError(
                f"{path}, concept {concept!r}: effective_count {count} and score {score} are not both numbers, the "
                "count 0 or more; fix or drop the row"
            )
        found[str(concept)] = (float(count), float(score))
    return found


def _in_turn(rows: Sequence[tuple[str, str]], rng: random.Random) -> list[tuple[str, str]]:
    """Return `rows` of (image_id, prompt) in random order, each prompt in its turn."""
    by_prompt: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for row in rng.sample(rows, len(rows)):
        by_prompt[row[1]].append(row)
    return [row for turn in zip_longest(*by_prompt.values()) for row in turn if row is not None]


def draw(
    counts: Mapping[str, float], images: Mapping[str, Sequence[tuple[str, str]]], wanted: int, seed: int
) -> list[tuple[str, str, str]]:
    """Draw generated pictures evenly over the logarithm of the effective count.

    The range of log(1 + count) is divided into BINS parts. The parts take turns, in each part its concepts, and of each
    concept its prompts, until there are enough pictures or no more.

    Args:
        counts: concept -> effective count.
        images: concept -> list of (image_id, prompt), of the same concepts.
        wanted: how many pictures.
        seed: of the draws.

    Returns:
        A list of (concept, image_id, prompt) in random order, without repeats.
    """
    rng = random.Random(seed)
    logs = {concept: math.log1p(counts[concept]) for concept in sorted(images)}
    low, width = min(logs.values()), (max(logs.values()) - min(logs.values())) / BINS
    left = {concept: deque(_in_turn(images[concept], random.Random(f"{seed} {concept}"))) for concept in logs}
    bins: dict[int, deque[str]] = defaultdict(deque)
    for concept in rng.sample(list(logs), len(logs)):
        if left[concept]:
            bins[min(BINS - 1, int((logs[concept] - low) / width)) if width else 0].append(concept)
    drawn: list[tuple[str, str, str]] = []
    while bins and len(drawn) < wanted:
        for part in rng.sample(sorted(bins), len(bins))[: wanted - len(drawn)]:
            concept = bins[part].popleft()
            drawn.append((concept, *left[concept].popleft()))
            if left[concept]:
                bins[part].append(concept)
            elif not bins[part]:
                del bins[part]
    rng.shuffle(drawn)
    return drawn


def _made(path: Path, concept: str) -> list[tuple[str, str]]:
    """Return (image_id, prompt) of the generated pictures of a concept that can be shown."""
    rows = read(path, ["image_id", "prompt"]).take(rows_to_show(path, concept)).to_pylist()
    # A line break would split a row of the ratings.
    return [(row["image_id"], " ".join((row["prompt"] or "").split())) for row in rows if row["image_id"].isprintable()]


def sample_pairs(
    table: str | Path,
    references: Iterable[str | Path],
    generated: Iterable[str | Path],
    wanted: int,
    seed: int,
) -> tuple[list[Pair], dict[str, str]]:
    """Sample the pairs that raters see.

    Args:
        table: CSV or Parquet with the columns concept, effective_count and score.
        references, generated: image tables, or folders of image tables; of the references, only the kept ones are
            shown.
        wanted: how many pairs.
        seed: of the draws.

    Returns:
        (pairs, left_out): a list of Pair in random order, and concept -> why no picture of it is shown.

    Raises:
        DataError, ImageTableError: a table can't be read, or no concept has references and generated pictures.
    """
    counts = {concept: count for concept, (count, _) in read_concepts(table).items()}
    both = ConceptTables(references), ConceptTables(generated)
    shown: dict[str, tuple[Picture, ...]] = {}
    images: dict[str, list[tuple[str, str]]] = {}
    left_out: dict[str, str] = {}
    for concept in counts:
        without = [tables for tables in both if concept not in tables]
        if without:
            left_out[concept] = f"there is no table of it in {', '.join(map(str, without[0].places))}"
            continue
        of_references, of_generated = (tables.path(concept) for tables in both)
        rows = both[0].read(concept, ["image_id", "kept"]).to_pylist()
        kept = [row["image_id"] for row in rows if row["kept"]]
        made = _made(of_generated, concept)
        if not kept or not made:
            lacks = f"generated picture in {of_generated}" if kept else f"kept reference in {of_references}"
            left_out[concept] = f"there is no {lacks}"
            continue
        chosen = random.Random(f"{seed} {concept}").sample(kept, min(SHOWN, len(kept)))
        shown[concept] = tuple(Picture(of_references, concept, image_id) for image_id in chosen)
        images[concept] = made
    if not images:
        why = next(iter(left_out.values()), f"{table} has no row")
        raise DataError(f"{table}: no concept with both references and generated pictures ({why}); check the places")
    pairs = [
        Pair(concept, prompt, Picture(both[1].path(concept), concept, image_id), shown[concept])
        for concept, image_id, prompt in draw(counts, images, wanted, seed)
    ]
    return pairs, left_out
