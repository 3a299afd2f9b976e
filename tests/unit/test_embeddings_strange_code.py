"""Code that comes with a model is not run, even where someone answers "y"."""

import io
import json
import os
import pickle
import shutil
import sys

import pytest
import torch
from embedding_backends import load_embedder
from generating import load_generator
from pipelines import save
from tokenizers import Tokenizer, models

from fit import embeddings as embedders
from fit.check.models import pipeline_problems
from fit.errors import ModelError

CODE = """
import pathlib
pathlib.Path({ran!r}).write_text("ran")
from transformers import BertConfig, BertModel, PreTrainedTokenizerFast
class Config(BertConfig): model_type = "strange"
class Model(BertModel): config_class = Config
class Tokens(PreTrainedTokenizerFast): pass
Processor = Tokens
"""


@pytest.fixture
def hostile(tmp_path, monkeypatch):
    """A folder whose every configuration asks for the code beside it, with "y" on stdin."""
    monkeypatch.setenv("HF_MODULES_CACHE", str(tmp_path / "modules"))
    monkeypatch.setattr(sys, "stdin", Yes("y\n" * 100))
    folder = tmp_path / "model"
    make_hostile(folder, tmp_path / "ran")
    yield folder
    assert not (tmp_path / "ran").exists()
    assert sys.stdin.tell() == 0, "somebody was asked"


class Yes(io.StringIO):
    """Answers yes to whatever is asked."""


def make_hostile(folder, ran):
    """Put code that writes `ran` into a folder, and configurations that ask for it."""
    folder.mkdir(exist_ok=True)
    folder.joinpath("strange.py").write_text(CODE.format(ran=str(ran)))
    auto = {
        "AutoConfig": "strange.Config",
        "AutoModel": "strange.Model",
        "AutoTokenizer": ["strange.Tokens", None],
        "AutoImageProcessor": "strange.Processor",
    }
    for name in ("config.json", "tokenizer_config.json", "preprocessor_config.json"):
        kinds = {"model_type": "strange", "tokenizer_class": "Tokens", "image_processor_type": "Processor"}
        folder.joinpath(name).write_text(json.dumps(kinds | {"auto_map": auto, "trust_remote_code": True}))
    Tokenizer(models.WordLevel({"a": 0}, unk_token="a")).save(str(folder / "tokenizer.json"))


def open_clip(folder, **text):
    vision = {"image_size": 32, "layers": 1, "width": 64, "patch_size": 16}
    text = {"context_length": 8, "vocab_size": 64, "width": 64, "heads": 1, "layers": 1} | text
    model = {"embed_dim": 8, "vision_cfg": vision, "text_cfg": text}
    folder.joinpath("open_clip_config.json").write_text(json.dumps({"model_cfg": model, "preprocess_cfg": {}}))


def test_a_configuration_that_open_clip_is_led_to_runs_nothing(hostile, tmp_path):
    open_clip(hostile, hf_model_name=str(hostile), hf_proj_type="mlp", hf_pooler_type="mean_pooler")
    with pytest.raises(ModelError, match="code"):
        load_embedder("openclip", f"local-dir:{hostile}")


def test_a_tokenizer_that_trusts_itself_runs_nothing(hostile, tmp_path):
    import torch
    from open_clip import create_model
    from safetensors.torch import save_file

    open_clip(hostile, hf_tokenizer_name="any", tokenizer_kwargs={"trust_remote_code": True})
    network = create_model(f"local-dir:{hostile}", load_weights=False)
    save_file(
        {name: value.contiguous() for name, value in network.state_dict().items() if isinstance(value, torch.Tensor)},
        hostile / "open_clip_model.safetensors",
    )
    with pytest.raises(ModelError, match="code"):
        load_embedder("openclip", f"local-dir:{hostile}").embed_texts(["a"])


@pytest.mark.parametrize("backend", sorted(embedders.REGISTRY))
@pytest.mark.parametrize("place", ["local-dir:{}", "{}"])
def test_no_backend_runs_the_code_of_a_folder(hostile, backend, place):
    with pytest.raises(ModelError):
        load_embedder(backend, place.format(hostile), download=True)


class Runs:
    """Unpickled, it writes a file."""

    def __init__(self, ran):
        self.ran = ran

    def __reduce__(self):
        return os.system, (f"touch {self.ran}",)


@pytest.mark.slow
@pytest.mark.parametrize("how", ["pickle", "torch", "torch-legacy"])
@pytest.mark.parametrize("name", ["model.pt", "pytorch_model.bin", "model.safetensors", "model.onnx"])
@pytest.mark.parametrize("backend", sorted(embedders.REGISTRY))
def test_no_backend_runs_a_pickle(hostile, tmp_path, backend, name, how):
    path = hostile / name
    content = {"state_dict": Runs(tmp_path / "ran"), "model_state_dict": {"a": Runs(tmp_path / "ran")}}
    if how == "pickle":
        path.write_bytes(pickle.dumps(content))
    else:
        torch.save(content, path, _use_new_zipfile_serialization=how == "torch")
    if backend == "openclip":
        open_clip(hostile)
        shutil.copy(path, hostile / f"open_clip_{name}")
    if backend == "timm":
        hostile.joinpath("config.json").write_text(json.dumps({"architecture": "vit_tiny_patch16_224"}))
    folder = backend in ("openclip", "timm", "transformers")
    with pytest.raises(ModelError):
        load_embedder(backend, f"local-dir:{hostile}" if folder else str(path))


# --- pipelines --------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    return save("sd", tmp_path_factory.mktemp("sd"))


@pytest.fixture
def pipeline(hostile, saved, tmp_path):
    """A pipeline that would load, and code beside each of its parts."""
    folder = tmp_path / "pipeline"
    shutil.copytree(saved, folder)
    for part in (".", "unet", "text_encoder", "tokenizer"):
        folder.joinpath(part, "strange.py").write_text(CODE.format(ran=str(tmp_path / "ran")))
    return folder


def change(path, **keys):
    path.write_text(json.dumps(json.loads(path.read_text()) | keys))


def load(folder):
    return load_generator(str(folder), steps=1, device="cpu", download=True)


FOREIGN = [
    ("unet", ["os", "system"]),
    ("unet", ["subprocess", "Popen"]),
    ("unet", ["builtins", "eval"]),
    ("unet", ["strange", "Model"]),
    ("unet", ["../strange", "Model"]),
    ("unet", ["", "eval"]),
    ("unet", ["diffusers.utils", "logging"]),
    ("unet", ["__loader__", "create_module"]),
    ("scheduler", ["logging", "shutdown"]),
    ("safety_checker", ["os", "system"]),
    ("extra", ["os", "system"]),
]


@pytest.mark.parametrize(("part", "value"), FOREIGN)
def test_a_component_of_another_library_is_refused_before_it_is_imported(pipeline, monkeypatch, part, value):
    change(pipeline / "model_index.json", **{part: value})
    monkeypatch.setattr("diffusers.DiffusionPipeline.from_pretrained", None)  # nothing gets so far
    with pytest.raises(ModelError, match=rf"model_index.json: the component `{part}` \({value[1]}\) is of '"):
        load(pipeline)
    assert [said for said in pipeline_problems(pipeline) if f"`{part}` ({value[1]}) is of {value[0]!r}" in said]


@pytest.mark.parametrize("library", ["diffusers", "transformers"])
def test_code_that_is_called_as_a_library_is_not_run(pipeline, library):
    (pipeline / "unet/strange.py").rename(pipeline / "unet" / f"{library}.py")
    change(pipeline / "model_index.json", unet=[library, "UNet2DConditionModel"])
    said = f"the component `unet` (UNet2DConditionModel) comes with code of its own (unet/{library}.py)"
    with pytest.raises(ModelError) as error:
        load(pipeline)
    assert said in str(error.value)
    assert [problem for problem in pipeline_problems(pipeline) if said in problem]


def test_a_pipeline_in_a_pipeline_is_refused(pipeline):
    change(pipeline / "model_index.json", unet=["diffusers", "DiffusionPipeline"])
    (pipeline / "unet/model_index.json").write_text(json.dumps({"_class_name": "X", "unet": ["os", "system"]}))
    with pytest.raises(ModelError, match=r"`unet` .* is a pipeline itself"):
        load(pipeline)
    assert [said for said in pipeline_problems(pipeline) if "`unet` (DiffusionPipeline) is a pipeline itself" in said]


def test_components_of_diffusers_and_empty_ones_are_accepted(pipeline):
    index = {"safety_checker": ["stable_diffusion", "StableDiffusionSafetyChecker"], "feature_extractor": [None, None]}
    change(pipeline / "model_index.json", **index)
    assert list(pipeline_problems(pipeline)) == []
    load(pipeline)


@pytest.mark.parametrize("name", ["None", "pipeline", "my_pipeline"])
@pytest.mark.parametrize("named", ["StableDiffusionPipeline", ["my_pipeline", "Model"]])
def test_a_pipelines_own_class_is_not_run(pipeline, name, named):
    shutil.copy(pipeline / "strange.py", pipeline / f"{name}.py")
    change(pipeline / "model_index.json", _class_name=named, custom_pipeline=name)
    if name != "None" and isinstance(named, str):
        load(pipeline)  # without it
        return
    with pytest.raises(ModelError, match="code"):
        load(pipeline)


@pytest.mark.parametrize("kind", [("transformers", "AutoModel"), ("diffusers", "AutoModel")])
@pytest.mark.parametrize("part", ["text_encoder", "unet"])
def test_a_configuration_within_a_pipeline_that_asks_for_code_runs_nothing(pipeline, hostile, part, kind):
    change(pipeline / "model_index.json", **{part: kind})
    shutil.copy(hostile / "config.json", pipeline / part / "config.json")
    with pytest.raises(ModelError):
        load(pipeline)


@pytest.mark.parametrize("kind", ["AutoTokenizer", "CLIPTokenizer", "AutoImageProcessor"])
def test_a_tokenizer_within_a_pipeline_that_asks_for_code_runs_nothing(pipeline, hostile, kind):
    change(pipeline / "model_index.json", tokenizer=["transformers", kind])
    for name in ("tokenizer_config.json", "preprocessor_config.json", "config.json"):
        shutil.copy(hostile / name, pipeline / "tokenizer" / name)
    try:
        load(pipeline)
    except ModelError as error:
        assert str(pipeline) in str(error)
