"""Whether it pays to pool the thresholds of several models and domains, in simulated studies; prints a table.

    python benchmarks/pooling.py [--sets 50] [--write docs/compare.md]

The thresholds of up to 8 pairs of a model and a domain are log-normal about 300 images, with a spread that is given in
natural logarithms. Each pair has a table of concepts whose scores rise over a factor of 10 in count. Its threshold is
estimated by the logistic, with the bootstrap's interval and standard error (of log(1 + images)). Then each stands
alone; or all are shrunk with the spread of DerSimonian and Laird (1986, doi 10.1016/0197-2456(86)90046-2), taken as
known; or by `fit compare --pool`, which knows that the spread is uncertain. Of "shared" concepts, all pairs have the
same, with 70 % of the variance of a concept's deviation in common, as models of one domain have.
"""

import argparse
import sys
from pathlib import Path

import numpy as np
from scipy.special import expit

from fit.comparisons.pool import log_thresholds, pool
from fit.thresholds.estimators import find_estimator
from fit.thresholds.scores import sort_scores

sys.path.insert(0, str(Path(__file__).parent))
from pages import write_between

MIDDLE, WIDTH, LOW, RISE, SD, SHARED = 300, 10, 0.1, 0.4, 0.08, 0.7
SPREADS, PAIRS = (0.0, 0.2, 0.5), (2, 4, 8)
SCENARIOS = ((50, False), (100, False), (100, True))
"""(concepts of a table, whether all tables have the same)."""
NAME, PENALTY, Z = "logistic", 0.9, 1.96


def tables_of(middles, concepts, shared, rng):
    """Tables whose scores rise about `middles`."""
    names, scale = [f"concept-{number}" for number in range(concepts)], np.log(WIDTH) / (2 * np.log(9))
    counts, common = np.rint(np.exp(rng.uniform(0, np.log(1e5), concepts))), rng.normal(size=concepts)
    for middle in middles:
        own = rng.normal(size=concepts)
        if shared:
            own = np.sqrt(SHARED) * common + np.sqrt(1 - SHARED) * own
        else:
            counts = np.rint(np.exp(rng.uniform(0, np.log(1e5), concepts)))
        rise = expit((np.log1p(counts) - middle) / scale)
        yield sort_scores(names, counts, LOW + RISE * rise + SD * own)


def estimates(tables, shared, resamples, seed):
    """(log(1 + thresholds) [K], covariance of their errors [K, K], ends of their intervals [2, K]) of tables.

    None where a table has no threshold.
    """
    found = [find_estimator(NAME).estimate(table, PENALTY).threshold for table in tables]
    if None in found:
        return None
    drawn = log_thresholds([tables] if shared else [[table] for table in tables], NAME, PENALTY, resamples, seed)
    drawn = drawn[np.isfinite(drawn).all(axis=1)]
    return np.log1p(found), np.cov(drawn.T), np.quantile(drawn, [0.025, 0.975], axis=0)


def der_simonian_laird(values, covariance):
    """[(shrunk value, low, high)] by the spread's moment estimate, which is taken as known."""
    errors = np.sqrt(np.diag(covariance))
    w = 1 / errors**2
    mean = w @ values / w.sum()
    excess = w @ (values - mean) ** 2 - (len(values) - 1)
    spread = max(0.0, excess / (w.sum() - (w**2).sum() / w.sum()))
    v = 1 / (errors**2 + spread)
    common, share = v @ values / v.sum(), errors**2 / (errors**2 + spread)
    shrunk = share * common + (1 - share) * values
    error = np.sqrt((1 - share) * errors**2 + share**2 / v.sum())
    return np.column_stack([shrunk, shrunk - Z * error, shrunk + Z * error])


def pooled(values, covariance):
    """(the same by fit.compare.pool, all that it says)."""
    found = pool(values, covariance)
    return np.array([[one.value, one.low, one.high] for one in found.each]), found


def row(found, pairs, concepts, shared, spread):
    """The cells of a kind of set: `found` has (truths, values, covariance, ends) of 8 tables each."""
    ways = {name: [] for name in ("alone", "der_simonian_laird", "pooled")}
    common, spreads = [], []
    for truths, of_all, covariances, ends in found:
        for start in range(0, len(truths), pairs):
            at = slice(start, start + pairs)
            truth, values, covariance = truths[at], of_all[at], covariances[at, at]
            shrunk, whole = pooled(values, covariance)
            of_ways = (np.column_stack([values, *ends[:, at]]), der_simonian_laird(values, covariance), shrunk)
            for name, answer in zip(ways, of_ways, strict=True):
                ways[name] += list(np.column_stack([truth, answer]))
            middle = np.log1p(MIDDLE)
            common.append(whole.common.low <= middle <= whole.common.high)
            spreads.append(whole.spread.low <= spread <= whole.spread.high)
    cells = []
    for answers in ways.values():
        truth, value, low, high = np.array(answers).T
        cells += [f"{np.sqrt(((value - truth) ** 2).mean()):.3f}", f"{((low <= truth) & (truth <= high)).mean():.0%}"]
    held = "" if spread == 0 else f"{np.mean(spreads):.0%}"
    kind = f"{concepts}, shared" if shared else f"{concepts}"
    return [kind, str(pairs), f"{spread:g}", *cells, f"{np.mean(common):.0%}", held]


def simulate(concepts, shared, spread, sets, resamples):
    """(truths, values, covariance, ends) of sets of 8 tables; those in which a table has no threshold are left out."""
    found = []
    for number in range(sets):
        rng = np.random.default_rng([number, concepts, shared, round(100 * spread)])
        truths = np.log1p(MIDDLE) + spread * rng.normal(size=max(PAIRS))
        answer = estimates(list(tables_of(truths, concepts, shared, rng)), shared, resamples, number)
        if answer is not None:
            found.append((truths, *answer))
        print(f"{concepts} concepts, spread {spread}: {number + 1} of {sets}", file=sys.stderr, end="\r")
    print(file=sys.stderr)
    return found


def main():
    """Parse the command line; print the table, or put it between the marks of a file."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sets", type=int, default=50, help="of 8 studies, per kind")
    parser.add_argument("--resamples", type=int, default=200, help="of each study's bootstrap")
    parser.add_argument("--write", type=Path, metavar="FILE", help="put the table between the marks of this file")
    args = parser.parse_args()
    columns = (
        *("concepts", "pairs", "true spread", "alone: error", "coverage", "DerSimonian-Laird: error", "coverage"),
        *("pooled: error", "coverage", "common threshold: coverage", "spread: coverage"),
    )
    lines = [f"{args.sets} sets of 8 studies a kind, {args.resamples} resamples.", "", f"| {' | '.join(columns)} |"]
    lines.append(f"| {' | '.join('---:' for _ in columns)} |")
    for concepts, shared in SCENARIOS:
        for spread in SPREADS:
            found = simulate(concepts, shared, spread, args.sets, args.resamples)
            for pairs in PAIRS:
                lines.append(f"| {' | '.join(row(found, pairs, concepts, shared, spread))} |")
    print("\n".join(lines))
    if args.write:
        write_between(args.write, "pooling", lines)


if __name__ == "__main__":
    main()
