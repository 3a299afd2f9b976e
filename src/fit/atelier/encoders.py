"""Trains the atelier's two image encoders, small CLIP models saved as open_clip's own, on painters that no study has.

The *style encoder* does what CSD does in the paper: pictures of one painter are close together, pictures of two
painters far apart, whatever they show. The *art filter* does what the paper's CLIP does: its image and text towers say
whether a picture is an artwork.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
import open_clip
import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from tqdm import trange

from fit.atelier.corpus import paint_photographs
from fit.atelier.painting import PALETTES, SIDE, SUBJECTS, Styles, draw_styles, paint
from fit.io.files import atomic_write

ARTWORK_TEXTS = ("an artwork", "a painting", "art print, oil on canvas")
PHOTOGRAPH_TEXTS = ("a photograph", "a photo of a street", "holiday photograph")

_CENTRE, _SPREAD = 0.5, 0.25


def _model_config(width: int, embedding: int) -> dict[str, Any]:
    return {
        "embed_dim": embedding,
        "vision_cfg": {"image_size": SIDE, "layers": [1, 1, 1, 1], "width": width, "head_width": 64},
        # open_clip's own tokenizer; a short context is enough for the few texts that an art filter reads.
        "text_cfg": {"context_length": 12, "vocab_size": 49408, "width": 16, "heads": 2, "layers": 1},
    }


def _tensor(pictures: np.ndarray) -> torch.Tensor:
    return (
        ((torch.from_numpy(pictures) - _CENTRE) / _SPREAD)
        .permute(0, 3, 1, 2)
        .contiguous(memory_format=torch.channels_last)
    )


def _rivals(painters: int, rng: np.random.Generator) -> Styles:
    """Return styles of `painters`, hard to tell apart by colour or by texture alone.

    Half of them share two palettes; the other half are their twins: the same textures in the next palette.
    """
    styles = draw_styles(painters // 2, rng)
    properties = {name: np.concatenate([getattr(styles, name)] * 2) for name in styles.__dataclass_fields__}
    few = rng.integers(len(PALETTES), size=2)[rng.integers(2, size=painters // 2)]
    properties["palette"] = np.concatenate([few, (few + rng.integers(1, len(PALETTES), painters // 2)) % len(PALETTES)])
    return Styles(**properties)


def _supervised_contrastive(embeddings: torch.Tensor, labels: torch.Tensor, temperature: float) -> torch.Tensor:
    """Return the supervised contrastive loss (arXiv 2004.11362, eq. 2) of unit embeddings [N, D] with labels [N]."""
    itself = torch.eye(len(labels), dtype=torch.bool)
    logits = (embeddings @ embeddings.T / temperature).masked_fill(itself, -1e9)
    same = (labels[:, None] == labels[None]) & ~itself
    log_probability = logits.log_softmax(dim=1)
    return -(log_probability * same).sum(1).div(same.sum(1)).mean()


def train_style_encoder(
    *,
    steps: int,
    painters_per_step: int,
    pictures_per_painter: int,
    temperature: float,
    learning_rate: float,
    seed: int,
) -> tuple[open_clip.CLIP, dict[str, Any]]:
    """Train the style encoder; every step draws other painters.

    Returns:
        (model, model configuration): an open_clip CLIP whose text tower is untrained, and the dict that makes it.
    """
    torch.manual_seed(seed)
    rng = np.random.default_rng([seed, 1])
    config = _model_config(width=16, embedding=64)
    model = open_clip.CLIP(**config).to(memory_format=torch.channels_last)
    optimizer = torch.optim.AdamW(model.visual.parameters(), lr=learning_rate, weight_decay=0.05)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, learning_rate, total_steps=steps)
    labels = torch.arange(painters_per_step).repeat_interleave(pictures_per_painter)
    for _ in trange(steps, desc="style encoder", mininterval=2):
        styles = _rivals(painters_per_step, rng).take(labels.numpy())
        pictures = paint(styles, rng.integers(len(SUBJECTS), size=len(labels)), rng)
        embeddings = model.encode_image(_tensor(_worn(pictures, rng)), normalize=True)
        loss = _supervised_contrastive(embeddings, labels, temperature)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        schedule.step()
    return model.eval(), config


def _worn(pictures: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Make half of the pictures, in place, a little blurred and noisy, as reproductions are."""
    worn = rng.random(len(pictures)) < 0.5
    soft = pictures[worn]
    soft = (soft + np.roll(soft, 1, 1) + np.roll(soft, -1, 1) + np.roll(soft, 1, 2) + np.roll(soft, -1, 2)) / 5
    pictures[worn] = np.clip(soft + rng.normal(0, 0.03, soft.shape), 0, 1)
    return pictures


def train_art_filter(
    *, steps: int, batch_size: int, learning_rate: float, seed: int
) -> tuple[open_clip.CLIP, dict[str, Any]]:
    """Train both towers of the art filter: an artwork is close to texts of artworks, a photograph to its own texts.

    Returns:
        (model, model configuration), as train_style_encoder does.
    """
    torch.manual_seed(seed)
    rng = np.random.default_rng([seed, 2])
    config = _model_config(width=8, embedding=32)
    model = open_clip.CLIP(**config)
    tokenize = open_clip.SimpleTokenizer(context_length=config["text_cfg"]["context_length"])
    texts = tokenize([*ARTWORK_TEXTS, *PHOTOGRAPH_TEXTS])
    optimizer = torch.optim.AdamW(model.parameters(), lr=learning_rate, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, learning_rate, total_steps=steps)
    of_art = torch.tensor([1.0] * len(ARTWORK_TEXTS) + [-1.0] * len(PHOTOGRAPH_TEXTS))
    for _ in trange(steps, desc="art filter", mininterval=2):
        half = batch_size // 2
        art = paint(draw_styles(half, rng), rng.integers(len(SUBJECTS), size=half), rng)
        pictures = _worn(np.concatenate([art, paint_photographs(half, rng)]), rng)
        similarity = model.encode_image(_tensor(pictures), normalize=True) @ model.encode_text(texts, normalize=True).T
        target = torch.cat([torch.ones(half), -torch.ones(half)])[:, None] * of_art[None]
        # The sigmoid loss of SigLIP (arXiv 2303.15343, equation 1) with a fixed scale and no bias.
        loss = F.softplus(-10 * target * similarity).mean()
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        schedule.step()
    return model.eval(), config


def save_encoder(model: open_clip.CLIP, config: dict[str, Any], folder: str | Path) -> None:
    """Save an open_clip model so that `open_clip.create_model_and_transforms("local-dir:" + folder)` loads it."""
    preprocess = {"mean": [_CENTRE] * 3, "std": [_SPREAD] * 3, "interpolation": "bicubic", "resize_mode": "shortest"}
    tensors = {name: tensor.contiguous() for name, tensor in model.state_dict().items()}
    with atomic_write(folder) as part:
        part.mkdir()
        save_file(tensors, part / "open_clip_model.safetensors")
        text = json.dumps({"model_cfg": config, "preprocess_cfg": preprocess}, indent=2) + "\n"
        (part / "open_clip_config.json").write_text(text)
