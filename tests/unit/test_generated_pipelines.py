"""Any text-to-image pipeline of diffusers: families of models, with random weights, and what they can't do."""

import json

import diffusers
import numpy as np
import pytest
import torch
import transformers
from generating import SAMPLING, generate, load_generator
from pipelines import MAKERS, WORDS, clip, clip_tokenizer, save, saved_once

from fit import generated
from fit.cli.main import main
from fit.errors import ConfigError, ModelError
from fit.generated.settings import PipelineSettings
from fit.images import table
from fit.io import parquet

pytestmark = pytest.mark.slow

SIZED = {"height": 32, "width": 32}
FAMILIES = ["sd", "sd-guided-inside", "lcm", "sdxl", "sd3", "flux", "pixart-alpha", "pixart-sigma"]
OF_FAMILY = {"flux": SIZED, "flux-schnell": SIZED}
"""Family -> settings without which its pictures would be large."""


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Name of a family -> a folder with a pipeline of it, saved once."""
    assert set(FAMILIES) <= set(MAKERS)
    return saved_once(tmp_path_factory)


def load(folder, family="sd", **options):
    return load_generator(folder, **SAMPLING | OF_FAMILY.get(family, {}) | options)


def pixels(made):
    return np.stack([one.pixels.astype(int) for one in made])


# --- every family -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("family", FAMILIES)
def test_pictures_of_every_family_are_those_of_the_plain_pipeline_in_any_batch(folders, tmp_path, family):
    generator = load(folders(family), family)
    plain = diffusers.DiffusionPipeline.from_pretrained(folders(family))
    plain.set_progress_bar_config(disable=True)
    options = {"use_resolution_binning": False} if "pixart" in family else {}
    options |= OF_FAMILY.get(family, {})
    prompts, seeds = [*WORDS, *WORDS], [5, 6, 7, 2**63 - 1]
    started = [torch.Generator().manual_seed(seed) for seed in seeds]
    expected = plain(prompts, generator=started, num_inference_steps=2, guidance_scale=3.0, **options).images
    for size in (1, 2, 4):
        made = []
        for start in range(0, 4, size):
            made += generator.generate(prompts[start : start + size], seeds[start : start + size])
        assert [one.status for one in made] == ["ok"] * 4
        assert np.abs(pixels(made) - np.stack(expected)).max() <= 1
    assert np.abs(pixels(made)[0] - pixels(made)[2]).max() > 10


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_goes_on_after_a_stop(folders, tmp_path, family):
    generator = load(folders(family), family)
    whole = generate(generator, tmp_path / "whole", images_per_prompt=2, batch_size=1)[0]
    made, make = [], generator.generate

    def stopping(prompts, seeds):
        if len(made) == 3:
            raise KeyboardInterrupt
        made.extend(seeds)
        return make(prompts, seeds)

    generator.generate = stopping
    with pytest.raises(KeyboardInterrupt):
        generate(generator, tmp_path / "stopped", images_per_prompt=2, batch_size=1)[0]
    again = load(folders(family), family)  # another process finds the parts by the same identity
    asked, make_again = [], again.generate
    again.generate = lambda prompts, seeds: asked.extend(seeds) or make_again(prompts, seeds)
    assert parquet.read(generate(again, tmp_path / "stopped", images_per_prompt=2, batch_size=1)[0]).equals(
        parquet.read(whole)
    )
    assert len(asked) == 1
    provenance = table.provenance(whole)
    assert provenance["class"] == type(generator._pipe).__name__
    assert len(provenance["weights"]) >= 3
    assert "also" not in table.provenance(tmp_path / "stopped" / "pictures.parquet")


@pytest.mark.parametrize("family", ["sd-guided-inside", "lcm"])
def test_guidance_inside_the_u_net_is_given_to_it_and_nothing_is_denoised_twice(folders, monkeypatch, family):
    pictures, seen = {}, []
    for guidance in (3.0, 9.0):
        generator = load(folders(family), guidance=guidance)
        forward = generator._pipe.unet.forward

        def watched(sample, *args, forward=forward, **options):
            seen.append((len(sample), options["timestep_cond"] is not None))
            return forward(sample, *args, **options)

        monkeypatch.setattr(generator._pipe.unet, "forward", watched)
        pictures[guidance] = pixels(generator.generate(WORDS, [1, 2]))
    assert set(seen) == {(2, True)}
    assert np.abs(pictures[3.0] - pictures[9.0]).max() > 0


# --- settings that a pipeline takes or does not -----------------------------------------------------------------------


@pytest.mark.parametrize("family", ["sd", "sdxl", "sd3", "pixart-alpha"])
def test_a_negative_prompt_changes_the_pictures_of_those_that_take_one(folders, capsys, family):
    plain = pixels(load(folders(family), family).generate(WORDS, [1, 2]))
    away = pixels(load(folders(family), family, negative_prompt="harbour painting").generate(WORDS, [1, 2]))
    assert np.abs(plain - away).max() > 0
    assert "changes nothing" not in capsys.readouterr().err


@pytest.mark.parametrize(
    ("family", "options", "said"),
    [
        ("sd", {"guidance": 1.0}, "a `guidance` of 1.0 does not guide"),
        ("sd-guided-inside", {}, "the U-Net of this StableDiffusionPipeline guides by itself"),
        ("lcm", {}, "LatentConsistencyModelPipeline takes no negative prompt"),
        ("flux", {}, "FluxPipeline uses a negative prompt only with a true_cfg_scale"),
    ],
)
def test_a_negative_prompt_that_changes_nothing_is_said_once(folders, capsys, family, options, said):
    generator = load(folders(family), family, negative_prompt="harbour", **options)
    generator.generate(WORDS, [1, 2])
    generator.generate(WORDS, [3, 4])
    assert capsys.readouterr().err.count(f"{said}") == 1
    without = load(folders(family), family, **options).generate(WORDS, [3, 4])
    assert np.array_equal(pixels(without), pixels(generator.generate(WORDS, [3, 4])))


def test_guidance_that_changes_nothing_is_said(folders, capsys):
    load(folders("flux-schnell"), "flux-schnell")
    assert "not trained to take guidance: `guidance: 3.0` changes nothing" in capsys.readouterr().err
    load(folders("flux"), "flux")
    assert "changes nothing" not in capsys.readouterr().err


def test_parameters_that_a_pipeline_lacks_are_said(folders, capsys, monkeypatch):
    class Fixed(diffusers.StableDiffusionPipeline):
        def __call__(self, prompt=None, generator=None, output_type="pil", prior_guidance_scale=4.0):
            raise AssertionError

    monkeypatch.setattr(diffusers, "StableDiffusionPipeline", Fixed)
    monkeypatch.setattr(diffusers.DiffusionPipeline, "from_pretrained", lambda *_, **__: Fixed(**parts))
    parts = MAKERS["sd"]().components | {"safety_checker": None, "requires_safety_checker": False}
    load(folders("sd"), height=64)
    said = capsys.readouterr().err
    for words in (
        "Fixed takes no num_inference_steps: `steps: 2`",
        "takes no height: `height: 64`",
        "takes no guidance_scale (it has prior_guidance_scale, which keep their defaults): `guidance: 3.0`",
    ):
        assert words in said
    assert "width" not in said


@pytest.mark.parametrize("size", [{}, {"height": 16, "width": 48}])
def test_pixart_of_a_sample_size_without_a_list_of_sizes_makes_that_size(folders, size):
    made = load(folders("pixart-alpha"), **size).generate(WORDS, [1, 2])
    assert pixels(made).shape[1:3] == (size.get("height", 32), size.get("width", 32))


def test_pixart_of_a_sample_size_with_a_list_of_sizes_uses_it(folders, monkeypatch):
    generator = load(folders("pixart-alpha-32"))
    sizes, denoise = [], generator._pipe.transformer.forward

    def watched(sample, *args, **options):
        sizes.append(tuple(sample.shape[2:]))
        return denoise(sample, *args, **options)

    monkeypatch.setattr(generator._pipe.transformer, "forward", watched)
    assert pixels(generator.generate(WORDS[:1], [1])).shape[1:3] == (64, 64)
    assert sizes == [(128, 128)] * 2  # 256 x 256, of the list, scaled down afterwards


@pytest.mark.parametrize(("family", "size"), [("sd", {"height": 16}), ("sd", {"width": 48}), ("sdxl", {"height": 16})])
def test_one_side_of_a_picture_may_be_given_alone(folders, family, size):
    made = load(folders(family), family, **size).generate(WORDS, [1, 2])
    assert pixels(made).shape[1:3] == (size.get("height", 32), size.get("width", 32))


def test_a_size_that_a_pipeline_rounds_is_said_once(folders, capsys):
    generator = load(folders("flux"), "flux", height=35)
    generator.generate(WORDS, [1, 2])
    made = generator.generate(WORDS, [3, 4])
    side = pixels(made).shape[1]
    said = f"makes pictures of {side} x 32, not of the `height` and `width` that were asked for (35 x 32)"
    assert side < 35 and capsys.readouterr().err.count(said) == 1


# --- pipelines of another kind ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "why"),
    [
        ("StableDiffusionImg2ImgPipeline", r"changes a picture.*such as StableDiffusionPipeline"),
        ("StableDiffusionXLInpaintPipeline", r"changes a picture.*such as StableDiffusionXLPipeline"),
        ("FluxImg2ImgPipeline", r"changes a picture.*such as FluxPipeline"),
        ("StableVideoDiffusionPipeline", "makes videos"),
        ("WanPipeline", "makes videos"),
        ("TextToVideoZeroPipeline", "makes videos"),
        ("AudioLDM2Pipeline", "makes sound"),
        ("StableAudioPipeline", "makes sound"),
        ("DDPMPipeline", "takes no prompt"),
        ("DiTPipeline", "takes no prompt"),
        ("StableCascadeDecoderPipeline", "also needs image_embeddings"),
    ],
)
def test_a_pipeline_that_is_not_text_to_image_is_refused_before_its_weights_are_read(tmp_path, kind, why):
    (tmp_path / "model_index.json").write_text(json.dumps({"_class_name": kind, "unet": ["diffusers", "U"]}))
    with pytest.raises(ModelError, match=rf"{kind} is not a text-to-image pipeline: it {why}"):
        load(str(tmp_path))


@pytest.mark.parametrize("mapping", ["AUTO_TEXT2IMAGE_PIPELINES_MAPPING"])
def test_what_diffusers_lists_as_text_to_image_is_not_refused(mapping):
    from diffusers.pipelines import auto_pipeline

    from fit.generated.pipelines import check_makes_pictures_of_texts

    refused = []
    for kind in getattr(auto_pipeline, mapping).values():
        try:
            check_makes_pictures_of_texts("here", kind)
        except ModelError as error:
            refused.append(str(error))
    # These make videos, or paint into a picture, whatever the list says.
    assert {line.split()[1] for line in refused} <= {
        "HeliosPipeline",
        "HeliosPyramidPipeline",
        "ZImageControlNetInpaintPipeline",
    }


def test_a_pipeline_that_returns_no_pictures_is_an_error(folders, monkeypatch):
    generator = load(folders("sd"))
    answer = diffusers.pipelines.pipeline_utils.AudioPipelineOutput(audios=np.zeros(3))
    monkeypatch.setattr(type(generator._pipe), "__call__", lambda self, **_: answer)
    with pytest.raises(ModelError, match="makes no pictures but AudioPipelineOutput"):
        generator.generate(WORDS, [1, 2])


def test_a_class_that_diffusers_lacks_is_named_with_a_suggestion(tmp_path):
    index = {"_class_name": "StableDifusionPipeline", "_diffusers_version": "9.0"}
    (tmp_path / "model_index.json").write_text(json.dumps(index))
    with pytest.raises(
        ModelError, match=r"no class StableDifusionPipeline.*9\.0; did you mean StableDiffusionPipeline"
    ):
        load(str(tmp_path))


# --- what a pipeline raises is one line -------------------------------------------------------------------------------


def one_line(error):
    assert "\n" not in str(error.value)
    return str(error.value)


@pytest.mark.parametrize(
    ("family", "options", "said"),
    [
        ("sd", {"height": 20}, r"fix `height` and `width` \(20, its own\)"),
        ("sd", {"width": 20}, r"fix `height` and `width` \(its own, 20\)"),
        ("sdxl", {"width": 36}, r"fix `height` and `width` \(its own, 36\)"),
        ("sd3", {"height": 33}, r"fix `height` and `width`"),
        ("pixart-alpha", {"height": 36}, r"fix `height` and `width`"),
        ("lcm", {"steps": 60}, r"fix `steps` \(60\)"),
        ("sd", {"steps": 2000, "scheduler": "DDIMScheduler"}, r"fix `(steps|scheduler)` \((2000|DDIMScheduler)\)"),
        (
            "sd",
            {"scheduler": "FlowMatchEulerDiscreteScheduler"},
            r"fix `scheduler` \(FlowMatchEulerDiscreteScheduler\)",
        ),
        ("flux", {"scheduler": "DDIMScheduler"}, r"fix `scheduler` \(DDIMScheduler\)"),
        ("sd3", {"scheduler": "PNDMScheduler"}, r"fix `scheduler` \(PNDMScheduler\)"),
    ],
)
def test_what_a_pipeline_raises_names_the_model_and_the_setting(folders, family, options, said):
    with pytest.raises(ModelError, match=said) as error:
        load(folders(family), family, **options).generate(WORDS, [1, 2])
    assert one_line(error).startswith(f"{folders(family)}: ")


def broken(folders, tmp_path, change):
    """A folder with a Stable Diffusion pipeline whose components were changed."""
    pipe = diffusers.StableDiffusionPipeline.from_pretrained(folders("sd"), safety_checker=None)
    change(pipe)
    pipe.save_pretrained(tmp_path / "broken")
    return str(tmp_path / "broken")


def test_a_text_encoder_of_another_width_is_named(folders, tmp_path):
    tokenizer = clip_tokenizer()
    folder = broken(folders, tmp_path, lambda pipe: setattr(pipe, "text_encoder", clip(tokenizer, width=32)))
    with pytest.raises(ModelError, match=r"do not fit together \(such as a text encoder.*fix `pipeline`") as error:
        load(folder).generate(WORDS, [1, 2])
    assert one_line(error).startswith(folder)


def test_a_text_encoder_of_another_kind_is_named(folders, tmp_path):
    folder = tmp_path / "other"
    save("sd", folder)
    transformers.CLIPVisionModel(
        transformers.CLIPVisionConfig(hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16)
    ).save_pretrained(folder / "text_encoder")
    with pytest.raises(ModelError) as error:
        load(str(folder)).generate(WORDS, [1, 2])
    assert one_line(error).startswith(f"{folder}: ")


@pytest.mark.parametrize("part", ["unet", "text_encoder", "tokenizer", "scheduler"])
def test_a_component_that_is_missing_is_named(folders, tmp_path, part):
    folder = tmp_path / "lacking"
    save("sd", folder)
    (folder / part).rename(tmp_path / "elsewhere")
    with pytest.raises(ModelError, match=rf"the component `{part}` .* is missing") as error:
        load(str(folder))
    one_line(error)


def test_a_component_that_the_index_leaves_empty_is_named(folders, tmp_path):
    folder = tmp_path / "lacking"
    save("sd", folder)
    index = json.loads((folder / "model_index.json").read_text())
    (folder / "model_index.json").write_text(json.dumps(index | {"text_encoder": [None, None]}))
    with pytest.raises(ModelError, match="text_encoder") as error:
        load(str(folder)).generate(WORDS, [1, 2])
    one_line(error)


@pytest.mark.parametrize(
    ("scheduler", "said"),
    [
        ("logging", "diffusers has no scheduler of this name"),
        ("StableDiffusionPipeline", "diffusers has no scheduler of this name"),
        ("SchedulerMixin", "diffusers has no scheduler of this name"),
        ("DDIMSheduler", "did you mean DDIMScheduler"),
        ("EulerDiscrete", "did you mean EulerDiscreteScheduler"),
    ],
)
def test_a_name_that_is_not_a_scheduler_is_an_error_with_a_suggestion(folders, scheduler, said):
    with pytest.raises(ModelError, match=rf"`scheduler: {scheduler}`.*{said}") as error:
        load(folders("sd"), scheduler=scheduler)
    one_line(error)


def test_a_scheduler_whose_package_is_missing_names_it(folders, monkeypatch):
    class Absent:
        _backends = ("torch", "nowhere")

    monkeypatch.setattr(diffusers, "DPMSolverSDEScheduler", Absent)
    with pytest.raises(ModelError, match=r"`scheduler: DPMSolverSDEScheduler` needs the packages torch, nowhere"):
        load(folders("sd"), scheduler="DPMSolverSDEScheduler")


@pytest.mark.parametrize("where", ["from_config", "set_timesteps", "step"])
def test_a_scheduler_that_fails_is_named(folders, monkeypatch, where):
    def fail(*_, **__):
        raise ZeroDivisionError("division by zero")

    monkeypatch.setattr(diffusers.EulerDiscreteScheduler, where, fail)
    with pytest.raises(ModelError, match=r"ZeroDivisionError: division by zero.*`scheduler`") as error:
        load(folders("sd"), scheduler="EulerDiscreteScheduler").generate(WORDS, [1, 2])
    one_line(error)


def test_a_scheduler_of_another_family_is_pointed_out(folders, capsys):
    load(folders("sd"), scheduler="EulerDiscreteScheduler")
    assert "scheduler" not in capsys.readouterr().err
    load(folders("sd"), scheduler="LCMScheduler")
    assert "not among those that diffusers lists beside DDIMScheduler; look at the pictures" in capsys.readouterr().err


def test_compiling_what_has_no_denoiser_is_an_error(folders, monkeypatch):
    generator = generated.prepare(PipelineSettings(pipeline=folders("sd"), compile=True, **SAMPLING))
    pipe = MAKERS["sd"]()
    pipe.unet = None
    with pytest.raises(ModelError, match=r"no U-Net or transformer.*`compile: false`"):
        generator._prepare(pipe, "cpu")


def test_networks_over_three_dimensions_are_laid_out_as_they_are():
    from fit.generated.pipelines import to_channels_last

    to_channels_last(torch.nn.Conv3d(1, 1, 2))
    flat = torch.nn.Conv2d(2, 2, 3)
    to_channels_last(flat)
    assert flat.weight.is_contiguous(memory_format=torch.channels_last)


def test_the_command_prints_one_line_and_keeps_what_was_made(folders, tmp_path, capsys):
    sheet, out = tmp_path / "sheet.tsv", tmp_path / "ada-morvek.parquet"
    sheet.write_text("concept\tname\nada-morvek\tAda Morvek\n")
    command = [
        "generated",
        "make",
        "--pipeline",
        folders("sd"),
        "--sheet",
        str(sheet),
        "--out",
        str(out),
        "--concepts",
        "ada-morvek",
        "--prompts",
        "{name}",
    ]
    options = "--steps 2 --guidance 2 --images-per-prompt 1 --seed 1 --device cpu --height 20"
    command += options.split()
    assert main(command) == 1
    said = capsys.readouterr().err
    assert "Traceback" not in said
    assert [line for line in said.splitlines() if "`height` and `width` (20, its own)" in line]


@pytest.mark.parametrize("guidance", [float("nan"), float("inf")])
def test_guidance_is_a_finite_number(folders, guidance):
    with pytest.raises(ConfigError, match=r"`guidance` is (nan|inf); give a finite number"):
        load(folders("sd"), guidance=guidance)
