"""Which model made the pictures, and models that are missing or damaged."""

import json
import os
import shutil
import subprocess
import sys

import pytest
import torch
from diffusers import DiffusionPipeline, UNet2DConditionModel
from generating import SAMPLING, command, load_generator, save_small_pipeline

from fit.cli.main import main
from fit.errors import ModelError
from fit.generated import weights
from fit.images import table
from fit.io import parquet


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory):
    return save_small_pipeline(tmp_path_factory.mktemp("sd") / "pipeline")


@pytest.fixture
def sheet(tmp_path):
    path = tmp_path / "sheet.tsv"
    path.write_text("concept\tname\nada-morvek\tAda Morvek\n")
    return path


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
def test_a_table_has_the_same_bytes_in_every_process(pipeline, sheet, tmp_path):
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


# --- models that are missing ------------------------------------------------------------------------------------------


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
    generator = load_generator("owner/model", **SAMPLING)
    assert generator.provenance["commit"] == commit
    assert f"owner/model: no `revision` in config.yaml: this run takes {commit}" in capsys.readouterr().err
    load_generator("owner/model", revision=commit, download=True, **SAMPLING)
    assert "revision" not in capsys.readouterr().err
    assert set(asked) == {"cache"}


def test_nothing_is_fetched_unless_the_configuration_says_so(hub, monkeypatch):
    asked, _ = hub
    with pytest.raises(ModelError, match=r"other/model: .*`download: true`.*hf download other/model --revision abc"):
        load_generator("other/model", revision="abc", **SAMPLING)
    assert asked == ["cache"]
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(ModelError, match=r"HF_HUB_OFFLINE forbids"):
        load_generator("other/model", download=True, **SAMPLING)
    assert asked == ["cache"] * 2


def test_a_hub_that_cannot_be_reached_is_an_error_with_a_remedy(hub):
    with pytest.raises(ModelError, match=r"can't be fetched \(Name or service not known\).*hf download other/model"):
        load_generator("other/model", download=True, **SAMPLING)


def test_half_a_model_in_the_cache_is_fetched_again(hub, tmp_path):
    asked, commit = hub
    folder = tmp_path / "hub/models--owner--model/snapshots" / commit
    (folder / "unet/diffusion_pytorch_model.safetensors").unlink()
    with pytest.raises(ModelError, match="not \\(whole\\) on this machine"):
        load_generator("owner/model", **SAMPLING)
    with pytest.raises(ModelError, match="can't be fetched"):
        load_generator("owner/model", download=True, **SAMPLING)
    assert asked[-1] == "network"


def test_a_gpu_that_the_settings_ask_for_must_exist(pipeline, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ModelError, match=r"asks for a GPU.*`gpus: 1`.*`device: auto`"):
        load_generator(str(pipeline), **SAMPLING | {"device": "cuda"})


@pytest.mark.parametrize("place", ["./nowhere", "results/atelier/generator", "/nowhere/at/all", "nothing"])
def test_a_folder_that_is_not_there(place, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ModelError, match="there is no such folder, and a hub id is OWNER/NAME"):
        load_generator(place, **SAMPLING)


def test_weights_that_could_run_code_are_not_loaded(pipeline, tmp_path):
    folder = tmp_path / "pickled"
    shutil.copytree(pipeline, folder)
    unet = folder / "unet"
    (unet / "diffusion_pytorch_model.safetensors").unlink()
    torch.save(
        UNet2DConditionModel.from_pretrained(pipeline / "unet").state_dict(), unet / "diffusion_pytorch_model.bin"
    )
    with pytest.raises(ModelError, match=r"unet: no weights as safetensors, only .*\.bin.*not read; save the pipeline"):
        load_generator(str(folder), **SAMPLING)


def test_code_that_a_model_brings_is_not_run(pipeline, tmp_path):
    folder = tmp_path / "custom"
    shutil.copytree(pipeline, folder)
    index = json.loads((folder / "model_index.json").read_text())
    (folder / "model_index.json").write_text(json.dumps(index | {"_class_name": ["evil", "Evil"]}))
    (folder / "evil.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\nclass Evil: pass\n")
    with pytest.raises(ModelError, match="can't load this pipeline without running code"):
        load_generator(str(folder), **SAMPLING)
    assert not (tmp_path / "ran").exists()


def test_a_cut_off_weight_file_is_an_error_of_the_model(pipeline, tmp_path):
    folder = tmp_path / "cut"
    shutil.copytree(pipeline, folder)
    file = folder / "unet" / "diffusion_pytorch_model.safetensors"
    file.write_bytes(file.read_bytes()[:1000])
    with pytest.raises(ModelError, match="can't load this pipeline"):
        load_generator(str(folder), **SAMPLING)
