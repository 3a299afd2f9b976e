"""The poisoning experiment, shrunk, from end to end; the tests build on each other, in the order that they stand in."""

import json

import polars as pl
import pytest
from workplace import Workplace, shrink

pytestmark = pytest.mark.slow

SEEDS, COUNTS = [1, 2], [0, 1, 2, 3, 4]


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    place = Workplace(tmp_path_factory.mktemp("poisoning"))
    shrink(place)
    place.config["threshold"] |= {"resamples": 10}
    place.config["poisoning"] = {
        "sheet": "painters.tsv",
        "seeds": SEEDS,
        "poisoned_pairs": COUNTS,
        "classes": 4,
        "pairs": 24,
        "training_steps": 2,
        "cleaning_pairs": 16,
        "cleaning_steps": 1,
        "pairs_per_step": 8,
        "held_out": 12,
    }
    return place


def test_it_is_a_job_for_each_seed_and_objective_and_no_part_of_a_study(place):
    planned = place.planned("poisoning")
    assert {name: planned[name] for name in planned if name != "total"} == {
        "train_poisoned": 4,
        "estimate_poisoning": 1,
        "plot_poisoning": 1,
        "poisoning": 1,
    }
    assert not [rule for rule in place.planned() if "poison" in rule]


def test_it_says_what_each_model_does(place):
    place.run("poisoning")
    folder = place.folder / "results/poisoning"
    models = pl.read_parquet(folder / "models.parquet")
    assert len(models) == 2 * 2 * len(SEEDS) * len(COUNTS)
    answer = json.loads((folder / "poisoning.json").read_text())
    assert set(answer["lines"]) == {"contrastive", "self-supervised"} and answer["answer"]
    assert (folder / "poisoning.png").stat().st_size > 10_000
    assert "Nothing to be done" in place.run("poisoning")


def test_another_seed_trains_its_own_models_alone(place):
    place.config["poisoning"]["seeds"] = [*SEEDS, 3]
    planned = place.planned("poisoning")
    assert planned["train_poisoned"] == 2 and planned["estimate_poisoning"] == 1
    place.config["poisoning"]["training_steps"] += 1
    assert place.planned("poisoning")["train_poisoned"] == 6
