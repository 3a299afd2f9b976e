"""Which generated pictures people are asked about, and beside which references."""

import math
import random
from collections import defaultdict, deque
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path

from fit.errors import DataError
from fit.images.table import rows_to_show
from fit.io.parquet import read
from fit.thresholds import read_scores

BINS = 10
"""Into how many parts, equally wide in the logarithm, the range of effective counts is cut."""

SHOWN = 6
"""How many references stand beside a picture."""


@dataclass(frozen=True)
class Picture:
    """A picture in an image table."""

    table: Path
    image_id: str


@dataclass(frozen=True)
class Pair:
    """A generated picture, and references of its concept to compare it with."""

    concept: str
    prompt: str
    generated: Picture
    references: tuple[Picture, ...]


def read_concepts(path):
    """Read a table of concepts: concept -> (effective count, score).

    Raises:
        DataError: as fit.thresholds.read_scores, or a number is missing, infinite, or a count below 0.
    """
    concepts, counts, scores = read_scores(path)
    found = {}
    for concept, count, score in zip(concepts, counts, scores, strict=True):
        if not (math.isfinite(count) and count >= 0 and math.isfinite(score)):
            raise DataError(
                f"{path}, concept {concept!r}: effective_count {count} and score {score} are not both numbers, the "
                "count 0 or more; mend or drop the row"
            )
        found[str(concept)] = (float(count), float(score))
    return found


def _in_turn(rows, rng):
    """(image_id, prompt) of `rows` at random, each prompt in its turn."""
    by_prompt = defaultdict(list)
    for row in rng.sample(rows, len(rows)):
        by_prompt[row[1]].append(row)
    return [row for turn in zip_longest(*by_prompt.values()) for row in turn if row is not None]


def draw(counts, images, wanted, seed):
    """Draw generated pictures evenly over the logarithm of the effective count.

    The range of log(1 + count) is cut into BINS parts; each that has concepts gives a picture in its turn, in it each
    concept in its turn, and of a concept each prompt in its turn, until there are enough or no more.

    Args:
        counts: concept -> effective count; images: concept -> list of (image_id, prompt), of the same concepts.
        wanted: how many; seed: of the draws.

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


def sample_pairs(table, references, generated, wanted, seed):
    """The pairs that raters see.

    Args:
        table: CSV or Parquet with the columns concept, effective_count and score.
        references, generated: folders of image tables, each named by the slug of its concept; of the references, only
            those that were kept are shown.
        wanted: how many pairs; seed: of the draws.

    Returns:
        (pairs, left_out): a list of Pair in random order, and concept -> why no picture of it is shown.

    Raises:
        DataError, ImageTableError: a table can't be read, or no concept has references and generated pictures.
    """
    counts = {concept: count for concept, (count, _) in read_concepts(table).items()}
    shown, images, left_out = {}, {}, {}
    for concept in counts:
        files = [Path(folder, f"{concept}.parquet") for folder in (references, generated)]
        missing = [str(file) for file in files if not file.is_file()]
        if missing:
            left_out[concept] = f"there is no {missing[0]}"
            continue
        kept = [row["image_id"] for row in read(files[0], ["image_id", "kept"]).to_pylist() if row["kept"]]
        shown_rows = read(files[1], ["image_id", "prompt"]).take(rows_to_show(files[1])).to_pylist()
        made = [(row["image_id"], row["prompt"] or "") for row in shown_rows]
        # A line break would take a row of the ratings apart.
        made = [(image_id, " ".join(prompt.split())) for image_id, prompt in made if image_id.isprintable()]
        if not kept or not made:
            left_out[concept] = f"no {'generated picture' if kept else 'kept reference'} in {files[bool(kept)]}"
            continue
        chosen = random.Random(f"{seed} {concept}").sample(kept, min(SHOWN, len(kept)))
        shown[concept] = tuple(Picture(files[0], image_id) for image_id in chosen)
        images[concept] = made
    if not images:
        why = next(iter(left_out.values()), f"{table} has no row")
        raise DataError(f"{table}: no concept with both references and generated pictures ({why}); mend the folders")
    pairs = [
        Pair(concept, prompt, Picture(Path(generated, f"{concept}.parquet"), image_id), shown[concept])
        for concept, image_id, prompt in draw(counts, images, wanted, seed)
    ]
    return pairs, left_out
