"""Code that comes with a model is not run, whoever says "y"."""

import io
import json
import sys

import pytest
from tokenizers import Tokenizer, models

from fit import embedders
from fit.embedders.base import Weights
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
    monkeypatch.setattr(sys, "stdin", io.StringIO("y\n" * 100))
    folder = tmp_path / "model"
    folder.mkdir()
    folder.joinpath("strange.py").write_text(CODE.format(ran=str(tmp_path / "ran")))
    auto = {
        "AutoConfig": "strange.Config",
        "AutoModel": "strange.Model",
        "AutoTokenizer": ["strange.Tokens", None],
        "AutoImageProcessor": "strange.Processor",
    }
    for name in ("config.json", "tokenizer_config.json", "preprocessor_config.json"):
        kinds = {"model_type": "strange", "tokenizer_class": "Tokens", "image_processor_type": "Processor"}
        folder.joinpath(name).write_text(json.dumps(kinds | {"auto_map": auto}))
    Tokenizer(models.WordLevel({"a": 0}, unk_token="a")).save(str(folder / "tokenizer.json"))
    return folder


def open_clip(folder, **text):
    vision = {"image_size": 32, "layers": 1, "width": 64, "patch_size": 16}
    text = {"context_length": 8, "vocab_size": 64, "width": 64, "heads": 1, "layers": 1} | text
    model = {"embed_dim": 8, "vision_cfg": vision, "text_cfg": text}
    folder.joinpath("open_clip_config.json").write_text(json.dumps({"model_cfg": model, "preprocess_cfg": {}}))


def test_a_configuration_that_open_clip_is_led_to_runs_nothing(hostile, tmp_path):
    open_clip(hostile, hf_model_name=str(hostile), hf_proj_type="mlp", hf_pooler_type="mean_pooler")
    with pytest.raises(ModelError, match="code"):
        embedders.load("openclip", Weights(f"local-dir:{hostile}"))
    assert not (tmp_path / "ran").exists()


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
        embedders.load("openclip", Weights(f"local-dir:{hostile}")).embed_texts(["a"])
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("backend", ["transformers", "timm"])
def test_no_other_backend_runs_it(hostile, tmp_path, backend):
    with pytest.raises(ModelError):
        embedders.load(backend, Weights(f"local-dir:{hostile}"))
    assert not (tmp_path / "ran").exists()
