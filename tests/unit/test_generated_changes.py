"""Pipelines that are changed: components from elsewhere, a LoRA, a safety checker, rewritten prompts."""

import json

import diffusers
import numpy as np
import pytest
import torch
import transformers
from generating import SAMPLING, Repeating
from pipelines import WORDS, clip, clip_tokenizer, sd, unet, vae
from safetensors.torch import save_file

from fit import generated
from fit.cli.main import main
from fit.concepts.sheet import Concept
from fit.errors import ConfigError, DataError, ModelError
from fit.generated.rewriting import Rewritten, rewrite_prompts
from fit.generated.settings import ChangeSettings, PipelineSettings
from fit.io import parquet

pytestmark = pytest.mark.slow
SEEDS = [5, 6]


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """A base pipeline, and one of other random weights whose components fit into it."""
    root = tmp_path_factory.mktemp("pipelines")
    torch.manual_seed(0)
    sd().save_pretrained(root / "base")
    torch.manual_seed(1)
    sd().save_pretrained(root / "other")
    return root


def load(folders, **changes):
    generator = generated.prepare(
        PipelineSettings(pipeline=str(folders / "base"), **SAMPLING), ChangeSettings(**changes)
    )
    generator.load()
    return generator


def pixels(generator):
    return np.stack([one.pixels.astype(int) for one in generator.generate(WORDS, SEEDS)])


def plain_pixels(folders, **parts):
    pipe = diffusers.StableDiffusionPipeline.from_pretrained(folders / "base", **parts)
    pipe.set_progress_bar_config(disable=True)
    noise = [torch.Generator().manual_seed(seed) for seed in SEEDS]
    images = pipe(WORDS, generator=noise, num_inference_steps=2, guidance_scale=3.0, output_type="np").images
    return (images * 255).round().astype(int)


# --- components -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["unet", "vae", "text_encoder"])
def test_a_component_of_another_folder_makes_the_pictures_that_the_plain_pipeline_makes_with_it(folders, name):
    kind = {"unet": diffusers.UNet2DConditionModel, "vae": diffusers.AutoencoderKL}.get(
        name, transformers.CLIPTextModel
    )
    part = kind.from_pretrained(folders / "other" / name)
    changed = load(folders, components=(f"{name}={folders}/other/{name}",))
    assert np.abs(pixels(changed) - plain_pixels(folders, **{name: part})).max() <= 1
    by_subfolder = load(folders, components=(f"{name}={folders}/other",), component_subfolders=(f"{name}={name}",))
    assert (pixels(by_subfolder) == pixels(changed)).all()
    assert np.abs(pixels(load(folders)) - plain_pixels(folders)).max() <= 1
    assert np.abs(pixels(load(folders)) - pixels(changed)).max() > 1


def test_the_weights_of_a_replaced_component_are_hashed_in_place_of_the_base_s(folders):
    before = load(folders).provenance
    after = load(folders, components=(f"unet={folders}/other/unet",)).provenance
    other = generated.prepare(PipelineSettings(pipeline=str(folders / "other"), **SAMPLING)).provenance["weights"]
    name = f"unet < {folders}/other/unet/diffusion_pytorch_model.safetensors"
    assert after["weights"][name] == other["unet/diffusion_pytorch_model.safetensors"]
    assert "unet/diffusion_pytorch_model.safetensors" not in after["weights"]
    assert {k: v for k, v in after["weights"].items() if k != name} == {
        k: v for k, v in before["weights"].items() if not k.startswith("unet/")
    }
    assert after["components"]["unet"]["place"] == f"{folders}/other/unet"


def test_pictures_of_a_changed_model_are_not_taken_for_those_of_its_base(folders):
    settings = PipelineSettings(pipeline=str(folders / "base"), **SAMPLING)
    identities = [
        generated.prepare(settings, ChangeSettings(**changes)).identity
        for changes in (
            {},
            {"components": (f"unet={folders}/other/unet",)},
            {"components": (f"vae={folders}/other/vae",)},
            {"safety_checker": True},
        )
    ]
    assert len({json.dumps(one) for one in identities}) == 4
    assert identities[0] == generated.prepare(settings).identity


def test_a_file_of_tensors_is_laid_over_the_base_s_component(folders, tmp_path, capsys):
    other = diffusers.UNet2DConditionModel.from_pretrained(folders / "other/unet").state_dict()
    part = {name: value for name, value in other.items() if "attn2" in name}
    save_file(part, tmp_path / "esd.safetensors")
    expected = diffusers.UNet2DConditionModel.from_pretrained(folders / "base/unet")
    expected.load_state_dict(part, strict=False)
    changed = load(folders, components=(f"unet={tmp_path}/esd.safetensors",))
    assert np.abs(pixels(changed) - plain_pixels(folders, unet=expected)).max() <= 1
    assert f"{len(part)} of {len(other)} tensors of `unet` are replaced" in capsys.readouterr().err
    assert {name for name in changed.provenance["weights"] if name.startswith("unet")} == {
        "unet/diffusion_pytorch_model.safetensors",
        f"unet < {tmp_path}/esd.safetensors/esd.safetensors",
    }


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (
            lambda place: unet(cross_attention_dim=32).save_pretrained(place),
            r"does not fit into .*attn2.*16 x 32 in place",
        ),
        (lambda place: vae().save_pretrained(place), "is a AutoencoderKL, and `unet` of .* is a UNet2DConditionModel"),
        (lambda place: place.mkdir(), "no config.json in it"),
    ],
)
def test_a_component_that_does_not_fit_is_refused_before_a_picture_is_made(folders, tmp_path, make, says):
    make(tmp_path / "part")
    with pytest.raises(ModelError, match=says):
        load(folders, components=(f"unet={tmp_path}/part",))


def test_a_text_encoder_for_another_tokenizer_is_refused(folders, tmp_path):
    tokenizer = clip_tokenizer()
    tokenizer.add_tokens(["<new>"])
    clip(tokenizer).save_pretrained(tmp_path / "part")
    with pytest.raises(ModelError, match=r"does not fit.*token_embedding"):
        load(folders, components=(f"text_encoder={tmp_path}/part",))


def test_missing_weights_are_an_error_and_not_random_numbers(folders, tmp_path):
    unet().save_pretrained(tmp_path / "part")
    path = tmp_path / "part/diffusion_pytorch_model.safetensors"
    kept = {k: v for k, v in unet().state_dict().items() if "conv_out" not in k}
    save_file(kept, path)
    with pytest.raises(ModelError, match=r"2 tensors of `unet` are missing.*conv_out"):
        load(folders, components=(f"unet={tmp_path}/part",))


@pytest.mark.parametrize(
    ("changes", "error", "says"),
    [
        ({"components": ("unte=x/y",)}, ModelError, r"no component 'unte' to replace; it has: text_encoder, unet, vae"),
        ({"components": ("unet=./nowhere",)}, ModelError, "there is no such file or folder"),
        ({"components": ("unet",)}, ConfigError, "'unet' is not NAME=VALUE"),
        ({"component_subfolders": ("unet=x",)}, ConfigError, "'unet' is not among --components"),
        ({"safety_checker": True}, ModelError, "this pipeline has no safety checker; take"),
        ({"components": ("unet=owner/name",)}, ModelError, "`components.unet` is not .* on this machine"),
    ],
)
def test_what_can_t_be_meant_is_named(folders, monkeypatch, tmp_path, changes, error, says):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    if "unte=x/y" in changes.get("components", ()):
        changes = {"components": (f"unte={folders}/other/unet",)}
    with pytest.raises(error, match=says):
        load(folders, **changes)


def test_other_files_than_safetensors_are_not_read(folders, tmp_path):
    torch.save({}, tmp_path / "esd.pt")
    with pytest.raises(ModelError, match="only files of safetensors are read"):
        load(folders, components=(f"unet={tmp_path}/esd.pt",))


# --- LoRA -------------------------------------------------------------------------------------------------------------

LAYER = "down_blocks.1.attentions.0.transformer_blocks.0.attn2.to_k"
NAMES = {
    "peft": ("unet." + LAYER + ".lora_A.weight", "unet." + LAYER + ".lora_B.weight"),
    "diffusers": ("unet." + LAYER + ".lora.down.weight", "unet." + LAYER + ".lora.up.weight"),
    "processor": (
        "unet." + LAYER.replace("to_k", "processor.to_k_lora.down.weight"),
        "unet." + LAYER.replace("to_k", "processor.to_k_lora.up.weight"),
    ),
}


@pytest.mark.parametrize("style", NAMES)
def test_a_lora_is_added_to_the_weights_by_its_scale(folders, tmp_path, style):
    torch.manual_seed(2)
    base = diffusers.UNet2DConditionModel.from_pretrained(folders / "base/unet")
    weight = base.get_submodule(LAYER).weight
    a, b = torch.randn(2, weight.shape[1]), torch.randn(weight.shape[0], 2)
    save_file(dict(zip(NAMES[style], (a, b), strict=True)), tmp_path / "lora.safetensors")
    with torch.no_grad():
        weight += 0.5 * b @ a
    changed = load(folders, lora=f"{tmp_path}/lora.safetensors", lora_scale=0.5)
    assert np.abs(pixels(changed) - plain_pixels(folders, unet=base)).max() <= 1
    assert np.abs(pixels(changed) - pixels(load(folders))).max() > 1
    assert any(name.startswith("lora <") for name in changed.provenance["weights"])
    assert changed.provenance["lora"]["scale"] == 0.5
    assert (pixels(load(folders, lora=str(tmp_path), lora_scale=0.5)) == pixels(changed)).all()


def test_the_alpha_of_kohya_s_loras_counts(folders, tmp_path):
    torch.manual_seed(2)
    base = diffusers.UNet2DConditionModel.from_pretrained(folders / "base/unet")
    weight = base.get_submodule(LAYER).weight
    a, b = torch.randn(2, weight.shape[1]), torch.randn(weight.shape[0], 2)
    name = "lora_unet_" + LAYER.replace(".", "_")
    state = {f"{name}.lora_down.weight": a, f"{name}.lora_up.weight": b, f"{name}.alpha": torch.tensor(1.0)}
    save_file(state, tmp_path / "lora.safetensors")
    with torch.no_grad():
        weight += 1 / 2 * b @ a
    changed = load(folders, lora=str(tmp_path))
    assert np.abs(pixels(changed) - plain_pixels(folders, unet=base)).max() <= 1


def test_a_lora_of_another_model_is_refused(folders, tmp_path):
    down, up = NAMES["peft"]
    save_file({down: torch.ones(2, 99), up: torch.ones(16, 2)}, tmp_path / "wide.safetensors")
    with pytest.raises(ModelError, match="take a LoRA that was trained for this base"):
        load(folders, lora=f"{tmp_path}/wide.safetensors")
    other = {name.replace("down_blocks.1", "down_blocks.7"): torch.ones(2, 2) for name in (down, up)}
    save_file(other, tmp_path / "deep.safetensors")
    with pytest.raises(ModelError, match="is no layer of this pipeline"):
        load(folders, lora=f"{tmp_path}/deep.safetensors")
    with pytest.raises(ModelError, match=r"2 files of safetensors in it.*lora\.file"):
        load(folders, lora=str(tmp_path))


# --- safety checker ---------------------------------------------------------------------------------------------------


def test_a_blocked_picture_counts_as_not_made_and_says_why(folders, monkeypatch):
    generator = load(folders)
    pipe = generator._pipe

    def checker(images, clip_input):
        images[0] = 0
        return images, [True, False]

    monkeypatch.setattr(
        type(pipe), "run_safety_checker", lambda self, image, device, dtype: checker(image, None), raising=True
    )
    statuses = [one.status for one in generator.generate(WORDS, SEEDS)]
    assert statuses == ["blocked", "ok"]


# --- rewritten prompts ------------------------------------------------------------------------------------------------

ADA, BRUNO = Concept("ada-morvek", "Ada Morvek"), Concept("bruno-morvek", "Bruno Morvek")
PROMPTS = ["a painting by {name}", "{name}, harbour"]


def test_rules_replace_whole_words_in_order():
    rules = {"rewrite_find": ("{NAME}".lower(), "an artist"), "rewrite_with": ("an artist", "somebody")}
    found = rewrite_prompts([ADA], [*PROMPTS, "Ada Morvekson by {name}"], ChangeSettings(**rules))
    assert found == {
        "a painting by Ada Morvek": "a painting by somebody",
        "Ada Morvek, harbour": "somebody, harbour",
        "Ada Morvekson by Ada Morvek": "Ada Morvekson by somebody",
    }


def test_a_table_names_whole_prompts_or_templates(tmp_path):
    table = tmp_path / "prompts.tsv"
    table.write_text(
        "prompt\trewritten\na painting by {name}\ta drawing by {name}\na painting by Ada Morvek\ta picture\n"
    )
    found = rewrite_prompts([ADA, BRUNO], PROMPTS, ChangeSettings(rewrite_table=str(table)))
    assert found == {"a painting by Ada Morvek": "a picture", "a painting by Bruno Morvek": "a drawing by Bruno Morvek"}


def test_as_many_replacements_as_texts_are_needed():
    with pytest.raises(DataError, match="give as many of each"):
        rewrite_prompts([ADA], PROMPTS, ChangeSettings(rewrite_find=("x",)))


def test_the_model_sees_the_rewritten_prompt_and_the_identity_tells():
    inner = Repeating()
    rewritten = Rewritten(inner, {"a": "b"})
    rewritten.generate(["a", "c"], [0, 1])
    assert inner.asked == ["b", "c"]
    assert rewritten.identity != inner.identity and rewritten.provenance["rewritten"] == {"a": "b"}


def test_a_generator_that_takes_no_changes_says_so():
    with pytest.raises(ConfigError, match="Repeating takes no `components`"):
        Repeating().change(ChangeSettings(safety_checker=True))


def test_the_command_makes_pictures_of_a_changed_model_under_the_prompts_that_were_asked_for(folders, tmp_path, capsys):
    sheet, out = tmp_path / "sheet.tsv", tmp_path / "pictures.parquet"
    sheet.write_text("concept\tname\naliases\n".replace("\naliases", "\taliases") + "ada-morvek\tAda Morvek\t\n")
    words = ["generated", "make", f"--pipeline={folders}/base", "--steps=2", "--device=cpu", f"--sheet={sheet}"]
    words += ["--concepts", "ada-morvek", "--seed=1", "--images-per-prompt=1", f"--out={out}"]
    words += ["--components", f"unet={folders}/other/unet", "--rewrite-find", "{name}", "--rewrite-with", "an artist"]
    assert main([*words, "--prompts", *PROMPTS]) == 0
    assert "2 of 2 prompts are rewritten" in capsys.readouterr().err
    table = parquet.read(out, ["prompt"])
    assert table.column("prompt").to_pylist() == ["a painting by Ada Morvek", "Ada Morvek, harbour"]
    told = json.loads(parquet.open_parquet(out).schema_arrow.metadata[b"provenance"])
    assert told["rewritten"]["Ada Morvek, harbour"] == "an artist, harbour"
