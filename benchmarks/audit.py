"""Measures how right the probabilities of `fit audit` are, and writes the tables into docs/audit.md.

    python benchmarks/audit.py --docs docs/audit.md

A simulated study has 100 concepts, counts from 1 to 10,000, log-uniform, and scores of 0.15 below and 0.5 above, sd
0.1. The rise's middle lies between 30 and 600 images; a study without imitation has none. Audited are 40 concepts
around it (sd 1 in log(1 + images)), whose counts are exact or have an error of 20 or 50 %, and 20 log-uniform ones for
the share of high scores.
"""

import argparse
import time
from pathlib import Path

import numpy as np
from pages import write_between
from scipy.special import expit
from scipy.stats import norm

from fit.audits.counts import ConceptCount
from fit.audits.likelihood import HighScores
from fit.audits.threshold import from_study
from fit.audits.verdicts import audit
from fit.thresholds.report import measure
from fit.thresholds.scores import sort_scores

CONCEPTS, LOW, HIGH, SD = 100, 0.15, 0.5, 0.1
AUDITED, SCORED = 40, 20
FOLDS = {"step": 1.001, "rise over a factor of 4": 4.0, "rise over a factor of 20": 20.0, "no imitation": None}
BINS = (0.1, 0.35, 0.65, 0.9)


def mean_score(counts, at, fold):
    """Mean scores at counts [N]; none rises where `fold` is None."""
    if fold is None:
        return np.full(len(counts), LOW)
    return LOW + (HIGH - LOW) * expit((np.log1p(counts) - np.log1p(at)) * 2 * np.log(9) / np.log(fold))


def counted_concepts(at, rng):
    """(ConceptCounts, whether each has as many images as the threshold): AUDITED concepts around `at` images."""
    true = np.floor(at * np.exp(rng.normal(0, 1, AUDITED)))
    spread = rng.choice([0.0, 0.2, 0.5], AUDITED)
    seen = np.log1p(true) + spread * rng.normal(size=AUDITED)
    ends = [np.maximum(np.rint(np.expm1(seen + z * spread)), 0).astype(int) for z in (0, -1.96, 1.96)]
    rows = zip(*ends, strict=True)
    return [ConceptCount(f"a{i}", *map(int, row)) for i, row in enumerate(rows)], true >= at


def simulate(fold, resamples, rng):
    """One study: (whether it gives verdicts; [AUDITED, 3] P, whether the count reaches it, whether there is a verdict;
    [SCORED, 3] P of a high score, whether it is high, whether the interval holds the share)."""
    at = np.exp(rng.uniform(*np.log([30, 600])))
    counts = np.floor(10 ** rng.uniform(0, 4, CONCEPTS))
    scores = mean_score(counts, at, fold) + rng.normal(0, SD, CONCEPTS)
    table = sort_scores([f"c{i}" for i in range(CONCEPTS)], counts, scores)
    seed = int(rng.integers(2**31))
    threshold = from_study(measure(table, penalty=0.9, resamples=resamples, seed=seed, estimators=["logistic"]))
    if threshold.refusal or fold is None:
        return threshold.refusal is None, np.empty((0, 3)), np.empty((0, 3))
    counted, reaches = counted_concepts(at, rng)
    rows = {row["concept"]: row for row in audit(counted, threshold).rows}
    judged = [
        (rows[of.concept]["p_above"], reached, rows[of.concept]["verdict"] != "within")
        for of, reached in zip(counted, reaches, strict=True)
    ]
    model = HighScores(table, threshold.images)
    others = np.floor(10 ** rng.uniform(0, 4, SCORED))
    shares = norm.sf((model.level - mean_score(others, at, fold)) / SD)
    scored = []
    for count, share in zip(others, shares, strict=True):
        chance, low, high = model.probability("new", int(count))
        scored.append((chance, rng.random() < share, low - 1e-9 <= share <= high + 1e-9))
    return True, np.array(judged, float), np.array(scored, float)


def by_chance(judged):
    """Cells: mean P and the share that happened, in parts of the range of P."""
    parts = [judged[np.digitize(judged[:, 0], BINS) == part] for part in range(len(BINS) + 1)]
    return [f"{part[:, 0].mean():.2f}: {part[:, 1].mean():.2f}" if len(part) else "-" for part in parts]


def wrong(judged):
    """A cell: the share of wrong answers that is expected, and that there is."""
    if not len(judged):
        return "-"
    expected = np.minimum(judged[:, 0], 1 - judged[:, 0]).mean()
    return f"{expected:.3f}: {((judged[:, 0] >= 0.5) != judged[:, 1]).mean():.3f}"


def tables(studies, resamples, seed):
    """Lines of the tables."""
    ranges = ["P to .1", ".1 to .35", ".35 to .65", ".65 to .9", "from .9"]
    heads = ["studies with a verdict", *ranges, "wrong verdicts"]
    lines = ["| P(count >= threshold) | " + " | ".join(heads) + " |", "| --- " * (len(heads) + 1) + "|"]
    more = ["| P(score is high) | " + " | ".join([*ranges, "wrong", "interval holds"]) + " |", "| --- " * 8 + "|"]
    for number, (name, fold) in enumerate(FOLDS.items()):
        found = [simulate(fold, resamples, np.random.default_rng([seed, number, study])) for study in range(studies)]
        given = sum(one[0] for one in found)
        judged, scored = (np.concatenate([one[part] for one in found]) for part in (1, 2))
        verdicts = judged[judged[:, 2] == 1] if len(judged) else judged
        cells = [f"{given} of {studies}", *by_chance(judged), wrong(verdicts)]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
        print(lines[-1], flush=True)
        if len(scored):
            held = f"{scored[:, 2].mean():.3f}"
            more.append(f"| {name} | " + " | ".join([*by_chance(scored), wrong(scored), held]) + " |")
            print(more[-1], flush=True)
    return [*lines, "", *more]


def main():
    """Simulate, print the tables, and write them into the docs."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--studies", type=int, default=500, help="per row")
    parser.add_argument("--resamples", type=int, default=200, help="per simulated study")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--docs", type=Path, default=None, help="file whose tables are written again: docs/audit.md")
    args = parser.parse_args()
    started = time.process_time()
    lines = tables(args.studies, args.resamples, args.seed)
    print(f"{time.process_time() - started:.0f} s")
    if args.docs:
        write_between(args.docs, "calibration", lines)


if __name__ == "__main__":
    main()
