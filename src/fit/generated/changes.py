"""Changes of a pipeline: components from elsewhere, and a LoRA that is added to the weights.

What does not fit is refused before a picture is made: a component of another class, of other shapes, or without all of
its weights; a LoRA for layers that the pipeline lacks.
"""

import json
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import diffusers
import huggingface_hub.constants
import torch
import transformers
from diffusers.utils.state_dict_utils import convert_state_dict_to_peft, convert_unet_state_dict_to_peft
from huggingface_hub import snapshot_download
from huggingface_hub.errors import HTTPError
from safetensors.torch import load_file

from fit.errors import ConfigError, ModelError
from fit.generated import weights
from fit.generated.failures import one_line
from fit.generated.settings import ChangeSettings
from fit.io.nearby import near, nearest
from fit.io.shown import number_of

_LIBRARIES = {"diffusers": diffusers, "transformers": transformers}
_UNWEIGHTED = ("Tokenizer", "Scheduler", "Processor", "FeatureExtractor")
_BUFFERS = re.compile(r"(^|\.)position_ids$")
"""Numbers that some versions of transformers store and others compute."""
_LORA = re.compile(r"(unet|transformer|text_encoder(?:_2|_3)?)\.(.+)\.lora_([AB])(?:\.weight)?")


@dataclass(frozen=True)
class Source:
    """Where a part of a pipeline is taken from."""

    key: str
    """What errors call it: a key of the model in config.yaml."""
    place: str
    """Folder, file of safetensors, or hub id."""
    subfolder: str | None = None
    file: str | None = None
    revision: str | None = None
    may_download: bool = False

    @property
    def is_local(self) -> bool:
        """Whether the place is on this machine; else it is taken for a hub id."""
        return Path(self.place).exists()

    def check(self) -> None:
        """Check that the place is there, or may be a hub id.

        Raises:
            ModelError: it is neither.
        """
        if self.is_local:
            if Path(self.place).is_file() and Path(self.place).suffix != ".safetensors":
                raise ModelError(
                    f"{self.place}: only files of safetensors are read, as others can run code; convert it with "
                    f"safetensors.torch.save_file where you trust it, or fix `{self.key}`"
                )
            return
        if self.place.startswith((".", "/", "~", "results/")) or self.place.count("/") != 1:
            other = near(Path(self.place))
            hint = f" (did you mean {other}?)" if other else ""
            raise ModelError(
                f"{self.place}: there is no such file or folder, and a hub id is OWNER/NAME; fix `{self.key}`{hint}"
            )

    @cached_property
    def path(self) -> Path:
        """The file, or the folder, that the part is loaded from; fetched from the hub where that is allowed.

        Raises:
            ModelError: it is not there.
        """
        self.check()
        root = Path(self.place) if self.is_local else self._from_hub()
        found = root / (self.subfolder or "") / (self.file or "")
        if not found.exists():
            names = sorted(one.name for one in root.iterdir()) if root.is_dir() else []
            raise ModelError(
                f"{self.place}: there is no {self.subfolder or ''}{'/' if self.subfolder and self.file else ''}"
                f"{self.file or ''} in it (it has {_some(names, 6)}); fix `{self.key}`"
            )
        return found

    @property
    def commit(self) -> str:
        """The commit of a hub id, which is the name of its folder in the hub's cache; "" of what is local."""
        return "" if self.is_local else self._from_hub().name

    @cached_property
    def _on_hub(self) -> Path | None:
        return self._snapshot(fetch=False)

    def _from_hub(self) -> Path:
        if self._on_hub is not None and self._is_whole(self._on_hub):
            return self._on_hub
        if not self.may_download or huggingface_hub.constants.HF_HUB_OFFLINE:
            why = "HF_HUB_OFFLINE forbids fetching it" if self.may_download else "the model's `download` is not true"
            raise ModelError(
                f"{self.place}: `{self.key}` is not (whole) on this machine, and {why}; set `download: true`, or fetch "
                f"it elsewhere (hf download {self.place} --local-dir FOLDER) and name the folder"
            )
        found = self._snapshot(fetch=True)
        assert found is not None
        return found

    def _is_whole(self, root: Path) -> bool:
        folder = root / (self.subfolder or "")
        return (folder / self.file).is_file() if self.file else any(folder.glob("*.safetensors"))

    def _snapshot(self, *, fetch: bool) -> Path | None:
        within = f"{self.subfolder}/" if self.subfolder else ""
        wanted = [f"{within}{self.file}"] if self.file else [f"{within}*.json", f"{within}*.safetensors"]
        try:
            return Path(
                snapshot_download(self.place, revision=self.revision, allow_patterns=wanted, local_files_only=not fetch)
            )
        except (OSError, ValueError, HTTPError) as error:
            if not fetch:
                return None
            raise ModelError(
                f"{self.place}: `{self.key}` can't be fetched ({one_line(error)}); is the hub in reach, and are name, "
                "`revision` and access (HF_TOKEN) right?"
            ) from error

    @property
    def identity(self) -> list[Any]:
        """What tells the part from others without reading it: a JSON value."""
        within = [self.subfolder or "", self.file or ""]
        if not self.is_local:
            return [self.place, self.commit, *within]
        if self.path.is_file():
            stat = self.path.stat()
            return [[self.path.name, stat.st_size, stat.st_mtime_ns], *within]
        return [weights.fingerprint(self.path), *within]

    @property
    def told(self) -> dict[str, str]:
        """What provenance says of it."""
        return {
            "place": self.place,
            "subfolder": self.subfolder or "",
            "file": self.file or "",
            "revision": self.revision or "",
            "commit": self.commit,
        }


def sources_of(changes: ChangeSettings, may_download: bool) -> dict[str, Source]:
    """Return where the components come from that `changes` name: component -> Source.

    Raises:
        ConfigError: a word is not NAME=VALUE, or a subfolder or revision is of no component.
    """
    places = _pairs(changes.components, "components")
    subfolders = _pairs(changes.component_subfolders, "component-subfolders", places)
    revisions = _pairs(changes.component_revisions, "component-revisions", places)
    return {
        name: Source(
            f"components.{name}",
            place,
            subfolder=subfolders.get(name),
            revision=revisions.get(name),
            may_download=may_download,
        )
        for name, place in places.items()
    }


def lora_of(changes: ChangeSettings, may_download: bool) -> Source | None:
    """Return where the LoRA comes from that `changes` name; None without one."""
    if changes.lora is None:
        return None
    file = changes.lora_file
    return Source("lora", changes.lora, file=file, revision=changes.lora_revision, may_download=may_download)


def _pairs(words: Sequence[str], option: str, known: Mapping[str, str] | None = None) -> dict[str, str]:
    found = {}
    for word in words:
        name, _, value = word.partition("=")
        if not name or not value:
            raise ConfigError(f"--{option}: {word!r} is not NAME=VALUE; write both")
        if known is not None and name not in known:
            raise ConfigError(f"--{option}: {name!r} is not among --components; name its place there too")
        found[name] = value
    return found


# --- components -------------------------------------------------------------------------------------------------------


def replaceable(index: Mapping[str, Any]) -> dict[str, tuple[str, str]]:
    """Return component -> (library, class) of those of a pipeline that have weights and may be replaced.

    Args:
        index: what its model_index.json says.
    """
    return {
        name: (value[0], value[1])
        for name, value in index.items()
        if isinstance(value, list)
        and len(value) == 2
        and value[0] in _LIBRARIES
        and not any(word in str(value[1]) for word in _UNWEIGHTED)
    }


def check_component(source: Source, name: str, folder: Path, index: Mapping[str, Any]) -> None:
    """Check, before any weights are read, that a component fits into the pipeline in `folder`.

    It is of the class that the pipeline names, and its tensors have the same names and shapes: those of its
    configuration, made without memory for numbers. A file of safetensors has no configuration; its tensors are
    checked when they are loaded.

    Args:
        source: where it is.
        name: of the component.
        folder: of the base's pipeline.
        index: what its model_index.json says.

    Raises:
        ModelError: it does not fit; the message says in what.
    """
    known = replaceable(index)
    if name not in known:
        other = nearest(name, known)
        hint = f"did you mean {other!r}? It has" if other else "it has"
        raise ModelError(f"{folder}: this pipeline has no component {name!r} to replace; {hint}: {', '.join(known)}")
    place = source.path
    if place.is_file():
        return
    kind = known[name][1]
    config = _config(place, source)
    told = config.get("_class_name") or next(iter(config.get("architectures") or []), None)
    if told != kind:
        raise ModelError(
            f"{place}: this is a {told or 'component of unknown class'}, and `{name}` of {folder} is a {kind}; name a "
            f"{kind} as `{source.key}`, or its `subfolder`"
        )
    own, new = _shapes(folder / name, known[name], source), _shapes(place, known[name], source)
    different = [
        f"{tensor}: {_size(new.get(tensor))} in place of {_size(own.get(tensor))}"
        for tensor in sorted(own.keys() | new.keys())
        if own.get(tensor) != new.get(tensor)
    ]
    if different:
        raise ModelError(
            f"{place}: it does not fit into {folder}: {number_of(len(different), 'tensor')} of `{name}` differ "
            f"({_some(different, 2)}); take a `{name}` that was trained for this base, or name another `base`"
        )


def _some(texts: Sequence[str], shown: int) -> str:
    more = f" and {len(texts) - shown} more" if len(texts) > shown else ""
    return ", ".join(texts[:shown]) + more


def _size(shape: tuple[int, ...] | None) -> str:
    return "none" if shape is None else " x ".join(map(str, shape)) or "a number"


def _config(place: Path, source: Source) -> dict[str, Any]:
    path = place / "config.json"
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(found, dict):
            raise ValueError("not an object")
    except FileNotFoundError:
        inside = sorted(one.name for one in place.iterdir() if one.is_dir())
        hint = f" (it has the folders {_some(inside, 6)}: name one as `subfolder`)" if inside else ""
        raise ModelError(f"{place}: no config.json in it{hint}; fix `{source.key}`") from None
    except (OSError, ValueError) as error:
        raise ModelError(f"{path}: can't be read ({error}); get the component again") from error
    return found


def _class(library: str, kind: str, source: Source) -> Any:
    found = getattr(_LIBRARIES[library], kind, None)
    if found is None:
        raise ModelError(f"`{source.key}`: this version of {library} has no class {kind}; fix `base`")
    return found


def _shapes(place: Path, kind: tuple[str, str], source: Source) -> dict[str, tuple[int, ...]]:
    """Return tensor -> shape of a component, from its configuration alone."""
    made = _class(*kind, source)
    config = _config(place, source)
    try:
        with torch.device("meta"):
            model = made.from_config(config) if kind[0] == "diffusers" else made(made.config_class(**config))
    except Exception as error:  # whatever the code of a component raises
        raise ModelError(
            f"{place}: {kind[1]} can't be made as its config.json says ({one_line(error)}); get the component again"
        ) from error
    return {name: tuple(value.shape) for name, value in model.state_dict().items() if not _BUFFERS.search(name)}


def load_component(
    source: Source, name: str, folder: Path, index: Mapping[str, Any], dtype: torch.dtype, variant: str | None
) -> torch.nn.Module:
    """Load a component: from its folder or, for a file of safetensors, the base's own with the file's tensors.

    Args:
        source: where it is; check_component accepted it.
        name: of the component.
        folder: of the base's pipeline.
        index: what its model_index.json says.
        dtype: of its numbers.
        variant: of the base's weights.

    Raises:
        ModelError: weights are missing, or of other shapes; or a tensor of the file is none of the component.
    """
    library, kind = replaceable(index)[name]
    made, place = _class(library, kind, source), source.path
    options: dict[str, Any] = {"use_safetensors": True, "local_files_only": True, "output_loading_info": True}
    options["dtype" if library == "transformers" else "torch_dtype"] = dtype
    if place.is_file():
        of_base = {"variant": variant} if variant else {}
        model, _ = made.from_pretrained(folder / name, **options, **of_base)
        _lay_over(model, place, name, source)
        return model
    only = _only_variant(place)
    try:
        model, info = made.from_pretrained(place, **options, **({"variant": only} if only else {}))
    except Exception as error:  # whatever the code of a component, or a broken file, raises
        raise ModelError(
            f"{place}: can't be loaded ({one_line(error)}); get it again, or fix `{source.key}`"
        ) from error
    missing = sorted(one for one in info["missing_keys"] if not _BUFFERS.search(one))
    missing += sorted(str(one) for one in info.get("mismatched_keys", []))
    if missing:
        raise ModelError(
            f"{place}: {number_of(len(missing), 'tensor')} of `{name}` {'is' if len(missing) == 1 else 'are'} missing "
            f"or of another shape ({_some(missing, 3)}), and would be random numbers; get it again, whole"
        )
    return model


def _only_variant(place: Path) -> str | None:
    """Return the variant of a folder's weights where it has no others; None: those without a variant."""
    names = [one.name.split(".") for one in place.glob("*.safetensors")]
    variants = {words[1] for words in names if len(words) == 3}
    return min(variants) if variants and all(len(words) == 3 for words in names) else None


def _lay_over(model: torch.nn.Module, path: Path, name: str, source: Source) -> None:
    """Put the tensors of a file into a component. Say how many of its own remain.

    Raises:
        ModelError: the file has a tensor that the component lacks, or one of another shape.
    """
    own, new = model.state_dict(), _read_tensors(path, source)
    wrong = [
        f"{tensor}: {_size(tuple(value.shape))} in place of "
        + _size(tuple(own[tensor].shape) if tensor in own else None)
        for tensor, value in new.items()
        if tensor not in own or own[tensor].shape != value.shape
    ]
    if wrong or not new:
        raise ModelError(
            f"{path}: it does not fit `{name}`: {number_of(len(wrong), 'tensor')} of {len(new)} "
            f"({_some(wrong, 2) or 'it is empty'}); the tensors must have the names and shapes that diffusers gives "
            f"them; convert the file, or fix `{source.key}`"
        )
    model.load_state_dict(new, strict=False)
    if len(new) < len(own):
        print(f"fit: {path}: {len(new)} of {len(own)} tensors of `{name}` are replaced", file=sys.stderr)


def _read_tensors(path: Path, source: Source) -> dict[str, torch.Tensor]:
    try:
        return load_file(path)
    except Exception as error:  # of safetensors, whose classes of errors differ from version to version
        raise ModelError(f"{path}: can't be read ({one_line(error)}); get it again, or fix `{source.key}`") from error


# --- LoRA -------------------------------------------------------------------------------------------------------------


def _lora_file(source: Source) -> Path:
    path = source.path
    if path.is_file():
        return path
    found = sorted(path.glob("*.safetensors"))
    if len(found) != 1:
        raise ModelError(
            f"{path}: {number_of(len(found), 'file')} of safetensors in it, and a LoRA is one; name it as `lora.file`"
        )
    return found[0]


def _layers(path: Path, source: Source) -> dict[tuple[str, str], dict[str, torch.Tensor]]:
    """Return (component, layer) -> {"A": [rank, in], "B": [out, rank], "alpha": of the layer, if the file has it}.

    Names are those of PEFT, and those that diffusers converts to them: its older ones, and kohya's.
    """
    tensors = _read_tensors(path, source)
    try:
        state, alphas = diffusers.StableDiffusionPipeline.lora_state_dict(dict(tensors))
        converted = _as_in_peft(state)
    except Exception as error:  # whatever diffusers raises on names that it does not know
        raise ModelError(f"{path}: not a LoRA that diffusers reads ({one_line(error)}); fix `{source.key}`") from error
    found: dict[tuple[str, str], dict[str, torch.Tensor]] = {}
    for name, value in converted.items():
        match = _LORA.fullmatch(name)
        if match is None:
            raise ModelError(f"{path}: {name!r} is not a tensor of a LoRA; fix `{source.key}`")
        found.setdefault((match[1], match[2]), {})[match[3]] = value
    of_alphas = {name.removesuffix(".alpha"): torch.as_tensor(alpha) for name, alpha in (alphas or {}).items()}
    for name, alpha in _as_in_peft(of_alphas).items():
        match = _LORA.fullmatch(name)
        if match is None or (match[1], match[2]) not in found:
            raise ModelError(f"{path}: the alpha of {name!r} is of no layer of this LoRA; fix `{source.key}`")
        found[match[1], match[2]]["alpha"] = alpha
    return found


def _as_in_peft(tensors: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Return tensors under the names that PEFT gives them."""
    found = convert_unet_state_dict_to_peft(dict(tensors))
    if any("lora_linear_layer" in name for name in found):
        found = convert_state_dict_to_peft(found)
    return {name.replace(".processor.", "."): value for name, value in found.items()}


def add_lora(pipe: Any, source: Source, scale: float) -> None:
    """Add a LoRA to the weights of a pipeline: W + scale (alpha / rank) B A (arXiv 2106.09685).

    Args:
        pipe: a diffusers pipeline, on the processor.
        source: where the LoRA is.
        scale: what it is multiplied by. alpha is the rank where the file does not say it.

    Raises:
        ModelError: it is not a LoRA, or is for layers that the pipeline lacks or that have other shapes.
    """
    path = _lora_file(source)
    layers = _layers(path, source)
    if not layers:
        raise ModelError(f"{path}: no tensor of a LoRA in it; fix `{source.key}`")
    for (component, layer), parts in layers.items():
        module = dict(getattr(pipe, component, torch.nn.Module()).named_modules()).get(layer)
        weight = getattr(module, "weight", None)
        if weight is None or not {"A", "B"} <= parts.keys():
            what = "is no layer of this pipeline" if weight is None else "lacks one of its two matrices"
            raise ModelError(f"{path}: {component}.{layer} {what}; take a LoRA that was trained for this base")
        a, b = parts["A"].float(), parts["B"].float()
        rank = a.shape[0]
        product = b.flatten(1) @ a.flatten(1)
        if product.numel() != weight.numel() or b.shape[0] != weight.shape[0]:
            raise ModelError(
                f"{path}: {component}.{layer} has {_size(tuple(product.shape))} numbers in place of "
                f"{_size(tuple(weight.shape))}; take a LoRA that was trained for this base"
            )
        factor = scale * float(parts.get("alpha", torch.tensor(float(rank)))) / rank
        with torch.no_grad():
            weight += (factor * product).reshape(weight.shape).to(weight)


def lora_path(source: Source) -> Path:
    """Return the file of a LoRA."""
    return _lora_file(source)


def hashes_of(sources: Mapping[str, Source], lora: Source | None) -> Callable[[], dict[str, str]]:
    """Return a function that returns file -> SHA-256 of the replaced components and the LoRA, for provenance."""

    def files() -> Iterator[tuple[str, Path]]:
        for name, source in sources.items():
            place = source.path
            of_part = [place] if place.is_file() else sorted(place.glob("*.safetensors"))
            yield from ((f"{name} < {source.place}/{path.name}", path) for path in of_part)
        if lora is not None:
            path = _lora_file(lora)
            yield f"lora < {lora.place}/{path.name}", path

    return lambda: {name: weights.digest(path) for name, path in files()}
