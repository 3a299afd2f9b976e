"""What an image is worth in a world that breaks an assumption, in images of the usual world.

The same painters are there in both. So their scores in a changed world are laid on their own curves of the usual one:
the worth is the factor by which 1 + count must be multiplied there for the scores to fit.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from fit.atelier.changes import WORLDS
from fit.errors import DataError
from fit.truth.own import FURTHEST, OwnCurves, fit_own_curves, fit_shift, matrices

OTHER_SCORES = "its scores are those of another embedder, and lie on another scale"
NO_NULL = "models of the usual world were trained on one deal, so that it is not known how much of a shift is chance"
NO_COUNT = "its scores look like those of no count"


@dataclass(frozen=True)
class UsualWorld:
    """The models of a usual world, and what was fitted to them."""

    concepts: list[str]
    models: list[tuple[int, int]]
    """(deal, training) of each."""
    counts: np.ndarray
    """[P, M]"""
    scores: np.ndarray
    """[P, M] NaN where there is none."""
    fitted: OwnCurves

    @classmethod
    def of(cls, painters: pl.DataFrame, score: str) -> "UsualWorld":
        """Fit the painters' own curves.

        Args:
            painters: rows of the schema fit.truth.measure.PAINTERS of one usual world.
            score: the column of scores.
        """
        concepts, models, counts, scores = matrices(painters, score)
        return cls(concepts, models, counts, scores, fit_own_curves(counts, scores))

    def shift(self, painters: pl.DataFrame, score: str) -> float:
        """Return by how much more log(1 + count) the scores of one other model look than its counts say.

        Raises:
            DataError: the model has other painters.
        """
        concepts, _, counts, scores = matrices(painters, score)
        if concepts != self.concepts:
            raise DataError("a changed world has other painters than the usual one; ask snakemake for truth again")
        return fit_shift(self.fitted, counts, scores, (self.counts, self.scores))

    def shifts_by_chance(self) -> list[float]:
        """Return the shift of each of its own models, against those of the other deals."""
        deals = np.array([deal for deal, _ in self.models])
        found = []
        for deal in np.unique(deals):
            others = deals != deal
            if not others.any():
                continue
            known = self.counts[:, others], self.scores[:, others]
            fitted = fit_own_curves(*known, start=self.fitted)
            for column in np.flatnonzero(~others):
                its = [column]
                found.append(fit_shift(fitted, self.counts[:, its], self.scores[:, its], known))
        return found


def worths(painters: pl.DataFrame, world: UsualWorld, median: float, score: str) -> Iterator[dict[str, Any]]:
    """Yield what an image is worth in each changed world.

    Args:
        painters: rows of the schema fit.truth.measure.PAINTERS of the changed worlds that belong to `world`.
        world: the usual world.
        median: the median true threshold of the usual world, in images.
        score: the column of scores.

    Yields:
        Dicts: changes, models, and either why_none, or worth (images of the usual world), interval (95 %, from how
        much models of the usual world differ) and median (the changed world's median true threshold).
    """
    chance = world.shifts_by_chance()
    for (changes,), rows in painters.group_by("changes", maintain_order=True):
        models = rows.partition_by("deal", "training", maintain_order=True)
        told: dict[str, Any] = {"changes": changes, "models": len(models)}
        if changes in WORLDS and WORLDS[changes].is_of_encoder:
            yield told | {"why_none": OTHER_SCORES}
            continue
        if len(chance) < 2:
            yield told | {"why_none": NO_NULL}
            continue
        shifts = np.array([world.shift(model, score) for model in models])
        if (np.abs(shifts) > FURTHEST - 0.01).any():
            yield told | {"why_none": NO_COUNT}
            continue
        shift, half = shifts.mean(), 1.96 * np.std(chance, ddof=1) / np.sqrt(len(shifts))
        yield told | {
            "worth": float(np.exp(shift)),
            "interval": np.exp([shift - half, shift + half]).tolist(),
            "median": float(np.expm1(np.log1p(median) - shift)),
        }
