"""Measures the intervals of `fit ratings report` on simulated raters, and writes the table into docs/ratings.md.

    python benchmarks/ratings.py --docs docs/ratings.md

60 concepts, counts from 1 to 10,000, log-uniform, 3 pictures each, on a scale of 1 to 5. Scores and what all people see
step up at 200 images; the score has noise, and each picture too. Raters alike differ in how lenient they are. Different
raters also differ in how far they see what the score sees (slope, sd 0.5), and each looks at something else as well:
three features of a concept that are not in the score, with weights of his own (sd 0.8).
"""

import argparse
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from pages import write_between

from fit.ratings.agreement import alpha_interval, krippendorff_alpha
from fit.ratings.correlation import FEWEST, correlate, given_count, overall, spearman
from fit.ratings.resampling import RatedConcepts
from fit.ratings.threshold import add_intervals, find_threshold, from_0_to_1

CONCEPTS, PICTURES, STEP, PENALTY = 60, 3, 200, 0.9
LARGE, GROUPS = 2000, 200
"""Concepts, and groups of raters, from which the true correlation is computed."""
NUMBERS = (2, 3, 5, 10)


@dataclass(frozen=True)
class Raters:
    """What R raters are like."""

    lenient: np.ndarray
    """[R], in steps of the scale."""
    slopes: np.ndarray
    """[R] of ratings on what all see."""
    weights: np.ndarray
    """[R, 3] of features that the score does not have."""


def draw_raters(number, differ, rng):
    """Draw Raters; `differ`: whether they see different things."""
    return Raters(
        rng.normal(0, 0.5, number),
        1 + 0.5 * differ * rng.normal(size=number),
        0.8 * differ * rng.normal(size=(number, 3)),
    )


def draw_study(raters, concepts, rng):
    """Ratings by `raters` of other concepts: RatedConcepts."""
    counts = np.sort(np.floor(10 ** rng.uniform(0, 4, concepts)))
    seen = np.where(counts >= STEP, 1.0, -1.0) + rng.normal(0, 0.4, concepts)
    scores = 0.3 + 0.15 * seen + rng.normal(0, 0.05, concepts)
    rating = (
        3 + raters.lenient[:, None] + raters.slopes[:, None] * seen + raters.weights @ rng.normal(size=(3, concepts))
    )
    given = np.repeat(rating, PICTURES, axis=1)
    given = np.clip(np.rint(given + rng.normal(0, 0.6, given.shape)), 1, 5)
    return RatedConcepts(counts, scores, given, np.repeat(np.arange(concepts), PICTURES))


def true_correlations(number, differ, rng):
    """What groups of `number` raters find of very many concepts, on the mean: (Spearman, partial given the count)."""
    found = []
    for _ in range(GROUPS):
        large = draw_study(draw_raters(number, differ, rng), LARGE, rng)
        found.append([float(of(large.counts, large.scores, large.means)) for of in (overall, given_count)])
    return np.mean(found, axis=0)


def simulate(number, differ, truths, resamples, rng):
    """One study: what -> whether the interval holds the truth; nothing where there is no interval."""
    raters = draw_raters(number, differ, rng)
    study = draw_study(raters, CONCEPTS, rng)
    seed = int(rng.integers(2**31))
    held = {}

    def add(name, interval, truth, open_below=False):
        if interval is not None:
            low, high = interval
            held[name] = low < truth <= high if open_below else low <= truth <= high

    for name, statistic, truth in (("correlation", overall, truths[0]), ("given count", given_count, truths[1])):
        found = correlate(study, statistic, resamples=resamples, seed=seed)
        add(name, found["interval"], truth)
        if statistic is overall:
            add("concepts alone", found["interval_of_these_raters"], truth)
    large = draw_study(raters, LARGE, rng)
    between = alpha_interval(study.given, "ordinal", study.concept_of, resamples=resamples, seed=seed, fewest=FEWEST)
    add("alpha", between, krippendorff_alpha(large.given, "ordinal"))
    found = find_threshold(study.counts, from_0_to_1(study.means), penalty=PENALTY, permutations=resamples, seed=seed)
    add_intervals(found, study, penalty=PENALTY, resamples=resamples, seed=seed)
    add("PELT", found["interval"], STEP, open_below=True)
    add("best split", found["one_change"]["interval"], STEP, open_below=True)
    return held


COLUMNS = ("concepts alone", "correlation", "given count", "alpha", "best split", "PELT")


def coverage_table(studies, resamples, seed):
    """Lines of a table: share of intervals that hold the truth."""
    lines = ["| raters | " + " | ".join(COLUMNS) + " |", "| --- " * (1 + len(COLUMNS)) + "|"]
    for differ in (False, True):
        for number in NUMBERS:
            truths = true_correlations(number, differ, np.random.default_rng([seed, number, differ]))
            held = [
                simulate(number, differ, truths, resamples, np.random.default_rng([seed, number, differ, study]))
                for study in range(studies)
            ]
            cells = []
            for name in COLUMNS:
                there = [one[name] for one in held if name in one]
                cells.append(f"{np.mean(there):.3f} of {len(there)}" if there else "-")
            lines.append(f"| {number} {'different' if differ else 'alike'} | " + " | ".join(cells) + " |")
            print(lines[-1], flush=True)
    return lines


def within_sides_line(seed):
    """A sentence: correlations of a study in which score and people see the step, and nothing else alike."""
    rng = np.random.default_rng(seed)
    counts = 10 ** rng.uniform(0, 4, LARGE)
    scores, means = ((counts >= STEP) + rng.normal(0, 0.25, LARGE) for _ in range(2))
    whole, partial = overall(counts, scores, means), given_count(counts, scores, means)
    below, above = (spearman(scores[side], means[side]) for side in (counts < STEP, counts >= STEP))
    return (
        f"Where score and people see a step at {STEP} images and nothing else alike, Spearman's correlation is "
        f"{whole:.2f} overall, {partial:.2f} given the count, {below:.2f} below and {above:.2f} above the step."
    )


def main():
    """Simulate, print the table, and write it into the docs."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--studies", type=int, default=500, help="per row")
    parser.add_argument("--resamples", type=int, default=200, help="per simulated study")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--docs", type=Path, default=None, help="file whose table is written again: docs/ratings.md")
    args = parser.parse_args()
    started = time.process_time()
    lines = coverage_table(args.studies, args.resamples, args.seed)
    lines += ["", within_sides_line(args.seed)]
    print(lines[-1], f"{time.process_time() - started:.0f} s", sep="\n")
    if args.docs:
        write_between(args.docs, "coverage", lines)


if __name__ == "__main__":
    main()
