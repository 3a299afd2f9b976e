"""Prompts of a table that are rewritten: the prompt of a row, each prompt of a composition, the text after a prefix."""

import json

import numpy as np
import pyarrow as pa
import pytest
import torch
from generating import ADA, BRUNO, SAMPLING, Repeating, Scripted, generate, load_generator
from PIL import Image
from pipelines import WORDS, save, saved_once
from safetensors.torch import load_file, save_file

from fit.attacks.base import Subject
from fit.attacks.plan import plan_attacks
from fit.attacks.settings import PromptingSettings
from fit.cli.main import main
from fit.errors import DataError, ModelError
from fit.generated.base import GeneratedImage
from fit.generated.conditioning import Conditioning, read_prompts
from fit.generated.rewriting import Rewritten, rewrite_prompts
from fit.generated.run import image_seed
from fit.generated.settings import ChangeSettings
from fit.images.table import REFERENCES, encode_png
from fit.io import parquet
from fit.io.concept_tables import write_concepts

SHEET = "concept\tname\taliases\nada-morvek\tAda Morvek\t\n"
RULES = {"rewrite_find": ("{name}",), "rewrite_with": ("an artist",)}
"""What a filter does that knows the concept's name."""


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Name of a family -> a folder with a pipeline of it, saved once."""
    return saved_once(tmp_path_factory)


class Told(Repeating):
    """Remembers what it is asked for, and takes more than texts."""

    takes_conditionings = True

    def generate(self, prompts, seeds):
        self.asked += prompts
        return [
            GeneratedImage.judged(np.random.default_rng(seed).integers(0, 255, (4, 4, 3), np.uint8)) for seed in seeds
        ]


def composed(*terms, **more):
    return Conditioning(terms=terms, **more)


def made(generator, *asked, seed=5):
    images = generator.generate(list(asked), [seed] * len(asked))
    assert [one.status for one in images] == ["ok"] * len(images)
    return np.stack([one.pixels.astype(int) for one in images])


# --- which texts ------------------------------------------------------------------------------------------------------


def test_every_text_of_a_table_is_rewritten_for_the_concept_of_its_row():
    prompts = {
        "ada-morvek": [
            Conditioning("herons, nets"),
            Conditioning("by ADA MORVEK", "Ada Morvek"),
            composed((5.0, "a harbour by Ada Morvek"), (-2.5, "a harbour")),
            Conditioning("Ada Morvekson, {name}", prefix="x.safetensors", digest="1"),
        ],
        "bruno-morvek": [Conditioning("a harbour by Bruno Morvek"), Conditioning("herons, nets")],
    }
    assert rewrite_prompts([ADA, BRUNO], prompts, ChangeSettings(**RULES)) == {
        "by ADA MORVEK": "by an artist",
        "a harbour by Ada Morvek": "a harbour by an artist",
        "a harbour by Bruno Morvek": "a harbour by an artist",
    }


def test_rows_of_a_rewriting_table_stand_for_equal_texts_of_a_table_of_prompts(tmp_path):
    """A template stands for the domain's prompt of each concept, whoever asks for it, and a whole text for itself."""
    table = tmp_path / "rewritten.tsv"
    lines = ["prompt\trewritten", "a painting by {name}\ta drawing by {name}", "herons\tbirds"]
    table.write_text("\n".join([*lines, "a painting by Ada Morvek\ta picture"]) + "\n")
    changes = ChangeSettings(rewrite_table=str(table), rewrite_find=("birds",), rewrite_with=("gulls",))
    prompts = {
        "ada-morvek": [Conditioning("a painting by Ada Morvek"), composed((1.0, "herons"), (1.0, "herons, nets"))],
        "bruno-morvek": [Conditioning("a painting by Bruno Morvek"), Conditioning("a painting by Ada Lund")],
    }
    assert rewrite_prompts([ADA, BRUNO], prompts, changes) == {
        "a painting by Ada Morvek": "a picture",
        "herons": "gulls",
        "a painting by Bruno Morvek": "a drawing by Bruno Morvek",
    }


def test_a_text_of_two_concepts_that_are_rewritten_differently_is_told():
    """The generator sees texts, not whose they are: one of both would be rewritten as the other, in silence."""
    shared = Conditioning("a harbour by Ada Morvek")
    prompts = {"ada-morvek": [shared], "bruno-morvek": [composed((1.0, "herons"), (-1.0, shared.prompt))]}
    with pytest.raises(DataError) as error:
        rewrite_prompts([ADA, BRUNO], prompts, ChangeSettings(**RULES))
    said = str(error.value)
    assert "'a harbour by Ada Morvek' is one of ada-morvek and of bruno-morvek" in said
    assert "write the names themselves in place of {name}" in said
    # The remedy.
    named = ChangeSettings(rewrite_find=("Ada Morvek", "Bruno Morvek"), rewrite_with=("an artist",) * 2)
    assert rewrite_prompts([ADA, BRUNO], prompts, named) == {shared.prompt: "a harbour by an artist"}


# --- what the model is given ------------------------------------------------------------------------------------------


def test_only_texts_change_not_what_is_guided_away_from_nor_weights_nor_the_prefix():
    inner = Told()
    rewritten = Rewritten(inner, {"a": "b", "the name": "somebody"})
    rewritten.generate(
        [
            "a",
            Conditioning("a", "the name"),
            composed((5.0, "the name"), (-2.5, "c"), (-1.0, "a"), negative_prompt="a"),
            Conditioning("the name", prefix="ada.safetensors", digest="0123"),
        ],
        [0] * 4,
    )
    assert inner.asked == [
        "b",
        Conditioning("b", "the name"),
        composed((5.0, "somebody"), (-2.5, "c"), (-1.0, "b"), negative_prompt="a"),
        Conditioning("somebody", prefix="ada.safetensors", digest="0123"),
    ]


@pytest.mark.slow
def test_pictures_are_those_of_the_rewritten_texts(folders, tmp_path):
    generator = load_generator(folders("sd"), **SAMPLING)
    rewritten = Rewritten(generator, {WORDS[0]: WORDS[1]})
    prefix = {"prefix": str(tmp_path / "ada.safetensors"), "digest": "0123456789abcdef"}
    save_file({"prefix": torch.randn(3, 16, generator=torch.Generator().manual_seed(1))}, prefix["prefix"])
    asked = [
        Conditioning(WORDS[0], "harbour"),
        composed((4.0, WORDS[0]), (-1.5, "harbour")),
        Conditioning(WORDS[0], **prefix),
    ]
    expected = [
        Conditioning(WORDS[1], "harbour"),
        composed((4.0, WORDS[1]), (-1.5, "harbour")),
        Conditioning(WORDS[1], **prefix),
    ]
    found = made(rewritten, *asked)
    assert np.abs(found - made(generator, *expected)).max() <= 1
    for picture, plain in zip(found, made(generator, *asked), strict=True):
        assert np.abs(picture - plain).max() > 2


def test_a_picture_keeps_the_label_and_the_noise_of_what_was_asked_for(tmp_path):
    """So scores compare what a defended model and its base make of the same."""
    asked = {"ada-morvek": [Conditioning("by Ada Morvek"), composed((2.0, "by Ada Morvek"), (1.0, "nets"))]}
    texts = rewrite_prompts([ADA], asked, ChangeSettings(**RULES))
    columns = ["prompt", "seed", "index", "image_id"]
    plain, _ = generate(Told(), tmp_path / "plain", prompts=asked)
    inner = Told()
    out, _ = generate(Rewritten(inner, texts), tmp_path / "rewritten", prompts=asked)
    table = parquet.read(out, columns)
    assert table.equals(parquet.read(plain, columns))
    assert table.column("prompt").to_pylist() == ["by Ada Morvek"] * 3 + ["2 * by Ada Morvek | 1 * nets"] * 3
    assert inner.asked == ["by an artist"] * 3 + [composed((2.0, "by an artist"), (1.0, "nets"))] * 3


def test_what_a_generator_takes_is_the_same_when_prompts_are_rewritten(tmp_path):
    asked = {"ada-morvek": [Conditioning("herons"), Conditioning("herons", "nets")]}
    with pytest.raises(ModelError, match=r"takes prompts alone, and .*'herons \[without: nets\]'; leave out"):
        generate(Rewritten(Scripted(), {}), tmp_path, prompts=asked)


# --- commands ---------------------------------------------------------------------------------------------------------


def words(tmp_path, *command):
    sheet = tmp_path / "sheet.tsv"
    sheet.write_text(SHEET)
    return [*command, "--device=cpu", f"--sheet={sheet}", "--concepts", "ada-morvek", "--seed=1"]


@pytest.mark.slow
def test_a_model_that_rewrites_is_given_what_is_left_of_each_attack(folders, tmp_path, capsys):
    trials, out = tmp_path / "trials.parquet", tmp_path / "pictures.parquet"
    prefix = tmp_path / "ada-morvek.safetensors"
    save_file({"prefix": torch.randn(3, 16, generator=torch.Generator().manual_seed(1))}, prefix)
    subject = Subject(
        concept=ADA, prompts=("a painting by Ada Morvek",), words=("harbour",), prefix=str(prefix), digest="0" * 64
    )
    settings = PromptingSettings(
        top_words=[1], negatives=["name"], weights=[-1.0, 3.0], context="harbour", in_context="{name}, harbour"
    )
    plan_attacks([subject], ["named", "indirect", "arithmetic", "prefix"], settings, trials)
    command = words(tmp_path, "generated", "make", f"--pipeline={folders('sd')}", "--steps=1", "--images-per-prompt=1")
    rules = ["--rewrite-find", "{name}", "--rewrite-with", "an artist"]
    assert main([*command, f"--prompt-table={trials}", *rules, f"--out={out}"]) == 0
    assert "2 of 3 prompts are rewritten" in capsys.readouterr().err
    table = parquet.read(out, ["prompt", "seed", "status"])
    asked = read_prompts(trials, ["ada-morvek"])["ada-morvek"]
    assert table.column("prompt").to_pylist() == [one.label for one in asked]
    assert table.column("seed").to_pylist() == [image_seed(1, "ada-morvek", one.seeded_by, 0) for one in asked]
    assert set(table.column("status").to_pylist()) == {"ok"}
    told = json.loads(parquet.open_parquet(out).schema_arrow.metadata[b"provenance"])
    assert told["rewritten"] == {
        "a painting by Ada Morvek": "a painting by an artist",
        "Ada Morvek, harbour": "an artist, harbour",
    }


@pytest.mark.slow
def test_a_prefix_is_found_before_the_text_that_it_will_go_before(tmp_path):
    pixels = np.random.default_rng(1).integers(0, 255, (32, 32, 3), np.uint8)
    rows = [{"kept": True, "bytes": encode_png(Image.fromarray(pixels))}]
    table = pa.Table.from_pylist(rows, schema=REFERENCES.remove(0))
    write_concepts([("ada-morvek", table)], tmp_path / "images.parquet", REFERENCES)
    folder = save("sd", tmp_path / "sd")

    def found(*more):
        out = tmp_path / "found.safetensors"
        command = words(tmp_path, "attacks", "prefix", f"--pipeline={folder}", "--images", f"{tmp_path}/images.parquet")
        assert main([*command, "--prefix-steps=3", "--prefix-batch=2", f"--out={out}", *more]) == 0
        return load_file(out)["prefix"]

    rules = ["--rewrite-find", "{name}", "--rewrite-with", "Bruno harbour"]
    rewritten = found("--prompts", "a painting by {name}", *rules)
    assert torch.equal(rewritten, found("--prompts", "a painting by Bruno harbour"))
    assert not torch.equal(rewritten, found("--prompts", "a painting by {name}"))
