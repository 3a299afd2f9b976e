"""Which weights a pipeline has, which of them are loaded, where they are, and their hashes."""

import json
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from hashlib import file_digest
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from fit.errors import ModelError
from fit.io.folders import walk_folder

_BLOB = re.compile(r"[0-9a-f]{64}")
# Names that diffusers and transformers read: NAME.safetensors, its shards and their index, with a variant or without.
# The last patterns of shards and index have an older order of the same words.
_NAME, _SHARD, _VARIANT = "(diffusion_pytorch_model|model)", r"-\d{5}-of-\d{5}", r"([A-Za-z0-9_-]+?)"
_WEIGHTS = [
    re.compile(rf"{_NAME}(?:\.{_VARIANT})?(?:{_SHARD})?\.safetensors"),
    re.compile(rf"{_NAME}{_SHARD}\.{_VARIANT}\.safetensors"),
    re.compile(rf"{_NAME}\.safetensors\.index(?:\.{_VARIANT})?\.json"),
    re.compile(rf"{_NAME}\.safetensors\.{_VARIANT}\.index\.json"),
]
_BASES = {"diffusers": "diffusion_pytorch_model", "transformers": "model"}
_ANOTHER = "name another `pipeline`"
_OTHER_WEIGHTS = (".bin", ".pt", ".pth", ".ckpt", ".msgpack", ".h5", ".onnx", ".pb", ".gguf")
_CONVERT = (
    "save the pipeline again, as safetensors, where you trust these files: "
    "DiffusionPipeline.from_pretrained(FOLDER, use_safetensors=False).save_pretrained(OTHER)"
)


def fingerprint(folder: str | Path) -> list[list[Any]]:
    """Return [path, bytes, time of change in ns] of each file of a pipeline.

    They tell the files apart from others without reading them.
    """
    found = walk_folder(folder)
    stats = zip(found.names, (entry.stat() for entry in found.files), strict=True)
    return [[name, stat.st_size, stat.st_mtime_ns] for name, stat in stats]


# --- which variant ----------------------------------------------------------------------------------------------------


def read_index(folder: str | Path) -> dict[str, Any]:
    """Return what model_index.json of a pipeline's folder says.

    Raises:
        ModelError: it can't be read.
    """
    path = Path(folder, "model_index.json")
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ModelError(f"{path}: can't be read ({error}); get the pipeline's folder again") from error
    if not isinstance(found, dict):
        raise ModelError(f"{path}: it is not a JSON object; get the pipeline's folder again")
    return found


def _components(index: Mapping[str, Any]) -> dict[str, list[str]]:
    """Return component -> [library, class] of what the pipeline is loaded from."""
    return {
        name: value
        for name, value in index.items()
        if isinstance(value, list) and len(value) == 2 and value[0] and name[0] != "_" and name != "safety_checker"
    }


@cache
def _is_loadable(library: str) -> bool:
    """Whether `library` is one that components may be of: diffusers, transformers, or a pipeline within diffusers."""
    if library in _BASES:
        return True
    origin = getattr(find_spec("diffusers"), "origin", None)
    return bool(
        re.fullmatch(r"[a-z][a-z0-9_]*", library)
        and origin
        and Path(origin).with_name("pipelines").joinpath(library).is_dir()
    )


def foreign_components(folder: str | Path) -> Iterator[str]:
    """Yield a message for each component of the pipeline in `folder` that would run other code than diffusers' and
    transformers'."""
    for name, value in read_index(folder).items():
        is_component = isinstance(value, list) and len(value) == 2 and all(isinstance(part, str) for part in value)
        if not is_component or name.startswith("_"):
            continue
        library, kind = value
        place = f"{Path(folder, 'model_index.json')}: the component `{name}` ({kind})"
        if not _is_loadable(library):
            yield f"{place} is of {library!r}, not of diffusers or transformers, and other code is not run; {_ANOTHER}"
        elif Path(folder, name, f"{library}.py").exists():
            yield f"{place} comes with code of its own ({name}/{library}.py), which is not run; {_ANOTHER}"
        elif Path(folder, name, "model_index.json").exists():
            yield f"{place} is a pipeline itself, whose components are not checked; {_ANOTHER}"


def _base(library: str, names: Iterable[str]) -> str:
    """Return how the weights of a component of `library` are called; for a pipeline's own classes, the files tell."""
    is_of_diffusers = any(name.startswith("diffusion_pytorch_model") for name in names)
    return _BASES.get(library) or _BASES["diffusers" if is_of_diffusers else "transformers"]


def _variants(library: str, names: Sequence[str]) -> set[str | None]:
    """Return the variants of weights among the files of one component; None is the variant without a name."""
    matches = [pattern.fullmatch(name) for name in names for pattern in _WEIGHTS]
    base = _base(library, names)
    return {match[2] if match.lastindex == 2 else None for match in matches if match and match[1] == base}


def _by_folder(names: Iterable[str]) -> Mapping[str, list[str]]:
    found: defaultdict[str, list[str]] = defaultdict(list)
    for name in names:
        folder, _, file = name.rpartition("/")
        found[folder].append(file)
    return found


def find_variant(
    place: str | Path, index: Mapping[str, Any], names: Iterable[str], wanted: str | None = None
) -> str | None:
    """Return the variant of its weights that a pipeline is loaded from; None is the one without a name.

    As in diffusers, a component that lacks the variant is loaded from its weights without one.

    Args:
        place: what errors call the pipeline: its folder or hub id.
        index: what its model_index.json says.
        names: all its files, as "component/file".
        wanted: a variant, or None for the weights without a name and, where a component lacks those, the only variant
            with which every component can be loaded.

    Raises:
        ModelError: there is no such variant, or several could be meant, or none is whole.
    """
    folders = _by_folder(names)
    found = {part: _variants(library, folders[part]) for part, (library, _) in _components(index).items()}
    found = {part: variants for part, variants in found.items() if variants}
    known = sorted({variant for variants in found.values() for variant in variants if variant})
    if wanted is not None:
        if wanted not in known:
            has = f"it has {', '.join(f'`{name}`' for name in known)}" if known else "it has only weights without one"
            raise ModelError(
                f"{place}: there are no weights of the variant `{wanted}`; {has}: fix the model's `variant`"
            )
        fitting = [wanted]
    elif all(None in variants for variants in found.values()):
        return None
    else:
        fitting = known
    fitting = [name for name in fitting if all({name, None} & variants for variants in found.values())]
    if len(fitting) == 1:
        return fitting[0]
    listed = "; ".join(
        f"{part}: {', '.join(sorted(name or 'without a variant' for name in variants))}"
        for part, variants in sorted(found.items())
    )
    if fitting:
        raise ModelError(
            f"{place}: there are several variants of the weights ({listed}); name the one to load as the model's "
            f"`variant`: {' or '.join(fitting)}"
        )
    asked = f"the variant `{wanted}`" if wanted else "one variant"
    raise ModelError(
        f"{place}: not every component has weights of {asked} or without a variant ({listed}); get the missing files, "
        "or name another `variant` of the model"
    )


def variant_in(folder: str | Path, wanted: str | None = None) -> str | None:
    """Return find_variant of a pipeline's folder.

    Raises:
        ModelError: as there; or a file of a component would stop diffusers while it looks for the variant.
    """
    folder, index = Path(folder), read_index(folder)
    names = [f"{part}/{path.name}" for part in _components(index) for path in _files(folder / part)]
    variant = find_variant(folder, index, names, wanted)
    if variant is not None:
        # diffusers splits every name at dots, and takes the second word of each.
        bare = [path for part in index for path in _files(folder / part) if "." not in path.name]
        if bare:
            raise ModelError(
                f"{bare[0]}: diffusers can't load the variant `{variant}` beside a file or folder whose name has no "
                "dot; move it elsewhere"
            )
    return variant


def _files(folder: Path) -> list[Path]:
    return sorted(folder.iterdir()) if folder.is_dir() else []


# --- which files ------------------------------------------------------------------------------------------------------


def weight_files(folder: str | Path, variant: str | None = None) -> list[Path]:
    """Return the files of weights that a pipeline in `folder` is loaded from, without the safety checker's.

    They are safetensors and, where they are sharded, the index that names the shards.

    Args:
        folder: of the pipeline.
        variant: as `variant_in` returns it.

    Raises:
        ModelError: a component, its weights or a shard is missing, or an index can't be read.
    """
    folder, files = Path(folder), []
    is_flat = (folder / "config.json").is_file()
    for part, (library, kind) in _components(read_index(folder)).items():
        place = folder / part
        if not place.is_dir():
            if not is_flat:
                raise ModelError(
                    f"{folder}: the component `{part}` ({kind}) is missing, which model_index.json names; get the "
                    f"folder {place}, or the whole pipeline again"
                )
            place = folder
        files += _files_of(place, library, variant)
    return sorted(set(files))


def _files_of(place: Path, library: str, variant: str | None) -> list[Path]:
    """Return the files that weight_files has of one component, in the folder `place`."""
    names = [path.name for path in _files(place)]
    variants = _variants(library, names)
    chosen = variant if variant in variants else None
    if not variants:
        others = [name for name in names if name.endswith(_OTHER_WEIGHTS)]
        if others:
            raise ModelError(
                f"{place}: no weights as safetensors, only {', '.join(others[:3])}: such files can run code, or are "
                f"not for torch, and are not read; {_CONVERT}"
            )
        if (place / "config.json").is_file() and not (place / "tokenizer_config.json").is_file():
            raise ModelError(f"{place}: no weights in it (*.safetensors); get the folder again, whole")
        return []
    if chosen not in variants:
        raise ModelError(f"{place}: no weights of the variant `{variant}` in it, nor without one; fix `variant`")
    base = _base(library, names)
    dotted = f".{chosen}" if chosen else ""
    single = place / f"{base}{dotted}.safetensors"
    index = place / f"{base}.safetensors.index{dotted}.json"
    older = place / f"{base}.safetensors{dotted}.index.json"
    # Each library has its order, should there be both.
    ways = [single, index] if base == _BASES["transformers"] else [index, older, single]
    way = next((path for path in ways if path.is_file()), None)
    if way is None:
        raise ModelError(
            f"{place}: shards are there without {index.name}, the index that names them; get it, or the folder again"
        )
    if way == single:
        return [single]
    if way == older and chosen:
        _refuse_what_diffusers_misses(older, base, chosen)
    return [way, *_shards(way)]


def _refuse_what_diffusers_misses(older: Path, base: str, variant: str) -> None:
    """Refuse an index under its older name where a folder above it has a dot in its name: diffusers does not find it.

    Raises:
        ModelError: it is one.
    """
    words = str(older.with_name(f"{base}.safetensors.index.json")).split(".")
    at = 3 if ".cache" in str(older) else 2
    if ".".join([*words[:at], variant, *words[at:]]) != str(older):
        raise ModelError(
            f"{older}: diffusers does not find an index of this name below a folder with a dot in its name; rename the "
            f"file to {base}.safetensors.index.{variant}.json"
        )


def _shards(index: Path) -> list[Path]:
    try:
        named = json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()
        shards = sorted({index.with_name(str(name)) for name in named})
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ModelError(f"{index}: can't be read ({error!r}); get the file again") from error
    missing = [path.name for path in shards if not path.is_file()]
    if missing:
        more = f" and {len(missing) - 3} more" if len(missing) > 3 else ""
        raise ModelError(
            f"{index.parent}: {', '.join(missing[:3])}{more} of {len(shards)} shards that {index.name} names "
            f"{'is' if len(missing) == 1 else 'are'} missing; get them, or the folder again"
        )
    return shards


# --- hashes -----------------------------------------------------------------------------------------------------------


@cache
def _sha256(path: Path, size: int, mtime_ns: int) -> str:
    with path.open("rb") as file:
        return file_digest(file, "sha256").hexdigest()


def digest(path: Path) -> str:
    """Return the SHA-256 of a file, 64 hex digits; of one in the hub's cache, as the cache names it."""
    real = path.resolve()
    stat = real.stat()
    return real.name if _BLOB.fullmatch(real.name) else _sha256(real, stat.st_size, stat.st_mtime_ns)


def hashes(folder: str | Path, variant: str | None = None) -> dict[str, str]:
    """Return the SHA-256 of each of weight_files: path within the pipeline -> 64 hex digits.

    In the hub's cache a weight file is a link to a file that is named by its hash, which is taken from there; other
    files are read, once in a process.
    """

    files = weight_files(folder, variant)
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(digest, files))
    return {path.relative_to(folder).as_posix(): digest for path, digest in zip(files, found, strict=True)}
