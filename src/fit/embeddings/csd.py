"""CSD, style descriptors (arXiv 2404.01292): CLIP's ViT-L/14 image tower, and a matrix that leads to styles.

A checkpoint as its authors publish it is a pickle {"model_state_dict": ...} with the names `module.backbone.*`
(OpenAI's names of CLIP's image tower, without `proj`), `module.last_layer_style` and `module.last_layer_content`, two
matrices [width, dimension]; and, beside that, the optimiser's state and the arguments of the training run. The
descriptor is normalise(backbone(image) @ last_layer_style).
"""

import argparse
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from huggingface_hub import hf_hub_download
from huggingface_hub.errors import EntryNotFoundError
from open_clip.constants import OPENAI_DATASET_MEAN, OPENAI_DATASET_STD
from open_clip.transformer import QuickGELU, VisionTransformer
from PIL import Image
from safetensors.torch import save_file
from torchvision import transforms

from fit.embeddings.base import Embedder, Embedding
from fit.embeddings.loading import (
    FAILURES,
    device,
    hub_as_allowed,
    load_exactly,
    number_format,
    read_tensors,
    refusal,
    unit_vectors,
)
from fit.embeddings.settings import EmbedderSettings, FaceSettings
from fit.errors import ModelError
from fit.io.files import atomic_write

HEAD_WIDTH = 64  # of every ViT of CLIP
HUB_FILES = ("model.safetensors", "pytorch_model.bin")
FORMS = "a checkpoint's file, or hf-hub:ID (published: hf-hub:tomg-group-umd/CSD-ViT-L)"

# The published pickle also names these: the training run's arguments, an object of attributes, and learning rates, in
# numbers of numpy. Making them runs no code that the file chooses.
_scalar = np.float64(0).__reduce__()[0]
HARMLESS = (
    argparse.Namespace,
    np.dtype,
    *(type(np.dtype(name)) for name in ("float64", "float32", "int64", "bool")),
    *((_scalar, f"numpy.{core}.multiarray.scalar") for core in ("core", "_core")),
)


class CSD(Embedder):
    """One style descriptor per image."""

    def __init__(self, settings: EmbedderSettings, faces: FaceSettings):
        """Load `settings.model`: a file as published, one that `convert` wrote, or "hf-hub:ID".

        Raises:
            ModelError: there is no such file, or it is not a CSD checkpoint.
        """
        super().__init__(settings, faces)
        path = _file(settings)
        self._device, self._format = device(), number_format(settings)
        tower = make_tower(read_checkpoint(path), path)
        self._preprocess = preprocessing(tower.image_size[0])
        self._tower = tower.to(self._device, self._format)

    @property
    def prepare(self) -> Callable[[Image.Image], Any]:
        return self._preprocess

    @torch.inference_mode()
    def embed(self, prepared: Sequence[Any]) -> list[list[Embedding]]:
        batch = torch.stack(prepared).to(self._device, self._format)
        return [[Embedding(vector)] for vector in unit_vectors(self._tower(batch))]


def preprocessing(side: int) -> Callable[[Image.Image], torch.Tensor]:
    """Return what turns an RGB image into [3, side, side], as CSD does at evaluation.

    The shorter side is resized (bicubic), the centre is taken, and pixels are scaled as CLIP's.
    """
    return transforms.Compose(
        [
            transforms.Resize(side, interpolation=transforms.InterpolationMode.BICUBIC),
            transforms.CenterCrop(side),
            transforms.ToTensor(),
            transforms.Normalize(OPENAI_DATASET_MEAN, OPENAI_DATASET_STD),
        ]
    )


def architecture(shapes: Mapping[str, tuple[int, ...]], path: str | Path) -> dict[str, Any]:
    """Return the arguments of open_clip's VisionTransformer for a backbone and style matrix of these `shapes`.

    Width, depth, patch and image size follow from the shapes, so that checkpoints of other sizes load; heads are 64
    wide.

    Raises:
        ModelError: `shapes` (of the file `path`) are not of such a checkpoint.
    """
    try:
        width, _, patch, _ = shapes["backbone.conv1.weight"]
        positions = shapes["backbone.positional_embedding"][0]
        hidden = shapes["backbone.transformer.resblocks.0.mlp.c_fc.weight"][0]
        dimension = shapes["last_layer_style"][1]
    except (KeyError, ValueError, IndexError) as error:
        names = ", ".join(sorted(shapes)[:3]) or "nothing"
        raise ModelError(
            f"{path}: not a CSD checkpoint: {error} is not in it, or not of its shape; it holds {names} ... "
            f"({len(shapes)} tensors). Fix the embedder's `model`"
        ) from error
    blocks = {name.split(".")[3] for name in shapes if name.startswith("backbone.transformer.resblocks.")}
    side = round((positions - 1) ** 0.5)
    if side**2 + 1 != positions or width % HEAD_WIDTH:
        raise ModelError(
            f"{path}: not a CSD checkpoint: {positions} positions and width {width}, where a square of patches and one "
            f"more, and a multiple of {HEAD_WIDTH}, are expected. Fix the embedder's `model`"
        )
    return {
        "image_size": side * patch,
        "patch_size": patch,
        "width": width,
        "layers": len(blocks),
        "heads": width // HEAD_WIDTH,
        "mlp_ratio": hidden / width,
        "output_dim": dimension,
        "act_layer": QuickGELU,  # CSD was trained from OpenAI's CLIP
    }


def empty_tower(shapes: Mapping[str, tuple[int, ...]], path: str | Path) -> VisionTransformer:
    """Return an image tower of `architecture(shapes, path)`, without weights."""
    with torch.device("meta"):
        return VisionTransformer(**architecture(shapes, path)).eval()


def make_tower(tensors: Mapping[str, torch.Tensor], path: str | Path) -> VisionTransformer:
    """Return CSD's network of the `tensors` of a checkpoint.

    It is open_clip's image tower, with the style matrix in the place of CLIP's projection.

    Raises:
        ModelError: `tensors` (of the file `path`) are not all that the network takes, or are more.
    """
    tower = empty_tower({name: tuple(tensor.shape) for name, tensor in tensors.items()}, path)
    named = {("backbone.proj" if name == "last_layer_style" else name): tensor for name, tensor in tensors.items()}
    # With the checkpoint's prefix, so that an error says what to look for in the file.
    load_exactly(torch.nn.ModuleDict({"backbone": tower}), named, path)
    return tower.float()


def read_checkpoint(path: str | Path) -> dict[str, torch.Tensor]:
    """Return name -> tensor of a checkpoint: `backbone.*` and `last_layer_style`, all that the descriptor takes.

    Raises:
        ModelError: the file is missing or corrupt, has code in it, or holds no tensors by name.
    """
    content = read_tensors(path, HARMLESS)
    tensors = content.get("model_state_dict", content) if isinstance(content, dict) else content
    if not isinstance(tensors, dict) or not all(isinstance(tensor, torch.Tensor) for tensor in tensors.values()):
        raise ModelError(
            f"{path}: not a CSD checkpoint: no tensors by name, nor any under model_state_dict. Fix the embedder's "
            "`model`"
        )
    tensors = {name.removeprefix("module."): tensor for name, tensor in tensors.items()}
    return {name: tensor for name, tensor in tensors.items() if not name.startswith("last_layer_content")}


def convert(checkpoint: str | Path, target: str | Path) -> dict[str, int]:
    """Write what csd needs of `checkpoint` (as published) to `target`, a .safetensors file: safe, and half the size.

    Returns:
        What the network is: layers, width, patch and side (pixels), and numbers an image.

    Raises:
        ModelError: `checkpoint` is not a CSD checkpoint, or `target` is not named .safetensors.
    """
    if Path(target).suffix != ".safetensors":
        raise ModelError(f"{target}: name the file to write .safetensors")
    tensors = read_checkpoint(checkpoint)
    tower = make_tower(tensors, checkpoint)
    with atomic_write(target) as part:
        save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, part, metadata={"format": "pt"})
        part.chmod(0o644)  # safetensors writes for its owner alone; weights are shared
    side, patch = tower.image_size[0], tower.patch_size[0]
    width, dimension = tower.proj.shape
    layers = len(tower.transformer.resblocks)
    return {"layers": layers, "width": width, "patch": patch, "side": side, "numbers": dimension}


def _file(settings: EmbedderSettings) -> str:
    """Return the file on this machine that `settings.model` names."""
    if not settings.model.startswith("hf-hub:"):
        return settings.model
    repository, _, revision = settings.model.removeprefix("hf-hub:").partition("@")
    try:
        with hub_as_allowed(settings):
            for name in HUB_FILES[:-1]:
                try:
                    return hf_hub_download(repository, name, revision=revision or None)
                except EntryNotFoundError:
                    continue
            return hf_hub_download(repository, HUB_FILES[-1], revision=revision or None)
    except FAILURES as error:
        raise refusal(settings, f"csd finds no {' or '.join(HUB_FILES)}, so it", error, FORMS) from error
