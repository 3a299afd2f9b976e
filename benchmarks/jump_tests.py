"""Measures tests against no jump on studies without one, and on clear steps: those that fit makes, and three others.

    python benchmarks/jump_tests.py --studies 500

The spread of the scores is equal, grows tenfold with the count, or has heavy tails (Student's t, 2 degrees of freedom);
or concepts are of families of 1 to some 14, with like counts and like scores; or scores correlate by 0.7 between
concepts next to each other in count.
"""

import argparse
from pathlib import Path

import numpy as np
from pages import write_between
from threshold import table_of

from fit.thresholds.estimators.one_change import error_removed
from fit.thresholds.jump_tests import sign_p_value
from fit.thresholds.neighbours import neighbours_p_value
from fit.thresholds.scores import sort_scores
from fit.thresholds.uncertainty import permutation_p_value

LEAST = 5
"""Concepts on each side of a split of which Welch's t is taken."""


def welch(scores):
    """The largest squared t of Welch over splits of `scores` [R, N]: [R]."""
    number = scores.shape[1]
    sizes = np.arange(1, number)
    sums, squares = np.cumsum(scores, axis=1), np.cumsum(scores**2, axis=1)
    below, above = sums[:, :-1] / sizes, (sums[:, -1:] - sums[:, :-1]) / (number - sizes)
    of_below = (squares[:, :-1] - sizes * below**2) / np.maximum(sizes - 1, 1)
    of_above = (squares[:, -1:] - squares[:, :-1] - (number - sizes) * above**2) / np.maximum(number - sizes - 1, 1)
    t = (below - above) ** 2 / np.maximum(of_below / sizes + of_above / (number - sizes), 1e-12)
    return t[:, LEAST - 1 : number - LEAST].max(axis=1)


def p_of(observed, drawn):
    """The p-value of a statistic, of those of draws."""
    return (1 + (drawn >= observed * (1 - 1e-12)).sum()) / (1 + len(drawn))


def p_values(noise, scores, families, draws, rng):
    """p-values of the tests of scores [N] in order of count, all counts being different; NaN if not made."""
    counts = np.arange(len(scores))
    table = sort_scores([f"c{i:04d}" for i in counts], counts, scores)
    seed = int(rng.integers(2**32))
    permuted = rng.permuted(np.tile(scores, (draws, 1)), axis=1)
    found = [
        permutation_p_value(table, draws, seed),
        p_of(welch(scores[None])[0], welch(permuted)),
        sign_p_value(table, counts, draws, seed),
        sign_p_value(table, None, draws, seed),
        neighbours_p_value(table, draws, seed) if noise == "neighbours" else np.nan,
    ]
    if families is None:
        return [*found, np.nan, np.nan]
    places = np.argsort(families, kind="stable")
    order = np.argsort(rng.random((draws, families.max() + 1))[:, families[places]], axis=1, kind="stable")
    dealt = np.empty((draws, len(scores)))
    dealt[:, places] = (scores - scores.mean())[places][order]
    observed = error_removed(counts, scores[None]).max()
    of_blocks = p_of(observed, error_removed(counts, dealt).max(axis=1))
    return [*found, of_blocks, sign_p_value(table, families, draws, seed)]


def draw(noise, number, height, rng):
    """Scores [N] in order of count, a step of `height` above four fifths of the concepts; and families, or None."""
    place = np.linspace(0, 1, number)
    step = height * (place > 0.8)
    if noise == "families":
        families = np.repeat(np.arange(number), 1 + rng.poisson(6, number))[:number]
        families = np.unique(families, return_inverse=True)[1]
        counts = 1.5 * rng.normal(size=number)[families] + rng.normal(0, 0.5, number)
        order = np.argsort(counts)
        scores = rng.normal(size=number)[families] + rng.normal(0, 0.5, number)
        return scores[order] + step, families[order]
    if noise == "neighbours":
        values = rng.normal(size=number)
        for at in range(1, number):
            values[at] = 0.7 * values[at - 1] + np.sqrt(1 - 0.7**2) * values[at]
        return values + step, None
    spread = {"equal": 1.0, "grows": 0.1 + 0.9 * place**2, "heavy tails": 1.0}[noise]
    values = rng.standard_t(2, number) if noise == "heavy tails" else rng.normal(size=number)
    return values * spread + step, None


def main():
    """Simulate, print the table, and write it into the docs."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--studies", type=int, default=500, help="per row")
    parser.add_argument("--draws", type=int, default=199, help="per test")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--docs", type=Path, default=None, help="file whose table is written again: docs/thresholds.md")
    args = parser.parse_args()
    rows = []
    for number, noise in enumerate(("equal", "grows", "heavy tails", "families", "neighbours")):
        for concepts in (60, 400):
            for height in (0.0, 10 / np.sqrt(concepts)):
                rng = np.random.default_rng([args.seed, number, concepts])
                found = [
                    p_values(noise, *draw(noise, concepts, height, rng), draws=args.draws, rng=rng)
                    for _ in range(args.studies)
                ]
                of_tests = np.array(found).T
                cells = ["-" if np.isnan(one).all() else f"{np.mean(one <= 0.05):.1%}" for one in of_tests]
                words = "a step" if height else "no jump"
                rows.append((f"{noise}, {concepts} concepts, {words}", cells))
    tests = (
        *("permutation", "Welch's t, permuted", "signs, squared error", "signs", "neighbours"),
        *("families permuted", "signs of families"),
    )
    lines = [
        f"Share with p <= 0.05; {args.studies} studies a row, {args.draws} draws a test.",
        "",
        *table_of(rows, tests),
    ]
    print("\n".join(lines))
    if args.docs:
        write_between(args.docs, "tests", lines)


if __name__ == "__main__":
    main()
