"""How far estimates are from the truth, on made tables, and the commands that say so."""

import json
import re

import numpy as np
import polars as pl
import pytest
from PIL import Image
from truth_data import answer_row, painters_frame, runs_of, simulate, thresholds_frame

from fit.cli.main import main
from fit.errors import DataError
from fit.io.parquet import write_frame
from fit.truth.compare import OF_A_RISE, estimate_truth

TRUE = 40.0
MODELS = runs_of(4, 2)
FACTORS = {"right": 1.0, "twice": 2.0}


def estimates(models=MODELS, seed=0):
    """Answers of estimators of known bias; every second interval of `twice` holds nothing near the truth."""
    rng = np.random.default_rng(seed)
    rows = []
    for number, run in enumerate(models):
        noise = np.exp(0.2 * rng.normal())
        for name, factor in FACTORS.items():
            value = (1 + TRUE) * factor * noise - 1
            interval = (value / 10, value * 10) if name == "right" or number % 2 else (value * 50, value * 60)
            rows.append(answer_row(run, name, value, interval))
        rows.append(answer_row(run, "mute", None))
        rows.append(answer_row(run, "headline", TRUE, claimed=number > 0))
        rows.append(answer_row(run, "bare", TRUE))  # without an interval
        rows.append(answer_row(run, "right", TRUE, score="fixed"))
    return rows


@pytest.fixture(scope="module")
def made():
    """(painters, thresholds, answer) of a world of eight models and of one that breaks an assumption."""
    counts, scores, _ = simulate(16, 4, 2, seed=2)
    changed = runs_of(2, 1, changes="copies")
    painters = pl.concat(
        [painters_frame(counts, scores, MODELS), painters_frame(counts[:, :2], scores[:, :2], changed)]
    )
    thresholds = thresholds_frame([*estimates(), *(answer_row(run, "right", 10.0, (5.0, 20.0)) for run in changed)])
    return painters, thresholds, estimate_truth(painters, thresholds, resamples=40, seed=1)


def error_of(answer, estimator, score="published", world="all"):
    (found,) = (e for e in answer["errors"] if (e["estimator"], e["score"], e["world"]) == (estimator, score, world))
    return found


def test_each_model_is_compared_with_the_truth_of_other_deals(made):
    _, _, answer = made
    world = answer["worlds"]["7"]
    assert (world["models"], world["deals"], world["reason"], world["not_compared"]) == (8, 4, None, None)
    of_deals = {(one["deal"], one["median"]) for one in world["without_deal"]}
    assert len(world["without_deal"]) == 8 and len(of_deals) == 4
    low, high = world["median_interval"]
    # Of six resamples, so that it need not hold the median.
    assert world["median"] / 1.5 < low < high < world["median"] * 1.5
    assert 25 < world["median"] < 70
    assert all(one["interval"][0] < one["threshold"] < one["interval"][1] for one in world["painters"])
    assert world["tenth_to_ninetieth"][0] < world["median"] < world["tenth_to_ninetieth"][1]
    assert len(world["painters"]) == 16


@pytest.mark.parametrize("estimator", FACTORS)
def test_bias_spread_and_coverage_are_those_of_the_answers(made, estimator):
    _, thresholds, answer = made
    true = {(one["deal"], one["training"]): one["median"] for one in answer["worlds"]["7"]["without_deal"]}
    rows = [
        row
        for row in thresholds.rows(named=True)
        if (row["estimator"], row["score"], row["changes"]) == (estimator, "published", "usual")
    ]
    logs = [np.log((1 + row["threshold"]) / (1 + true[row["deal"], row["training"]])) for row in rows]
    inside = [row["low"] < true[row["deal"], row["training"]] <= row["high"] for row in rows]
    found = error_of(answer, estimator)
    assert (found["models"], found["answers"], found["compared"], found["intervals"]) == (8, 8, 8, 8)
    assert found["ratio"] == pytest.approx(np.exp(np.mean(logs)))
    assert found["rmse"] == pytest.approx(np.sqrt(np.mean(np.square(logs))))
    assert found["within_factor"] == pytest.approx(np.mean(np.abs(logs) <= np.log(2)))
    assert found["coverage"] == np.mean(inside) == (1.0 if estimator == "right" else 0.5)
    assert found["ratio_interval"][0] < found["ratio"] < found["ratio_interval"][1]
    assert found == {**error_of(answer, estimator, world="7"), "world": "all"}
    assert error_of(answer, "twice")["ratio"] == pytest.approx(2 * error_of(answer, "right")["ratio"])


def test_an_estimator_without_an_answer_has_no_error(made):
    _, _, answer = made
    assert error_of(answer, "mute") == {
        **{"score": "published", "estimator": "mute", "world": "all"},
        **{"models": 8, "answers": 0, "compared": 0},
    }
    (spread,) = (s for s in answer["spreads"] if s["estimator"] == "mute")
    assert spread == {"score": "published", "estimator": "mute", "models": 0}


def test_an_answer_that_a_user_is_not_given_does_not_count(made):
    _, _, answer = made
    found = error_of(answer, "headline")
    assert (found["estimator"], found["world"], found["models"], found["answers"]) == ("headline", "all", 8, 7)


def test_answers_without_intervals_have_no_coverage(made):
    _, _, answer = made
    assert "ratio" in error_of(answer, "bare")
    assert not {"coverage", "intervals", "width"} & set(error_of(answer, "bare"))
    assert error_of(answer, "right", "fixed")["answers"] == 8


def test_the_spread_from_training_to_training_is_that_within_deals(made):
    _, thresholds, answer = made
    (found,) = (s for s in answer["spreads"] if (s["estimator"], s["score"]) == ("right", "published"))
    rows = thresholds.filter((pl.col("estimator") == "right") & (pl.col("score") == "published"))
    logs = np.log1p(rows.filter(pl.col("changes") == "usual").sort("deal", "training")["threshold"].to_numpy())
    pairs = logs.reshape(4, 2)
    within = pairs.var(axis=1, ddof=1).mean()
    assert found["training"] == pytest.approx(np.sqrt(within))
    assert found["all"] == pytest.approx(logs.std(ddof=1))
    assert found["deal"] == pytest.approx(np.sqrt(max(0, pairs.mean(axis=1).var(ddof=1) - within / 2)))
    assert (found["models"], found["pairs"]) == (8, 4)


def test_a_world_that_breaks_an_assumption_is_compared_with_the_truth_of_the_unbroken_one(made):
    _, _, answer = made
    (found,) = answer["changes"]
    assert (found["world"], found["changes"], found["estimator"], found["models"]) == ("7", "copies", "right", 2)
    assert found["ratio"] == pytest.approx(11 / (1 + answer["worlds"]["7"]["median"]))
    assert found["coverage"] == 0
    (worth,) = answer["worths"]
    assert (worth["world"], worth["changes"], worth["models"]) == ("7", "copies", 2)
    assert worth["interval"][0] < 1 < worth["interval"][1]  # the same scores at the same counts
    assert found["of_its_own"]["ratio"] == pytest.approx(11 / (1 + worth["median"]))


def test_the_parts_of_the_variance_are_all_of_it(made):
    _, _, answer = made
    world = answer["worlds"]["7"]
    assert sum(world["components"].values()) == pytest.approx(1)
    assert world["components"]["own_count"] > 0.5
    assert world["components"]["model"] < 0.05
    assert [one["count"] for one in world["marginal"]] == sorted(one["count"] for one in world["marginal"])
    # Twice the images help most in the middle of the rise.
    doubled = {one["count"]: one["doubled"] for one in world["marginal"]}
    assert doubled[0] == 0 and doubled[40] > 3 * doubled[320]
    noise = world["noise_of_training"]
    assert noise[0]["sd"] > 1.3 * noise[-1]["sd"]


def test_another_seed_of_the_bootstrap_moves_intervals_only(made):
    painters, thresholds, answer = made
    again = estimate_truth(painters, thresholds, resamples=40, seed=1)
    assert again == answer
    other = estimate_truth(painters, thresholds, resamples=40, seed=2)
    assert other["errors"] == answer["errors"]
    assert other["worlds"]["7"]["median"] == answer["worlds"]["7"]["median"]
    assert other["worlds"]["7"]["median_interval"] != answer["worlds"]["7"]["median_interval"]


def without_a_rise():
    counts, scores, _ = simulate(12, 3, low=0.4, high=0.4)
    models = runs_of(3, 1)
    return painters_frame(counts, scores, models), thresholds_frame([answer_row(run, "right", 40.0) for run in models])


def with_one_deal():
    counts, scores, _ = simulate(16, 1, 3)
    models = runs_of(1, 3)
    return painters_frame(counts, scores, models), thresholds_frame([answer_row(run, "right", 40.0) for run in models])


def test_scores_that_do_not_rise_have_no_threshold():
    answer = estimate_truth(*without_a_rise(), resamples=3, seed=0)
    world = answer["worlds"]["7"]
    assert "do not rise" in world["reason"] and world["not_compared"] == world["reason"]
    assert {key: world[key] for key in OF_A_RISE} == dict.fromkeys(OF_A_RISE) | {"without_deal": []}
    assert error_of(answer, "right") == {
        **{"score": "published", "estimator": "right", "world": "all"},
        **{"models": 3, "answers": 3, "compared": 0},
    }


def test_all_scores_equal_are_no_rise_either():
    counts, scores, _ = simulate(12, 3)
    painters = painters_frame(counts, np.full_like(scores, 0.5), runs_of(3, 1))
    assert estimate_truth(painters, thresholds_frame([]), resamples=3, seed=0)["worlds"]["7"]["median"] is None


def test_estimates_of_a_single_deal_are_not_compared_with_themselves():
    answer = estimate_truth(*with_one_deal(), resamples=3, seed=0)
    world = answer["worlds"]["7"]
    assert world["without_deal"] == []
    assert "raise `truth.deals`" in world["not_compared"]
    assert error_of(answer, "right")["compared"] == 0 and "ratio" not in error_of(answer, "right")


def test_a_single_model_has_an_error_without_an_interval():
    counts, scores, _ = simulate(16, 4)
    models = runs_of(4, 1)
    thresholds = thresholds_frame([answer_row(models[0], "right", 40.0)])
    found = error_of(estimate_truth(painters_frame(counts, scores, models), thresholds, resamples=3, seed=0), "right")
    assert found["compared"] == 1 and found["ratio_interval"] is None


def test_two_worlds_are_told_apart(made):
    painters, thresholds, answer = made
    counts, scores, _ = simulate(16, 4, 1, seed=4, median=np.log1p(100))
    models = runs_of(4, 1, world=9)
    painters = pl.concat([painters, painters_frame(counts, scores, models)])
    more = thresholds_frame([answer_row(run, "right", TRUE) for run in models])
    both = estimate_truth(painters, pl.concat([thresholds, more]), resamples=3, seed=1)
    assert list(both["worlds"]) == ["7", "9"]
    assert both["worlds"]["9"]["median"] > 1.5 * both["worlds"]["7"]["median"]
    assert error_of(both, "right", world="9")["ratio"] < error_of(both, "right", world="7")["ratio"]
    assert error_of(both, "right")["models"] == 12
    assert error_of(both, "right", world="7") == error_of(answer, "right", world="7")


def test_changed_worlds_alone_are_an_error(made):
    painters, thresholds, _ = made
    with pytest.raises(DataError, match="no model of the usual world; ask snakemake for truth"):
        estimate_truth(painters.filter(pl.col("changes") != "usual"), thresholds, resamples=3, seed=0)


# --- the commands


@pytest.fixture
def tables(tmp_path, made):
    painters, thresholds, _ = made
    paths = {"painters": tmp_path / "painters.parquet", "thresholds": tmp_path / "thresholds.parquet"}
    write_frame(painters, paths["painters"])
    write_frame(thresholds, paths["thresholds"])
    return {name: str(path) for name, path in paths.items()}


def estimate(tables, out, *more):
    named = ["--painters", tables["painters"], "--thresholds", tables["thresholds"]]
    return main(["truth", "estimate", *named, "--resamples", "2", "--out", str(out), *more])


def plot(tables, answer, folder):
    named = ["--painters", tables["painters"], "--thresholds", tables["thresholds"], "--answer", str(answer)]
    figures = [f"--{name}={folder / name}.png" for name in ("curves", "estimates", "changes")]
    return main(["truth", "plot", *named, *figures])


def is_drawn(path):
    """Whether a figure has ink in each quarter."""
    pixels = np.asarray(Image.open(path).convert("L"))
    rows, columns = np.array_split(np.arange(pixels.shape[0]), 2), np.array_split(np.arange(pixels.shape[1]), 2)
    return all((pixels[np.ix_(row, column)] < 250).mean() > 0.002 for row in rows for column in columns)


@pytest.mark.slow
def test_the_commands_estimate_and_draw(tables, tmp_path, capsys):
    assert not estimate(tables, tmp_path / "truth.json")
    assert not capsys.readouterr().err.count("world ")
    text = (tmp_path / "truth.json").read_text()
    assert "NaN" not in text and "Infinity" not in text
    assert json.loads(text)["resamples"] == 2
    assert not plot(tables, tmp_path / "truth.json", tmp_path)
    assert all(is_drawn(tmp_path / f"{name}.png") for name in ("curves", "estimates", "changes"))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("make", "said"), [(without_a_rise, "do not rise"), (with_one_deal, "there is one deal of the counts")]
)
def test_the_commands_say_what_cannot_be_told(make, said, tmp_path, capsys):
    tables = {name: str(tmp_path / f"{name}.parquet") for name in ("painters", "thresholds")}
    for path, frame in zip(tables.values(), make(), strict=True):
        write_frame(frame, path)
    assert not estimate(tables, tmp_path / "truth.json")
    assert re.search(f"world 7: .*{said}", capsys.readouterr().err)
    assert "NaN" not in (tmp_path / "truth.json").read_text()
    assert not plot(tables, tmp_path / "truth.json", tmp_path)
    assert (tmp_path / "curves.png").stat().st_size > 5_000
    assert (tmp_path / "estimates.png").stat().st_size > 5_000
    assert (tmp_path / "changes.png").stat().st_size > 5_000


def test_missing_and_broken_tables_are_named_with_a_remedy(tables, tmp_path, capsys):
    (tmp_path / "broken.parquet").write_text("no table")
    write_frame(pl.DataFrame({"world": [1]}), tmp_path / "lacks.parquet")
    for name, said in {
        "missing.parquet": r"missing\.parquet: .*(no such file|does not exist)",
        "broken.parquet": r"broken\.parquet: not a readable Parquet.*again",
        "lacks.parquet": r"lacks\.parquet: .*(changes|column)",
    }.items():
        for key in ("painters", "thresholds"):
            assert estimate(tables | {key: str(tmp_path / name)}, tmp_path / "truth.json") == 1
            told = capsys.readouterr().err
            assert re.search(said, told), told
            assert "Traceback" not in told
    assert not (tmp_path / "truth.json").exists()


def test_an_answer_that_another_command_wrote_is_an_error(tables, tmp_path, capsys):
    assert plot(tables, tmp_path / "truth.json", tmp_path) == 1
    assert "truth.json: there is no such file; `fit truth estimate` writes it" in capsys.readouterr().err
    (tmp_path / "truth.json").write_text('{"threshold": 3}')
    assert plot(tables, tmp_path / "truth.json", tmp_path) == 1
    assert "`fit truth estimate`" in capsys.readouterr().err
    assert not (tmp_path / "curves.png").exists()


def test_gathered_tables_are_sorted_and_whole(tables, made, tmp_path, capsys):
    painters, thresholds, _ = made
    parts = {"painters": [], "thresholds": []}
    for number, run in enumerate([*reversed(MODELS), *runs_of(2, 1, changes="copies")]):
        its = (pl.col("changes") == run.changes) & (pl.col("deal") == run.deal) & (pl.col("training") == run.training)
        for name, frame in {"painters": painters, "thresholds": thresholds}.items():
            parts[name].append(str(tmp_path / f"{number}.{name}.parquet"))
            write_frame(frame.filter(its), parts[name][-1])
    out = [str(tmp_path / f"all.{name}.parquet") for name in parts]
    written = ["--painters-file", out[0], "--thresholds-file", out[1]]
    named = ["--painters", *parts["painters"], "--thresholds", *parts["thresholds"]]
    assert not main(["truth", "gather", *named, *written])
    by = ["world", "changes", "deal", "training"]
    assert pl.read_parquet(out[0]).equals(painters.sort(*by, maintain_order=True))
    assert pl.read_parquet(out[1]).equals(thresholds.sort(*by, maintain_order=True))
    assert main(["truth", "gather", *named, str(tmp_path / "gone.parquet"), *written]) == 1
    assert "gone.parquet" in capsys.readouterr().err
