"""Generation on a small pipeline of random weights, in the layout that Stable Diffusion is published in."""

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from diffusers import AutoencoderKL, DiffusionPipeline, PNDMScheduler, StableDiffusionPipeline, UNet2DConditionModel
from PIL import Image
from transformers import CLIPTextConfig, CLIPTextModel

from fit import generated as generators
from fit.atelier.generator import train_tokenizer
from fit.cli.main import main
from fit.concepts.sheet import Concept
from fit.embeddings.base import Embedding
from fit.embeddings.files import rows as embedding_rows
from fit.errors import ModelError, SpaceError, StoppedError
from fit.generated import parts as parts_module
from fit.generated import weights
from fit.generated.base import GeneratedImage
from fit.generated.diffusers import Diffusers
from fit.generated.run import generate_tables
from fit.images import table
from fit.io import parquet
from fit.io.files import MARK
from fit.memory import AdaptiveBatch
from fit.reports.figures import generated_sheet
from fit.scores.imitation import score_concept

ADA, BRUNO = Concept("ada-morvek", "Ada Morvek"), Concept("bruno-morvek", "Bruno Morvek")
PROMPTS = ["a painting by {name}", "{name}, harbour"]
SAMPLING = {"steps": 2, "guidance": 3.0, "device": "cpu"}


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory):
    """A folder as Stable Diffusion 1 is saved: UNet2DConditionModel, AutoencoderKL, CLIP, PNDM; pictures of 32 x 32."""
    torch.manual_seed(0)
    tokenizer = train_tokenizer(["a painting by Ada Morvek", "Bruno Morvek, harbour"])
    ids = {name: getattr(tokenizer, name) for name in ("bos_token_id", "eos_token_id", "pad_token_id")}
    text = CLIPTextConfig(
        vocab_size=len(tokenizer),
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        max_position_embeddings=tokenizer.model_max_length,
        **ids,
    )
    unet = UNet2DConditionModel(
        sample_size=16,
        block_out_channels=(8, 16),
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        layers_per_block=1,
        cross_attention_dim=16,
        attention_head_dim=2,
        norm_num_groups=4,
    )
    vae = AutoencoderKL(
        block_out_channels=(8, 8),
        down_block_types=("DownEncoderBlock2D",) * 2,
        up_block_types=("UpDecoderBlock2D",) * 2,
        latent_channels=4,
        norm_num_groups=4,
    )
    scheduler = PNDMScheduler(beta_schedule="scaled_linear", skip_prk_steps=True, steps_offset=1)
    folder = tmp_path_factory.mktemp("sd") / "pipeline"
    StableDiffusionPipeline(
        vae=vae,
        text_encoder=CLIPTextModel(text),
        tokenizer=tokenizer,
        unet=unet,
        scheduler=scheduler,
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    ).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def generator(pipeline):
    return generators.load("diffusers", pipeline=str(pipeline), **SAMPLING)


def generate(generator, folder, concepts=(ADA,), batch_size=4, images_per_prompt=3, **options):
    outputs = [folder / f"{concept.slug}.parquet" for concept in concepts]
    options = {"prompts": PROMPTS, "study_seed": 1} | options
    statuses = generate_tables(
        generator, list(concepts), outputs, images_per_prompt=images_per_prompt, batch_size=batch_size, **options
    )
    return outputs, statuses


def pixels(path):
    return np.stack([np.asarray(picture, int) for _, batch in table.stream(path) for picture in batch])


def noise(seed):
    return np.random.default_rng(seed).integers(0, 255, (4, 4, 3))


class Scripted(generators.base.Generator):
    """Says what it makes of each seed, and counts loads and pictures."""

    def __init__(self, make=noise, identity="scripted"):
        self.loads, self.seeds, self._identity, self._make = 0, [], identity, make

    identity = property(lambda self: self._identity)
    provenance = property(lambda self: {"pipeline": "scripted", "loads": self.loads})

    def load(self):
        self.loads += 1

    def generate(self, prompts, seeds):
        self.seeds += seeds
        return [GeneratedImage.judged(np.uint8(self._make(seed))) for seed in seeds]


# --- pictures ---------------------------------------------------------------------------------------------------------


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


@pytest.mark.parametrize("scheduler", [None, "DPMSolverMultistepScheduler", "EulerAncestralDiscreteScheduler"])
def test_a_picture_depends_on_its_own_seed_only(pipeline, tmp_path, scheduler):
    generator = generators.load("diffusers", pipeline=str(pipeline), scheduler=scheduler, **SAMPLING)
    made = {}
    for size, concepts in ((1, [ADA]), (4, [BRUNO, ADA]), (100, [ADA, BRUNO])):
        outputs, _ = generate(generator, tmp_path / str(size), concepts, batch_size=size)
        made[size] = pixels(next(path for path in outputs if path.stem == "ada-morvek"))
    assert len(made[1]) == 6
    assert np.abs(made[1] - made[4]).max() <= 1
    assert np.abs(made[1] - made[100]).max() <= 1


def test_a_prompt_is_embedded_once(pipeline, tmp_path, monkeypatch):
    generator = generators.load("diffusers", pipeline=str(pipeline), **SAMPLING)
    asked = []
    encode = generator._pipe.text_encoder.forward
    monkeypatch.setattr(
        generator._pipe.text_encoder, "forward", lambda ids, **o: asked.append(len(ids)) or encode(ids, **o)
    )
    generate(generator, tmp_path, batch_size=2, images_per_prompt=4)
    assert asked == [1, 1, 1]  # two prompts, and the empty one to guide away from


def test_sampling_settings_reach_the_pipeline(pipeline, tmp_path):
    made = {}
    for name, options in {
        "plain": {},
        "unguided": {"guidance": 1.0},
        "away": {"negative_prompt": "Bruno Morvek, harbour"},
        "wide": {"height": 16, "width": 48},
        "half": {"dtype": "bfloat16"},
    }.items():
        generator = generators.load("diffusers", pipeline=str(pipeline), **SAMPLING | options)
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

    other = Diffusers(str(pipeline), **SAMPLING)
    other._prepare(Other(PNDMScheduler()), "cpu")
    other._pipe = Other(PNDMScheduler())
    one, two = other.generate(["a", "b"], [1, 2])
    assert one.pixels.shape == (4, 6, 3)
    expected = np.round(torch.rand(4, 6, 3, generator=torch.Generator().manual_seed(2)).numpy() * 255)
    assert np.array_equal(two.pixels, expected)


def test_the_denoiser_is_compiled_only_on_demand(pipeline, monkeypatch):
    compiled = []
    monkeypatch.setattr(UNet2DConditionModel, "compile", lambda self: compiled.append(self))
    generators.load("diffusers", pipeline=str(pipeline), **SAMPLING)
    assert compiled == []
    generators.load("diffusers", pipeline=str(pipeline), compile=True, **SAMPLING)
    assert len(compiled) == 1


def test_webp_loses_nothing(generator, tmp_path):
    (png,), _ = generate(generator, tmp_path / "png")
    (webp,), _ = generate(generator, tmp_path / "webp", image_format="webp")
    assert parquet.read(webp).column("bytes")[0].as_py()[8:12] == b"WEBP"
    assert np.array_equal(pixels(png), pixels(webp))


# --- memory -----------------------------------------------------------------------------------------------------------


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


# --- pictures that are none -------------------------------------------------------------------------------------------


def test_what_is_no_picture_has_a_status():
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


def test_numbers_that_leave_a_small_format_are_made_again_in_float32(pipeline, monkeypatch):
    generator = generators.load("diffusers", pipeline=str(pipeline), dtype="bfloat16", **SAMPLING)
    before = generator.generate(["a"] * 4, [1, 2, 3, 4])
    spoil(generator, monkeypatch, lambda dtype: dtype == torch.bfloat16)
    made = generator.generate(["a"] * 4, [1, 2, 3, 4])
    assert [one.status for one in made] == ["ok"] * 4
    exact = generators.load("diffusers", pipeline=str(pipeline), **SAMPLING).generate(["a"] * 2, [2, 4])
    for one, other in zip(made[1::2], exact, strict=True):
        # The weights had been rounded, the arithmetic was not.
        assert np.abs(one.pixels.astype(int) - other.pixels.astype(int)).mean() < 3
    # And back again: the others come as before.
    assert np.array_equal(made[0].pixels, before[0].pixels)
    assert np.array_equal(generator.generate(["a"] * 4, [1, 2, 3, 4])[2].pixels, before[2].pixels)


def test_a_picture_that_stays_broken_is_a_row_with_a_status(pipeline, tmp_path, monkeypatch):
    generator = generators.load("diffusers", pipeline=str(pipeline), dtype="bfloat16", **SAMPLING)
    spoil(generator, monkeypatch, lambda dtype: True)
    (path,), statuses = generate(generator, tmp_path, batch_size=4, images_per_prompt=2)
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

    (path,), statuses = generate(Scripted(make), tmp_path, images_per_prompt=8)
    good = statuses["ada-morvek"]["ok"]
    assert 0 < good < 16
    names = [name for batch, _ in table.stream(path) for name in batch]
    for target, ids in (("generated", names), ("references", ["r1", "r2"])):
        found = [[Embedding(np.float32([1, 0]))] for _ in ids]
        parquet.write(embedding_rows(ids, found, 2), tmp_path / f"{target}.embeddings.parquet")
    references = [{"image_id": name, "kept": True, "decision": "kept", "bytes": b""} for name in ("r1", "r2")]
    parquet.write(table.pa.Table.from_pylist(references, schema=table.REFERENCES), tmp_path / "references.parquet")
    scores = score_concept(
        path,
        tmp_path / "generated.embeddings.parquet",
        None,
        None,
        tmp_path / "references.parquet",
        tmp_path / "references.embeddings.parquet",
        targets_rule="matches_or_references",
        top_k=10,
    )
    assert sum(scores.column("images").to_pylist()) == good


# --- going on ---------------------------------------------------------------------------------------------------------


def stopping_after(count, error):
    """A make that raises `error` at the picture after `count`."""
    made = []

    def make(seed):
        if len(made) == count:
            raise error
        made.append(seed)
        return noise(seed)

    return make


def test_what_was_finished_survives_an_error_and_is_not_made_again(tmp_path):
    (whole,), _ = generate(Scripted(), tmp_path / "whole", images_per_prompt=10)
    with pytest.raises(KeyboardInterrupt):
        generate(Scripted(stopping_after(11, KeyboardInterrupt)), tmp_path / "a", images_per_prompt=10)
    assert not (tmp_path / "a" / "ada-morvek.parquet").exists()
    again = Scripted()
    (path,), _ = generate(again, tmp_path / "a", images_per_prompt=10)
    assert len(again.seeds) == 12  # two batches of four had been finished
    assert parquet.read(path).equals(parquet.read(whole))
    assert [entry.name for entry in (tmp_path / "a" / ".generated").iterdir()] == [MARK]


def test_all_tables_of_a_job_are_whole_before_anything_is_forgotten(tmp_path):
    make = stopping_after(20 + 7, KeyboardInterrupt)
    with pytest.raises(KeyboardInterrupt):
        generate(Scripted(make), tmp_path, [ADA, BRUNO], images_per_prompt=10)
    again = Scripted()
    generate(again, tmp_path, [ADA, BRUNO], images_per_prompt=10)
    assert len(again.seeds) == 40 - 24


def test_the_model_is_not_loaded_where_everything_is_finished(tmp_path, monkeypatch):
    with monkeypatch.context() as patch, pytest.raises(OSError, match="no more"):
        patch.setattr(parts_module.ResumableTable, "assemble", lambda *_: (_ for _ in ()).throw(OSError("no more")))
        generate(Scripted(), tmp_path)
    again = Scripted()
    (path,), _ = generate(again, tmp_path)
    assert (again.loads, again.seeds) == (0, [])
    assert len(parquet.read(path)) == 6


@pytest.mark.parametrize("changed", [{"study_seed": 2}, {"prompts": ["{name}"]}, {"image_format": "webp"}])
def test_pictures_of_other_settings_are_not_taken(tmp_path, changed):
    with pytest.raises(KeyboardInterrupt):
        generate(Scripted(stopping_after(8, KeyboardInterrupt)), tmp_path, images_per_prompt=10)
    again = Scripted()
    (path,), _ = generate(again, tmp_path, images_per_prompt=10, **changed)
    assert len(again.seeds) == len(parquet.read(path))


def test_pictures_of_another_model_are_not_taken(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        generate(Scripted(stopping_after(8, KeyboardInterrupt)), tmp_path, images_per_prompt=10)
    again = Scripted(identity="another")
    generate(again, tmp_path, images_per_prompt=10)
    assert len(again.seeds) == 20


def test_a_damaged_part_is_made_again_with_those_after_it(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        generate(Scripted(stopping_after(150, KeyboardInterrupt)), tmp_path, images_per_prompt=100)
    parts = sorted((tmp_path / ".generated" / "ada-morvek").rglob("*.parquet"))
    assert [part.name for part in parts] == ["000000.parquet", "000064.parquet", "000128.parquet"]
    parts[1].write_bytes(parts[1].read_bytes()[:-9])
    again = Scripted()
    (path,), _ = generate(again, tmp_path, images_per_prompt=100)
    assert len(again.seeds) == 200 - 64
    assert len(parquet.read(path)) == 200


def test_provenance_names_what_differed_between_runs(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        generate(Scripted(stopping_after(8, KeyboardInterrupt)), tmp_path, images_per_prompt=10)
    again = Scripted()
    again.load()
    (path,), _ = generate(again, tmp_path, images_per_prompt=10)
    assert table.provenance(path) == {"pipeline": "scripted", "loads": 1, "also": [{"loads": 2}]}


def command(pipeline, sheet, out, *more):
    options = "--steps 2 --guidance 2 --images-per-prompt 60 --batch-size 5 --seed 1 --threads 1"
    places = ["--pipeline", str(pipeline), "--sheet", str(sheet), "--out", str(out)]
    return ["generated", "make", "--prompts", "{name}", "--device", "cpu", *options.split(), *places, *more]


@pytest.fixture
def sheet(tmp_path):
    path = tmp_path / "sheet.tsv"
    path.write_text("concept\tname\nada-morvek\tAda Morvek\n")
    return path


def test_sigterm_ends_a_job_after_its_batch_and_the_next_goes_on_to_the_same_bytes(pipeline, sheet, tmp_path):
    whole, stopped = tmp_path / "whole" / "ada-morvek.parquet", tmp_path / "stopped" / "ada-morvek.parquet"
    assert main(command(pipeline, sheet, whole)) == 0
    # A part per batch, so that the first of them tells that the job is under way, not that it nearly ends.
    script = (
        "import sys; from fit.cli.main import main; from fit.generated import run; "
        "run._PART_PICTURES = 5; sys.exit(main(sys.argv[1:]))"
    )
    arguments = [sys.executable, "-c", script, *command(pipeline, sheet, stopped)]
    # As the rule does it, and as a scheduler does: the signal goes to every process of the job.
    shell = "set -euo pipefail; trap '' TERM; \"$@\" 2>&1 | tee log"
    process = subprocess.Popen(
        ["bash", "-c", shell, "bash", *arguments],
        stdout=subprocess.PIPE,
        text=True,
        cwd=tmp_path,
        start_new_session=True,
    )
    deadline = time.monotonic() + 300
    parts = stopped.parent / ".generated"
    while not any(parts.rglob("000000.parquet")):
        assert process.poll() is None and time.monotonic() < deadline, process.communicate()[0]
        time.sleep(0.005)
    os.killpg(process.pid, signal.SIGTERM)
    said, _ = process.communicate(timeout=120)
    assert process.returncode == 1, said
    assert "fit: stopped by SIGTERM after" in said and "run again to go on" in said
    assert said == (tmp_path / "log").read_text()
    assert "Traceback" not in said
    assert not stopped.exists()
    kept = sum(pq.read_metadata(part).num_rows for part in parts.rglob("*.parquet"))
    assert 0 < kept < 60 and kept % 5 == 0
    assert main(command(pipeline, sheet, stopped)) == 0
    assert parquet.read(stopped).equals(parquet.read(whole))
    assert not any(parts.rglob("*.parquet"))


def test_sigterm_is_an_error_of_its_own_and_the_handler_is_put_back(tmp_path):
    def make(seed):
        os.kill(os.getpid(), signal.SIGTERM)
        return noise(seed)

    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(StoppedError, match=r"after 4 of 6 pictures; they are kept"):
        generate(Scripted(make), tmp_path)
    assert signal.getsignal(signal.SIGTERM) is before


def test_a_thread_that_may_not_handle_signals_generates_too(tmp_path):
    thread = threading.Thread(target=generate, args=(Scripted(), tmp_path))
    thread.start()
    thread.join()
    assert len(parquet.read(tmp_path / "ada-morvek.parquet")) == 6


# --- a full disk ------------------------------------------------------------------------------------------------------


def test_a_full_disk_is_named_and_what_was_written_is_kept(tmp_path, monkeypatch):
    write, left = parts_module.pq.write_table, [1]

    def full(rows, path, **options):
        if not left:
            raise OSError(errno.ENOSPC, "No space left on device")
        left.pop()
        write(rows, path, **options)

    with monkeypatch.context() as patch, pytest.raises(SpaceError, match=r"\.generated/ada-morvek.*free some and run"):
        patch.setattr(parts_module.pq, "write_table", full)
        generate(Scripted(), tmp_path, images_per_prompt=100)
    again = Scripted()
    generate(again, tmp_path, images_per_prompt=100)
    assert len(again.seeds) == 200 - 64


def test_a_disk_that_is_full_when_the_table_is_written(tmp_path, monkeypatch):
    class Full(pq.ParquetWriter):
        def write_table(self, *args, **kwargs):
            raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch, pytest.raises(SpaceError, match=r"ada-morvek\.parquet: no space left"):
        patch.setattr(parts_module.pq, "ParquetWriter", Full)
        generate(Scripted(), tmp_path)
    assert not (tmp_path / "ada-morvek.parquet").exists()
    again = Scripted()
    generate(again, tmp_path)
    assert again.loads == 0


def test_other_errors_of_the_disk_stay_what_they_are():
    with pytest.raises(PermissionError), parts_module.space("here"):
        raise PermissionError(errno.EACCES, "Permission denied")


# --- provenance -------------------------------------------------------------------------------------------------------


def test_a_table_says_what_made_it(pipeline, sheet, tmp_path, capsys):
    out = tmp_path / "ada-morvek.parquet"
    assert main([*command(pipeline, sheet, out), "--scheduler", "DDIMScheduler", "--images-per-prompt", "2"]) == 0
    capsys.readouterr()
    assert main(["images", "show", str(out), "--provenance"]) == 0
    said = json.loads(capsys.readouterr().out)
    unet = pipeline / "unet" / "diffusion_pytorch_model.safetensors"
    sha256 = subprocess.run(["sha256sum", str(unet)], check=True, capture_output=True, text=True).stdout.split()[0]
    assert said["weights"]["unet/diffusion_pytorch_model.safetensors"] == sha256
    assert sorted(name.split("/")[0] for name in said["weights"]) == ["text_encoder", "unet", "vae"]
    assert (said["pipeline"], said["class"]) == (str(pipeline), "StableDiffusionPipeline")
    assert (said["scheduler"], said["scheduler_config"]["steps_offset"]) == ("DDIMScheduler", 1)
    assert (said["dtype"], said["steps"], said["guidance"], said["device"]) == ("float32", 2, 2.0, "cpu")
    assert said["safety_checker"] is False
    assert set(said["versions"]) == {"fit", "diffusers", "torch", "transformers"}


@pytest.mark.slow
def test_a_table_has_the_same_bytes_whatever_process_made_it(pipeline, sheet, tmp_path):
    made = []
    for seed in ("1", "2"):  # by which Python orders sets
        out = tmp_path / seed / "ada-morvek.parquet"
        words = [sys.executable, "-m", "fit", *command(pipeline, sheet, out), "--images-per-prompt", "1"]
        words += ["--scheduler", "DPMSolverMultistepScheduler"]  # it fills in much that the pipeline does not say
        subprocess.run(words, check=True, capture_output=True, env=os.environ | {"PYTHONHASHSEED": seed})
        made.append(out.read_bytes())
    assert made[0] == made[1]


def test_a_table_without_provenance_says_so(tmp_path, capsys):
    parquet.write(table.pa.table({"image_id": ["a"], "bytes": [b""]}), tmp_path / "t.parquet")
    assert main(["images", "show", str(tmp_path / "t.parquet"), "--provenance"]) == 1
    assert "says nothing about what made its pictures" in capsys.readouterr().err


def test_weights_are_those_that_are_loaded(tmp_path):
    (tmp_path / "model_index.json").write_text(
        json.dumps(
            {"_class_name": "X", "unet": ["d", "U"], "safety_checker": ["s", "S"], "image_encoder": [None, None]}
        )
    )
    for part in ("unet", "safety_checker", "image_encoder"):
        (tmp_path / part).mkdir()
        for name in ("model.safetensors", "model.fp16.safetensors", "model-00001-of-00002.safetensors", "model.bin"):
            (tmp_path / part / name).write_bytes(part.encode())
    names = [path.relative_to(tmp_path).as_posix() for path in weights.weight_files(tmp_path)]
    assert names == ["unet/model.safetensors"]


def test_hashes_of_a_hubs_cache_are_its_names(tmp_path):
    (tmp_path / "model_index.json").write_text(json.dumps({"unet": ["d", "U"]}))
    (tmp_path / "unet").mkdir()
    (tmp_path / ("0a" * 32)).write_bytes(b"not read")
    (tmp_path / "unet" / "model.safetensors").symlink_to(tmp_path / ("0a" * 32))
    assert weights.hashes(tmp_path) == {"unet/model.safetensors": "0a" * 32}


# --- models that are not there ----------------------------------------------------------------------------------------


@pytest.fixture
def hub(pipeline, tmp_path, monkeypatch):
    """A hub's cache that has owner/model at a commit, and no network."""
    import huggingface_hub.constants

    commit = "c0ffee" + "0" * 34
    repo = tmp_path / "hub" / "models--owner--model"
    shutil.copytree(pipeline, repo / "snapshots" / commit)
    (repo / "refs").mkdir()
    (repo / "refs" / "main").write_text(commit)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "hub"))

    def download(cls, name, *, local_files_only, revision, use_safetensors):
        assert use_safetensors is True
        folder = tmp_path / "hub" / f"models--{name.replace('/', '--')}" / "snapshots" / (revision or commit)
        asked.append("cache" if local_files_only else "network")
        if not local_files_only:
            raise OSError("Name or service not known")
        if not folder.is_dir():
            raise FileNotFoundError("no snapshot")
        return str(folder)

    asked = []
    monkeypatch.setattr(DiffusionPipeline, "download", classmethod(download))
    return asked, commit


def test_a_hub_id_in_the_cache_needs_no_network(hub, capsys):
    asked, commit = hub
    generator = generators.load("diffusers", pipeline="owner/model", **SAMPLING)
    assert generator.provenance["commit"] == commit
    assert f"owner/model: no `revision` in config.yaml: this run takes {commit}" in capsys.readouterr().err
    generators.load("diffusers", pipeline="owner/model", revision=commit, download=True, **SAMPLING)
    assert "revision" not in capsys.readouterr().err
    assert set(asked) == {"cache"}


def test_nothing_is_fetched_unless_the_configuration_says_so(hub, monkeypatch):
    asked, _ = hub
    with pytest.raises(ModelError, match=r"other/model: .*`download: true`.*hf download other/model --revision abc"):
        generators.load("diffusers", pipeline="other/model", revision="abc", **SAMPLING)
    assert asked == ["cache"]
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(ModelError, match=r"HF_HUB_OFFLINE forbids"):
        generators.load("diffusers", pipeline="other/model", download=True, **SAMPLING)
    assert asked == ["cache"] * 2


def test_a_hub_out_of_reach_is_told_with_the_way_around_it(hub):
    with pytest.raises(ModelError, match=r"can't be fetched \(Name or service not known\).*hf download other/model"):
        generators.load("diffusers", pipeline="other/model", download=True, **SAMPLING)


def test_half_a_model_in_the_cache_is_fetched_again(hub, tmp_path):
    asked, commit = hub
    folder = tmp_path / "hub/models--owner--model/snapshots" / commit
    (folder / "unet/diffusion_pytorch_model.safetensors").unlink()
    with pytest.raises(ModelError, match="not \\(whole\\) on this machine"):
        generators.load("diffusers", pipeline="owner/model", **SAMPLING)
    with pytest.raises(ModelError, match="can't be fetched"):
        generators.load("diffusers", pipeline="owner/model", download=True, **SAMPLING)
    assert asked[-1] == "network"


def test_a_gpu_that_is_demanded_must_be_there(pipeline, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ModelError, match=r"demands a GPU.*`gpus: 1`.*`device: auto`"):
        generators.load("diffusers", pipeline=str(pipeline), **SAMPLING | {"device": "cuda"})


@pytest.mark.parametrize("place", ["./nowhere", "results/atelier/generator", "/nowhere/at/all", "nothing"])
def test_a_folder_that_is_not_there(place, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ModelError, match="there is no such folder, and a hub id is OWNER/NAME"):
        generators.load("diffusers", pipeline=place, **SAMPLING)


def test_weights_that_could_run_code_are_not_loaded(pipeline, tmp_path):
    folder = tmp_path / "pickled"
    shutil.copytree(pipeline, folder)
    unet = folder / "unet"
    (unet / "diffusion_pytorch_model.safetensors").unlink()
    torch.save(
        UNet2DConditionModel.from_pretrained(pipeline / "unet").state_dict(), unet / "diffusion_pytorch_model.bin"
    )
    with pytest.raises(ModelError, match=r"unet: no weights as safetensors, only .*\.bin.*not read; save the pipeline"):
        generators.load("diffusers", pipeline=str(folder), **SAMPLING)


def test_code_that_a_model_brings_is_not_run(pipeline, tmp_path):
    folder = tmp_path / "custom"
    shutil.copytree(pipeline, folder)
    index = json.loads((folder / "model_index.json").read_text())
    (folder / "model_index.json").write_text(json.dumps(index | {"_class_name": ["evil", "Evil"]}))
    (folder / "evil.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\nclass Evil: pass\n")
    with pytest.raises(ModelError, match="can't load this pipeline without running code"):
        generators.load("diffusers", pipeline=str(folder), **SAMPLING)
    assert not (tmp_path / "ran").exists()


def test_a_cut_off_weight_file_is_an_error_of_the_model(pipeline, tmp_path):
    folder = tmp_path / "cut"
    shutil.copytree(pipeline, folder)
    file = folder / "unet" / "diffusion_pytorch_model.safetensors"
    file.write_bytes(file.read_bytes()[:1000])
    with pytest.raises(ModelError, match="can't load this pipeline"):
        generators.load("diffusers", pipeline=str(folder), **SAMPLING)
