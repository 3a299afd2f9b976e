"""What backends share: where weights come from, how they are read, what they run on, and errors about them."""

import pickle
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from huggingface_hub import constants
from huggingface_hub.errors import HTTPError
from safetensors import SafetensorError
from safetensors.torch import load_file

from fit.embeddings.settings import EmbedderSettings
from fit.embeddings.strange_code import no_strange_code
from fit.errors import ModelError

FORMATS = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}
FAILURES: tuple[type[Exception], ...] = (
    *(OSError, RuntimeError, ValueError, LookupError, TypeError, AttributeError, ImportError, AssertionError),
    *(EOFError, HTTPError, pickle.UnpicklingError, SafetensorError),
)
"""What libraries raise on weights that are missing, or not what they are taken for."""


def device() -> torch.device:
    """Return the GPU where there is one, else the processor."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def number_format(settings: EmbedderSettings) -> torch.dtype:
    """Return the torch dtype that `settings.dtype` means on `device()`."""
    if settings.dtype == "auto":
        return torch.float16 if device().type == "cuda" else torch.float32
    return FORMATS[settings.dtype]


def may_download(settings: EmbedderSettings) -> bool:
    """Whether weights may be fetched: the settings allow it, and HF_HUB_OFFLINE does not forbid it."""
    return settings.download and not constants.HF_HUB_OFFLINE


@contextmanager
def hub_as_allowed(settings: EmbedderSettings) -> Iterator[None]:
    """In the block, libraries find weights in the hub's cache, and ask the network only where `settings` allow it.

    Code that comes with a model is not run (fit.embeddings.strange_code).
    """
    before = constants.HF_HUB_OFFLINE
    # Every library here asks huggingface_hub at each call; none of them passes an argument for it to all its loads.
    constants.HF_HUB_OFFLINE = not may_download(settings)
    try:
        with no_strange_code():
            yield
    finally:
        constants.HF_HUB_OFFLINE = before


def refusal(settings: EmbedderSettings, library: str, error: Exception, forms: str) -> ModelError:
    """Return the error for weights that can't be loaded.

    Args:
        settings: of the embedder.
        library: which can't load them.
        error: what it raised.
        forms: what the model may be, in words.
    """
    remedy = f"give {forms}"
    if not may_download(settings):
        remedy += (
            "; if it is published and not on this machine, allow `embedders.NAME.download: true` in config.yaml "
            "(and leave HF_HUB_OFFLINE unset), or fetch it beforehand with `hf download`"
        )
    return ModelError(f"{settings.model}: {library} can't load this model ({brief(error)}); {remedy}")


def brief(error: BaseException) -> str:
    """Return the message of `error` in one line, each of its own lines cut after 300 characters."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return " ".join(line if len(line) <= 300 else line[:300] + " ..." for line in lines[:8]) or type(error).__name__


def read_tensors(path: str | Path, harmless: Sequence[Any] = ()) -> Any:
    """Return what a checkpoint holds, on the processor.

    It is a file of safetensors, or a pickle of torch, which is read without running code.

    Args:
        path: the file; .safetensors or any other name.
        harmless: classes and functions, as torch.serialization.safe_globals takes them, that a pickle may name besides
            tensors and containers.

    Raises:
        ModelError: there is no such file, it is corrupt, or it is a pickle that would run code.
    """
    path = Path(path)
    if not path.is_file():
        raise ModelError(f"{path}: no such file; fix the embedder's `model` in config.yaml")
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        with torch.serialization.safe_globals(list(harmless)):
            # Mapped, so that what a training run leaves beside the weights is never in memory.
            return torch.load(path, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(path))
    except pickle.UnpicklingError as error:
        raise ModelError(
            f"{path}: it is a pickle with more in it than tensors, or a broken one; nothing of it was run "
            f"({brief(error)}); get the file from where it is published, as safetensors if there is a choice"
        ) from error
    except FAILURES as error:
        raise ModelError(f"{path}: corrupt, or not a checkpoint ({brief(error)}); get the file again") from error


def load_exactly(network: torch.nn.Module, tensors: Mapping[str, torch.Tensor], path: str | Path) -> None:
    """Give `network` (made on the meta device) the weights `tensors` (name -> tensor), all of them and no other.

    Raises:
        ModelError: names or shapes differ; the message says which are missing, not expected, or of another shape.
    """
    expected = {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}
    found = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
    faults = {
        "missing": [f"{name} {expected[name]}" for name in expected.keys() - found.keys()],
        "not expected": [f"{name} {found[name]}" for name in found.keys() - expected.keys()],
        "of another shape": [
            f"{name} {found[name]} instead of {expected[name]}"
            for name in expected.keys() & found.keys()
            if expected[name] != found[name]
        ],
    }
    said = [f"{what}: {_some(sorted(names))}" for what, names in faults.items() if names]
    if said:
        raise ModelError(f"{path}: not the weights of this architecture. {'. '.join(said)}. Fix the embedder's `model`")
    network.load_state_dict(tensors, assign=True)


def _some(names: Sequence[str], most: int = 4) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def unit_vectors(features: torch.Tensor) -> np.ndarray:
    """Return features [N, D] of any device and format as unit float32 vectors.

    A row that is not finite stays so: fit.embeddings.run reports it, with the name of its picture.
    """
    return F.normalize(features.float(), dim=-1).cpu().numpy()
