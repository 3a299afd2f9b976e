"""What tests of embedders share: loading one, and what every backend has to do."""

import argparse
import collections
import json
import os
import pickle
import socket
import time
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
import transformers
from huggingface_hub import constants
from PIL import Image

from fit import embeddings
from fit.embeddings.settings import EmbedderSettings, FaceSettings
from fit.settings import settings_of

WIDTH, LAYERS, PATCH, SIDE, DIMENSION = 128, 2, 8, 32, 24
"""Of small vision transformers; SIDE is of the pictures that they take, in pixels."""


def load_embedder(backend, model, **settings):
    """The embedder `backend`; `settings` are fields of EmbedderSettings and FaceSettings."""
    of_faces = {field.name for field in settings_of(FaceSettings)}
    faces = FaceSettings(**{name: value for name, value in settings.items() if name in of_faces})
    others = {name: value for name, value in settings.items() if name not in of_faces}
    return embeddings.load(backend, EmbedderSettings(model=model, **others), faces)


def random_pictures():
    rng = np.random.default_rng(0)
    sizes = [(50, 70), (32, 32), (33, 90), (64, 40), (200, 100)]
    return [Image.fromarray(rng.integers(255, size=(*size, 3), dtype=np.uint8)) for size in sizes]


def vectors(embedder, pictures):
    found = embedder.embed([embedder.prepare(picture) for picture in pictures])
    assert all(len(of_image) == 1 and of_image[0].box is None for of_image in found)
    return np.stack([of_image[0].vector for of_image in found])


def same_in_any_batch(embedder, pictures):
    """The contract of fit.embeddings.base, which every backend keeps: unit float32."""
    together = vectors(embedder, pictures)
    alone = np.concatenate([vectors(embedder, [picture]) for picture in pictures])
    backwards = vectors(embedder, pictures[::-1])[::-1]
    assert together.dtype == np.float32
    assert np.linalg.norm(together, axis=1) == pytest.approx(np.ones(len(pictures)), abs=1e-5)
    assert np.abs(together - alone).max() < 1e-4
    assert np.abs(together - backwards).max() < 1e-4
    assert np.abs(together[0] - together[1]).max() > 1e-3  # it looks at the picture
    return together


def is_small_when_sent(embedder, picture):
    """`prepare` reaches other processes by pickle: small, and the same there."""
    sent = pickle.dumps(embedder.prepare)
    assert len(sent) < 20_000
    assert torch.equal(torch.as_tensor(pickle.loads(sent)(picture)), torch.as_tensor(embedder.prepare(picture)))


def prepared(embedder, pictures):
    return torch.stack([embedder.prepare(picture) for picture in pictures])


# --- what a hub and a pickle may hold ---------------------------------------------------------------------------------


class Payload:
    """Unpickled by a reader that runs what it reads, it makes a file."""

    def __init__(self, file):
        self.file = file

    def __reduce__(self):
        return os.mkdir, (str(self.file),)


def empty_hub(tmp_path, monkeypatch):
    """Make an empty cache of the hub; asking the network fails.

    Return a function that puts files into it as a repository.
    """
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


# --- small networks, in the layouts in which real ones are published --------------------------------------------------


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


def small_clip(**vision):
    vision = {"image_size": SIDE, "layers": 2, "width": 128, "patch_size": 8} | vision
    text = {"context_length": 12, "vocab_size": 49408, "width": 16, "heads": 2, "layers": 1}
    return {"embed_dim": 24, "vision_cfg": vision, "text_cfg": text}


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


def save_dinov2(folder):
    """A small DINOv2 of random weights, saved to `folder`."""
    torch.manual_seed(5)
    network = transformers.Dinov2Model(transformers.Dinov2Config(**SMALL)).eval()
    return network, save_network(network, folder)
