"""How often `fit compare` sees that one of two thresholds is higher, and how often its interval holds the truth.

    python benchmarks/compare.py [--studies N] [--write docs/compare.md]

Two models are asked for the same concepts, whose counts are log-uniform to 100,000. Scores rise once, over a factor of
10 in count, about 300 images in the first model; a share of each concept's deviation is the same in both. Each pair of
tables is compared in pairs, and as two tables that have nothing in common.
"""

import argparse
import sys
from pathlib import Path

import numpy as np
from pages import write_between
from scipy.special import expit

from fit.comparisons.compare import compare
from fit.thresholds.scores import sort_scores

MIDDLE, WIDTH, LOW, RISE, SD, SHARED = 300, 10, 0.1, 0.4, 0.08, 0.7
"""Images at the middle of the first rise, ratio of the counts at 90 and 10 % of it, its scores, the deviation of
concepts, and the share of its variance that both models have."""
SCENARIOS = ((100, 1.0), (100, 1.5), (400, 1.0), (400, 1.5))
"""(concepts, true ratio of the thresholds)."""
ESTIMATORS = ("logistic", "isotonic", "one_change")
PENALTY = 0.9


def pair_of_tables(concepts, ratio, seed):
    """Make the tables of two models whose thresholds are `ratio` apart."""
    rng = np.random.default_rng(seed)
    counts = np.rint(np.exp(rng.uniform(0, np.log(1e5), concepts)))
    shared, names = rng.normal(size=concepts), [f"concept-{number}" for number in range(concepts)]
    scale = np.log(WIDTH) / (2 * np.log(9))
    for middle in (MIDDLE, MIDDLE * ratio):
        noise = np.sqrt(SHARED) * shared + np.sqrt(1 - SHARED) * rng.normal(size=concepts)
        rise = expit((np.log1p(counts) - np.log1p(middle)) / scale)
        yield sort_scores(names, counts, LOW + RISE * rise + SD * noise)


def simulate(concepts, ratio, studies, resamples):
    """Compare `studies` pairs of tables: (paired, estimator) -> a row [rejects 1, holds the truth, width] each."""
    found = {}
    for number in range(studies):
        first, second = pair_of_tables(concepts, ratio, [number, concepts])
        for paired in (True, False):
            options = {"penalty": PENALTY, "resamples": resamples, "seed": number, "estimators": ESTIMATORS}
            answers = compare(first, second, paired=paired, **options)["estimators"]
            for name, answer in answers.items():
                rows = found.setdefault((paired, name), [])
                if answer.get("interval"):
                    low, high = answer["interval"]
                    rows.append((answer["p_value"] <= 0.05, low <= ratio <= high, high / low))
        print(f"{concepts} concepts, ratio {ratio}: {number + 1} of {studies}", file=sys.stderr, end="\r")
    print(file=sys.stderr)
    return found


def table(studies, resamples):
    """The table, as Markdown."""
    lines = [
        f"{studies} pairs of studies a row, {resamples} resamples.",
        "",
        "| concepts | true ratio | estimator | compared | ratio 1 rejected | interval holds the truth | median width |",
        "| ---: | ---: | --- | --- | ---: | ---: | ---: |",
    ]
    for concepts, ratio in SCENARIOS:
        for (paired, name), rows in simulate(concepts, ratio, studies, resamples).items():
            how = "in pairs" if paired else "apart"
            cells = ("-", "-", "-")  # no pair has an interval
            if rows:
                rejected, holds, _ = np.mean(rows, axis=0)
                cells = (f"{rejected:.0%}", f"{holds:.0%}", f"x{np.median([row[2] for row in rows]):.2f}")
            lines.append(f"| {concepts} | {ratio:g} | {name} | {how} | {' | '.join(cells)} |")
    return "\n".join(lines)


def main():
    """Parse the command line; print the table, or put it between the markers of a file."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--studies", type=int, default=200, help="pairs of tables a row")
    parser.add_argument("--resamples", type=int, default=400)
    parser.add_argument("--write", type=Path, metavar="FILE", help="put the table between the markers of this file")
    args = parser.parse_args()
    text = table(args.studies, args.resamples)
    print(text)
    if args.write:
        write_between(args.write, "comparison", text.splitlines())


if __name__ == "__main__":
    main()
