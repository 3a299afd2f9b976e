"""open_clip's models: small networks of random weights, compared with what open_clip computes without the backend."""

import contextlib
import gc
import json
import threading
import weakref
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import open_clip
import pytest
import torch
from embedding_backends import (
    Payload,
    is_small_when_sent,
    load_embedder,
    publish_csd,
    same_in_any_batch,
    small_clip,
    vectors,
)
from huggingface_hub import constants

from fit.atelier.encoders import save_encoder
from fit.embeddings import loading
from fit.embeddings.settings import EmbedderSettings
from fit.errors import ModelError


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    return publish_csd(tmp_path_factory.mktemp("csd") / "pytorch_model.bin")


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    """(model, folder): a CLIP, and where save_encoder put it."""
    torch.manual_seed(3)
    model = open_clip.CLIP(**small_clip(), quick_gelu=True).eval()
    folder = tmp_path_factory.mktemp("clip") / "model"
    save_encoder(model, small_clip() | {"quick_gelu": True}, folder)
    return model, folder


@pytest.mark.slow
def test_openclip_is_its_image_tower(clip, pictures):
    model, folder = clip
    embedder = load_embedder("openclip", f"local-dir:{folder}")
    found = same_in_any_batch(embedder, pictures)
    with torch.inference_mode():
        batch = torch.stack([embedder.prepare(picture) for picture in pictures])
        assert np.abs(found - model.encode_image(batch, normalize=True).numpy()).max() < 1e-5
        tokens = open_clip.SimpleTokenizer(context_length=12)(["an artwork", "a photograph"])
        texts = model.encode_text(tokens, normalize=True).numpy()
    assert np.abs(embedder.embed_texts(["an artwork", "a photograph"]) - texts).max() < 1e-5
    is_small_when_sent(embedder, pictures[0])


@pytest.mark.slow
def test_openclip_keeps_no_text_tower_for_images(clip, pictures, monkeypatch):
    made = []
    create = open_clip.create_model
    monkeypatch.setattr(open_clip, "create_model", lambda *a, **o: made.append(create(*a, **o)) or made[-1])
    embedder = load_embedder("openclip", f"local-dir:{clip[1]}")
    before = embedder.embed_texts(["an artwork"])
    assert len(made) == 1
    text_tower = weakref.ref(made.pop().transformer)
    vectors(embedder, pictures[:1])
    gc.collect()
    assert text_tower() is None
    assert np.array_equal(embedder.embed_texts(["an artwork"]), before)


@pytest.mark.slow
def test_two_threads_that_begin_at_once_find_openclips_image_tower(clip, pictures, monkeypatch):
    embedder = load_embedder("openclip", f"local-dir:{clip[1]}")
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
        exact = vectors(load_embedder(backend, model, dtype="float32"), pictures)
        found = vectors(load_embedder(backend, model, dtype=dtype), pictures)
        assert found.dtype == np.float32
        assert np.linalg.norm(found, axis=1) == pytest.approx(np.ones(len(pictures)), abs=1e-5)
        assert np.sum(found * exact, axis=1).min() > {"float32": 1 - 1e-6, "float16": 0.9999, "bfloat16": 0.995}[dtype]
        assert np.array_equal(found, exact) == (dtype == "float32")


def test_auto_is_float32_without_a_gpu(monkeypatch):
    for there, format in ((True, torch.float16), (False, torch.float32)):
        monkeypatch.setattr(torch.cuda, "is_available", lambda there=there: there)
        assert loading.number_format(EmbedderSettings(model="")) == format


def test_a_coca_model_embeds_whole_images(pictures, tmp_path):
    torch.manual_seed(4)
    config = small_clip(attentional_pool=True, attn_pooler_heads=2, output_tokens=True)
    config["text_cfg"] |= {"embed_cls": True, "output_tokens": True}
    config["multimodal_cfg"] = {"context_length": 12, "vocab_size": 49408, "width": 24, "heads": 2, "layers": 1}
    model = open_clip.CoCa(**config).eval()
    save_encoder(model, config | {"custom_text": True}, tmp_path / "coca")
    embedder = load_embedder("openclip", f"local-dir:{tmp_path / 'coca'}")
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
    if how == "cut":
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
        ("cut", "open_clip can't load"),
        ("code", "posix.mkdir|nt.mkdir"),
        ("no folder", "model"),
    ],
)
def test_folders_that_openclip_cant_load_are_named(clip, tmp_path, how, said):
    save_encoder(clip[0], small_clip() | {"quick_gelu": True}, tmp_path / "model")
    break_folder(tmp_path / "model", how)
    with pytest.raises(ModelError, match=f"(?s)local-dir:.*model: .*{said}.*local-dir:FOLDER") as error:
        load_embedder("openclip", f"local-dir:{tmp_path / 'model'}")
    assert len(str(error.value)) < 3000
    assert not (tmp_path / "model" / "trace").exists()


@pytest.mark.slow
def test_openclip_asks_no_network_unless_allowed(hub, clip, pictures, monkeypatch):
    tag = "ViT-L-14-quickgelu/openai"
    for model, file in (("hf-hub:some/clip", "open_clip_config.json"), (tag, "timm/vit_large_patch14_clip_224.openai")):
        with pytest.raises(ModelError, match=f"{file}.*embedders.NAME.download: true"):
            load_embedder("openclip", model)
    assert not hub.asked
    with pytest.raises(ModelError) as error:
        load_embedder("openclip", "hf-hub:some/clip", download=True)
    assert hub.asked and "download: true" not in str(error.value)
    asked = len(hub.asked)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(ModelError, match="HF_HUB_OFFLINE"):
        load_embedder("openclip", "hf-hub:some/clip", download=True)
    assert len(hub.asked) == asked and constants.HF_HUB_OFFLINE
    hub("some/clip", clip[1].iterdir())
    one, other = (load_embedder("openclip", model) for model in ("hf-hub:some/clip", f"local-dir:{clip[1]}"))
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
    embedder = load_embedder("openclip", "small/quick")
    folder = load_embedder("openclip", f"local-dir:{clip[1]}")
    assert np.abs(vectors(embedder, pictures) - vectors(folder, pictures)).max() < 1e-5
