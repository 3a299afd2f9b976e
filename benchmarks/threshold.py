"""Measures the threshold's estimators and intervals on studies of known truth, and writes the tables into the docs.

    python benchmarks/threshold.py

A simulated study has 60, 150 or 400 concepts, counts from 1 to 10,000, log-uniform, and scores of 0.1 to 0.2 below and
0.4 to 0.6 above, sd 0.1. Its true count lies between 30 and 600 images: the place of a step, or a logistic's middle.
"""

import argparse
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from ruptures import Pelt
from scipy.special import expit

from fit.thresholds.estimators import ESTIMATORS, find_estimator
from fit.thresholds.estimators.logistic import WIDTH
from fit.thresholds.report import measure
from fit.thresholds.scores import sort_scores
from fit.thresholds.uncertainty import bootstrap, interval

ROOT = Path(__file__).parents[1]
PENALTY = 0.9
FINE = 2000
"""Concepts of the noise-free study whose answer is an estimator's own target."""


@dataclass(frozen=True)
class Scenario:
    """How the scores rise, and what disturbs them."""

    name: str
    fold: float = 1.0
    """Counts at 90 and 10 % of the rise; 1 for a step."""
    without_images: float = 0.0
    """Share of concepts with a count of 0."""
    outliers: float = 0.0
    """Share of concepts whose score is uniform between 0.1 and 0.6."""
    sampled: bool = False
    """Counts estimated from captions and downloads; scores from 5 prompts of 20 images."""


SCENARIOS = (
    Scenario("step"),
    Scenario("step, a fifth of counts 0", without_images=0.2),
    Scenario("step, 5 % outliers", outliers=0.05),
    Scenario("step, counts and pictures sampled", sampled=True),
    Scenario("rise over a factor of 4", 4),
    Scenario("rise over 4, counts of 0, outliers", 4, 0.2, 0.05),
    Scenario("rise over 4, counts and pictures sampled", 4, sampled=True),
    Scenario("rise over a factor of 20", 20),
    Scenario("rise over 20, a fifth of counts 0", 20, 0.2),
    Scenario("rise over 20, counts and pictures sampled", 20, sampled=True),
)


@dataclass(frozen=True)
class Truth:
    """What a simulated study was drawn from."""

    scenario: Scenario
    count: float
    low: float
    high: float

    def mean(self, counts):
        """Mean score at counts [N]: [N]."""
        if self.scenario.fold == 1:
            rise = np.where(counts >= self.count, 1.0, 0.0)
        else:
            scale = np.log(self.scenario.fold) / WIDTH
            rise = expit((np.log1p(counts) - np.log1p(self.count)) / scale)
        return self.low + (self.high - self.low) * rise

    def target(self, name, concepts):
        """Return what an estimator answers without noise, or NaN: the place of a step; of a rise, its middle for the
        logistic, and for the others their answer on FINE concepts on its curve, PELT with as much penalty for each."""
        if self.scenario.fold == 1 or name == "logistic":
            return self.count
        zeros = round(FINE * self.scenario.without_images)
        counts = np.concatenate([np.zeros(zeros), 10 ** np.linspace(0, 4, FINE - zeros)])
        share = self.scenario.outliers
        scores = (1 - share) * self.mean(counts) + share * 0.35
        return find_estimator(name).many(counts[None], scores[None], PENALTY * FINE / concepts)[0]


def sample_counts(counts, rng):
    """Estimated counts [N] and their evidence [N, 5]: not all captions show what they name, and links die."""
    counts = counts.astype(int)
    captions = counts + rng.poisson(counts * rng.uniform(0.05, 1.5, len(counts)) + 1)
    downloaded = rng.binomial(np.minimum(captions, 500), 0.74)
    matches = rng.hypergeometric(counts, captions - counts, downloaded)
    found = np.where(downloaded > 0, np.rint(matches * captions / np.maximum(downloaded, 1)), matches)
    unknown = np.full(len(counts), np.nan)
    return found, np.stack([captions, downloaded, matches, unknown, unknown], axis=1)


def sample_images(scores, rng):
    """Scores of the images of 5 prompts of 20 of each concept: effects of prompts, of both, and of images."""
    shape = (len(scores), 5, 20)
    effects = rng.normal(0, 0.04, (1, 5, 1)) + rng.normal(0, 0.05, (*shape[:2], 1)) + rng.normal(0, 0.1, shape)
    return scores[:, None, None] + effects


def draw_study(scenario, rng):
    """A table of scores, and the Truth behind it."""
    number = rng.choice([60, 150, 400])
    truth = Truth(scenario, np.exp(rng.uniform(*np.log([30, 600]))), rng.uniform(0.1, 0.2), rng.uniform(0.4, 0.6))
    counts = np.floor(10 ** rng.uniform(0, 4, number))
    counts[rng.random(number) < scenario.without_images] = 0
    scores = truth.mean(counts) + rng.normal(0, 0.1, number)
    out = rng.random(number) < scenario.outliers
    scores[out] = rng.uniform(0.1, 0.6, out.sum())
    names = [f"c{i:03d}" for i in range(number)]
    if not scenario.sampled:
        return sort_scores(names, counts, scores), truth
    found, evidence = sample_counts(counts, rng)
    images = sample_images(scores, rng)
    return sort_scores(names, found, images.mean(axis=(1, 2)), images=images.tolist(), evidence=evidence), truth


def simulate(scenario, resamples, rng):
    """One study: estimator -> (whether the interval holds its target, the interval's width, the error from the true
    count), the latter two in log(1 + images); nothing for an estimator without answer or target."""
    table, truth = draw_study(scenario, rng)
    drawn = bootstrap(table, ESTIMATORS, PENALTY, resamples, int(rng.integers(2**32)))
    outcomes = {}
    for name in ESTIMATORS:
        threshold = find_estimator(name).estimate(table, PENALTY).threshold
        answer = np.nan if threshold is None else threshold
        target = truth.target(name, len(table))
        if np.isfinite(answer + target):
            low, high = interval(name, drawn[name], table.counts)
            outcomes[name] = (
                low < target <= high,
                np.log1p(high) - np.log1p(low),
                np.log1p(answer) - np.log1p(truth.count),
            )
    return outcomes


def table_of(rows, columns):
    """Lines of a Markdown table."""
    return ["| | " + " | ".join(columns) + " |", "| --- " * (1 + len(columns)) + "|"] + [
        f"| {name} | " + " | ".join(cells) + " |" for name, cells in rows
    ]


def simulation_tables(studies, resamples, seed):
    """Lines of two tables: coverage with median width, and bias with root mean squared error."""
    found: dict[str, list] = {scenario.name: [] for scenario in SCENARIOS}
    for study in range(studies):
        for number, scenario in enumerate(SCENARIOS):
            found[scenario.name].append(simulate(scenario, resamples, np.random.default_rng([seed, number, study])))
        print(f"{study + 1} of {studies}", flush=True)
    found["**all**"] = [outcomes for of_scenario in list(found.values()) for outcomes in of_scenario]
    coverage, errors = [], []
    for scenario, outcomes in found.items():
        columns = [
            np.reshape([one[name] for one in outcomes if name in one], (-1, 3)).astype(float).T for name in ESTIMATORS
        ]
        coverage.append(
            (scenario, [f"{c.mean():.1%} ({np.exp(np.median(w)):.2g})" if len(c) else "-" for c, w, _ in columns])
        )
        errors.append(
            (scenario, [f"{e.mean():+.2f}, {np.sqrt((e**2).mean()):.2f}" if len(e) else "-" for *_, e in columns])
        )
    heads = [f"{name}, {sum(name in one for one in found['**all**'])} studies" for name in ESTIMATORS]
    lines = ["Coverage, and in brackets the median ratio of the interval's ends:", "", *table_of(coverage, heads), ""]
    return [
        *lines,
        "Bias, and root mean squared error, in natural logarithms:",
        "",
        *table_of(errors, list(ESTIMATORS)),
    ]


def timing_table(resamples, seed, loops, concepts=420):
    """Lines of a table: processor seconds of `resamples` resamples, and of a plain loop over ruptures' Pelt."""
    rng = np.random.default_rng(seed)
    counts = np.floor(10 ** rng.uniform(0, 4, concepts))
    images = sample_images(np.where(counts >= 300, 0.5, 0.15) + rng.normal(0, 0.1, concepts), rng)
    found, evidence = sample_counts(counts, rng)
    names = [f"c{i:03d}" for i in range(concepts)]
    table = sort_scores(names, found, images.mean(axis=(1, 2)), images=images.tolist(), evidence=evidence)
    rows = []
    for name in ESTIMATORS:
        started = time.process_time()
        bootstrap(table, [name], PENALTY, resamples, seed)
        rows.append((f"{name}, {resamples:,} resamples", [f"{time.process_time() - started:.1f} s"]))
    started = time.process_time()
    measure(table, penalty=PENALTY, resamples=resamples, seed=seed)
    rows.append(
        (
            f"`fit thresholds detect --resamples {resamples}`: all, and the test",
            [f"{time.process_time() - started:.1f} s"],
        )
    )
    started = time.process_time()
    for _ in range(loops):
        sample = np.sort(rng.integers(concepts, size=concepts))
        Pelt(model="l2", min_size=1, jump=1).fit(table.scores[sample]).predict(pen=PENALTY)
    each = (time.process_time() - started) / loops
    rows.append((f"a loop over ruptures' Pelt, from {loops} of {resamples:,}", [f"{each * resamples:,.0f} s"]))
    return table_of(rows, ["processor time"])


def write_between(path, mark, lines):
    """Put `lines` between the comments <!-- mark --> and <!-- /mark --> of the file at `path`."""
    start, end = f"<!-- {mark} -->", f"<!-- /{mark} -->"
    head, rest = path.read_text(encoding="utf-8").split(start)
    tail = rest.split(end)[1]
    path.write_text(f"{head}{start}\n\n" + "\n".join(lines) + f"\n\n{end}{tail}", encoding="utf-8")


def main():
    """Simulate, time, print the tables, and write them into the docs."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--studies", type=int, default=50, help="per scenario")
    parser.add_argument("--resamples", type=int, default=300, help="per simulated study")
    parser.add_argument("--timed-resamples", type=int, default=10_000)
    parser.add_argument("--loops", type=int, default=20, help="timed resamples of ruptures' Pelt")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--docs", type=Path, default=None, help="file whose tables are written again: docs/thresholds.md"
    )
    args = parser.parse_args()
    started = time.process_time()
    tables = {"simulation": simulation_tables(args.studies, args.resamples, args.seed)}
    print(f"{time.process_time() - started:.0f} s")
    tables["timing"] = timing_table(args.timed_resamples, args.seed, args.loops)
    for mark, lines in tables.items():
        print("\n".join(lines))
        if args.docs:
            write_between(args.docs, mark, lines)


if __name__ == "__main__":
    main()
