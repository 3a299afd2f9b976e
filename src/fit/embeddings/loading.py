"""What backends share: where weights come from, how they are read, what they run on, and how errors say so."""

import pickle
import zipfile
from contextlib import contextmanager
from pathlib import Path

import torch
import torch.nn.functional as F
from huggingface_hub import constants
from huggingface_hub.errors import HTTPError
from safetensors import SafetensorError
from safetensors.torch import load_file

from fit.embeddings.strange_code import no_strange_code
from fit.errors import ModelError

FORMATS = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}
FAILURES: tuple[type[Exception], ...] = (
    *(OSError, RuntimeError, ValueError, LookupError, TypeError, AttributeError, ImportError, AssertionError),
    *(EOFError, HTTPError, pickle.UnpicklingError, SafetensorError),
)
"""What libraries raise on weights that are not there, or not what they say they are."""


def device():
    """The GPU where there is one, else the processor."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def number_format(weights):
    """The torch dtype that `weights.dtype` stands for on `device()`."""
    if weights.dtype == "auto":
        return torch.float16 if device().type == "cuda" else torch.float32
    return FORMATS[weights.dtype]


def may_download(weights):
    """Whether weights may be fetched: the settings allow it, and HF_HUB_OFFLINE does not forbid it."""
    return weights.download and not constants.HF_HUB_OFFLINE


@contextmanager
def hub_as_allowed(weights):
    """In the block, libraries find weights in the hub's cache, and ask the network only where `weights` allow it.
    Code that comes with a model is not run (fit.embeddings.strange_code)."""
    before = constants.HF_HUB_OFFLINE
    # Every library here asks huggingface_hub, at each call; none of them takes the question as an argument throughout.
    constants.HF_HUB_OFFLINE = not may_download(weights)
    try:
        with no_strange_code():
            yield
    finally:
        constants.HF_HUB_OFFLINE = before


def refusal(weights, library, error, forms):
    """The ModelError for `weights` that `library` can't load because of `error`; `forms`: what the model may be."""
    remedy = f"give {forms}"
    if not may_download(weights):
        remedy += (
            "; if it is published and not on this machine, allow `embedders.NAME.download: true` in config.yaml "
            "(and leave HF_HUB_OFFLINE unset), or fetch it beforehand with `hf download`"
        )
    return ModelError(f"{weights.model}: {library} can't load this model ({brief(error)}); {remedy}")


def brief(error):
    """The message of `error` in one line; of each of its lines as much as says what was expected and what found."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return " ".join(line if len(line) <= 300 else line[:300] + " ..." for line in lines[:8]) or type(error).__name__


def read_tensors(path, harmless=()):
    """What a checkpoint holds, on the processor: safetensors, or a pickle of torch that is read without running code.

    Args:
        path: the file; .safetensors or any other name.
        harmless: classes and functions, as torch.serialization.safe_globals takes them, that a pickle may name besides
            tensors and containers.

    Raises:
        ModelError: there is no such file, it is corrupt, or it is a pickle that would run code.
    """
    path = Path(path)
    if not path.is_file():
        raise ModelError(f"{path}: no such file; mend the embedder's `model` in config.yaml")
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        with torch.serialization.safe_globals(list(harmless)):
            # Mapped, so that what a training run leaves beside the weights is never in memory.
            return torch.load(path, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(path))
    except pickle.UnpicklingError as error:
        raise ModelError(
            f"{path}: nothing of it was run, but it is a pickle with more in it than tensors, or a broken one "
            f"({brief(error)}); get the file from where it is published, as safetensors if there is a choice"
        ) from error
    except FAILURES as error:
        raise ModelError(f"{path}: corrupt, or no checkpoint ({brief(error)}); get the file again") from error


def load_exactly(network, tensors, path):
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
        raise ModelError(
            f"{path}: not the weights of this architecture. {'. '.join(said)}. Mend the embedder's `model`"
        )
    network.load_state_dict(tensors, assign=True)


def _some(names, most=4):
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def unit_vectors(features):
    """Features [N, D] of any device and format as unit float32 vectors, a numpy array.

    A row that is not finite stays so: whoever writes the vectors says which picture it is of (fit.embeddings.run).
    """
    return F.normalize(features.float(), dim=-1).cpu().numpy()
