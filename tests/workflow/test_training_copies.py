"""The search for copies, shrunk, from end to end: of the built-in study's model, and of the world of duplicates."""

import json

import polars as pl
import pytest
from workplace import Workplace, shrink

pytestmark = pytest.mark.slow

CAPTIONS, OTHERS, PICTURES, JOBS = 3, 8, 5, 2
WORLD = "results/copies/models/copies-atelier"


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    place = Workplace(tmp_path_factory.mktemp("copies"))
    shrink(place)
    place.config["domains"]["painters"]["prompts"] = ["a painting by {name}"]
    place.config["atelier"] |= {"encoder_steps": 4, "autoencoder_steps": 4, "generator_steps": 4}
    place.config["threshold"] |= {"resamples": 10}
    place.config["copies"] |= {
        "captions": CAPTIONS,
        "others": OTHERS,
        "images_per_prompt": PICTURES,
        "jobs": JOBS,
        "clique": 3,
        "side": 16,
        "false_positives": 0.25,
        "detector_pictures": 1,
    }
    place.config["copies"]["atelier"] |= {
        "counts": [1, 6],
        "painters_per_count": 2,
        "references_per_painter": 12,
        "anonymous": 20,
        "autoencoder_steps": 4,
        "generator_steps": 4,
        "generator_batch": 4,
    }
    return place


@pytest.fixture(scope="module")
def results(place):
    """The folder of results of both milestones, which have run."""
    place.run("copies", "copies_atelier")
    return place.folder / "results/copies"


def test_each_prompt_of_each_model_is_looked_at(results):
    for model, prompts in (("atelier", CAPTIONS), ("copies-atelier", 8)):
        found = pl.read_parquet(results / f"models/{model}/found.parquet")
        assert len(found) == prompts + OTHERS
        assert found["pictures"].to_list() == [PICTURES] * len(found)
        summary = json.loads((results / f"models/{model}/found.json").read_text())
        assert (summary["prompts"], summary["others"]) == (prompts, OTHERS)
        assert summary["epsilon"]["false_positives"]["of"] == OTHERS // 2
        assert summary["detector"]["false_positives"]["of"] == OTHERS // 2
        assert len(list(results.glob(f"models/{model}/pictures/*.parquet"))) == JOBS
    captions = pl.read_parquet(results / "models/atelier/prompts.parquet").filter(~pl.col("is_other"))
    corpus = pl.concat(pl.read_parquet(path) for path in (results.parent / "atelier/corpus").glob("*.parquet"))
    counts = corpus["caption"].value_counts(sort=True)["count"].to_list()
    assert captions["times"].to_list() == counts[:CAPTIONS]


def test_painters_of_equal_count_are_compared(results):
    compared = pl.read_parquet(results / "atelier/compared.parquet")
    assert sorted(compared["kind"].value_counts().rows()) == [("distinct", 4), ("none", 8), ("repeated", 4)]
    assert compared.filter(pl.col("kind") != "none")["copied_share"].null_count() == 0
    assert compared["score"].null_count() == 0
    answer = json.loads((results / "atelier/compared.json").read_text())
    assert answer["copies"]["pairs"] == answer["imitation"]["pairs"] == 2
    assert answer["found"]["known"]["memorised"] == 2
    assert (results / "atelier/compared.png").stat().st_size > 10_000


def test_a_second_run_has_nothing_to_do(place, results):
    assert "Nothing to be done" in place.run("copies", "copies_atelier")


@pytest.mark.parametrize(
    ("key", "value", "again"),
    [
        ("clique", 4, {"choose_prompts": 0, "generate_copies": 0, "find_copies": 2, "compare_copies": 1}),
        ("images_per_prompt", 6, {"choose_prompts": 0, "generate_copies": 2 * JOBS, "measure_guidance": 0}),
        ("detector_pictures", 2, {"generate_copies": 0, "measure_guidance": 2, "find_copies": 2}),
        ("memory_mb", 500, {"find_copies": 0}),
    ],
)
def test_a_changed_setting_runs_what_depends_on_it(place, results, key, value, again):
    before = dict(place.config["copies"])
    place.config["copies"][key] = value
    try:
        planned = place.planned("copies", "copies_atelier")
    finally:
        place.config["copies"] = before
    assert {rule: planned.get(rule, 0) for rule in again} == again


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"images_per_prompt": 2}, "a clique has 3 pictures, and a prompt only 2"),
        ({"others": 4}, "raise `others` to 6"),
        ({"side": 18}, "make it 16"),
        ({"models": ["nobody"]}, "`copies.models` names 'nobody'"),
    ],
)
def test_what_cannot_be_is_refused_before_a_job(place, changed, said):
    before = dict(place.config["copies"])
    place.config["copies"] |= changed
    try:
        assert said in place.fails("-n", "copies")
    finally:
        place.config["copies"] = before


def test_without_the_section_the_milestone_says_what_it_needs(place):
    before = place.config.pop("copies")
    try:
        assert "needs the section `copies`" in place.fails("-n", "copies")
        assert "needs the section `copies.atelier`" in place.fails("-n", "copies_atelier")
    finally:
        place.config["copies"] = before
