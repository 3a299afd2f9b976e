"""Encoders of whole images: small networks with random weights, in the layouts in which real ones are published.

What comes out is compared with the same thing computed without the backend, in these tests.
"""

import argparse
import collections
import contextlib
import gc
import json
import math
import os
import pickle
import socket
import threading
import time
import weakref
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import open_clip
import pyarrow as pa
import pytest
import timm
import torch
import torch.nn.functional as F
import transformers
from huggingface_hub import constants
from PIL import Image
from safetensors.torch import load_file, save_file

from fit import embeddings as embedders
from fit.atelier import build
from fit.atelier.corpus import paint_photographs
from fit.atelier.encoders import save_encoder
from fit.atelier.painting import SUBJECTS, draw_styles, paint
from fit.atelier.settings import ArtFilterSettings
from fit.cli.main import main
from fit.embeddings import csd, loading
from fit.embeddings.base import EmbedderSettings, Embedding
from fit.embeddings.files import rows
from fit.errors import ModelError
from fit.io import parquet

CLIP_MEAN, CLIP_STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
WIDTH, LAYERS, PATCH, SIDE, DIMENSION = 128, 2, 8, 32, 24


@pytest.fixture(scope="module")
def pictures():
    rng = np.random.default_rng(0)
    sizes = [(50, 70), (32, 32), (33, 90), (64, 40), (200, 100)]
    return [Image.fromarray(rng.integers(255, size=(*size, 3), dtype=np.uint8)) for size in sizes]


def vectors(embedder, pictures):
    found = embedder.embed([embedder.prepare(picture) for picture in pictures])
    assert all(len(of_image) == 1 and of_image[0].box is None for of_image in found)
    return np.stack([of_image[0].vector for of_image in found])


def same_in_any_batch(embedder, pictures):
    """The contract of fit.embeddings.base, and what every backend owes: unit float32."""
    together = vectors(embedder, pictures)
    alone = np.concatenate([vectors(embedder, [picture]) for picture in pictures])
    backwards = vectors(embedder, pictures[::-1])[::-1]
    assert together.dtype == np.float32
    assert np.linalg.norm(together, axis=1) == pytest.approx(np.ones(len(pictures)), abs=1e-5)
    assert np.abs(together - alone).max() < 1e-4
    assert np.abs(together - backwards).max() < 1e-4
    assert np.abs(together[0] - together[1]).max() > 1e-3  # it looks at the picture
    return together


def travels_light(embedder, picture):
    """`prepare` reaches other processes by pickle: small, and the same there."""
    there = pickle.dumps(embedder.prepare)
    assert len(there) < 20_000
    assert torch.equal(torch.as_tensor(pickle.loads(there)(picture)), torch.as_tensor(embedder.prepare(picture)))


# --- CSD --------------------------------------------------------------------------------------------------------------


def csd_state(prefix="module.", content=True):
    """A state dict with CSD's names and small shapes."""
    generator = torch.Generator().manual_seed(1)

    def random(*shape, scale=0.1):
        return scale * torch.randn(*shape, generator=generator)

    state = {
        "backbone.class_embedding": random(WIDTH, scale=1),
        "backbone.positional_embedding": random((SIDE // PATCH) ** 2 + 1, WIDTH, scale=1),
        "backbone.conv1.weight": random(WIDTH, 3, PATCH, PATCH),
    }
    blocks = [f"backbone.transformer.resblocks.{n}." for n in range(LAYERS)]
    for norm in ["backbone.ln_pre.", "backbone.ln_post.", *(f"{block}ln_{n}." for block in blocks for n in (1, 2))]:
        state[f"{norm}weight"], state[f"{norm}bias"] = 1 + random(WIDTH), random(WIDTH)
    for block in blocks:
        state[f"{block}attn.in_proj_weight"] = random(3 * WIDTH, WIDTH)
        state[f"{block}attn.in_proj_bias"] = random(3 * WIDTH)
        for name, shape in {
            "attn.out_proj": (WIDTH, WIDTH),
            "mlp.c_fc": (4 * WIDTH, WIDTH),
            "mlp.c_proj": (WIDTH, 4 * WIDTH),
        }.items():
            state[f"{block}{name}.weight"], state[f"{block}{name}.bias"] = random(*shape), random(shape[0])
    state["last_layer_style"] = random(WIDTH, DIMENSION)
    if content:
        state["last_layer_content"] = random(WIDTH, DIMENSION)
    return collections.OrderedDict((prefix + name, tensor) for name, tensor in state.items())


def publish_csd(path, state=None):
    """Write a checkpoint as CSD's training script does, with what else it saves."""
    state = csd_state() if state is None else state
    rate = np.float64(0.003)  # numpy's, as a learning rate of its schedule is
    optimizer = {"state": {0: {"momentum_buffer": torch.zeros(7)}}, "param_groups": [{"lr": rate, "params": [0]}]}
    arguments = argparse.Namespace(arch="vit_large", lr=0.003, use_fp16=True, gpu=0)
    beside = {"opt_bb": optimizer, "opt_proj": optimizer, "iter": 80000, "args": arguments}
    torch.save({"model_state_dict": state, **beside, "fp16_scaler": {"scale": 65536.0}}, path)
    with zipfile.ZipFile(path) as file:
        parts = {name: file.read(name) for name in file.namelist()}
    with zipfile.ZipFile(path, "w") as file:
        for name, content in parts.items():
            # numpy 1, with which it was published, had another name for what makes its numbers.
            file.writestr(name, content.replace(b"cnumpy._core.multiarray\n", b"cnumpy.core.multiarray\n"))
    return path


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    return publish_csd(tmp_path_factory.mktemp("csd") / "pytorch_model.bin")


def csd_by_hand(state, picture):
    """CSD's descriptor of one picture, from its matrices alone: CLIP's ViT, then the style matrix."""
    w = {name.removeprefix("module."): tensor.double() for name, tensor in state.items()}
    short = min(picture.size)
    size = [int(SIDE * side / short) for side in picture.size]
    left, top = (round((side - SIDE) / 2) for side in size)
    match_threshold = picture.resize(size, Image.Resampling.BICUBIC).crop((left, top, left + SIDE, top + SIDE))
    x = (torch.tensor(np.asarray(match_threshold)).double() / 255 - torch.tensor(CLIP_MEAN)) / torch.tensor(CLIP_STD)

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
    embedder = embedders.load("csd", EmbedderSettings(str(published)))
    found = same_in_any_batch(embedder, pictures)
    expected = np.stack([csd_by_hand(csd_state(), picture) for picture in pictures])
    assert np.abs(found - expected).max() < 2e-5
    travels_light(embedder, pictures[0])


def test_csd_converts_to_what_it_needs(published, pictures, tmp_path, capsys):
    out = tmp_path / "weights" / "csd.safetensors"
    assert main(["embeddings", "convert", str(published), str(out)]) == 0
    assert "2 layers of width 128, patches of 8 in 32 pixels, 24 numbers" in capsys.readouterr().out
    needed = {name for name in csd_state(prefix="") if name != "last_layer_content"}
    assert load_file(out).keys() == needed
    assert out.stat().st_mode & 0o044 == 0o044
    one, other = (embedders.load("csd", EmbedderSettings(str(path))) for path in (published, out))
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
    assert len(shapes) == 296  # those of the published file, but for last_layer_content
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


class Payload:
    """Unpickled by a reader that runs what it reads, it makes a file."""

    def __init__(self, file):
        self.file = file

    def __reduce__(self):
        return os.mkdir, (str(self.file),)


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
        embedders.load("csd", EmbedderSettings(str(path)))
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
def test_other_weights_than_csds_are_named(tmp_path, how, said):
    path = publish_csd(tmp_path / "wrong.bin", damaged(csd_state(), how))
    with pytest.raises(ModelError, match=f"wrong.bin: .*{said}"):
        embedders.load("csd", EmbedderSettings(str(path)))


def test_files_that_are_no_checkpoint_are_named(tmp_path, published):
    (tmp_path / "match threshold.bin").write_bytes(published.read_bytes()[:5000])
    (tmp_path / "empty.bin").write_bytes(b"")
    (tmp_path / "text.safetensors").write_text("no tensors here, but enough text to look for some")
    torch.save(torch.zeros(3), tmp_path / "tensor.bin")
    save_file(open_clip.CLIP(**small_clip()).state_dict(), tmp_path / "clip.safetensors")
    for name in (
        "match threshold.bin",
        "empty.bin",
        "text.safetensors",
        "tensor.bin",
        "clip.safetensors",
        "absent.bin",
    ):
        with pytest.raises(ModelError, match=name):
            embedders.load("csd", EmbedderSettings(str(tmp_path / name)))


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """A cache of the hub, empty: function that puts files into it as a repository; whoever asks the network fails."""
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    asked = []

    def refuse(host, *rest, **options):
        asked.append(host)
        raise OSError("the network was asked")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setattr(time, "sleep", lambda seconds: None)  # between attempts

    def put(repository, files):
        commit = "0" * 40
        folder = tmp_path / "hub" / f"models--{repository.replace('/', '--')}"
        snapshot = folder / "snapshots" / commit
        snapshot.mkdir(parents=True)
        (folder / "refs").mkdir()
        (folder / "refs" / "main").write_text(commit)
        for file in files:
            (snapshot / Path(file).name).write_bytes(Path(file).read_bytes())

    put.asked = asked
    return put


def test_csd_is_read_from_the_hubs_cache(hub, published, pictures):
    with pytest.raises(ModelError, match=r"CSD-ViT-L.*pytorch_model.bin.*embedders.NAME.download: true"):
        embedders.load("csd", EmbedderSettings("hf-hub:tomg-group-umd/CSD-ViT-L"))
    hub("tomg-group-umd/CSD-ViT-L", [published])
    one, other = (
        embedders.load("csd", EmbedderSettings(place)) for place in ("hf-hub:tomg-group-umd/CSD-ViT-L", str(published))
    )
    assert np.array_equal(vectors(one, pictures), vectors(other, pictures))
    assert not hub.asked


# --- open_clip --------------------------------------------------------------------------------------------------------


def small_clip(**vision):
    vision = {"image_size": SIDE, "layers": 2, "width": 128, "patch_size": 8} | vision
    text = {"context_length": 12, "vocab_size": 49408, "width": 16, "heads": 2, "layers": 1}
    return {"embed_dim": 24, "vision_cfg": vision, "text_cfg": text}


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    """(model, folder): a CLIP, and where save_encoder put it."""
    torch.manual_seed(3)
    model = open_clip.CLIP(**small_clip(), quick_gelu=True).eval()
    folder = tmp_path_factory.mktemp("clip") / "model"
    save_encoder(model, small_clip() | {"quick_gelu": True}, folder)
    return model, folder


def test_openclip_is_its_image_tower(clip, pictures):
    model, folder = clip
    embedder = embedders.load("openclip", EmbedderSettings(f"local-dir:{folder}"))
    found = same_in_any_batch(embedder, pictures)
    with torch.inference_mode():
        batch = torch.stack([embedder.prepare(picture) for picture in pictures])
        assert np.abs(found - model.encode_image(batch, normalize=True).numpy()).max() < 1e-5
        tokens = open_clip.SimpleTokenizer(context_length=12)(["an artwork", "a photograph"])
        texts = model.encode_text(tokens, normalize=True).numpy()
    assert np.abs(embedder.embed_texts(["an artwork", "a photograph"]) - texts).max() < 1e-5
    travels_light(embedder, pictures[0])


def test_openclip_keeps_no_text_tower_for_images(clip, pictures, monkeypatch):
    made = []
    create = open_clip.create_model
    monkeypatch.setattr(open_clip, "create_model", lambda *a, **o: made.append(create(*a, **o)) or made[-1])
    embedder = embedders.load("openclip", EmbedderSettings(f"local-dir:{clip[1]}"))
    before = embedder.embed_texts(["an artwork"])
    assert len(made) == 1
    text_tower = weakref.ref(made.pop().transformer)
    vectors(embedder, pictures[:1])
    gc.collect()
    assert text_tower() is None
    assert np.array_equal(embedder.embed_texts(["an artwork"]), before)


def test_two_threads_that_begin_at_once_find_openclips_image_tower(clip, pictures, monkeypatch):
    embedder = embedders.load("openclip", EmbedderSettings(f"local-dir:{clip[1]}"))
    tower, both, moves = embedder._model.visual, threading.Barrier(2), []

    def slowly(*_):
        moves.append(1)
        with contextlib.suppress(threading.BrokenBarrierError):
            both.wait(0.5)  # for the other thread, should it get here too
        return tower

    monkeypatch.setattr(tower, "to", slowly)
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda picture: vectors(embedder, [picture]), pictures[:2]))
    assert len(moves) == 1


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
def test_a_number_format_changes_vectors_by_its_rounding(clip, published, pictures, dtype):
    for backend, model in (("openclip", f"local-dir:{clip[1]}"), ("csd", str(published))):
        exact = vectors(embedders.load(backend, EmbedderSettings(model, dtype="float32")), pictures)
        found = vectors(embedders.load(backend, EmbedderSettings(model, dtype=dtype)), pictures)
        assert found.dtype == np.float32
        assert np.linalg.norm(found, axis=1) == pytest.approx(np.ones(len(pictures)), abs=1e-5)
        assert np.sum(found * exact, axis=1).min() > {"float32": 1 - 1e-6, "float16": 0.9999, "bfloat16": 0.995}[dtype]
        assert np.array_equal(found, exact) == (dtype == "float32")


def test_auto_is_float32_without_a_gpu(monkeypatch):
    for there, format in ((True, torch.float16), (False, torch.float32)):
        monkeypatch.setattr(torch.cuda, "is_available", lambda there=there: there)
        assert loading.number_format(EmbedderSettings("")) == format


def test_a_coca_model_embeds_whole_images(pictures, tmp_path):
    torch.manual_seed(4)
    config = small_clip(attentional_pool=True, attn_pooler_heads=2, output_tokens=True)
    config["text_cfg"] |= {"embed_cls": True, "output_tokens": True}
    config["multimodal_cfg"] = {"context_length": 12, "vocab_size": 49408, "width": 24, "heads": 2, "layers": 1}
    model = open_clip.CoCa(**config).eval()
    save_encoder(model, config | {"custom_text": True}, tmp_path / "coca")
    embedder = embedders.load("openclip", EmbedderSettings(f"local-dir:{tmp_path / 'coca'}"))
    batch = torch.stack([embedder.prepare(picture) for picture in pictures])
    with torch.inference_mode():
        expected = model.encode_image(batch, normalize=True).numpy()
    assert np.abs(vectors(embedder, pictures) - expected).max() < 1e-5


def break_folder(folder, how):
    weights = folder / "open_clip_model.safetensors"
    if how == "no weights":
        weights.unlink()
    if how == "no config":
        (folder / "open_clip_config.json").unlink()
    if how == "another depth":
        config = json.loads((folder / "open_clip_config.json").read_text())
        config["model_cfg"]["vision_cfg"]["layers"] = 3
        (folder / "open_clip_config.json").write_text(json.dumps(config))
    if how == "another width":
        config = json.loads((folder / "open_clip_config.json").read_text())
        config["model_cfg"]["vision_cfg"]["width"] = 64
        (folder / "open_clip_config.json").write_text(json.dumps(config))
    if how == "match_threshold":
        weights.write_bytes(weights.read_bytes()[:3000])
    if how == "code":
        weights.unlink()
        torch.save({"state_dict": {}, "x": Payload(folder / "trace")}, folder / "open_clip_pytorch_model.bin")
    if how == "no folder":
        folder.rename(folder.with_name("elsewhere"))


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ("no weights", "[Rr]equired pretrained weights"),
        ("no config", "config file missing"),
        ("another depth", "Missing key.*resblocks.2"),
        ("another width", "size mismatch for visual.* 128.*current model is torch.Size.*64"),
        ("match_threshold", "open_clip can't load"),
        ("code", "posix.mkdir|nt.mkdir"),
        ("no folder", "model"),
    ],
)
def test_folders_that_openclip_cant_load_are_named(clip, tmp_path, how, said):
    save_encoder(clip[0], small_clip() | {"quick_gelu": True}, tmp_path / "model")
    break_folder(tmp_path / "model", how)
    with pytest.raises(ModelError, match=f"(?s)local-dir:.*model: .*{said}.*local-dir:FOLDER") as error:
        embedders.load("openclip", EmbedderSettings(f"local-dir:{tmp_path / 'model'}"))
    assert len(str(error.value)) < 3000
    assert not (tmp_path / "model" / "trace").exists()


def test_openclip_asks_no_network_unless_allowed(hub, clip, pictures, monkeypatch):
    tag = "ViT-L-14-quickgelu/openai"
    for model, file in (("hf-hub:some/clip", "open_clip_config.json"), (tag, "timm/vit_large_patch14_clip_224.openai")):
        with pytest.raises(ModelError, match=f"{file}.*embedders.NAME.download: true"):
            embedders.load("openclip", EmbedderSettings(model))
    assert not hub.asked
    with pytest.raises(ModelError) as error:
        embedders.load("openclip", EmbedderSettings("hf-hub:some/clip", download=True))
    assert hub.asked and "download: true" not in str(error.value)
    asked = len(hub.asked)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(ModelError, match="HF_HUB_OFFLINE"):
        embedders.load("openclip", EmbedderSettings("hf-hub:some/clip", download=True))
    assert len(hub.asked) == asked and constants.HF_HUB_OFFLINE
    hub("some/clip", clip[1].iterdir())
    one, other = (
        embedders.load("openclip", EmbedderSettings(model)) for model in ("hf-hub:some/clip", f"local-dir:{clip[1]}")
    )
    assert np.array_equal(vectors(one, pictures), vectors(other, pictures))
    assert np.array_equal(one.embed_texts(["an artwork"]), other.embed_texts(["an artwork"]))
    assert len(hub.asked) == asked


def test_every_tag_is_on_the_hub():
    """What open_clip fetches from elsewhere, it would fetch unasked: hub_as_allowed holds only for the hub."""
    tags = open_clip.list_pretrained()
    assert [pair for pair in tags if not open_clip.get_pretrained_cfg(*pair)["hf_hub"]] == []
    assert len(tags) > 100


def test_a_tag_brings_its_own_activation(clip, tmp_path, pictures, monkeypatch):
    """ViT-L-14/openai without -quickgelu is a network that nobody trained; open_clip only warns."""
    config = tmp_path / "small.json"
    config.write_text(json.dumps(small_clip()))
    open_clip.add_model_config(config)
    weights = clip[1] / "open_clip_model.safetensors"
    tag = {"file": str(weights), "quick_gelu": True, "mean": (0.5,) * 3, "std": (0.25,) * 3}
    monkeypatch.setitem(open_clip.pretrained._PRETRAINED, "small", {"quick": tag})
    embedder = embedders.load("openclip", EmbedderSettings("small/quick"))
    folder = embedders.load("openclip", EmbedderSettings(f"local-dir:{clip[1]}"))
    assert np.abs(vectors(embedder, pictures) - vectors(folder, pictures)).max() < 1e-5


# --- transformers and timm --------------------------------------------------------------------------------------------


def processor(side, mean, std, **more):
    """Files of an image processor: shorter side resized, centre."""
    return {
        "image_processor_type": "BitImageProcessor",
        "do_resize": True,
        "size": {"shortest_edge": side},
        "resample": 3,
        "do_center_crop": True,
        "crop_size": {"height": side, "width": side},
        "do_rescale": True,
        "rescale_factor": 1 / 255,
        "do_normalize": True,
        "image_mean": mean,
        "image_std": std,
        "do_convert_rgb": True,
    } | more


def save_network(network, folder):
    network.save_pretrained(folder)
    settings = processor(28, [0.485, 0.456, 0.406], [0.229, 0.224, 0.225])
    (folder / "preprocessor_config.json").write_text(json.dumps(settings))
    return folder


SMALL = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "image_size": 28, "patch_size": 14}


@pytest.fixture(scope="module")
def dinov2(tmp_path_factory):
    torch.manual_seed(5)
    network = transformers.Dinov2Model(transformers.Dinov2Config(**SMALL)).eval()
    return network, save_network(network, tmp_path_factory.mktemp("dinov2"))


def prepared(embedder, pictures):
    return torch.stack([embedder.prepare(picture) for picture in pictures])


def test_dinov2_is_its_class_token(dinov2, pictures):
    network, folder = dinov2
    embedder = embedders.load("transformers", EmbedderSettings(str(folder)))
    found = same_in_any_batch(embedder, pictures)
    batch = prepared(embedder, pictures)
    with torch.inference_mode():
        token = network(pixel_values=batch).last_hidden_state[:, 0]
    assert np.abs(found - F.normalize(token, dim=-1).numpy()).max() < 1e-5
    travels_light(embedder, pictures[0])
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
    embedder = embedders.load("transformers", EmbedderSettings(f"local-dir:{save_network(network, tmp_path)}"))
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
    embedder = embedders.load("transformers", EmbedderSettings(str(save_network(network, tmp_path))))
    with torch.inference_mode():
        output = (network if pooler else network.vit)(pixel_values=prepared(embedder, pictures))
        expected = output.pooler_output if pooler else output.last_hidden_state[:, 0]
    assert np.abs(vectors(embedder, pictures) - F.normalize(expected, dim=-1).numpy()).max() < 1e-5


def test_a_convolutional_network_gives_its_pooled_channels(pictures, tmp_path):
    torch.manual_seed(8)
    config = transformers.ResNetConfig(embedding_size=8, hidden_sizes=[8, 16], depths=[1, 1], layer_type="basic")
    network = transformers.ResNetModel(config).eval()
    embedder = embedders.load("transformers", EmbedderSettings(str(save_network(network, tmp_path))))
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
            embedders.load("transformers", EmbedderSettings(str(tmp_path / name)))
    save_network(network, tmp_path / "pickled")
    (tmp_path / "pickled" / "model.safetensors").unlink()
    torch.save(state, tmp_path / "pickled" / "pytorch_model.bin")  # harmless, but no pickle is read
    save_network(network, tmp_path / "match_threshold")
    (tmp_path / "match_threshold" / "model.safetensors").write_bytes(b"\x10\0\0\0\0\0\0\0{")
    for name in ("pickled", "match_threshold", "absent"):
        with pytest.raises(ModelError, match=f"{name}: transformers can't load"):
            embedders.load("transformers", EmbedderSettings(str(tmp_path / name)))
    transformers.BertModel(
        transformers.BertConfig(hidden_size=8, num_hidden_layers=1, num_attention_heads=1, intermediate_size=8)
    ).save_pretrained(tmp_path / "bert")
    with pytest.raises(ModelError, match=r"bert: .*image"):
        embedders.load("transformers", EmbedderSettings(str(tmp_path / "bert")))
    assert not hub.asked


def test_code_that_comes_with_a_model_does_not_run(dinov2, tmp_path):
    folder = save_network(dinov2[0], tmp_path / "model")
    config = json.loads((folder / "config.json").read_text())
    config |= {"model_type": "strange", "auto_map": {"AutoConfig": "code.C", "AutoModel": "code.M"}}
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "code.py").write_text(f"import os\nos.mkdir({str(tmp_path / 'trace')!r})\n")
    with pytest.raises(ModelError, match="transformers can't load"):
        embedders.load("transformers", EmbedderSettings(str(folder)))
    assert not (tmp_path / "trace").exists()


def test_transformers_and_timm_ask_no_network_unless_allowed(hub, dinov2, timm_folder, pictures):
    for backend, folder in (("transformers", dinov2[1]), ("timm", timm_folder[1])):
        with pytest.raises(ModelError, match=f"hf-hub:some/{backend}: .*embedders.NAME.download: true"):
            embedders.load(backend, EmbedderSettings(f"hf-hub:some/{backend}"))
        hub(f"some/{backend}", folder.iterdir())
        one, other = (
            embedders.load(backend, EmbedderSettings(model))
            for model in (f"hf-hub:some/{backend}", f"local-dir:{folder}")
        )
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
    embedder = embedders.load("timm", EmbedderSettings(f"local-dir:{folder}"))
    found = same_in_any_batch(embedder, pictures)
    with torch.inference_mode():
        batch = prepared(embedder, pictures)
        expected = network.forward_head(network.forward_features(batch), pre_logits=True)
    assert np.abs(found - F.normalize(expected, dim=-1).numpy()).max() < 1e-5
    travels_light(embedder, pictures[0])
    state = load_file(folder / "model.safetensors")
    del state["blocks.1.norm1.weight"]
    (tmp_path / "config.json").write_text((folder / "config.json").read_text())
    save_file(state, tmp_path / "model.safetensors")
    with pytest.raises(ModelError, match=r"Missing key.*blocks.1.norm1.weight"):
        embedders.load("timm", EmbedderSettings(f"local-dir:{tmp_path}"))


# --- the art filter ---------------------------------------------------------------------------------------------------


def write_embeddings(path, names, found):
    parquet.write(rows(names, found, len(found[0][0].vector)), path)
    return str(path)


def test_the_art_filter_tells_artworks_by_several_texts(tmp_path):
    """From a model with two towers to the matches: photographs of a painter's subject are no works of hers."""
    build.build_art_filter(tmp_path / "filter", ArtFilterSettings(art_filter_steps=40), seed=0)
    rng = np.random.default_rng(1)
    subjects = rng.integers(len(SUBJECTS), size=24)
    arrays = [*paint(draw_styles(24, rng), subjects, rng), *paint_photographs(24, rng)]
    pictures = [Image.fromarray(np.round(255 * np.clip(array, 0, 1)).astype(np.uint8)) for array in arrays]
    embedder = embedders.load("openclip", EmbedderSettings(f"local-dir:{tmp_path / 'filter'}"))
    texts = ["an artwork", "a painting"]
    of_texts = embedder.embed_texts(texts)
    found = embedder.embed([embedder.prepare(picture) for picture in pictures])
    names = [f"image-{i}" for i in range(48)]
    place = {
        "art": write_embeddings(tmp_path / "art.parquet", names[:24], found[:24]),
        "photographs": write_embeddings(tmp_path / "photographs.parquet", names[24:], found[24:]),
        "all": write_embeddings(tmp_path / "ann.parquet", names, found),
        "texts": write_embeddings(tmp_path / "texts.parquet", texts, [[Embedding(vector)] for vector in of_texts]),
    }
    command = ["matches", "art-threshold", "--artworks", place["art"], "--photographs", place["photographs"]]
    command += ["--texts", place["texts"], "--method", "best_f1", "--out", str(tmp_path / "match threshold.json")]
    assert main([*command, "--figure", str(tmp_path / "match threshold.png")]) == 0
    match_threshold = json.loads((tmp_path / "match threshold.json").read_text())
    assert match_threshold["roc_auc"] > 0.9

    # Every image is its own reference, so that the filter alone decides.
    kept = pa.table({"image_id": names, "kept": [True] * 48, "bytes": [b""] * 48})
    parquet.write(kept, tmp_path / "references.parquet")
    (tmp_path / "same.json").write_text('{"match threshold": 0.5}')
    command = ["matches", "find", "--images", place["all"], "--references", str(tmp_path / "references.parquet")]
    command += ["--reference-embeddings", place["all"], "--match-threshold", str(tmp_path / "same.json")]
    command += ["--art-embeddings", place["all"], "--art-texts", place["texts"]]
    assert (
        main(
            [
                *command,
                "--art-threshold",
                str(tmp_path / "match threshold.json"),
                "--out",
                str(tmp_path / "matches.parquet"),
            ]
        )
        == 0
    )
    matches = parquet.read(tmp_path / "matches.parquet").to_pylist()
    highest = (np.stack([face.vector for (face,) in found]) @ of_texts.T).max(axis=1)
    assert [row["art_similarity"] for row in matches] == pytest.approx(highest.tolist(), abs=1e-6)
    assert [row["match"] for row in matches] == (highest > match_threshold["match_threshold"]).tolist()
    assert sum(row["match"] for row in matches[:24]) > 20 > 4 > sum(row["match"] for row in matches[24:])


def test_an_art_filter_needs_a_text_tower(published, dinov2, tmp_path, capsys):
    for backend, model in (("csd", published), ("transformers", dinov2[1])):
        command = ["embeddings", "texts", "--backend", backend, "--model", str(model), "--texts", "an artwork"]
        assert main([*command, "--out", str(tmp_path / "texts.parquet")]) == 1
        assert "no text tower; name an openclip model as the art filter's embedder" in capsys.readouterr().err
