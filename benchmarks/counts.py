"""How often the intervals of effective counts hold the truth, in simulated downloads and simulated recognisers.

    python benchmarks/counts.py [--studies 1000] [--write docs/counts.md]

Of 2,000 captions some show the concept, and a random part of their images is downloaded. The first table is of a
recogniser without errors, beside the interval that FIT had before (Wilson's for the share of the downloads, times the
captions). The second is of one that errs at rates which were measured on references. The third is of a recogniser that
confuses some concepts more often than others: 50 concepts with 20 references each, a false positive rate for each pair,
a true one for each concept. Its rates are taken for one, as FIT did before, or each concept's are found. Seeds are
fixed.
"""

import argparse
from functools import cache
from pathlib import Path

import numpy as np
from pages import write_between
from scipy.special import expit, logit
from scipy.stats import binomtest

from fit.counts.corrected import ImageErrors, Rate, corrected_count
from fit.counts.estimate import effective_count
from fit.matches.image_rates import rates_of_concepts, worth

CAPTIONS = 2000
SHOWN = (0, 20, 600, 1000, 1900, 2000)
"""Captions whose images show the concept."""
DOWNLOADED = (200, 1480, 1900, 2000)
RATES = ((0.95, 0.0035), (0.95, 0.01), (0.8, 0.05))
"""True and false positive rates of a recogniser."""
REFERENCES = (400, 2000)
"""Independent images on which each rate is measured."""
CONCEPTS, OWN, FPR = 50, 20, 0.01
"""Concepts of the third table, the references of each, and the median false positive rate of pairs."""


@cache
def ours(matches, downloaded):
    """The interval of the beta-binomial."""
    return effective_count(matches, CAPTIONS, downloaded)[1:]


@cache
def wilson(matches, downloaded):
    """The interval that was FIT's before."""
    share = binomtest(matches, downloaded).proportion_ci(0.95, method="wilson")
    return int(np.floor(share.low * CAPTIONS)), int(np.ceil(share.high * CAPTIONS))


def coverage(intervals, truth):
    """The share of intervals that hold the truth, and their mean width."""
    low, high = np.array(intervals).T
    return f"{((low <= truth) & (truth <= high)).mean():.3f}", f"{(high - low).mean():.0f}"


def exact_recogniser(studies, rng):
    """The table without errors, as Markdown."""
    lines = [
        "| captions that show the concept | downloaded | beta-binomial: coverage | width | Wilson: coverage | width |",
        "| ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for shown in SHOWN:
        for downloaded in DOWNLOADED:
            seen = rng.hypergeometric(shown, CAPTIONS - shown, downloaded, studies).tolist()
            cells = [coverage([of(m, downloaded) for m in seen], shown) for of in (ours, wilson)]
            lines.append(f"| {shown:,} | {downloaded:,} | " + " | ".join(c for pair in cells for c in pair) + " |")
    return "\n".join(lines)


def erring_recogniser(studies, rng):
    """The table with errors, as Markdown."""
    lines = [
        "| TPR, FPR | captions that show the concept | mean raw count | mean corrected count | coverage | width |",
        "| --- | ---: | ---: | ---: | ---: | ---: |",
    ]
    downloaded = 1480
    for tpr, fpr in RATES:
        for shown in SHOWN:
            seen = rng.hypergeometric(shown, CAPTIONS - shown, downloaded, studies)
            matches = rng.binomial(seen, tpr) + rng.binomial(downloaded - seen, fpr)
            measured = [rng.binomial(n, rate, studies) / n for n, rate in zip(REFERENCES, (tpr, fpr), strict=True)]
            found = [
                corrected_count(int(m), CAPTIONS, downloaded, ImageErrors(*map(Rate, rates, REFERENCES)))
                for m, *rates in zip(matches, *measured, strict=True)
            ]
            covered = coverage([row[1:] for row in found], shown)
            raw, corrected = matches.mean() * CAPTIONS / downloaded, np.mean([row[0] for row in found])
            lines.append(f"| {tpr}, {fpr} | {shown:,} | {raw:.0f} | {corrected:.0f} | " + " | ".join(covered) + " |")
    return "\n".join(lines)


def confused_concepts(spread, fpr, rng):
    """(accepted references [C, C], true rates of each concept [2, C]) of concepts whose rates differ.

    `spread` is the deviation of concepts' log odds; pairs of concepts deviate by 1 besides.
    """
    of_concept, of_pair = rng.normal(0, spread, CONCEPTS), rng.normal(0, 1, (CONCEPTS, CONCEPTS))
    middle = logit(fpr) + of_concept
    true_fpr = expit(middle[:, None] + rng.normal(0, 1, 4000)).mean(axis=1)
    true_tpr = expit(logit(0.95) + rng.normal(0, spread / 2, CONCEPTS))
    accepted = rng.binomial(OWN, expit(middle[:, None] + of_pair))
    accepted[np.diag_indices(CONCEPTS)] = rng.binomial(OWN, true_tpr)
    return accepted, np.array([true_tpr, true_fpr])


def pooled_errors(accepted):
    """One rate for all concepts, worth as many images as measure_image_rates says."""
    own, apart = np.diag(accepted), 1 - np.eye(CONCEPTS)
    taken, asked = accepted * apart, OWN * apart
    rates = own.sum() / (OWN * CONCEPTS), taken.sum() / asked.sum()
    sums = [m.sum() - m.sum(axis=0) - m.sum(axis=1) for m in (taken, asked)]
    without = [(own.sum() - own) / (OWN * (CONCEPTS - 1)), sums[0] / sums[1]]
    trials = [worth(rate, OWN * CONCEPTS, each) for rate, each in zip(rates, without, strict=True)]
    return ImageErrors(*map(Rate, rates, trials))


def differing_concepts(studies, rng):
    """The table of concepts whose rates differ, as Markdown."""
    sets = max(1, studies // (2 * CONCEPTS))
    lines = [
        f"{sets * CONCEPTS} concepts a row.",
        "",
        "| spread of concepts | captions that show the concept | one rate: coverage | width "
        "| each its own: coverage | width |",
        "| ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    downloaded = 1480
    for spread in (0.0, 1.0, 2.0):
        for shown in (0, 20, 600, 1900):
            found = {"one": [], "own": []}
            for _ in range(sets):
                accepted, (tpr, fpr) = confused_concepts(spread, FPR, rng)
                one = pooled_errors(accepted)
                rates, _ = rates_of_concepts(accepted, np.full(CONCEPTS, OWN), one.tpr.trials, one.fpr.trials)
                seen = rng.hypergeometric(shown, CAPTIONS - shown, downloaded, CONCEPTS)
                matches = rng.binomial(seen, tpr) + rng.binomial(downloaded - seen, fpr)
                for m, of_concept in zip(matches.tolist(), rates, strict=True):
                    own = ImageErrors(*(Rate(*of_concept[name]) for name in ("tpr", "fpr")))
                    for name, errors in (("one", one), ("own", own)):
                        answer = corrected_count(m, CAPTIONS, downloaded, errors)
                        found[name].append(answer[1:] if answer else (0, CAPTIONS))
            cells = [cell for intervals in found.values() for cell in coverage(intervals, shown)]
            lines.append(f"| {spread:g} | {shown:,} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main():
    """Parse the command line; print the tables, or put them between the marks of a file."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--studies", type=int, default=1000, help="per row")
    parser.add_argument("--write", type=Path, metavar="FILE", help="put the tables between the marks of this file")
    args = parser.parse_args()
    rng = np.random.default_rng(2024)
    tables = [exact_recogniser(args.studies, rng), erring_recogniser(args.studies, rng)]
    text = f"{tables[0]}\n\nWith a recogniser that errs, of 1,480 downloaded images:\n\n{tables[1]}"
    differing = differing_concepts(args.studies, np.random.default_rng(2025))
    print(text, differing, sep="\n\n")
    if args.write:
        write_between(args.write, "coverage", text.splitlines())
        write_between(args.write, "concepts", differing.splitlines())


if __name__ == "__main__":
    main()
