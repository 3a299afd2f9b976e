"""Erasing, defences and attacks, shrunk, from end to end: of the built-in study's model and one made from it."""

import polars as pl
import pytest
from workplace import Workplace, shrink

from fit.attacks.tabulate import ANY

pytestmark = pytest.mark.slow

ATTACKS = ["named", "indirect", "arithmetic", "prefix"]


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    place = Workplace(tmp_path_factory.mktemp("attacks"))
    shrink(place)
    models, attacks = place.config["models"], place.config["attacks"]
    attacks["concepts"] = attacks["concepts"][:1]
    for name in [name for name, model in models.items() if "base" in model and name != "atelier-esd"]:
        del models[name]
    models["atelier"]["images_per_prompt"] = 2
    models["atelier-esd"]["erase"] = {
        "method": "esd",
        "domain": "painters",
        "concepts": attacks["concepts"],
        "erasing_steps": 2,
        "erasing_batch": 2,
    }
    place.config["atelier"] |= {"encoder_steps": 4, "autoencoder_steps": 4, "generator_steps": 4}
    attacks |= {
        "models": ["atelier", "atelier-esd"],
        "attacks": ATTACKS,
        "images_per_prompt": 2,
        "top_words": [2],
        "negatives": ["none", "name"],
        "weights": [-1.0, 5.0],
        "least_captions": 1,
        "prefix_steps": 2,
        "prefix_batch": 2,
    }
    return place


@pytest.fixture(scope="module")
def results(place):
    """The folder of results of both milestones, which have run."""
    place.run("defences", "attacks")
    return place.folder / "results"


def test_each_attack_on_each_model_is_read_on_the_base_s_curve(place, results):
    rows = pl.read_parquet(results / "attacks/compared/painters.parquet")
    concepts = place.config["attacks"]["concepts"]
    found = {(row["model"], row["concept"], row["attack"]): row for row in rows.iter_rows(named=True)}
    assert set(rows["base"]) == {"atelier"} and set(rows["model"]) == {"atelier", "atelier-esd"}
    scores = pl.read_parquet(results / "scores/atelier/painters.parquet")
    counts = dict(zip(scores["concept"], scores["effective_count"], strict=True))
    for model in ("atelier", "atelier-esd"):
        for concept in concepts:
            for attack in (*ATTACKS, ANY):
                row = found[model, concept, attack]
                assert row["effective_count"] == counts[concept]
                assert row["reason"] is None, (model, concept, attack, row)
                # A model that hardly learns may have a curve that does not rise, on which nothing is read.
                assert "not read as a count" in row["said"] or row["count_low"] <= row["count_high"]
            named, best = (found[model, concept, attack] for attack in ("named", ANY))
            assert best["gain"] == pytest.approx(best["score"] - named["score"])
    assert (results / "attacks/compared/painters.png").stat().st_size > 10_000


def test_an_attack_s_pictures_are_by_the_model_as_it_is_changed(results):
    """What the model answers to the name is another thing after erasing: other weights make other pictures."""
    settings = {
        m: pl.read_parquet(results / f"attacks/{m}/painters/settings.parquet") for m in ("atelier", "atelier-esd")
    }
    assert settings["atelier"]["setting"].equals(settings["atelier-esd"]["setting"])
    assert not settings["atelier"]["score"].equals(settings["atelier-esd"]["score"])


def test_a_defence_is_measured_and_an_attacked_model_is_not_one(place, results):
    assert {path.name for path in (results / "defences").iterdir()} == {"erased", "atelier-esd"}
    rows = pl.read_parquet(results / "defences/atelier-esd/painters.parquet")
    erased = rows.filter((pl.col("quantity") == "count") & pl.col("role").str.contains("erased"))
    assert set(erased["of"]) == set(place.config["attacks"]["concepts"])


def test_nothing_is_done_again_until_something_changes_and_then_only_what_depends_on_it(place, results):
    assert "Nothing to be done" in place.run("defences", "attacks")
    erase = place.config["models"]["atelier-esd"]["erase"]
    erase["strength"] = 2.0
    try:
        planned = place.planned("defences", "attacks")
    finally:
        del erase["strength"]
    assert planned["erase_concepts"] == 1 and planned["tabulate_attacks"] == 1 and planned["compare_attacks"] == 1
    assert planned["generate_images"] == 2  # the erased model's own, and those under attack
    assert "train_generator" not in planned and "rank_words" not in planned
