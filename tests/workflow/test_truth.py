"""The truth experiment, shrunk, from end to end; the tests build on each other, in the order that they stand in."""

import json

import polars as pl
import pytest
from workplace import Workplace, shrink

pytestmark = pytest.mark.slow

PAINTERS, WORLD, DEALS, TRAININGS = 12, 3, 2, 2
MODELS = [(deal, training) for deal in range(DEALS) for training in range(1, TRAININGS + 1)]


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    place = Workplace(tmp_path_factory.mktemp("truth"))
    shrink(place)
    sheet = place.folder / "painters.tsv"
    sheet.write_text("\n".join(sheet.read_text().splitlines()[: PAINTERS + 1]) + "\n")
    place.config["domains"]["painters"]["prompts"] = ["a painting by {name}"]
    place.config["atelier"] |= {"encoder_steps": 4}
    place.config["threshold"] |= {"resamples": 10}
    place.config["truth"] |= {
        "worlds": [WORLD],
        "deals": DEALS,
        "trainings": TRAININGS,
        "painters_without_pictures": 1,
        "smallest_count": 2,
        "largest_count": 30,
        "references_per_painter": 12,
        "photographs": 2,
        "anonymous": 10,
        "autoencoder_steps": 4,
        "generator_steps": 4,
        "generator_batch": 4,
    }
    return place


@pytest.fixture(scope="module")
def truth(place):
    """The folder of results of the experiment, which has run."""
    place.run("truth")
    return place.folder / "results/truth"


def test_it_trains_each_model_once_and_leaves_the_built_in_study_alone(place):
    planned = place.planned("truth")
    assert planned["paint_truth_world"] == DEALS
    assert planned["train_truth_generator"] == planned["measure_truth"] == len(MODELS)
    assert planned["gather_truth"] == planned["estimate_truth"] == planned["plot_truth"] == 1
    # Of the built-in study it takes the encoder only.
    assert "train_generator" not in planned and "train_art_filter" not in planned
    assert planned["train_style_encoder"] == 1
    # And the study takes nothing of the experiment.
    assert not [rule for rule in place.planned() if "truth" in rule]


def test_it_says_what_each_model_found(truth):
    painters = pl.read_parquet(truth / "painters.parquet")
    assert len(painters) == len(MODELS) * PAINTERS
    assert sorted(painters.select("deal", "training").unique().rows()) == MODELS
    assert painters["reference_score"].null_count() == 0
    # Two models of one deal have the same counts; in each deal there is the same ladder of them.
    by_deal = painters.group_by("deal", "concept").agg(pl.col("true_count").n_unique())
    assert by_deal["true_count"].to_list() == [1] * (DEALS * PAINTERS)
    ladders = {tuple(sorted(of_model["true_count"])) for _, of_model in painters.group_by("deal", "training")}
    assert len(ladders) == 1 and max(max(ladders)) == 30
    # Each painter has had as many counts as there are deals.
    assert (painters.group_by("concept").agg(pl.col("true_count").n_unique())["true_count"] == DEALS).all()
    thresholds = pl.read_parquet(truth / "thresholds.parquet")
    assert len(thresholds.filter((pl.col("estimator") == "headline") & (pl.col("score") == "published"))) == len(MODELS)
    answer = json.loads((truth / "truth.json").read_text())
    assert list(answer["worlds"]) == [str(WORLD)]
    world = answer["worlds"][str(WORLD)]
    assert (world["models"], world["deals"]) == (len(MODELS), DEALS)
    # Models that hardly learn have no threshold, and none is made up.
    assert (world["median"] is None) == (world["reason"] is not None)
    for name in ("curves", "estimates"):
        assert (truth / f"{name}.png").stat().st_size > 10_000


def test_references_are_the_same_in_all_deals(truth):
    worlds = [pl.read_parquet(path) for path in sorted(truth.glob("worlds/*/*/*/references.parquet"))]
    assert len(worlds) == DEALS
    assert all(world.equals(worlds[0]) for world in worlds)


def test_a_second_run_has_nothing_to_do(place, truth):
    assert "Nothing to be done" in place.run("truth")


@pytest.mark.parametrize(
    ("section", "key", "value", "again"),
    [
        # All deals move, so that all is painted again.
        ("truth", "deals", DEALS + 1, {"paint_truth_world": DEALS + 1, "measure_truth": (DEALS + 1) * TRAININGS}),
        # One more training of each deal: nothing of the others, but for what gathers all.
        ("truth", "trainings", TRAININGS + 1, {"paint_truth_world": 0, "train_truth_generator": DEALS}),
        ("truth", "generator_steps", 5, {"paint_truth_world": 0, "train_truth_generator": len(MODELS)}),
        ("threshold", "resamples", 11, {"train_truth_generator": 0, "detect_threshold": len(MODELS)}),
    ],
)
def test_a_changed_setting_runs_what_depends_on_it(place, truth, section, key, value, again):
    before = place.config[section][key]
    place.config[section][key] = value
    try:
        planned = place.planned("truth")
    finally:
        place.config[section][key] = before
    assert {rule: planned.get(rule, 0) for rule in again} == again
    assert planned["gather_truth"] == planned["estimate_truth"] == 1
