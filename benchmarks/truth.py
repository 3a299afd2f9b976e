"""Writes what `snakemake truth` found into docs/truth.md, small tables and figures into docs/truth, and what reports
say of it into src/fit/measured.json.

    snakemake truth truth_pruning
    python benchmarks/truth.py

Without results, the tables that the docs have are made again from docs/truth: `python benchmarks/truth.py --results
docs/truth`. Times are those of the trainings' benchmark files, where they are there.
"""

import argparse
import json
import shutil
import sys
from pathlib import Path

import numpy as np
import polars as pl
from scipy.special import expit

from fit.atelier.changes import WORLDS
from fit.atelier.corpus import counts_on_ladder, deal_counts
from fit.truth.changed import UsualWorld, worths
from fit.truth.compare import TRUE_SCORE
from fit.truth.design import PRUNED, USUAL
from fit.truth.own import fit_own_curves

sys.path.insert(0, str(Path(__file__).parent))
from pages import write_between
from threshold import table_of

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs/truth.md"
MEASURED = ROOT / "src/fit/measured.json"
"""What reports, explorer and datasheet say of the method's error is made of it."""
FILES = ("painters.parquet", "thresholds.parquet", "truth.json", "curves.png", "estimates.png", "changes.png")
ESTIMATORS = ("headline", "pelt", "pelt_published", "pelt_scaled", "one_change", "isotonic", "logistic")
SCORES = ("published", "fixed", "minus_null", "fixed_minus_null")


def ends(interval, digits=0):
    """An interval in words."""
    return f"{interval[0]:.{digits}f} to {interval[1]:.{digits}f}"


def truth_table(answer):
    """Lines: what the painters' own curves say, a world a column."""
    worlds = answer["worlds"]
    rows = [
        ("models (deals)", [f"{w['models']} ({w['deals']})" for w in worlds.values()]),
        ("median threshold of the painters, images", [f"{w['median']:.0f}" for w in worlds.values()]),
        ("its 95 % interval", [ends(w["median_interval"]) for w in worlds.values()]),
        ("painters from the 10th to the 90th percentile", [ends(w["tenth_to_ninetieth"]) for w in worlds.values()]),
        ("spread of painters, sd of the log", [f"{w['spread']:.2f}" for w in worlds.values()]),
        ("its 95 % interval", [ends(w["spread_interval"], 2) for w in worlds.values()]),
        (
            "thresholds by two halves of the models, correlation",
            ["-" if w["halves"] is None else f"{w['halves']:.2f}" for w in worlds.values()],
        ),
        ("a painter's score rises from 10 to 90 % within a factor of", [f"{rise(w):.0f}" for w in worlds.values()]),
    ]
    for part, words in (
        ("own_count", "its own count"),
        ("painter", "the painter"),
        ("model", "the model"),
        ("rest", "the rest"),
    ):
        rows.append((f"variance of scores that is {words}", [f"{w['components'][part]:.1%}" for w in worlds.values()]))
    return table_of(rows, [f"world {name}" for name in worlds])


def rise(world):
    """The factor of counts over which one painter's curve rises from 10 to 90 %."""
    return np.exp(np.log(81) / world["curves"]["slope"])


def called(estimator):
    """How a table calls an estimator."""
    return "what a user is told" if estimator == "headline" else f"`{estimator}`"


def errors_of(answer, estimator, score="published", world="all"):
    """The errors of an estimator by a score: one, or none if it gave no answer."""
    return [e for e in answer["errors"] if (e["estimator"], e["score"], e["world"]) == (estimator, score, world)]


def errors_table(answer):
    """Lines: how far each estimator's answer for one model is from the truth."""
    rows = []
    for estimator in ESTIMATORS:
        for error in errors_of(answer, estimator):
            rows.append((called(estimator), cells(error)))
    columns = (
        *("models", "answers", "estimate / truth", "95 %", "rms error of the log", "within a factor of 2"),
        *("interval holds the truth", "its width (median)"),
    )
    return table_of(rows, columns)


def cells(error):
    """Of one row of errors."""
    if not error["answers"]:
        return [str(error["models"]), "0", *["-"] * 6]
    ratio = error["ratio_interval"]
    return [
        str(error["models"]),
        str(error["answers"]),
        f"{error['ratio']:.2f}",
        ends(ratio, 2) if ratio else "-",
        f"{error['rmse']:.2f}",
        f"{error['within_factor']:.0%}",
        f"{error['coverage']:.0%} of {error['intervals']}" if "coverage" in error else "no interval",
        f"a factor of {np.exp(error['width']):.0f}" if "width" in error else "-",
    ]


def scores_table(answer):
    """Lines: the same for each score, by two estimators."""
    rows = []
    for score in SCORES:
        for estimator in ("pelt", "one_change", "logistic"):
            found = [
                e for e in answer["errors"] if (e["estimator"], e["score"], e["world"]) == (estimator, score, "all")
            ]
            rows += [(f"{score.replace('_', ' ')}, `{estimator}`", cells(error)[1:6]) for error in found]
    return table_of(rows, ("answers", "estimate / truth", "95 %", "rms error of the log", "within a factor of 2"))


def worlds_table(answer):
    """Lines: what a user is told, world by world."""
    rows = []
    for name in answer["worlds"]:
        found = [
            e for e in answer["errors"] if (e["estimator"], e["score"], e["world"]) == ("headline", "published", name)
        ]
        rows += [(f"world {name}", cells(error)[:7]) for error in found]
    return table_of(
        rows,
        (
            *("models", "answers", "estimate / truth", "95 %", "rms error of the log", "within a factor of 2"),
            "interval holds the truth",
        ),
    )


def spread_table(answer):
    """Lines: how much of an estimate is owed to the training, and to who has how many images."""
    rows = []
    for estimator in ESTIMATORS:
        for found in answer["spreads"]:
            if (found["estimator"], found["score"]) == (estimator, "published"):
                told = [found.get("all"), found.get("training"), found.get("deal")]
                shown = ["-" if value is None else f"{value:.2f} (a factor of {np.exp(value):.1f})" for value in told]
                rows.append((called(estimator), [str(found["models"]), str(found.get("pairs", 0)), *shown]))
    return table_of(rows, ("models", "pairs", "all", "training again", "another deal"))


def marginal_table(answer):
    """Lines: the mean score at some counts, and what twice as many images add."""
    worlds = answer["worlds"]
    levels = [one["count"] for one in next(iter(worlds.values()))["marginal"]]
    rows = []
    for name, world in worlds.items():
        rows.append((f"world {name}: mean score", [f"{one['score']:.2f}" for one in world["marginal"]]))
        rows.append((f"world {name}: twice the images add", [f"{one['doubled']:+.2f}" for one in world["marginal"]]))
    return table_of(rows, [f"{level} images" for level in levels])


def noise_table(answer):
    """Lines: how far the score of one painter moves from training to training, by its count."""
    lines = []
    for name, world in answer["worlds"].items():
        for noise in world["noise_of_training"]:
            lines.append((f"world {name}, {noise['from']} to {noise['below'] - 1} images", [f"{noise['sd']:.2f}"]))
    return table_of(lines, ["sd of a painter's score"]) if lines else []


def neighbours_table(painters):
    """Lines: whether a painter is painted better where the nearest other painter has many images."""
    usual = painters.filter(pl.col("changes") == USUAL)
    model = ["world", "deal", "training"]
    nearest = usual.select(*model, pl.col("concept").alias("nearest"), pl.col("true_count").alias("of_nearest"))
    both = usual.join(nearest, on=[*model, "nearest"])
    # The own count, then the painter, are taken out: the rest is compared between models.
    score = pl.col(TRUE_SCORE)
    both = both.with_columns(rest=score - score.mean().over("world", "true_count"))
    both = both.with_columns(rest=pl.col("rest") - pl.col("rest").mean().over("world", "concept"))
    rows = []
    for words, side in (
        ("fewer than 10 own images", pl.col("true_count") < 10),
        ("10 to 59 own images", pl.col("true_count").is_between(10, 59)),
        ("60 own images or more", pl.col("true_count") >= 60),
    ):
        within = both.filter(side)
        few, many = (within.filter(of)["rest"] for of in (pl.col("of_nearest") < 20, pl.col("of_nearest") >= 100))
        if len(few) > 1 and len(many) > 1:
            shift = many.mean() - few.mean()
            error = 1.96 * np.sqrt(many.var() / len(many) + few.var() / len(few))
            rows.append((words, [f"{shift:+.3f}", f"{shift - error:+.3f} to {shift + error:+.3f}"]))
    return table_of(rows, ["change of the score", "95 %"])


def find_pruned(results):
    """The table of painters of the model that was trained on the pruned corpus; None if it was not asked for."""
    places = (results / "pruned.parquet", *sorted(results.glob(f"models/*/*-{PRUNED}.painters.parquet")))
    return next((path for path in places if path.exists()), None)


def pruned_table(painters, pruned):
    """Lines: the pruned painters before and after, beside those left alone."""
    if pruned is None:
        return []
    keys = ["world", "deal", "training", "concept"]
    after = pl.read_parquet(pruned)
    before = painters.filter(pl.col("changes") == USUAL)
    both = before.join(after, on=keys, suffix="_after")
    cut = both.filter(pl.col("true_count_after") < pl.col("true_count"))
    left = both.filter(pl.col("true_count_after") == pl.col("true_count"))
    rows = [
        (
            row["concept"],
            [
                f"{row['true_count']} -> {row['true_count_after']}",
                f"{row['effective_count']} -> {row['effective_count_after']}",
                f"{row[TRUE_SCORE]:.2f} -> {row[TRUE_SCORE + '_after']:.2f}",
            ],
        )
        for row in cut.sort("true_count").iter_rows(named=True)
    ]
    for words, side in (
        ("painters left alone, below 60 images", left.filter(pl.col("true_count") < 60)),
        ("painters left alone, from 60 images", left.filter(pl.col("true_count") >= 60)),
    ):
        change = side[TRUE_SCORE + "_after"] - side[TRUE_SCORE]
        rows.append((f"{len(side)} {words}", ["as before", "", f"{change.mean():+.2f} (sd {change.std():.2f})"]))
    return table_of(rows, ["images in the training set", "effective count", "score"])


def worth_cells(worth):
    """What an image is worth in a changed world, and its median true threshold."""
    if "why_none" in worth:
        return ["-", "-"]
    return [f"{worth['worth']:.2f} ({ends(worth['interval'], 2)})", f"{worth['median']:.0f}"]


def changes_table(answer):
    """Lines: what a user is told in worlds that break an assumption."""
    worths = {worth["changes"]: worth for worth in answer["worths"]}
    rows = []
    for found in answer["changes"]:
        if found["estimator"] == "headline" and found["changes"] in WORLDS:
            own = found["of_its_own"]
            told = [*cells(found)[:3], cells(own)[2] if own else "-", cells(found)[6]]
            rows.append((WORLDS[found["changes"]].breaks, [*worth_cells(worths[found["changes"]]), *told]))
    if not rows:
        return []
    columns = (
        *("an image is worth (95 %)", "median true threshold", "models", "answers"),
        *("told / truth of the usual world", "told / its own truth", "interval holds the usual truth"),
    )
    return table_of(rows, columns)


def corrections_table(answer):
    """Lines: what a correction that was found in one world does in another."""
    rows = []
    for found in answer["corrections"]:
        stretched = found["held_stretched"]
        rows.append(
            (
                f"world {found['tried_in']}, found in world {found['found_in']}",
                [
                    f"times {found['factor']:.2f}",
                    f"{found['rmse']:.2f} -> {found['rmse_corrected']:.2f}",
                    "-" if found["stretch"] is None else f"times {found['stretch']:.1f}",
                    "-" if stretched is None else f"{found['held']:.0%} -> {stretched:.0%}",
                ],
            )
        )
    columns = ("threshold", "rms error of the log", "interval's logarithm", "intervals that hold the truth")
    return table_of(rows, columns) if rows else []


def told_over_true(answer, thresholds, world):
    """The threshold that a user is told over the true one, of each model of a world that has both."""
    true = {(one["deal"], one["training"]): one["median"] for one in answer["worlds"][world]["without_deal"]}
    told = thresholds.filter(
        (pl.col("world") == int(world)) & (pl.col("changes") == USUAL) & (pl.col("score") == "published")
    ).filter((pl.col("estimator") == "headline") & pl.col("claimed"))
    rows = told.sort("deal", "training").select("deal", "training", "threshold").rows()
    return [(1 + images) / (1 + true[deal, training]) for deal, training, images in rows if (deal, training) in true]


def measured(answer, thresholds):
    """What reports say of the method's error: the fields of fit.measured.MeasuredErrors."""
    (told,) = errors_of(answer, "headline")
    (spread,) = (s for s in answer["spreads"] if (s["estimator"], s["score"]) == ("headline", "published"))
    worlds = [world for world in answer["worlds"].values() if world["median"] is not None]
    apart = [2 * 1.2816 * world["spread"] for world in worlds]
    training = spread.get("training")
    return {
        "ratios": {
            name: [round(ratio, 3) for ratio in told_over_true(answer, thresholds, name)] for name in answer["worlds"]
        },
        "models": told["models"],
        "answers": told["compared"],
        "told_over_true": round(told["ratio"], 3),
        "told_over_true_interval": [round(end, 3) for end in told["ratio_interval"]],
        "within_a_factor_of_2": round(told["within_factor"] * told["compared"]),
        "intervals": told["intervals"],
        "held": round(told["coverage"] * told["intervals"]),
        "another_training": None if training is None else round(float(np.exp(training)), 3),
        "pairs": spread.get("pairs", 0),
        "concepts_apart": round(float(np.exp(np.mean(apart))), 2),
        "rise": round(float(np.exp(np.mean([np.log(rise(world)) for world in worlds]))), 1),
    }


def simulated(rng, trainings):
    """Made-up counts [48, M] and painters of known thresholds, and a function that trains: counts to scores."""
    ladder = counts_on_ladder(48, 3, 4, 400)
    order, true, own = rng.permutation(48), rng.normal(np.log1p(60), 0.5, 48), rng.normal(0, 0.1, 48)
    counts = np.stack([deal_counts(ladder, order, deal, 8) for deal in range(8) for _ in range(trainings)], 1)

    def train(counts):
        risen = expit(2.5 * (np.log1p(counts) - true[:, None]))
        noise = rng.normal(size=counts.shape) * np.sqrt(0.2**2 * (1 - risen) + 0.07**2 * risen)
        return 0.05 + own[:, None] * (1 - risen) + 0.8 * risen + noise

    return counts, true, train


def frame_of(counts, scores, changes):
    """Painters of made-up models, a deal each, as a table of the experiment has them."""
    rows = [
        (f"{painter:02d}", deal, 1, changes, int(counts[painter, deal]), float(scores[painter, deal]))
        for painter, deal in np.ndindex(*counts.shape)
    ]
    return pl.DataFrame(rows, ["concept", "deal", "training", "changes", "true_count", TRUE_SCORE], orient="row")


def simulated_worths_table(repeats, seed):
    """Lines: how well a known worth of an image is found, and how often its interval holds it: two changed models."""
    rows = []
    for worth in (0.5, 1.0, 2.0):
        logs, inside = [], []
        for number in range(repeats):
            counts, _, train = simulated(np.random.default_rng([seed, int(10 * worth), number]), 1)
            world = UsualWorld.of(frame_of(counts, train(counts), USUAL), TRUE_SCORE)
            changed = frame_of(counts[:, :2], train((1 + counts[:, :2]) * worth - 1), "copies")
            for told in worths(changed, world, world.fitted.median_count, TRUE_SCORE):
                logs.append(np.log(told["worth"]))
                inside.append(told["interval"][0] < worth < told["interval"][1])
        off = np.exp(np.mean(logs)) / worth - 1
        rows.append((f"an image is worth {worth:g}", [f"{off:+.0%}", f"{np.std(logs):.2f}", f"{np.mean(inside):.0%}"]))
    return table_of(rows, ("found, off by", "its sd (log)", "95 % intervals that hold it"))


def simulated_table(repeats, seed):
    """Lines: how well the fit of own curves finds known thresholds: 48 painters, as many deals as in the experiment."""
    rows = []
    for trainings in (1, 2):
        found = []
        for number in range(repeats):
            counts, true, train = simulated(np.random.default_rng([seed, trainings, number]), trainings)
            fitted = fit_own_curves(counts, train(counts))
            off = fitted.thresholds - true
            inside = np.abs(off) < 1.96 * fitted.uncertainty
            found.append((fitted.median - np.median(true), np.sqrt((off**2).mean()), inside.mean()))
        medians, errors, inside = np.array(found).T
        told = [
            f"{np.expm1(medians.mean()):+.1%}",
            f"{medians.std():.2f}",
            f"{errors.mean():.2f}",
            f"{inside.mean():.0%}",
        ]
        rows.append((f"{8 * trainings} models", told))
    columns = (
        "median, off by",
        "its sd (log)",
        "rms error of a painter (log)",
        "painters' 95 % intervals that hold the truth",
    )
    return table_of(rows, columns)


def times(folder):
    """A sentence on how long trainings and studies took, from the benchmark files of the workflow."""
    seconds = [
        float(path.read_text().splitlines()[1].split("\t")[0])
        for path in sorted(folder.rglob("train_truth_generator/**/*.tsv"))
    ]
    if not seconds:
        return []
    middle, least, most = np.median(seconds) / 60, min(seconds) / 60, max(seconds) / 60
    return [
        f"{len(seconds)} models were trained, each on one thread and two side by side, in {middle:.1f} minutes each",
        f"(median; {least:.1f} to {most:.1f}, the slow ones beside other work).",
    ]


def main():
    """Write the tables and copy the files."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--results", type=Path, default=ROOT / "results/truth", help="what `snakemake truth` made")
    parser.add_argument("--docs", type=Path, default=DOCS)
    parser.add_argument(
        "--simulations", type=int, default=0, help="simulated worlds, for the table of the method's error"
    )
    args = parser.parse_args()
    folder = args.docs.with_suffix("")
    answer = json.loads((args.results / "truth.json").read_text(encoding="utf-8"))
    painters = pl.read_parquet(args.results / "painters.parquet")
    thresholds = pl.read_parquet(args.results / "thresholds.parquet")
    pruned = find_pruned(args.results)
    took = times(args.results.parent / "benchmarks")
    tables = {
        "truth": truth_table(answer),
        "errors": errors_table(answer),
        "worlds": worlds_table(answer),
        "scores": scores_table(answer),
        "spread": spread_table(answer),
        "noise": noise_table(answer),
        "marginal": marginal_table(answer),
        "neighbours": neighbours_table(painters),
        "pruned": pruned_table(painters, pruned),
        "changes": changes_table(answer),
        "corrections": corrections_table(answer),
        "times": took,
        "simulated": simulated_table(args.simulations, seed=20_001) if args.simulations else [],
        "worths": simulated_worths_table(args.simulations, seed=20_002) if args.simulations else [],
    }
    for mark, lines in tables.items():
        print(f"\n{mark}\n" + "\n".join(lines))
        if lines:
            write_between(args.docs, mark, lines)
    if args.docs.resolve() == DOCS:
        MEASURED.write_text(json.dumps(measured(answer, thresholds), indent=1) + "\n", encoding="utf-8")
    if args.results.resolve() != folder.resolve():
        folder.mkdir(exist_ok=True)
        for name in FILES:
            shutil.copyfile(args.results / name, folder / name)
        if pruned:
            shutil.copyfile(pruned, folder / "pruned.parquet")


if __name__ == "__main__":
    main()
