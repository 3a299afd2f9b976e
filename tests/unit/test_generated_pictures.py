"""Pictures of a small pipeline of random weights, in the layout that Stable Diffusion is published in."""

import numpy as np
import pytest
import torch
from diffusers import DiffusionPipeline, PNDMScheduler, StableDiffusionPipeline, UNet2DConditionModel
from generating import ADA, BRUNO, SAMPLING, Scripted, generate, load_generator, noise, pixels, save_small_pipeline
from PIL import Image

from fit.embeddings.base import Embedding
from fit.embeddings.files import rows as embedding_rows
from fit.errors import ModelError
from fit.generated.base import GeneratedImage
from fit.generated.diffusers import Diffusers
from fit.generated.settings import PipelineSettings
from fit.images import table
from fit.io import parquet
from fit.io.concept_tables import ConceptTables
from fit.memory import AdaptiveBatch
from fit.reports.contact_sheets import generated_sheet
from fit.scores.evidence import EvidencePlaces, read_evidence
from fit.scores.imitation import score_concept
from fit.scores.settings import ScoreSettings, TargetSettings


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory):
    return save_small_pipeline(tmp_path_factory.mktemp("sd") / "pipeline")


@pytest.fixture(scope="module")
def generator(pipeline):
    return load_generator(pipeline, **SAMPLING)


def test_pictures_are_those_of_the_plain_pipeline(pipeline, generator):
    """Embeddings made once, the safety checker off and pixels rounded elsewhere change nothing."""
    plain = StableDiffusionPipeline.from_pretrained(pipeline, safety_checker=None)
    plain.set_progress_bar_config(disable=True)
    prompts, seeds = ["a painting by Ada Morvek", "Bruno Morvek, harbour"], [5, 2**63 - 1]
    started = [torch.Generator().manual_seed(seed) for seed in seeds]
    expected = plain(prompts, generator=started, num_inference_steps=2, guidance_scale=3.0).images
    made = generator.generate(prompts, seeds)
    assert [one.status for one in made] == ["ok", "ok"]
    for one, picture in zip(made, expected, strict=True):
        assert np.abs(one.pixels.astype(int) - np.asarray(picture, int)).max() <= 1
    assert np.abs(made[0].pixels.astype(int) - made[1].pixels.astype(int)).max() > 10


@pytest.mark.slow
@pytest.mark.parametrize("scheduler", [None, "DPMSolverMultistepScheduler", "EulerAncestralDiscreteScheduler"])
def test_a_picture_depends_on_its_own_seed_only(pipeline, tmp_path, scheduler):
    generator = load_generator(str(pipeline), scheduler=scheduler, **SAMPLING)
    made = {}
    for size, concepts in ((1, [ADA]), (4, [BRUNO, ADA]), (100, [ADA, BRUNO])):
        path, _ = generate(generator, tmp_path / str(size), concepts, batch_size=size)
        start = 6 * concepts.index(ADA)
        made[size] = pixels(path)[start : start + 6]
    assert len(made[1]) == 6
    assert np.abs(made[1] - made[4]).max() <= 1
    assert np.abs(made[1] - made[100]).max() <= 1


@pytest.mark.slow
def test_a_prompt_is_embedded_once(pipeline, tmp_path, monkeypatch):
    generator = load_generator(str(pipeline), **SAMPLING)
    asked = []
    encode = generator._pipe.text_encoder.forward
    monkeypatch.setattr(
        generator._pipe.text_encoder, "forward", lambda ids, **o: asked.append(len(ids)) or encode(ids, **o)
    )
    generate(generator, tmp_path, batch_size=2, images_per_prompt=4)
    assert asked == [1, 1, 1]  # two prompts, and the empty one to guide away from


@pytest.mark.slow
def test_sampling_settings_reach_the_pipeline(pipeline, tmp_path):
    made = {}
    for name, options in {
        "plain": {},
        "unguided": {"guidance": 1.0},
        "away": {"negative_prompt": "Bruno Morvek, harbour"},
        "wide": {"height": 16, "width": 48},
        "half": {"dtype": "bfloat16"},
    }.items():
        generator = load_generator(str(pipeline), **SAMPLING | options)
        made[name] = generator.generate(["a painting by Ada Morvek"], [1])[0].pixels.astype(int)
    assert made["wide"].shape == (16, 48, 3)
    assert made["plain"].shape == (32, 32, 3)
    for name in ("unguided", "away", "half"):
        assert np.abs(made[name] - made["plain"]).max() > 0, name
    assert np.abs(made["half"] - made["plain"]).mean() < 5


def test_pipelines_of_another_kind_are_called_plainly(pipeline, generator):
    class Other(DiffusionPipeline):
        """Text to image without encode_prompt, guidance or image processor; arrays come out."""

        def __init__(self, scheduler):
            super().__init__()
            self.register_modules(scheduler=scheduler)

        def __call__(self, prompt, generator=None, num_inference_steps=50, output_type="pil"):
            assert output_type == "np"
            pictures = [torch.rand(4, 6, 3, generator=one).numpy() * len(prompt) for one in generator]
            return type("Output", (), {"images": np.stack(pictures) / len(prompt)})

    other = Diffusers(PipelineSettings(pipeline=str(pipeline), **SAMPLING))
    other._prepare(Other(PNDMScheduler()), "cpu")
    other._pipe = Other(PNDMScheduler())
    one, two = other.generate(["a", "b"], [1, 2])
    assert one.pixels.shape == (4, 6, 3)
    expected = np.round(torch.rand(4, 6, 3, generator=torch.Generator().manual_seed(2)).numpy() * 255)
    assert np.array_equal(two.pixels, expected)


@pytest.mark.slow
def test_the_denoiser_is_compiled_only_on_demand(pipeline, monkeypatch):
    compiled = []
    monkeypatch.setattr(UNet2DConditionModel, "compile", lambda self: compiled.append(self))
    load_generator(str(pipeline), **SAMPLING)
    assert compiled == []
    load_generator(str(pipeline), compile=True, **SAMPLING)
    assert len(compiled) == 1


@pytest.mark.slow
def test_webp_loses_nothing(generator, tmp_path):
    png, _ = generate(generator, tmp_path / "png")
    webp, _ = generate(generator, tmp_path / "webp", image_format="webp")
    assert parquet.read(webp).column("bytes")[0].as_py()[8:12] == b"WEBP"
    assert np.array_equal(pixels(png), pixels(webp))


# --- memory -----------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_batches_are_halved_until_they_fit_and_stay_so(pipeline, generator, monkeypatch, capsys):
    sizes = []
    make = generator._make

    def hungry(prompts, seeds):
        sizes.append(len(prompts))
        if len(prompts) > 3:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB")
        return make(prompts, seeds)

    monkeypatch.setattr(generator, "_in_memory", AdaptiveBatch(lambda prompts, seeds: generator._make(prompts, seeds)))
    expected = make(["a"] * 8, list(range(8)))
    monkeypatch.setattr(generator, "_make", hungry)
    made = generator.generate(["a"] * 8, list(range(8)))
    assert sizes == [8, 4, 2, 2, 2, 2]
    for one, other in zip(made, expected, strict=True):
        assert np.abs(one.pixels.astype(int) - other.pixels.astype(int)).max() <= 1
    sizes.clear()
    generator.generate(["a"] * 4, list(range(4)))
    assert sizes == [2, 2]
    assert "not enough memory for a batch of 8; trying 4" in capsys.readouterr().err


def test_one_picture_that_does_not_fit_is_an_error_with_a_remedy(generator, monkeypatch):
    def starved(prompts, seeds):
        raise RuntimeError("[enforce fail at alloc_cpu.cpp:127] DefaultCPUAllocator: can't allocate memory")

    monkeypatch.setattr(generator, "_in_memory", AdaptiveBatch(lambda prompts, seeds: generator._make(prompts, seeds)))
    monkeypatch.setattr(generator, "_make", starved)
    with pytest.raises(ModelError, match=r"one picture is too much for this machine's memory; set `dtype: float16`"):
        generator.generate(["a", "b"], [1, 2])


def test_other_errors_of_the_runtime_are_not_taken_for_memory(generator, monkeypatch):
    def broken(prompts, seeds):
        raise RuntimeError("shapes cannot be multiplied")

    monkeypatch.setattr(generator, "_make", broken)
    with pytest.raises(ModelError, match=r"\(RuntimeError: shapes cannot be multiplied\); .*fix `pipeline`"):
        generator.generate(["a", "b"], [1, 2])


# --- pictures without a picture ---------------------------------------------------------------------------------------


def test_an_image_without_a_picture_has_a_status():
    assert GeneratedImage.judged(np.zeros((2, 2, 3), np.uint8)).status == "black"
    assert GeneratedImage.judged(np.full((2, 2, 3), [9, 0, 3], np.uint8)).status == "constant"
    assert GeneratedImage.judged(np.zeros((2, 2, 3), np.uint8), finite=False).status == "nan"
    ramp = np.arange(12, dtype=np.uint8).reshape(2, 2, 3)
    assert GeneratedImage.judged(ramp).status == "ok"
    assert GeneratedImage.judged(ramp, finite=False).pixels is None


def spoil(generator, monkeypatch, when):
    """Make the latents of every second picture of a batch NaN while `when(dtype)`."""
    decode = generator._pipe.vae.decode

    def spoiled(latents, *args, **kwargs):
        if when(latents.dtype):
            latents = latents.clone()
            latents[1::2] = float("nan")
        return decode(latents, *args, **kwargs)

    monkeypatch.setattr(generator._pipe.vae, "decode", spoiled)


@pytest.mark.slow
def test_numbers_that_leave_a_small_format_are_made_again_in_float32(pipeline, monkeypatch):
    generator = load_generator(str(pipeline), dtype="bfloat16", **SAMPLING)
    before = generator.generate(["a"] * 4, [1, 2, 3, 4])
    spoil(generator, monkeypatch, lambda dtype: dtype == torch.bfloat16)
    made = generator.generate(["a"] * 4, [1, 2, 3, 4])
    assert [one.status for one in made] == ["ok"] * 4
    exact = load_generator(str(pipeline), **SAMPLING).generate(["a"] * 2, [2, 4])
    for one, other in zip(made[1::2], exact, strict=True):
        # The weights had been rounded, the arithmetic was not.
        assert np.abs(one.pixels.astype(int) - other.pixels.astype(int)).mean() < 3
    # And back again: the others come as before.
    assert np.array_equal(made[0].pixels, before[0].pixels)
    assert np.array_equal(generator.generate(["a"] * 4, [1, 2, 3, 4])[2].pixels, before[2].pixels)


@pytest.mark.slow
def test_a_picture_that_stays_broken_is_a_row_with_a_status(pipeline, tmp_path, monkeypatch):
    generator = load_generator(str(pipeline), dtype="bfloat16", **SAMPLING)
    spoil(generator, monkeypatch, lambda dtype: True)
    path, statuses = generate(generator, tmp_path, batch_size=4, images_per_prompt=2)
    rows = parquet.read(path).to_pylist()
    # The retry is a batch of the bad ones; of those every second is spoiled again.
    assert [row["status"] for row in rows] == ["ok", "ok", "ok", "nan"]
    assert [row["bytes"] is None for row in rows] == [False, False, False, True]
    assert statuses == {"ada-morvek": {"ok": 3, "nan": 1}}
    assert sum(len(names) for names, _ in table.stream(path)) == 3
    assert "1  nan" in table.statistics(path)
    generated_sheet(path, tmp_path / "sheet.png", "title")
    assert Image.open(tmp_path / "sheet.png").width > 200


def test_stages_after_it_do_without_the_broken(tmp_path):
    def make(seed):
        return np.zeros((4, 4, 3)) if seed % 2 else noise(seed)

    path, statuses = generate(Scripted(make), tmp_path, images_per_prompt=8)
    good = statuses["ada-morvek"]["ok"]
    assert 0 < good < 16
    names = [name for batch, _ in table.stream(path) for name in batch]
    for target, ids in (("generated", names), ("references", ["r1", "r2"])):
        found = [[Embedding(np.float32([1, 0]))] for _ in ids]
        parquet.write(embedding_rows(ids, found, 2, ADA.slug), tmp_path / f"{target}.embeddings.parquet")
    kept = {"concept": ADA.slug, "kept": True, "decision": "kept", "bytes": b""}
    references = [kept | {"image_id": name} for name in ("r1", "r2")]
    parquet.write(table.pa.Table.from_pylist(references, schema=table.REFERENCES), tmp_path / "references.parquet")
    places = EvidencePlaces(
        generated=ConceptTables([path]),
        generated_embeddings=ConceptTables([tmp_path / "generated.embeddings.parquet"]),
        references=ConceptTables([tmp_path / "references.parquet"]),
        reference_embeddings=ConceptTables([tmp_path / "references.embeddings.parquet"]),
    )
    evidence = read_evidence(places, ADA.slug)
    scores = score_concept(evidence, TargetSettings(targets="matches_or_references"), ScoreSettings(top_k=10))
    assert sum(scores.column("images").to_pylist()) == good
