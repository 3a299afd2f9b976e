"""How many concepts a study needs for an interval of a given width, from the spread of a study that exists."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import expit

from fit.errors import DataError
from fit.io.shown import as_images, number_of, ratio
from fit.thresholds.estimators import find_estimator
from fit.thresholds.estimators.logistic import WIDTH, logistic
from fit.thresholds.families import families_of
from fit.thresholds.headline import decisive_p_value
from fit.thresholds.jump_tests import against_no_jump
from fit.thresholds.neighbours import measure_neighbours, why_no_interval
from fit.thresholds.report import CHANCE, FEWEST
from fit.thresholds.scores import Scores
from fit.thresholds.uncertainty import CONFIDENCE

SIZES = (25, 50, 100, 200, 400, 800, 1600)
"""Numbers of concepts that are tried."""
STUDIES = 400
"""Studies that are simulated for each number."""
NEIGHBOURS = 10
"""Concepts of like counts among which a deviation is drawn: the spread may depend on the count."""
ESTIMATORS = ("logistic", "one_change")
PERMUTATIONS = 1000


@dataclass(frozen=True)
class Precision:
    """How precise studies of a number of concepts are."""

    concepts: int
    ratios: dict[str, float]
    """Estimator -> the ratio of the ends of the 95 % range of its thresholds over studies; infinite where under 95 % of
    the studies have one."""


@dataclass(frozen=True)
class Rise:
    """What simulated studies are drawn from: the counts of a study, its logistic, and its deviations from that."""

    counts: np.ndarray
    """[N] ascending."""
    deviations: np.ndarray
    """[N] in the same order."""
    fit: dict[str, float]
    """As fit.thresholds.estimators.logistic.logistic returns it."""
    remark: str | None = None
    """Why the simulated studies are more precise than real ones; None if nothing says so."""

    def score(self, counts: np.ndarray) -> np.ndarray:
        """Return the scores of the logistic at `counts`."""
        middle = np.log1p(self.fit["midpoint"])
        scale = (np.log1p(self.fit["to"]) - middle) / (WIDTH / 2)
        return self.fit["low"] + (self.fit["high"] - self.fit["low"]) * expit((np.log1p(counts) - middle) / scale)

    def draw(self, studies: int, concepts: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Draw (counts, scores) of studies, [studies, concepts] each and ascending in counts.

        A count lies between two counts of the study that are next to each other. A deviation is that of one of the
        NEIGHBOURS concepts around it.
        """
        last = len(self.counts) - 1
        places = np.sort(rng.uniform(0, last, (studies, concepts)), axis=1)
        counts = np.rint(np.expm1(np.interp(places, np.arange(last + 1), np.log1p(self.counts))))
        around = np.rint(places).astype(int) + rng.integers(-NEIGHBOURS // 2, NEIGHBOURS // 2 + 1, places.shape)
        return counts, self.score(counts) + self.deviations[np.clip(around, 0, last)]


def rise_of(table: Scores, seed: int) -> Rise:
    """Return the rise of a study.

    Raises:
        DataError: the study has too few concepts, or no rise that is beyond chance: then no number of concepts follows
            from it.
    """
    if len(table) < FEWEST:
        raise DataError(f"too few concepts: {len(table)}, at least {FEWEST} are needed to see how scores spread")
    fit = logistic(table.counts, table.scores)
    neighbours = measure_neighbours(table, seed)
    tests = against_no_jump(table, PERMUTATIONS, seed, neighbours["alike"])
    p_value = decisive_p_value({"permutation_test": tests}) or 0.0
    if fit is None or p_value > CHANCE:
        raise DataError(
            f"the scores do not rise with the counts beyond chance (p = {p_value:.2g}), so that the number of concepts "
            "for a threshold does not follow from them; give a table that has a threshold"
        )
    rise = Rise(table.counts, np.zeros(len(table)), fit)
    # The logistic has four free numbers: without the factor, the deviations would be too small in small studies.
    deviations = (table.scores - rise.score(table.counts)) * np.sqrt(len(table) / (len(table) - 4))
    why = why_no_interval(neighbours)
    if why is None and families_of(table) is not None:
        why = "concepts of a family are alike"
    return Rise(table.counts, deviations, fit, why)


def precision(rise: Rise, seed: int, sizes: Sequence[int] = SIZES, studies: int = STUDIES) -> Iterator[Precision]:
    """Yield how precise studies of each size are, by simulation.

    Args:
        rise: of a study.
        seed: of the draws.
        sizes: numbers of concepts.
        studies: how many studies to draw for each.
    """
    tail = (1 - CONFIDENCE) / 2
    for size in sizes:
        counts, scores = rise.draw(studies, size, np.random.default_rng([seed, size]))
        ratios = {}
        for name in ESTIMATORS:
            found = find_estimator(name).many(counts, scores, 0.0)
            known = np.log1p(found[np.isfinite(found)])
            if len(known) < CONFIDENCE * studies:
                ratios[name] = float("inf")
                continue
            low, high = np.quantile(known, [tail, 1 - tail])
            ratios[name] = float(np.exp(high - low))
        yield Precision(size, ratios)


def summary(rise: Rise) -> dict[str, float]:
    """Return the rise in numbers: concepts, standard_deviations (its height), midpoint (images), fold (10 to 90 %)."""
    return {
        "concepts": len(rise.counts),
        "standard_deviations": float((rise.fit["high"] - rise.fit["low"]) / rise.deviations.std()),
        "midpoint": rise.fit["midpoint"],
        "fold": (1 + rise.fit["to"]) / (1 + rise.fit["from"]),
    }


def describe(rise: Rise, found: Sequence[Precision], within: float | None) -> Iterator[str]:
    """Say in lines of text how precise studies of each size are, and how many concepts the ratio `within` takes."""
    of_rise = summary(rise)
    yield (
        f"from {number_of(int(of_rise['concepts']), 'concept')}: a rise of "
        f"{of_rise['standard_deviations']:.1f} standard deviations "
        f"about {as_images(of_rise['midpoint'])}, 10 to 90 % of it within a factor of {of_rise['fold']:.0f}"
    )
    yield "concepts  95 % interval, high end to low end: logistic  best single split"
    for one in found:
        cells = [f"x{ratio(ends)}" if np.isfinite(ends) else "none" for ends in one.ratios.values()]
        yield f"{one.concepts:>8}  {cells[0]:>45}  {cells[1]:>17}"
    if rise.remark:
        yield f"such studies take more concepts than this says: {rise.remark}"
    if within is None:
        return
    at = next((row for row, one in enumerate(found) if min(one.ratios.values()) <= within), None)
    if at is None:
        yield f"no number of concepts up to {found[-1].concepts} gives an interval within a factor of {within:g}"
        return
    by = min(found[at].ratios, key=lambda name: found[at].ratios[name])
    number = f"{found[at - 1].concepts} to {found[at].concepts}" if at else f"{found[at].concepts} or fewer"
    yield f"an interval within a factor of {within:g} takes {number} concepts ({find_estimator(by).label})"
