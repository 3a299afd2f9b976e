"""CSD: small networks of random weights, in the layout in which the real one is published."""

import math
import pickle

import numpy as np
import open_clip
import pytest
import torch
from embedding_backends import (
    DIMENSION,
    LAYERS,
    PATCH,
    SIDE,
    WIDTH,
    Payload,
    csd_state,
    is_small_when_sent,
    load_embedder,
    publish_csd,
    same_in_any_batch,
    small_clip,
    vectors,
)
from PIL import Image
from printed import agree
from safetensors.torch import load_file, save_file

from fit.cli.main import main
from fit.embeddings import csd
from fit.errors import ModelError

CLIP_MEAN, CLIP_STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    return publish_csd(tmp_path_factory.mktemp("csd") / "pytorch_model.bin")


def csd_by_hand(state, picture):
    """CSD's descriptor of one picture, from its matrices alone: CLIP's ViT, then the style matrix."""
    w = {name.removeprefix("module."): tensor.double() for name, tensor in state.items()}
    short = min(picture.size)
    size = [int(SIDE * side / short) for side in picture.size]
    left, top = (round((side - SIDE) / 2) for side in size)
    crop = picture.resize(size, Image.Resampling.BICUBIC).crop((left, top, left + SIDE, top + SIDE))
    x = (torch.tensor(np.asarray(crop)).double() / 255 - torch.tensor(CLIP_MEAN)) / torch.tensor(CLIP_STD)

    def norm(x, name):
        centred = x - x.mean(-1, keepdim=True)
        spread = (centred.square().mean(-1, keepdim=True) + 1e-5).sqrt()
        return centred / spread * w[f"{name}.weight"] + w[f"{name}.bias"]

    grid = SIDE // PATCH
    patches = x.reshape(grid, PATCH, grid, PATCH, 3).permute(0, 2, 4, 1, 3).reshape(grid * grid, -1)
    tokens = patches @ w["backbone.conv1.weight"].reshape(WIDTH, -1).T
    x = torch.cat([w["backbone.class_embedding"][None], tokens]) + w["backbone.positional_embedding"]
    x = norm(x, "backbone.ln_pre")
    for n in range(LAYERS):
        block = f"backbone.transformer.resblocks.{n}"
        h = norm(x, f"{block}.ln_1") @ w[f"{block}.attn.in_proj_weight"].T + w[f"{block}.attn.in_proj_bias"]
        heads = []
        for head in range(WIDTH // 64):
            q, k, v = (h[:, part * WIDTH + head * 64 :][:, :64] for part in range(3))
            heads.append((q @ k.T / math.sqrt(64)).softmax(-1) @ v)
        x = x + torch.cat(heads, 1) @ w[f"{block}.attn.out_proj.weight"].T + w[f"{block}.attn.out_proj.bias"]
        h = norm(x, f"{block}.ln_2") @ w[f"{block}.mlp.c_fc.weight"].T + w[f"{block}.mlp.c_fc.bias"]
        h = h / (1 + (-1.702 * h).exp())  # QuickGELU
        x = x + h @ w[f"{block}.mlp.c_proj.weight"].T + w[f"{block}.mlp.c_proj.bias"]
    style = norm(x[0], "backbone.ln_post") @ w["last_layer_style"]
    return (style / style.norm()).float().numpy()


def test_csd_is_what_its_matrices_say(published, pictures):
    embedder = load_embedder("csd", str(published))
    found = same_in_any_batch(embedder, pictures)
    expected = np.stack([csd_by_hand(csd_state(), picture) for picture in pictures])
    assert np.abs(found - expected).max() < 2e-5
    is_small_when_sent(embedder, pictures[0])


def test_csd_converts_to_what_it_needs(published, pictures, tmp_path, capsys):
    out = tmp_path / "weights" / "csd.safetensors"
    assert main(["embeddings", "convert", str(published), str(out)]) == 0
    assert "2 layers of width 128, patches of 8 in 32 pixels, 24 numbers" in capsys.readouterr().out
    _, found = agree(capsys, "embeddings", "convert", published, out)
    assert found["out"] == str(out) and found["network"]["layers"] == 2
    needed = {name for name in csd_state(prefix="") if name != "last_layer_content"}
    assert load_file(out).keys() == needed
    assert out.stat().st_mode & 0o044 == 0o044
    one, other = (load_embedder("csd", str(path)) for path in (published, out))
    assert np.array_equal(vectors(one, pictures), vectors(other, pictures))
    assert main(["embeddings", "convert", str(published), str(tmp_path / "csd.bin")]) == 1
    assert ".safetensors" in capsys.readouterr().err


def test_the_published_size_is_vit_l_14(monkeypatch):
    """The network that the published shapes lead to is the one that open_clip calls ViT-L-14-quickgelu."""
    config = open_clip.get_model_config("ViT-L-14-quickgelu")
    with torch.device("meta"):
        visual = open_clip.CLIP(**config).visual
    shapes = {f"backbone.{name}": tuple(tensor.shape) for name, tensor in visual.state_dict().items()}
    shapes["last_layer_style"] = shapes.pop("backbone.proj")
    assert len(shapes) == 296  # those of the published file, except last_layer_content
    assert csd.architecture(shapes, "") == {
        "act_layer": open_clip.transformer.QuickGELU,
        "output_dim": config["embed_dim"],
        "heads": 16,
        "mlp_ratio": 4.0,
        **config["vision_cfg"],
    }
    tower = csd.empty_tower(shapes, "")
    assert [(n, t.shape) for n, t in tower.state_dict().items()] == [
        (n, t.shape) for n, t in visual.state_dict().items()
    ]
    assert str(tower) == str(visual.eval())
    resize, crop, _, scale = csd.preprocessing(224).transforms
    assert (resize.size, resize.interpolation.value, crop.size) == (224, "bicubic", (224, 224))
    assert (scale.mean, scale.std) == (CLIP_MEAN, CLIP_STD)


@pytest.mark.parametrize("zipped", [True, False])
def test_code_in_a_pickle_does_not_run(tmp_path, zipped):
    trace = tmp_path / "trace"
    content = {"model_state_dict": csd_state(), "args": Payload(trace)}
    path = tmp_path / "pytorch_model.bin"
    if zipped:
        torch.save(content, path)
    else:
        path.write_bytes(pickle.dumps(content, protocol=2))
    with pytest.raises(ModelError, match="nothing of it was run"):
        load_embedder("csd", str(path))
    assert not trace.exists()
    with path.open("rb") as file:
        if zipped:
            torch.load(file, weights_only=False)  # it would have
            assert trace.exists()


def damaged(state, how):
    if how == "missing":
        del state["module.backbone.transformer.resblocks.1.mlp.c_proj.bias"], state["module.backbone.ln_pre.weight"]
    if how == "more":
        state["module.backbone.proj"] = torch.zeros(WIDTH, DIMENSION)
        state["module.backbone.strange"] = torch.zeros(2)
    if how == "misshapen":
        state["module.backbone.ln_post.bias"] = torch.zeros(WIDTH + 1)
    if how == "without a style":
        del state["module.last_layer_style"]
    if how == "narrow":
        state["module.backbone.positional_embedding"] = torch.zeros(19, WIDTH)
    return state


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ("missing", r"missing: backbone.ln_pre.weight \(128,\), backbone.transformer.resblocks.1.mlp.c_proj.bias"),
        ("more", r"not expected: backbone.strange \(2,\)"),
        ("misshapen", r"of another shape: backbone.ln_post.bias \(129,\) instead of \(128,\)"),
        ("without a style", "'last_layer_style' is not in it"),
        ("narrow", "19 positions"),
    ],
)
def test_weights_that_are_not_csds_are_named(tmp_path, how, said):
    path = publish_csd(tmp_path / "wrong.bin", damaged(csd_state(), how))
    with pytest.raises(ModelError, match=f"wrong.bin: .*{said}"):
        load_embedder("csd", str(path))


def test_files_that_are_not_a_checkpoint_are_named(tmp_path, published):
    (tmp_path / "cut.bin").write_bytes(published.read_bytes()[:5000])
    (tmp_path / "empty.bin").write_bytes(b"")
    (tmp_path / "text.safetensors").write_text("no tensors here, but enough text to look for some")
    torch.save(torch.zeros(3), tmp_path / "tensor.bin")
    save_file(open_clip.CLIP(**small_clip()).state_dict(), tmp_path / "clip.safetensors")
    for name in (
        "cut.bin",
        "empty.bin",
        "text.safetensors",
        "tensor.bin",
        "clip.safetensors",
        "absent.bin",
    ):
        with pytest.raises(ModelError, match=name):
            load_embedder("csd", str(tmp_path / name))


def test_csd_is_read_from_the_hubs_cache(hub, published, pictures):
    with pytest.raises(ModelError, match=r"CSD-ViT-L.*pytorch_model.bin.*embedders.NAME.download: true"):
        load_embedder("csd", "hf-hub:tomg-group-umd/CSD-ViT-L")
    hub("tomg-group-umd/CSD-ViT-L", [published])
    one, other = (load_embedder("csd", place) for place in ("hf-hub:tomg-group-umd/CSD-ViT-L", str(published)))
    assert np.array_equal(vectors(one, pictures), vectors(other, pictures))
    assert not hub.asked
