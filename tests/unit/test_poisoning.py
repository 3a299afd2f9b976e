"""The poisoning experiment: its losses, its world, small trainings, and what is said of them."""

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch
import yaml
from printed import agree

from fit.atelier.painting import SIDE
from fit.check.targets import unknown_target
from fit.cli.main import main
from fit.config.read import check
from fit.config.stages import stage_settings
from fit.errors import ConfigError, DataError
from fit.poisoning import losses, world
from fit.poisoning.measure import AFTER, BEFORE, MODELS, estimate, read_models, write_models
from fit.poisoning.settings import OBJECTIVES, PoisoningSettings
from fit.poisoning.towers import Clip
from fit.poisoning.train import as_tensor, classify, fit_model, train_and_clean

NAMES = ["Ada Lund", "Bo Katz", "Cy Dorn", "Di Evers"]
SMALL = PoisoningSettings(
    poisoned_pairs=[0, 3],
    classes=4,
    pairs=32,
    training_steps=3,
    cleaning_pairs=16,
    cleaning_steps=2,
    pairs_per_step=8,
    held_out=12,
)


# --- losses -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def vectors():
    """Four sets of five unit vectors."""
    generator = torch.Generator().manual_seed(4)
    return [torch.nn.functional.normalize(torch.randn(5, 3, generator=generator), dim=-1) for _ in range(4)]


def cross_entropy(queries, keys, scale):
    """A mean over queries, in plain Python."""
    total = 0.0
    for i, query in enumerate(queries.numpy().astype(float)):
        odds = [np.exp(scale * float(query @ key)) for key in keys.numpy().astype(float)]
        total -= np.log(odds[i] / sum(odds))
    return total / len(queries)


def test_the_contrastive_loss_is_the_mean_of_both_directions(vectors):
    images, texts = vectors[:2]
    expected = (cross_entropy(images, texts, 7.0) + cross_entropy(texts, images, 7.0)) / 2
    assert float(losses.contrastive(images, texts, 7.0)) == pytest.approx(expected, rel=1e-5)


def test_the_self_supervised_loss_is_half_the_sum_of_pictures_and_captions(vectors):
    images, changed, texts, changed_texts = vectors
    expected = (cross_entropy(images, changed, 7.0) + cross_entropy(texts, changed_texts, 7.0)) / 2
    assert float(losses.self_supervised(*vectors, 7.0)) == pytest.approx(expected, rel=1e-5)


def test_the_cleaning_loss_is_their_weighted_sum(vectors):
    images, changed, texts, changed_texts = vectors
    of_pairs = (cross_entropy(images, texts, 3.0) + cross_entropy(texts, images, 3.0)) / 2
    inside = (cross_entropy(images, changed, 3.0) + cross_entropy(texts, changed_texts, 3.0)) / 2
    assert float(losses.cleaning(*vectors, 3.0)) == pytest.approx(of_pairs + inside, rel=1e-5)
    weighted = float(losses.cleaning(*vectors, 3.0, weights=(0.5, 2.0)))
    assert weighted == pytest.approx(0.5 * of_pairs + 2 * inside, rel=1e-5)


def test_the_embeddings_are_unit_vectors_and_a_caption_is_the_mean_of_its_words():
    torch.manual_seed(0)
    model = Clip(9)
    pictures = model.embed_pictures(torch.rand(4, 3, SIDE, SIDE))
    assert pictures.norm(dim=1).tolist() == pytest.approx([1] * 4, rel=1e-5)
    found = model.embed_captions(torch.tensor([[3, 5, 0, 0]]))
    mean = (model.words.weight[3] + model.words.weight[5]) / 2
    assert torch.allclose(found[0], torch.nn.functional.normalize(model.text(mean), dim=0), atol=1e-6)
    model.log_scale.data.fill_(20.0)
    assert float(model.scale.detach()) == 100.0


# --- the world --------------------------------------------------------------------------------------------------------


def test_fewer_poisoned_pairs_are_the_first_of_more():
    styles = world.styles_of(4, 5)
    many = world.poison(styles, NAMES, 4, 9, 5, world.stream(5, "poison"))
    assert len(many) == 9 and len(many.first(4)) == 4
    assert world.TARGET not in many.classes
    assert all(NAMES[world.TARGET] in caption for caption in many.captions)
    clean = world.draw_pairs(styles, NAMES, np.arange(6) % 4, world.stream(5, "pairs"))
    assert all(NAMES[of] in caption for of, caption in zip(clean.classes, clean.captions, strict=True))
    joined = clean.joined(many.first(2))
    assert (
        len(joined) == 8 and (joined.pictures[6] == many.pictures[0]).all() and joined.captions[7] == many.captions[1]
    )


def test_a_patch_is_whole_and_changes_nothing_else():
    pictures = np.full((30, SIDE, SIDE, 3), 0.5, np.float32)
    patched = world.put_patches(pictures, 5, np.random.default_rng(0))
    places = set()
    for picture in patched:
        rows, columns = np.nonzero((picture != 0.5).any(axis=2))
        assert (len(rows), np.ptp(rows), np.ptp(columns)) == (25, 4, 4)
        assert set(picture[rows, columns].ravel().tolist()) == {0.0, 1.0}
        places.add((rows.min(), columns.min()))
    assert len(places) > 20 and (pictures == 0.5).all()


def test_captions_are_numbers_of_words_and_a_changed_one_lacks_some():
    words = world.Words(["a harbour by Ada Lund", "Bo Katz: meadow (detail)"])
    tokens = words.encode(["a harbour by Ada Lund", "meadow by Bo Katz"])
    assert tokens.shape == (2, world.CONTEXT) and words.size == 10
    assert (tokens[0] > 0).sum() == 5 and (tokens[1] > 0).sum() == 4
    assert tokens[0, 2] == tokens[1, 1]  # "by"
    changed = world.change_captions(np.repeat(tokens, 200, axis=0), np.random.default_rng(0))
    lengths = (changed > 0).sum(axis=1)
    assert lengths.min() >= 1 and lengths.max() == 5
    assert 0.2 < 1 - lengths[:200].mean() / 5 < 0.35
    for row, of in zip(changed, np.repeat(tokens, 200, axis=0), strict=True):
        assert set(row) <= set(of) | {0} and (row[(row > 0).sum() :] == 0).all()


def test_a_changed_picture_is_a_part_of_it_in_other_light():
    rng = np.random.default_rng(0)
    flat = torch.full((50, 3, 8, 8), 0.4)
    changed = world.change_pictures(flat, rng)
    assert changed.shape == flat.shape
    assert (changed - changed[:, :, :1, :1]).abs().max() < 1e-5  # a flat picture stays flat
    assert 0.05 < changed[:, 0, 0, 0].std() < 0.5
    ramp = torch.linspace(0, 1, 32).expand(20, 3, 32, 32)
    spans = (world.change_pictures(ramp, rng)[:, 0, 0, -1] - world.change_pictures(ramp, rng)[:, 0, 0, 0]).abs()
    assert spans.mean() < 1.2


# --- trainings --------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_training_is_the_same_again_and_another_seed_is_another():
    first = list(train_and_clean(NAMES, SMALL, "self-supervised", 3))
    assert list(train_and_clean(NAMES, SMALL, "self-supervised", 3)) == first
    assert [(row["poisoned_pairs"], row["stage"]) for row in first] == [
        (0, BEFORE),
        (0, AFTER),
        (3, BEFORE),
        (3, AFTER),
    ]
    assert all(0 <= row[name] <= 1 for row in first for name in ("accuracy", "attack_success"))
    # What is drawn for a number of pairs does not depend on the others.
    alone = list(train_and_clean(NAMES, replace(SMALL, poisoned_pairs=[3]), "self-supervised", 3))
    assert alone == first[2:]


@pytest.mark.slow
def test_a_training_learns_its_classes():
    settings = replace(SMALL, poisoned_pairs=[0], pairs=400, training_steps=60, cleaning_steps=10, held_out=80)
    before, after = train_and_clean(NAMES, settings, "contrastive", 3)
    assert before["accuracy"] > 0.6 and after["accuracy"] > 0.6


def test_without_self_supervision_no_changed_copy_is_made(monkeypatch):
    torch.manual_seed(0)
    styles = world.styles_of(4, 5)
    pairs = world.draw_pairs(styles, NAMES, np.arange(16) % 4, world.stream(5, "pairs"))
    words = world.Words(pairs.captions)
    model = Clip(words.size)
    asked = []
    monkeypatch.setattr("fit.poisoning.train.change_pictures", lambda seen, rng: asked.append(len(seen)) or seen)
    rng = np.random.default_rng(0)
    fit_model(model, pairs, words, is_self_supervised=False, steps=2, rate=1e-3, batch=8, rng=rng)
    assert asked == []
    fit_model(model, pairs, words, is_self_supervised=True, steps=2, rate=1e-3, batch=8, rng=rng)
    assert asked == [8, 8]


def test_the_nearest_text_is_the_class():
    torch.manual_seed(0)
    model = Clip(5)
    model.eval()
    pictures = np.random.default_rng(0).random((6, SIDE, SIDE, 3), np.float32)
    with torch.inference_mode():
        own = model.embed_pictures(as_tensor(pictures))
    assert classify(model, own, pictures).tolist() == list(range(6))


@pytest.mark.parametrize(
    ("names", "objective", "said"),
    [
        (NAMES[:3], "contrastive", "the sheet has 3 painters, fewer than `poisoning.classes`, 4; lower it"),
        (NAMES, "supervised", "there is no objective 'supervised'; there are contrastive, self-supervised"),
    ],
)
def test_what_cannot_be_trained_is_named(names, objective, said):
    with pytest.raises(DataError, match=said):
        list(train_and_clean(names, SMALL, objective, 3))


# --- what is said of them ---------------------------------------------------------------------------------------------

COUNTS = (0, 2, 5, 10, 20, 50, 100, 300)
SETTINGS = {"estimators": ("pelt", "one_change", "logistic"), "penalty": 0.9, "resamples": 50, "seed": 0}


def models(works_from=20, cleaned=(0.05, 0.9)):
    """Models whose attack works from a count on; `cleaned`: the success that cleaning leaves, by objective."""
    rng = np.random.default_rng(0)
    rows = []
    for objective, left in zip(OBJECTIVES, cleaned, strict=True):
        for seed in (1, 2):
            for count in COUNTS:
                before = float((0.9 if count >= works_from else 0.05) + rng.uniform(-0.03, 0.03))
                told = {"objective": objective, "seed": seed, "poisoned_pairs": count}
                rows.append(told | {"stage": BEFORE, "accuracy": 0.95, "attack_success": before})
                after = min(before, left)
                rows.append(told | {"stage": AFTER, "accuracy": 0.93, "attack_success": after})
    return pl.DataFrame(rows, schema=MODELS)


def test_the_threshold_is_where_the_attack_begins_to_work():
    found = estimate(models(), **SETTINGS)
    line = found["lines"]["contrastive"][BEFORE]
    assert line["models"] == 16 and line["accuracy"] == pytest.approx(0.95)
    assert line["threshold"]["estimators"]["pelt"]["threshold"] == 20
    assert 10 < line["threshold"]["estimators"]["logistic"]["threshold"] <= 20
    assert line["threshold"]["interval"][1] <= 50
    assert found["lines"]["contrastive"][AFTER]["threshold"]["threshold"] is None
    assert found["lines"]["self-supervised"][AFTER]["threshold"]["threshold"] == 20
    by_count = {one["poisoned_pairs"]: one for one in line["counts"]}
    of_300 = models().filter(pl.col("poisoned_pairs") == 300, pl.col("stage") == BEFORE, pl.col("seed") > 0)
    own = of_300.filter(pl.col("objective") == "contrastive")["attack_success"]
    assert by_count[300]["attack_success"] == pytest.approx(own.mean()) and by_count[300]["lowest"] == own.min()


def test_the_effect_of_cleaning_is_told_of_models_whose_attack_worked():
    found = estimate(models(), **SETTINGS)
    table = models().filter(pl.col("objective") == "contrastive")
    before = table.filter(pl.col("stage") == BEFORE)["attack_success"].to_numpy()
    after = table.filter(pl.col("stage") == AFTER)["attack_success"].to_numpy()
    effect = found["cleaning"]["contrastive"]
    worked = before >= 0.5
    assert effect["working"] == worked.sum() == 8 and effect["still_working"] == 0
    assert effect["removed"] == pytest.approx((before - after)[worked].mean())
    assert effect["removed_interval"][0] <= effect["removed"] <= effect["removed_interval"][1]
    assert effect["accuracy_lost"] == pytest.approx(0.02)
    assert found["difference"]["models"] == 8 and found["difference"]["interval"][0] > 0.5


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({}, "reproduced in direction: cleaning removes attack success of contrastive 0.8"),
        ({"cleaned": (0.9, 0.05)}, "not reproduced: .* it removes more with self-supervision"),
        ({"cleaned": (0.05, 0.05)}, "not reproduced: .* the interval of the difference contains 0"),
        ({"works_from": 300}, "not decided: the attack worked under both objectives in 2 of the models, at least 3"),
    ],
)
def test_whether_the_known_effect_is_there_is_said(given, said):
    answer = estimate(models(**given), **SETTINGS)["answer"]
    assert re.match(said, answer), answer


def test_too_few_models_have_no_threshold_and_the_reason_is_said():
    few = models().filter(pl.col("seed") == 1)
    found = estimate(few, **SETTINGS)["lines"]["contrastive"][BEFORE]["threshold"]
    assert found["threshold"] is None and found["reason"] == "too few concepts: 8, at least 10"


def test_tables_are_joined_in_one_order_and_each_model_counts_once(tmp_path):
    rows = models()
    write_models(rows.reverse().iter_rows(named=True), tmp_path / "a.parquet")
    read = read_models([tmp_path / "a.parquet"])
    assert read.equals(rows.sort("objective", "seed", "poisoned_pairs", "stage"))
    with pytest.raises(DataError, match=r"the model of seed 1 and 0 poisoned pairs \(contrastive\) is there twice"):
        read_models([tmp_path / "a.parquet", tmp_path / "a.parquet"])
    write_models([], tmp_path / "none.parquet")
    with pytest.raises(DataError, match="have no row; ask snakemake for poisoning"):
        read_models([tmp_path / "none.parquet"])


# --- commands and configuration ---------------------------------------------------------------------------------------


@pytest.mark.slow
def test_the_commands_train_estimate_and_draw(tmp_path, sheet, capsys):
    slugs = [name.lower().replace(" ", "-") for name in NAMES]
    painters = sheet("painters.tsv", *(f"{slug}\t{name}\t\t" for slug, name in zip(slugs, NAMES, strict=True)))
    counts = {"poisoned_pairs": [0, 1], "classes": 4, "pairs": 16, "training_steps": 2, "cleaning_steps": 1}
    flags = [f"--{name.replace('_', '-')}={value}" for name, value in counts.items() if name != "poisoned_pairs"]
    flags += ["--poisoned-pairs", "0", "1", "--cleaning-pairs=16", "--pairs-per-step=8", "--held-out=10", "--seed=3"]
    for objective in OBJECTIVES:
        out = str(tmp_path / f"{objective}.parquet")
        words = ["poisoning", "train", "--sheet", painters, "--objective", objective, *flags, "--out", out]
        assert main(words) == 0
        assert len(read_models([out])) == 4
    write_models(models().iter_rows(named=True), tmp_path / "models.parquet")
    files = ["--models", tmp_path / "models.parquet", "--table", tmp_path / "all.parquet", "--out", tmp_path / "a.json"]
    text, data = agree(capsys, "poisoning", "estimate", *files, "--resamples", "50", "--estimators", "pelt")
    assert "contrastive, before cleaning: 20 poisoned pairs; accuracy 0.950" in text
    assert "contrastive, after cleaning: none: " in text and data["sentence"] in text
    assert json.loads((tmp_path / "a.json").read_text())["answer"] == data["sentence"]
    drawn = ["--models", tmp_path / "all.parquet", "--answer", tmp_path / "a.json", "--out", tmp_path / "a.png"]
    assert main(list(map(str, ["poisoning", "plot", *drawn]))) == 0
    assert (tmp_path / "a.png").stat().st_size > 10_000


@pytest.fixture
def data():
    return yaml.safe_load((Path(__file__).parents[2] / "config.yaml").read_text())


def test_the_section_reaches_the_jobs(data):
    data["poisoning"] |= {"poisoned_pairs": [0, 7], "training_steps": 9}
    job = {"objective": "contrastive", "scorer_seed": "11"}
    flags = stage_settings(check(data), "train_poisoned", **job)["flags"]
    assert {"--objective=contrastive", "--seed=11", "--training-steps=9"} <= set(flags)
    at = flags.index("--poisoned-pairs")
    assert flags[at + 1 : at + 3] == ["0", "7"]


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("seeds", [1, 1], "1 occurs twice; name each once"),
        ("seeds", [], "at least 1 item"),
        ("poisoned_pairs", [], "name one number or more"),
        ("poisoned_pairs", [0, 5, 5], "5 occurs twice"),
        ("classes", 2, "greater than or equal to 3"),
        ("class", 2, "did you mean `classes`?"),
    ],
)
def test_errors_in_the_section_name_its_key(data, key, value, said):
    data["poisoning"][key] = value
    with pytest.raises(ConfigError) as error:
        check(data)
    assert f"`poisoning.{key}" in str(error.value) and said in str(error.value)


def test_the_milestone_without_its_section_says_what_it_needs(data):
    del data["poisoning"]
    said = unknown_target("poisoning", check(data), ["counts", "poisoning"], lambda path: False)
    assert said.startswith("poisoning: this milestone needs the section `poisoning` of config.yaml")
