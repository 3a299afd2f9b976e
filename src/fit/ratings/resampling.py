"""Concepts with ratings, drawn again: other raters, other concepts, or both (a crossed, or two-way, bootstrap)."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from fit.ratings.store import Rating

CHUNK = 250
"""Resamples in memory at once."""


@dataclass(frozen=True)
class RatedConcepts:
    """N concepts, ascending in count and then by name, and what raters gave their P pictures."""

    counts: np.ndarray
    """[N] effective counts, in images."""
    scores: np.ndarray
    """[N]."""
    given: np.ndarray
    """[raters, P] ratings, NaN where there is none. The pictures of a concept are next to each other."""
    concept_of: np.ndarray
    """[P] which concept a picture is of, ascending."""

    @property
    def raters(self) -> int:
        """Return how many raters there are."""
        return len(self.given)

    @property
    def means(self) -> np.ndarray:
        """Return the mean rating [N] of each concept; each picture has one weight, whatever its raters."""
        return self._means(np.ones((1, self.raters)))[0]

    def take(self, mask: np.ndarray) -> "RatedConcepts":
        """Return the concepts at `mask` [N], without raters who rated none of them."""
        of_pictures = mask[self.concept_of]
        given = self.given[:, of_pictures]
        concept_of = (np.cumsum(mask) - 1)[self.concept_of[of_pictures]]
        return RatedConcepts(self.counts[mask], self.scores[mask], given[np.isfinite(given).any(1)], concept_of)

    def _means(self, weights: np.ndarray) -> np.ndarray:
        """Return the mean ratings [R, N] by raters of these weights [R, raters]; NaN where none of them rated it."""
        rated = np.isfinite(self.given)
        with np.errstate(invalid="ignore"):
            of_pictures = (weights @ np.where(rated, self.given, 0)) / (weights @ rated)
            starts = np.searchsorted(self.concept_of, np.arange(len(self.counts)))
            seen = np.isfinite(of_pictures)
            sums = np.add.reduceat(np.where(seen, of_pictures, 0), starts, axis=1)
            return sums / np.add.reduceat(seen, starts, axis=1, dtype=np.float64)

    def resample(
        self, resamples: int, rng: np.random.Generator, also_raters: bool
    ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield (rows, means), [R, N] each, for some of `resamples` at a time.

        Concepts are drawn with replacement, among those that a drawn rater rated.

        Args:
            resamples: how many.
            rng: of the draws.
            also_raters: whether raters are drawn with replacement too, the same for all concepts of a resample.
        """
        number = len(self.counts)
        for start in range(0, resamples, CHUNK):
            size = min(CHUNK, resamples - start)
            chances = np.full(self.raters, 1 / self.raters)
            drawn = rng.multinomial(self.raters, chances, size=size) if also_raters else np.ones((1, self.raters))
            means = np.broadcast_to(self._means(drawn), (size, number))
            there = np.isfinite(means)
            order = np.argsort(~there, axis=1, kind="stable")
            at = np.floor(rng.random((size, number)) * there.sum(1, keepdims=True)).astype(np.int64)
            rows = np.take_along_axis(order, at, axis=1)
            yield rows, np.take_along_axis(means, rows, axis=1)


def rated_concepts(
    ratings: Sequence[Rating], known: Mapping[str, tuple[float, float]], concepts: Sequence[str]
) -> RatedConcepts:
    """Arrange ratings.

    Args:
        ratings: one of a rater about a picture, none of them skipped.
        known: concept -> (effective count, score).
        concepts: those that have a rating, ascending in count and then by name.

    Returns:
        RatedConcepts that do not depend on the order of the ratings.
    """
    raters = {name: row for row, name in enumerate(sorted({rating.rater for rating in ratings}))}
    place = {concept: at for at, concept in enumerate(concepts)}
    pictures = sorted({(place[rating.concept], rating.image_id) for rating in ratings})
    column = {picture: at for at, picture in enumerate(pictures)}
    given = np.full((len(raters), len(pictures)), np.nan)
    for rating in ratings:
        given[raters[rating.rater], column[place[rating.concept], rating.image_id]] = rating.given
    counts, scores = np.array([known[concept] for concept in concepts], np.float64).T
    return RatedConcepts(counts, scores, given, np.array([at for at, _ in pictures]))
