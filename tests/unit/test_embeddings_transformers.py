"""Models of transformers and timm: small networks of random weights, compared with what the libraries compute."""

import json

import numpy as np
import pytest
import timm
import torch
import torch.nn.functional as F
import transformers
from embedding_backends import (
    SMALL,
    is_small_when_sent,
    load_embedder,
    prepared,
    same_in_any_batch,
    save_dinov2,
    save_network,
    vectors,
)
from PIL import Image
from safetensors.torch import load_file, save_file

from fit.errors import ModelError


@pytest.fixture(scope="module")
def dinov2(tmp_path_factory):
    return save_dinov2(tmp_path_factory.mktemp("dinov2"))


def test_dinov2_is_its_class_token(dinov2, pictures):
    network, folder = dinov2
    embedder = load_embedder("transformers", str(folder))
    found = same_in_any_batch(embedder, pictures)
    batch = prepared(embedder, pictures)
    with torch.inference_mode():
        token = network(pixel_values=batch).last_hidden_state[:, 0]
    assert np.abs(found - F.normalize(token, dim=-1).numpy()).max() < 1e-5
    is_small_when_sent(embedder, pictures[0])
    square = np.asarray(pictures[1].resize((28, 28), Image.Resampling.BICUBIC))
    by_hand = (square / 255 - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]
    # A level of 255 either way: two libraries' rounding of the same resizing.
    assert np.abs(batch[1].permute(1, 2, 0).numpy() - by_hand).max() < 3 / 255 / 0.224
    with pytest.raises(ModelError, match="no text tower"):
        embedder.embed_texts(["an artwork"])


@pytest.mark.parametrize("kind", ["CLIP", "Siglip"])
def test_a_model_with_two_towers_gives_its_image_tower(kind, pictures, tmp_path):
    torch.manual_seed(6)
    small = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 2}
    text = small | {"vocab_size": 100, "bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0}
    config = getattr(transformers, f"{kind}Config")(text_config=text, vision_config=SMALL | {"intermediate_size": 48})
    network = getattr(transformers, f"{kind}Model")(config).eval()
    embedder = load_embedder("transformers", f"local-dir:{save_network(network, tmp_path)}")
    with torch.inference_mode():
        pooled = network.vision_model(pixel_values=prepared(embedder, pictures)).pooler_output
    assert np.abs(vectors(embedder, pictures) - F.normalize(pooled, dim=-1).numpy()).max() < 1e-5
    assert not any("text" in name for name, _ in embedder._network.named_parameters())


@pytest.mark.parametrize("pooler", [True, False])
def test_a_pooler_counts_only_where_it_was_trained(pooler, pictures, tmp_path):
    torch.manual_seed(7)
    config = transformers.ViTConfig(**SMALL, intermediate_size=48)
    kind = transformers.ViTModel if pooler else transformers.ViTForImageClassification
    network = kind(config).eval()
    embedder = load_embedder("transformers", str(save_network(network, tmp_path)))
    with torch.inference_mode():
        output = (network if pooler else network.vit)(pixel_values=prepared(embedder, pictures))
        expected = output.pooler_output if pooler else output.last_hidden_state[:, 0]
    assert np.abs(vectors(embedder, pictures) - F.normalize(expected, dim=-1).numpy()).max() < 1e-5


def test_a_convolutional_network_gives_its_pooled_channels(pictures, tmp_path):
    torch.manual_seed(8)
    config = transformers.ResNetConfig(embedding_size=8, hidden_sizes=[8, 16], depths=[1, 1], layer_type="basic")
    network = transformers.ResNetModel(config).eval()
    embedder = load_embedder("transformers", str(save_network(network, tmp_path)))
    assert same_in_any_batch(embedder, pictures).shape == (len(pictures), 16)


def test_transformers_weights_that_are_wrong_are_named(dinov2, hub, tmp_path):
    network, folder = dinov2
    state = load_file(folder / "model.safetensors")
    changes = {
        "lacking": {name: tensor for name, tensor in state.items() if "layer.1." not in name},
        "misshapen": state | {"layernorm.weight": torch.zeros(31)},
    }
    said = {
        "lacking": "lacks .* weights of Dinov2Model, such as encoder.layer.1",
        "misshapen": "layernorm.weight.*31.*32|ize mismatch|mismatched",
    }
    for name, tensors in changes.items():
        save_network(network, tmp_path / name)
        save_file(tensors, tmp_path / name / "model.safetensors", metadata={"format": "pt"})
        with pytest.raises(ModelError, match=f"{name}: .*{said[name]}"):
            load_embedder("transformers", str(tmp_path / name))
    save_network(network, tmp_path / "pickled")
    (tmp_path / "pickled" / "model.safetensors").unlink()
    torch.save(state, tmp_path / "pickled" / "pytorch_model.bin")  # harmless, but no pickle is read
    save_network(network, tmp_path / "cut")
    (tmp_path / "cut" / "model.safetensors").write_bytes(b"\x10\0\0\0\0\0\0\0{")
    for name in ("pickled", "cut", "absent"):
        with pytest.raises(ModelError, match=f"{name}: transformers can't load"):
            load_embedder("transformers", str(tmp_path / name))
    transformers.BertModel(
        transformers.BertConfig(hidden_size=8, num_hidden_layers=1, num_attention_heads=1, intermediate_size=8)
    ).save_pretrained(tmp_path / "bert")
    with pytest.raises(ModelError, match=r"bert: .*image"):
        load_embedder("transformers", str(tmp_path / "bert"))
    assert not hub.asked


def test_code_that_comes_with_a_model_does_not_run(dinov2, tmp_path):
    folder = save_network(dinov2[0], tmp_path / "model")
    config = json.loads((folder / "config.json").read_text())
    config |= {"model_type": "strange", "auto_map": {"AutoConfig": "code.C", "AutoModel": "code.M"}}
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "code.py").write_text(f"import os\nos.mkdir({str(tmp_path / 'trace')!r})\n")
    with pytest.raises(ModelError, match="transformers can't load"):
        load_embedder("transformers", str(folder))
    assert not (tmp_path / "trace").exists()


def test_transformers_and_timm_ask_no_network_unless_allowed(hub, dinov2, timm_folder, pictures):
    for backend, folder in (("transformers", dinov2[1]), ("timm", timm_folder[1])):
        with pytest.raises(ModelError, match=f"hf-hub:some/{backend}: .*embedders.NAME.download: true"):
            load_embedder(backend, f"hf-hub:some/{backend}")
        hub(f"some/{backend}", folder.iterdir())
        one, other = (load_embedder(backend, model) for model in (f"hf-hub:some/{backend}", f"local-dir:{folder}"))
        assert np.array_equal(vectors(one, pictures), vectors(other, pictures))
    assert not hub.asked


@pytest.fixture(scope="module")
def timm_folder(tmp_path_factory):
    torch.manual_seed(9)
    small = {"img_size": 32, "patch_size": 8, "embed_dim": 48, "depth": 2, "num_heads": 2}
    network = timm.create_model("vit_tiny_patch16_224", num_classes=5, **small).eval()
    folder = tmp_path_factory.mktemp("timm")
    config = {"input_size": [3, 32, 32], "crop_pct": 1.0, "interpolation": "bicubic", "num_classes": 5}
    config |= {"mean": [0.5] * 3, "std": [0.5] * 3, "classifier": "head", "first_conv": "patch_embed.proj"}
    settings = {"architecture": "vit_tiny_patch16_224", "pretrained_cfg": config, "model_args": small}
    settings |= {"num_classes": 5}
    (folder / "config.json").write_text(json.dumps(settings))
    save_file(network.state_dict(), folder / "model.safetensors")
    return network, folder


def test_timm_is_what_the_classifier_takes(timm_folder, pictures, tmp_path):
    network, folder = timm_folder
    embedder = load_embedder("timm", f"local-dir:{folder}")
    found = same_in_any_batch(embedder, pictures)
    with torch.inference_mode():
        batch = prepared(embedder, pictures)
        expected = network.forward_head(network.forward_features(batch), pre_logits=True)
    assert np.abs(found - F.normalize(expected, dim=-1).numpy()).max() < 1e-5
    is_small_when_sent(embedder, pictures[0])
    state = load_file(folder / "model.safetensors")
    del state["blocks.1.norm1.weight"]
    (tmp_path / "config.json").write_text((folder / "config.json").read_text())
    save_file(state, tmp_path / "model.safetensors")
    with pytest.raises(ModelError, match=r"Missing key.*blocks.1.norm1.weight"):
        load_embedder("timm", f"local-dir:{tmp_path}")
