"""Draws a concept sheet from a longer one."""

import hashlib
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from fit.concepts.sheet import Concept, read_sheet
from fit.errors import SheetError
from fit.io.shown import number_of
from fit.io.user_tables import read_counts


def equal_shares(available: Sequence[int], size: int) -> list[int]:
    """Divide `size` as evenly as what is available allows; the others make up for those that have too few.

    Args:
        available: how many each has; their sum is `size` or more.
        size: how many to take in all.

    Returns:
        How many to take of each, in the same order.
    """
    shares = [0] * len(available)
    ascending = sorted(range(len(available)), key=available.__getitem__)
    for position, index in enumerate(ascending):
        shares[index] = min(available[index], size // (len(ascending) - position))
        size -= shares[index]
    return shares


def _bin(captions: int) -> int:
    """Return the lowest count of the bin of a count: 0, 1, 10, 100 ..."""
    return 10 ** (len(str(captions)) - 1) if captions else 0


def _draw_number(concept: Concept, seed: int) -> bytes:
    return hashlib.blake2b(f"{seed} {concept.slug}".encode(), digest_size=16).digest()


@dataclass(frozen=True)
class Bin:
    """Candidates whose counts of captions have the same number of digits."""

    captions: str
    """Its counts, such as `10 to 99`."""
    candidates: int
    drawn: int


def sample(candidates: str | Path, counts: str | Path, size: int, seed: int = 0) -> tuple[list[Concept], list[Bin]]:
    """Draw a sheet from a longer one, evenly over the logarithm of how many captions mention each concept.

    Each power of ten of captions is a bin, and 0 is one too. Each bin gives an equal share, as far as it can. Within a
    bin the candidates with the smallest hashes of seed and slug are drawn, so one candidate more changes little.

    Args:
        candidates: path of a concept sheet.
        counts: path of CSV or Parquet with the columns concept and captions, as `fit captions count` writes it.
        size: how many concepts to draw.
        seed: another one draws others.

    Returns:
        (concepts in the order of their slugs, bins from no captions upwards).

    Raises:
        SheetError: there is no such sheet, or it has fewer candidates than `size`.
        DataError: the counts can't be read, or lack a candidate.
    """
    concepts = read_sheet(candidates)
    if not 1 <= size <= len(concepts):
        raise SheetError(
            f"{candidates}: {number_of(size, 'concept')} can't be drawn from {len(concepts)}; ask for 1 to "
            f"{len(concepts)}, or add candidates"
        )
    captions = read_counts(counts, [concept.slug for concept in concepts], "captions")
    members: dict[int, list[Concept]] = defaultdict(list)
    for concept in concepts:
        members[_bin(captions[concept.slug])].append(concept)
    lowest = sorted(members)
    shares = equal_shares([len(members[low]) for low in lowest], size)
    drawn: list[Concept] = []
    bins: list[Bin] = []
    for low, share in zip(lowest, shares, strict=True):
        drawn += sorted(members[low], key=lambda concept: _draw_number(concept, seed))[:share]
        label = f"{low:,} to {10 * low - 1:,}" if low else "0"
        bins.append(Bin(label, len(members[low]), share))
    return sorted(drawn, key=lambda concept: concept.slug), bins
