"""What adjusting for difficulty does to the threshold, in simulated studies whose truth is known; prints a table.

    python benchmarks/difficulty.py [--studies 200] [--docs docs/scores.md]

Counts are log-uniform from 1 to 10,000. The score rises by 0.4 at 300 images, or not at all, and by 0.1 per unit of a
covariate, with noise of sd 0.08. Four covariates: one that does nothing; one that rises with the logarithm of the count
(correlation 0.7); one that is higher from 3,000 images on; one that is a curve of the count. Seeds are fixed.
"""

import argparse
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from fit.thresholds.difficulty import adjust
from fit.thresholds.estimators.one_change import best_split
from fit.thresholds.scores import sort_scores
from fit.thresholds.uncertainty import permutation_p_value

sys.path.insert(0, str(Path(__file__).parent))
from pages import write_between

SLOPE, STEP, AT, NOISE, PERMUTATIONS = 0.1, 0.4, 300, 0.08, 199
COVARIATES = {
    "noise": lambda counts, own: (own, 0.0),
    "rises with the count": lambda counts, own: (np.log10(1 + counts) * 0.9 + own, SLOPE),
    "higher from 3,000 images on": lambda counts, own: (3.0 * (counts >= 3000) + own, SLOPE),
    "a curve of the count": lambda counts, own: (np.log10(1 + counts) ** 2, SLOPE),
}


def study(name, concepts, step, rng):
    """(counts, scores, covariate, its true slope)."""
    counts = np.sort(np.floor(10 ** rng.uniform(0, 4, concepts)))
    covariate, slope = COVARIATES[name](counts, rng.normal(size=concepts))
    return counts, step * (counts >= AT) + slope * covariate + rng.normal(0, NOISE, concepts), covariate, slope


def jump(table, test, seed):
    """(count of the first concept above the best split, whether chance makes such a jump in at most 5 %)."""
    return table.counts[best_split(table.counts, table.scores)[0]], test(seed) <= 0.05


def summary(found):
    """Cells: the median of the places of jumps, and how many studies have one."""
    if not found:
        return ["", ""]
    places, holds = np.array(found).T
    return [f"{np.median(places):,.0f}", f"{holds.mean():.0%}"]


def row(name, concepts, step, studies, rng):
    """The cells of a kind of study."""
    slopes, before, after = [], [], []
    for _ in range(studies):
        counts, scores, covariate, slope = study(name, concepts, step, rng)
        table, seed = sort_scores([f"{at:04d}" for at in range(concepts)], counts, scores), int(rng.integers(2**31))
        found = adjust(counts, scores, {"before_score": covariate})
        before.append(jump(table, partial(permutation_p_value, table, PERMUTATIONS), seed))
        if found.is_possible:
            slopes.append(found.effects["before_score"].slope - slope)
            adjusted = replace(table, scores=found.take_off(scores))
            after.append(jump(adjusted, partial(found.p_value, table, PERMUTATIONS), seed))
    error = f"{np.mean(slopes):+.3f}" if slopes else ""
    told = f"{len(slopes) / studies:.0%}"
    return [name, str(concepts), f"{AT}" if step else "none", told, error, *summary(before), *summary(after)]


def main():
    """Parse the command line; print the table, and put it between the marks of a file."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--studies", type=int, default=200, help="per row")
    parser.add_argument("--docs", type=Path, metavar="FILE", help="put the table between the marks of this file")
    args = parser.parse_args()
    rng = np.random.default_rng(17)
    columns = (
        *("covariate", "concepts", "true jump", "told apart from the count", "mean error of the slope"),
        *("published: median best split", "has a jump", "adjusted: median best split", "has a jump"),
    )
    lines = [f"{args.studies} studies a row.", "", f"| {' | '.join(columns)} |"]
    lines.append(f"| --- | {' | '.join('---:' for _ in columns[1:])} |")
    for step in (STEP, 0.0):
        for concepts in (48, 400):
            for name in COVARIATES:
                lines.append(f"| {' | '.join(row(name, concepts, step, args.studies, rng))} |")
    print("\n".join(lines))
    if args.docs:
        write_between(args.docs, "difficulty", lines)


if __name__ == "__main__":
    main()
