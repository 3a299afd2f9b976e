"""Families of like concepts: where a table names them, they are what is drawn, not single concepts."""

import numpy as np

from fit.io.shown import number_of
from fit.thresholds.scores import Scores

FEWEST_FAMILIES = 8
"""Families below which signs can't be dealt in enough ways for a p-value that means something."""


def _own_families(table: Scores) -> np.ndarray:
    """Return the names [N] of families; a concept without one is its own."""
    names = table.groups if table.families is None else table.families
    return np.where(names == "", np.char.add("\0", table.concepts), names)


def families_of(table: Scores) -> np.ndarray | None:
    """Return the families of a table as numbers [N]: its column `family`, else `group`; None if there are too few.

    A concept without a family is its own. Groups are families only where FEWEST_FAMILIES have a name.
    """
    names = table.groups if table.families is None else table.families
    if len(set(names) - {""}) < (FEWEST_FAMILIES if table.families is None else 1):
        return None
    families, number = np.unique(_own_families(table), return_inverse=True)
    return number if len(families) >= FEWEST_FAMILIES else None


def why_too_few(table: Scores) -> str | None:
    """Say why a table's families can't be drawn: there are too few; None if they can, or if it names none."""
    if table.families is None or not set(table.families) - {""}:
        return None
    number = len(set(_own_families(table)))
    if number >= FEWEST_FAMILIES:
        return None
    return f"its concepts are of {number_of(number, 'family')}, and {FEWEST_FAMILIES} or more are needed to draw them"


def draw_rows(table: Scores, resamples: int, rng: np.random.Generator) -> np.ndarray:
    """Draw N concepts with replacement for each resample: their rows [resamples, N].

    With families, whole families are drawn (a cluster bootstrap: Field and Welsh 2007, "Bootstrapping clustered data"),
    until there are N concepts. Of the last family only some fit in, which ones is by chance.
    """
    number, families = len(table), families_of(table)
    if families is None:
        return rng.integers(number, size=(resamples, number))
    of_family = np.argsort(families, kind="stable")
    sizes = np.bincount(families)
    first = np.cumsum(sizes) - sizes
    # A family has one concept or more, so that N of them are enough.
    drawn = rng.integers(len(sizes), size=(resamples, number))
    before = np.cumsum(sizes[drawn], axis=1) - sizes[drawn]
    kept = np.clip(number - before, 0, sizes[drawn])
    turned = rng.integers(sizes[drawn])
    family, turn, times = drawn.ravel(), turned.ravel(), kept.ravel()
    within = np.arange(resamples * number) - np.repeat(np.cumsum(times) - times, times)
    family, turn = np.repeat(family, times), np.repeat(turn, times)
    return of_family[first[family] + (within + turn) % sizes[family]].reshape(resamples, number)
