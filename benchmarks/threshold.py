"""Measures the threshold's estimators and intervals on studies of known truth, and writes the tables into the docs.

    python benchmarks/threshold.py --processes 2

A simulated study has 60, 150 or 400 concepts, counts from 1 to 10,000, log-uniform, and scores of 0.1 to 0.2 below and
0.4 to 0.6 above, sd 0.1. Its true count lies between 30 and 600 images: the place of a step, or a logistic's middle.
Studies without a rise have 100 or 400 concepts, and scores of 0.1 to 0.2.

    python benchmarks/threshold.py --penalties

prints the penalties of `pelt_scaled`, in variances of the noise: fit.thresholds.estimators.pelt_scaled.CRITICAL.
"""

import argparse
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import polars as pl
import pyarrow as pa
from pages import write_between
from ruptures import Pelt
from scipy.special import expit

from fit.io.concept_tables import ConceptTables, write_concepts
from fit.scores.settings import ScoreSettings, TargetSettings
from fit.sensitivity.measure import measure as measure_sensitivity
from fit.sensitivity.rescore import RESCORED, TOP_K, thresholds_around
from fit.sensitivity.ways import settings_to_try
from fit.thresholds.by_score import measure_by_score
from fit.thresholds.compiled import critical_penalty, noise_variance
from fit.thresholds.estimators import ESTIMATORS, find_estimator
from fit.thresholds.estimators.logistic import WIDTH
from fit.thresholds.estimators.pelt_scaled import CRITICAL, FALSE_ALARMS
from fit.thresholds.headline import follow
from fit.thresholds.report import measure
from fit.thresholds.scores import EVIDENCE, read_table, sort_scores
from fit.thresholds.threads import use_threads
from fit.thresholds.uncertainty import bootstrap

ROOT = Path(__file__).parents[1]
PENALTY = 0.9
SIZES = (60, 150, 400)
"""Concepts of simulated studies with a rise."""
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
    rises: bool = True
    noise: str = "normal"
    """A key of NOISES."""
    count_error: float = 0.0
    """Standard deviation of the error of log(count) that the table does not state."""


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
    Scenario("step, spread grows with the count", noise="growing"),
    Scenario("step, heavy tails", noise="heavy"),
    Scenario("rise over 20, heavy tails", 20, noise="heavy"),
    Scenario("rise over 20, noise like that of neighbours", 20, noise="neighbours"),
    Scenario("step, counts of unstated error", count_error=0.7),
    Scenario("rise over 20, counts of unstated error", 20, count_error=0.7),
    Scenario("rise over 20, families", 20, noise="families"),
)
WITHOUT_RISE = tuple(
    Scenario(f"no rise, {words}", rises=False, noise=noise)
    for noise, words in (
        ("normal", "equal spread"),
        ("growing", "spread grows with the count"),
        ("heavy", "heavy tails"),
        ("families", "families"),
        ("neighbours", "noise like that of neighbours"),
    )
)


def normal_noise(counts, families, rng):
    """Independent, of equal spread."""
    return rng.normal(0, 0.1, len(counts))


def growing_noise(counts, families, rng):
    """Its standard deviation grows from 0.03 at 1 image to 0.18 at 10,000."""
    return rng.normal(0, 0.03 + 0.15 * np.log1p(counts) / np.log(10_001))


def heavy_noise(counts, families, rng):
    """Student's t with 2 degrees of freedom, half of it within 0.067 as of the normal noise."""
    return 0.0826 * rng.standard_t(2, len(counts))


def neighbours_noise(counts, families, rng):
    """Correlated by 0.7 between concepts next to each other in count."""
    noise = rng.normal(0, 0.1, len(counts))
    for at in range(1, len(noise)):
        noise[at] = 0.7 * noise[at - 1] + np.sqrt(1 - 0.7**2) * noise[at]
    return noise[np.argsort(np.argsort(counts, kind="stable"))]


def families_noise(counts, families, rng):
    """Of a family, sd 0.09, and of each concept, sd 0.045."""
    return rng.normal(0, 0.09, families.max() + 1)[families] + rng.normal(0, 0.045, len(counts))


NOISES = {
    "normal": normal_noise,
    "growing": growing_noise,
    "heavy": heavy_noise,
    "neighbours": neighbours_noise,
    "families": families_noise,
}


def draw_families(number, rng):
    """Families [N] of 1 to some 14 concepts, and counts [N] that are alike in a family."""
    sizes = 1 + rng.poisson(6, number)
    families = np.repeat(np.arange(number), sizes)[:number]
    middles = rng.uniform(0.5, 3.5, number)[families]
    return families, np.floor(10 ** np.clip(middles + rng.normal(0, 0.3, number), 0, 4))


@dataclass(frozen=True)
class Truth:
    """What a simulated study was drawn from."""

    scenario: Scenario
    count: float
    low: float
    high: float

    def mean(self, counts):
        """Mean score at counts [N]: [N]."""
        if not self.scenario.rises:
            return np.full(len(counts), self.low)
        if self.scenario.fold == 1:
            rise = np.where(counts >= self.count, 1.0, 0.0)
        else:
            rise = expit((np.log1p(counts) - np.log1p(self.count)) / self.scale)
        return self.low + (self.high - self.low) * rise

    @property
    def scale(self):
        """Of the rise, in log(1 + count)."""
        return np.log(self.scenario.fold) / WIDTH

    @property
    def ends(self):
        """Counts at 10 and 90 % of the rise."""
        return np.expm1(np.log1p(self.count) + np.array([-1, 1]) * self.scale * WIDTH / 2)

    def target(self, name, concepts):
        """Return what an estimator answers without noise, or NaN: the place of a step; of a rise, its middle for the
        logistic, and for the others their answer on evenly spread concepts of its curve: on FINE ones, but PELT's,
        whose penalty stays, on as many as the study has."""
        if self.scenario.fold == 1 or name == "logistic":
            return self.count
        number = concepts if name.startswith("pelt") else FINE
        zeros = round(number * self.scenario.without_images)
        counts = np.concatenate([np.zeros(zeros), 10 ** np.linspace(0, 4, number - zeros)])
        share = self.scenario.outliers
        scores = (1 - share) * self.mean(counts) + share * 0.35
        return find_estimator(name).many(counts[None], scores[None], PENALTY)[0]


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
    number = rng.choice(SIZES if scenario.rises else [100, 400])
    truth = Truth(scenario, np.exp(rng.uniform(*np.log([30, 600]))), rng.uniform(0.1, 0.2), rng.uniform(0.4, 0.6))
    counts, families = np.floor(10 ** rng.uniform(0, 4, number)), np.arange(number)
    if scenario.noise == "families":
        families, counts = draw_families(number, rng)
    counts[rng.random(number) < scenario.without_images] = 0
    scores = truth.mean(counts) + NOISES[scenario.noise](counts, families, rng)
    out = rng.random(number) < scenario.outliers
    scores[out] = rng.uniform(0.1, 0.6, out.sum())
    counts = np.floor(counts * np.exp(rng.normal(0, scenario.count_error, number)))
    names = [f"c{i:03d}" for i in range(number)]
    of_family = [f"f{family}" for family in families] if scenario.noise == "families" else None
    if not scenario.sampled:
        return sort_scores(names, counts, scores, families=of_family), truth
    found, evidence = sample_counts(counts, rng)
    images = sample_images(scores, rng)
    return sort_scores(names, found, images.mean(axis=(1, 2)), images=images.tolist(), evidence=evidence), truth


def held(interval, value):
    """Whether an interval holds a value; NaN without one."""
    return float(interval[0] < value <= interval[1]) if interval else np.nan


def simulate(scenario, resamples, rng):
    """One study: estimator -> (whether the interval holds its target, the interval's width, the error from the true
    count), the latter two in log(1 + images); nothing for an estimator without answer or target. And the headline: a
    dict of numbers, NaN for what it does not say."""
    table, truth = draw_study(scenario, rng)
    found = measure(table, penalty=PENALTY, resamples=resamples, seed=int(rng.integers(2**32)))
    outcomes = {}
    for name in RESAMPLED if scenario.rises else ():
        answer = found["estimators"][name]
        target = truth.target(name, len(table))
        if answer["threshold"] is not None and answer["interval"] and np.isfinite(target):
            low, high = answer["interval"]
            error = np.log1p(answer["threshold"]) - np.log1p(truth.count)
            outcomes[name] = (low < target <= high, np.log1p(high) - np.log1p(low), error)
    head, tests = found["headline"], found["permutation_test"]
    says, width = head["threshold"] is not None, head["width"] or {}
    split = (found["estimators"]["one_change"].get("if_it_is_one_jump") or {}).get("interval")
    if truth.scenario.fold == 1:
        width = {}
    return outcomes, {
        "concepts": len(table),
        "says": float(says),
        "alike": float(found["neighbours"]["alike"]),
        "offered": float(head["interval"] is not None) if says else np.nan,
        "split_offered": float(split is not None) if says else np.nan,
        "gradual": float(head["kind"] == "gradual") if says else np.nan,
        "error": np.log1p(head["threshold"]) - np.log1p(truth.count) if says else np.nan,
        "covers": held(head["interval"], truth.count),
        "from": held(width.get("from_interval"), truth.ends[0]),
        "to": held(width.get("to_interval"), truth.ends[1]),
        "fold": held(width.get("fold_interval"), (1 + truth.ends[1]) / (1 + truth.ends[0])),
        "split": held(split, truth.count),
        "p": float(tests["p_value"] <= 0.05),
        "any_spread": float(tests["p_value_any_spread"] <= 0.05),
        "families": np.nan if tests["p_value_families"] is None else float(tests["p_value_families"] <= 0.05),
        "neighbours": np.nan if tests["p_value_neighbours"] is None else float(tests["p_value_neighbours"] <= 0.05),
        "pelt": float(found["estimators"]["pelt"]["threshold"] is not None),
        "scaled": float(find_estimator("pelt_scaled").estimate(table, PENALTY).threshold is not None),
    }


RESAMPLED = [name for name in ESTIMATORS if not find_estimator(name).why_no_interval]


def table_of(rows, columns):
    """Lines of a Markdown table."""
    return ["| | " + " | ".join(columns) + " |", "| --- " * (1 + len(columns)) + "|"] + [
        f"| {name} | " + " | ".join(cells) + " |" for name, cells in rows
    ]


def share(values):
    """A mean of 0 and 1 as a percentage, without NaN."""
    values = np.array(values)[np.isfinite(values)]
    return f"{values.mean():.1%}" if len(values) else "-"


def bias_of(errors):
    """Bias and root mean squared error of errors in logarithms, and the standard error of the bias."""
    errors = np.array(errors)[np.isfinite(errors)]
    if not len(errors):
        return "-"
    return f"{errors.mean():+.2f} ({errors.std() / np.sqrt(len(errors)):.2f}), {np.sqrt((errors**2).mean()):.2f}"


def verdict_tables(heads):
    """Lines of three tables of headlines: scenario -> dicts of `simulate`."""
    of = {name: {key: [one[key] for one in ones] for key in ones[0]} for name, ones in heads.items()}
    without = {scenario.name for scenario in WITHOUT_RISE}
    with_rise = {name: values for name, values in of.items() if name not in without}
    of_tests = {
        "says": "a threshold in the headline",
        "p": "permutation",
        "any_spread": "any spread",
        "families": "families",
        "alike": "neighbours alike",
        "neighbours": "neighbours",
        "scaled": "pelt_scaled",
        "pelt": "pelt",
    }
    of_head = {
        "gradual": "gradual",
        "offered": "interval offered",
        "covers": "interval",
        "from": "10 % end",
        "to": "90 % end",
        "fold": "factor",
        "split_offered": "one jump: offered",
        "split": "if it is one jump",
    }
    biases = []
    for name, values in with_rise.items():
        sizes, errors = np.array(values["concepts"]), np.array(values["error"])
        biases.append((name, [bias_of(errors[sizes == size]) for size in SIZES]))
    return [
        "Share of the studies in which something is found; of *neighbours*, where that test is made:",
        "",
        *table_of([(name, [share(values[key]) for key in of_tests]) for name, values in of.items()], of_tests.values()),
        "",
        "The headline, where there is one: how often it is a gradual rise, how often an interval is offered, and the",
        "coverage, where they are offered, of its interval, of the intervals of its width, and of the likelihood-ratio",
        "set:",
        "",
        *table_of(
            [(name, [share(values[key]) for key in of_head]) for name, values in with_rise.items()], of_head.values()
        ),
        "",
        "Bias of the headline (its standard error), and root mean squared error, by the number of concepts:",
        "",
        *table_of(biases, [f"{size} concepts" for size in SIZES]),
    ]


def simulate_one(scenario, resamples, seed):
    """`simulate`, with the seed of a study: what a process is given."""
    return simulate(scenario, resamples, np.random.default_rng(seed))


def simulation_tables(studies, resamples, seed, only="", processes=1):
    """Mark -> lines of tables: coverage with median width, and bias with error; headlines."""
    scenarios = [scenario for scenario in (*SCENARIOS, *WITHOUT_RISE) if only in scenario.name]
    found: dict[str, list] = {scenario.name: [] for scenario in scenarios}
    heads: dict[str, list] = {scenario.name: [] for scenario in scenarios}
    number_of = {scenario.name: number for number, scenario in enumerate((*SCENARIOS, *WITHOUT_RISE))}
    jobs = [(scenario, (seed, number_of[scenario.name], study)) for study in range(studies) for scenario in scenarios]
    with ProcessPoolExecutor(processes) as pool:
        results = pool.map(simulate_one, *zip(*((job[0], resamples, job[1]) for job in jobs), strict=True))
        for number, ((scenario, _), (outcomes, head)) in enumerate(zip(jobs, results, strict=True), 1):
            found[scenario.name].append(outcomes)
            heads[scenario.name].append(head)
            if number % len(scenarios) == 0:
                print(f"{number // len(scenarios)} of {studies}", flush=True)
    coverage, errors = [], []
    for scenario in [scenario.name for scenario in scenarios if scenario.rises]:
        outcomes = found[scenario]
        columns = [
            np.reshape([one[name] for one in outcomes if name in one], (-1, 3)).astype(float).T for name in RESAMPLED
        ]
        coverage.append(
            (scenario, [f"{c.mean():.1%} ({np.exp(np.median(w)):.2g})" if len(c) else "-" for c, w, _ in columns])
        )
        errors.append(
            (scenario, [f"{e.mean():+.2f}, {np.sqrt((e**2).mean()):.2f}" if len(e) else "-" for *_, e in columns])
        )
    of = f"{studies} studies a row, {resamples} resamples a study."
    lines = [
        f"Coverage, and in brackets the median ratio of the interval's ends; {of}",
        "",
        *table_of(coverage, RESAMPLED),
        "",
    ]
    lines += ["Bias, and root mean squared error, in natural logarithms:", "", *table_of(errors, RESAMPLED)]
    return {"simulation": lines, "verdicts": [of, "", *verdict_tables(heads)]}


def penalties(studies):
    """Concepts -> quantile 1 - FALSE_ALARMS of the critical penalties of normal noise, in variances of the noise."""
    found = {}
    for concepts in CRITICAL:
        rng, places = np.random.default_rng([0, concepts]), np.arange(float(concepts))
        drawn = []
        for _ in range(studies):
            scores = rng.normal(size=concepts)
            drawn.append(critical_penalty(places, scores) / noise_variance(places, scores))
        found[concepts] = round(float(np.quantile(drawn, 1 - FALSE_ALARMS)), 2)
    return found


def timed_study(concepts, rng):
    """A study of a step at 300 images, 5 prompts of 20 images: counts [N], their evidence, and a function that draws
    image scores [N, 5, 20] of two levels."""
    counts = np.floor(10 ** rng.uniform(0, 4, concepts))

    def images(low, high, sd=0.1):
        return sample_images(np.where(counts >= 300, high, low) + rng.normal(0, sd, concepts), rng)

    return *sample_counts(counts, rng), images


def write_other_scores(path, table, images):
    """Write the table with the columns of the scores that can't rise by themselves (fit.thresholds.by_score)."""
    columns = {"concept": table.concepts, "effective_count": table.counts.astype(int), "score": table.scores}
    columns["image_scores"] = [[prompt.tolist() for prompt in prompts] for prompts in table.images]
    columns |= {name: table.evidence[:, at].astype(int) for at, name in enumerate(EVIDENCE[:3])}
    fixed, null, fixed_null = images(0.15, 0.45), images(0.1, 0.1, 0.03), images(0.1, 0.1, 0.03)
    for name, lists, scores in (
        ("fixed_score", "fixed_images", fixed),
        ("null_score", "null_others", null),
        ("fixed_null_score", "fixed_null_others", fixed_null),
    ):
        columns |= {name: scores.mean(axis=(1, 2)), lists: scores.tolist()}
    pl.DataFrame(columns).write_parquet(path)


METHODS_FOUND = {"midpoint": 0.28, "best_f1": 0.3, "best_f1_published": 0.25}
MATCH_THRESHOLD = {
    **{"match_threshold": 0.28, "method": "midpoint", "midpoint": 0.28, "best_f1": 0.3, "mean_with_itself": False},
    **{"lowest_positive": 0.35, "highest_negative": 0.2},
    "by_mean": {
        "without_itself": METHODS_FOUND,
        "with_itself": {name: cosine + 0.02 for name, cosine in METHODS_FOUND.items()},
    },
}
"""As `fit matches threshold` finds it."""
PROMPTS = [f"a picture by {{}}, {number}" for number in range(5)]


def write_rescored(path, table, rng):
    """Write what `fit sensitivity rescore` finds: scores that differ a little at every other setting."""
    targets, use = TargetSettings(targets="matches_and_references"), ScoreSettings()
    settings = settings_to_try(targets, MATCH_THRESHOLD)
    thresholds, tops = thresholds_around(MATCH_THRESHOLD), np.arange(1, TOP_K + 1)
    shifts = rng.normal(0, 0.01, (len(table), len(thresholds) + len(settings), len(PROMPTS)))

    def rows_of(row):
        images = table.images[row]
        matches = [int(table.evidence[row, 2] * (1 + (0.28 - value))) for value in thresholds]
        for at, value in enumerate(thresholds):
            for prompt, scores, shift in zip(PROMPTS, images, shifts[row, at], strict=True):
                shift = shift * (value != MATCH_THRESHOLD["match_threshold"]) - 0.002 * (tops - use.top_k)
                given = {"match_threshold": value, "matches": matches[at], "prompt": prompt}
                yield from (
                    {**given, "top_k": int(k), "score": scores.mean() + s} for k, s in zip(tops, shift, strict=True)
                )
        for at, one in enumerate(settings, len(thresholds)):
            for prompt, scores, shift in zip(PROMPTS, images, shifts[row, at], strict=True):
                shifted = scores + shift * (not one.in_use)
                yield {
                    **{
                        "match_threshold": one.match_threshold,
                        "matches": int(table.evidence[row, 2]),
                        "prompt": prompt,
                    },
                    **{"top_k": use.top_k, "score": shifted.mean(), "choice": one.choice, "setting": one.name},
                    **{"in_use": one.in_use, "published": one.published, "image_scores": shifted.tolist()},
                }

    tables = (
        (str(concept), pa.Table.from_pylist(list(rows_of(row)), schema=RESCORED.remove(0)))
        for row, concept in enumerate(table.concepts)
    )
    write_concepts(tables, path, RESCORED, row_group=4096)


def timed(function):
    """Call it; return (its result, cells of processor seconds and elapsed seconds)."""
    processor, elapsed = time.process_time(), time.perf_counter()
    result = function()
    processor, elapsed = time.process_time() - processor, time.perf_counter() - elapsed
    return result, [f"{processor:.1f} s", f"{elapsed:.1f} s"]


def timing_table(resamples, seed, loops, threads, concepts=420):
    """Lines of a table: seconds of `resamples` resamples, and of a plain loop over ruptures' Pelt."""
    rng = np.random.default_rng(seed)
    found, evidence, images = timed_study(concepts, rng)
    names, scores = [f"c{i:03d}" for i in range(concepts)], images(0.15, 0.5)
    table = sort_scores(names, found, scores.mean(axis=(1, 2)), images=scores.tolist(), evidence=evidence)
    rows = []
    measure(table, penalty=PENALTY, resamples=1, seed=seed)  # what is compiled is compiled once
    for name in RESAMPLED:
        _, cells = timed(lambda name=name: bootstrap(table, [name], PENALTY, resamples, seed))
        rows.append((f"{name}, {resamples:,} resamples", cells))
    use_threads(threads)
    of_measure = {"penalty": PENALTY, "resamples": resamples, "seed": seed}
    of = f"`fit thresholds detect --resamples {resamples}`"
    result, cells = timed(lambda: measure(table, **of_measure))
    rows.append((f"{of}: all, and the tests", cells))
    with TemporaryDirectory() as folder:
        path, rescored = Path(folder) / "scores.parquet", Path(folder) / "rescored.parquet"
        write_other_scores(path, table, images)

        def by_every_score():
            of_table = read_table(path)
            published = measure(of_table, **of_measure)
            measure_by_score(path, of_table, published, **of_measure, estimators=ESTIMATORS)

        rows.append((f"{of}: by four other scores too", timed(by_every_score)[1]))
        write_rescored(rescored, table, rng)

        def sensitivity():
            tables, use = ConceptTables([rescored]), ScoreSettings()
            given = {"rescored": tables, "settings": use, "match_threshold": MATCH_THRESHOLD, "prompts": PROMPTS}
            measure_sensitivity(table, follow(result), **given, resamples=resamples, seed=seed)

        rows.append((f"`fit sensitivity measure --resamples {resamples}`", timed(sensitivity)[1]))
    use_threads(1)
    started = time.process_time()
    for _ in range(loops):
        sample = np.sort(rng.integers(concepts, size=concepts))
        Pelt(model="l2", min_size=1, jump=1).fit(table.scores[sample]).predict(pen=PENALTY)
    each = (time.process_time() - started) / loops
    rows.append((f"a loop over ruptures' Pelt, from {loops} of {resamples:,}", [f"{each * resamples:,.0f} s", ""]))
    return table_of(rows, ["processor time", f"elapsed, {threads} threads"])


def main():
    """Simulate, time, print the tables, and write them into the docs."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--studies", type=int, default=200, help="per scenario")
    parser.add_argument("--resamples", type=int, default=200, help="per simulated study")
    parser.add_argument("--timed-resamples", type=int, default=10_000)
    parser.add_argument("--loops", type=int, default=20, help="timed resamples of ruptures' Pelt")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", default="", metavar="TEXT", help="scenarios whose name has this text")
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--threads", type=int, default=2, help="of the timed commands")
    parser.add_argument("--timing", action="store_true", help="time, and do not simulate")
    parser.add_argument("--penalties", action="store_true", help="print the penalties of pelt_scaled, and nothing else")
    parser.add_argument(
        "--docs", type=Path, default=None, help="file whose tables are written again: docs/thresholds.md"
    )
    args = parser.parse_args()
    if args.penalties:
        print(penalties(args.studies))
        return
    tables = {}
    if not args.timing:
        started = time.perf_counter()
        tables = simulation_tables(args.studies, args.resamples, args.seed, args.only, args.processes)
        print(f"{(time.perf_counter() - started) / 60:.1f} minutes for the simulated studies")
    tables["timing"] = timing_table(args.timed_resamples, args.seed, args.loops, args.threads)
    for mark, lines in tables.items():
        print("\n".join(lines))
        if args.docs:
            write_between(args.docs, mark, lines)


if __name__ == "__main__":
    main()
