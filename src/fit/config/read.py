"""Reads configuration files, checks them, and says in which file and line a mistake is."""

import difflib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pydantic
import yaml

from fit.config.bases import is_inherited, with_bases
from fit.config.config import Config
from fit.config.places import Location, keys_of, sections_in, with_places
from fit.errors import ConfigError

RENAMED = {
    ("domains", "same_concept_cut"): "match_threshold",
    ("art_filter", "cut"): "threshold",
    ("captions", "max_hits"): "max_matched_captions",
}
"""(a section that it is in, a key of an earlier version) -> the key's name now."""


def _locate(error: Mapping[str, Any]) -> tuple[str, str]:
    """(the key, what is wrong with it) of one of pydantic's errors."""
    # Where a value may be of several types, pydantic names each type behind the key.
    kinds = ("constrained-", "literal[", "[key]")
    key = ".".join(str(part) for part in error["loc"] if not str(part).startswith(kinds))
    message = error["msg"].removeprefix("Value error, ")
    return key, message


def _known_keys(location: Location) -> tuple[str, list[str]]:
    """(the key that a section is under, the keys that are known there) for the place of an unknown key."""
    section: type = Config
    of_section = ""
    for part in location[:-1]:
        keys = keys_of(section)
        if part in keys:
            section = next(sections_in(keys[part]), section)
            of_section = str(part)
    return of_section, list(keys_of(section))


def _unknown_key(path: str, key: str, location: Location) -> str:
    """What is said of a key that is not known."""
    of_section, known = _known_keys(location)
    if (of_section, str(location[-1])) in RENAMED:
        now = RENAMED[of_section, str(location[-1])]
        return f"{path}: `{key}` is now called `{now}`; rename it (CHANGELOG.md lists what was renamed)"
    near = difflib.get_close_matches(str(location[-1]), known, n=1)
    remedy = f"did you mean `{near[0]}`?" if near else f"take it out; known here: {', '.join(known)}"
    return f"{path}: `{key}` is not a known key; {remedy}"


class _Layers:
    """The configuration files of a run, to say in errors which of them sets a key. They are read for errors only."""

    def __init__(self, paths: Sequence[str | Path], command_line: Mapping[str, Any] | None = None):
        self._paths, self._command_line = [str(path) for path in paths], command_line or {}
        self._data: list[dict] | None = None

    def file(self, location: Location) -> str:
        """The file that sets a key, as `name`; "" for the command line."""
        found = self.name(location)
        return "" if found == "--config" else found

    def name(self, location: Location) -> str:
        """The last file that has the most of `location`, a tuple of keys: the one to change. The first, where none has
        any: the key is missing. --config, where the command line sets it."""
        if _depth(self._command_line, location) == len(location):
            return "--config"
        if len(self._paths) == 1:
            return self._paths[0]
        if self._data is None:
            self._data = [_laid_out(path) for path in self._paths]
        depths = [_depth(data, location) for data in self._data]
        deepest = max(depths)
        return [path for path, depth in zip(self._paths, depths, strict=True) if depth == deepest][-1 if deepest else 0]


def _laid_out(path: str) -> dict[str, Any]:
    try:
        return _read_yaml(path)
    except (ConfigError, OSError):
        return {}


def _depth(data: Any, location: Location) -> int:
    """How many of the keys of `location` `data` has, one inside the other."""
    depth = 0
    for key in location:
        there = key in data if isinstance(data, dict) else isinstance(data, list) and key in range(len(data))
        if not there:
            break
        data, depth = data[key], depth + 1
    return depth


def check(
    data: Mapping[str, Any],
    path: str = "config.yaml",
    files: Sequence[str | Path] = (),
    command_line: Mapping[str, Any] | None = None,
) -> Config:
    """Turn the contents of config.yaml into a Config.

    Args:
        data: a dict. path: what errors call the place that it comes from.
        files: the files that it comes from, each laid over those before it: errors then name the one that sets a key,
            and a path is relative to the folder of the one that names it.
        command_line: what --config sets, a dict, which lies over all files.

    Raises:
        ConfigError: an unknown, missing or mistyped key, or a name that is used but not defined.
    """
    layers = _Layers(files or [path], command_line)
    placed = with_places(dict(data), layers.file)
    whole = with_bases(placed, layers.name)
    try:
        config = Config.model_validate(whole)
    except pydantic.ValidationError as invalid:
        problems = []
        for error in invalid.errors():
            if is_inherited(placed, error["loc"]):
                continue
            key, message = _locate(error)
            path = layers.name(error["loc"])
            if error["type"] in ("extra_forbidden", "unexpected_keyword_argument"):
                problems.append(_unknown_key(path, key, error["loc"]))
            elif error["type"] == "missing":
                problems.append(
                    f"{path}: `{key}` is missing; add it (docs/first-study.md shows a small file with each "
                    "key that is needed)"
                )
            else:
                problems.append(f"{path}: `{key}`: {message} (it is {error['input']!r}); correct the value")
        raise ConfigError("\n".join(problems)) from None
    wrong = [
        *_undefined_names(config, layers),
        *_unscalable_counts(config, layers),
        *_unlike_bases(config, layers),
        *_reversed_counts(config, layers),
    ]
    if wrong:
        raise ConfigError("\n".join(wrong))
    config.remember_source(files)
    return config


def _undefined_names(config: Config, layers: _Layers) -> Iterator[str]:
    """What is said of each name that is used and not defined."""
    uses: list[tuple[tuple[str, ...], str, str]] = []
    if config.default_study:
        uses.append((("default_study",), config.default_study, "studies"))
    else:
        yield (
            f"{layers.name(('studies',))}: `default_study` is missing, and there are several studies; add it: one of "
            f"{', '.join(config.studies) or 'none (`studies` is empty)'}"
        )
    for name, study in config.studies.items():
        uses += [(("studies", name, "models"), model, "models") for model in study.models]
        uses += [(("studies", name, "domains"), domain, "domains") for domain in study.domains]
    uses += [(("models", name, "corpus"), model.corpus, "corpora") for name, model in config.models.items()]
    uses += [(("models", name, "before"), m.before, "models") for name, m in config.models.items() if m.before]
    uses += [
        (("models", name, "erase", "domain"), m.erase.domain, "domains") for name, m in config.models.items() if m.erase
    ]
    for name, domain in config.domains.items():
        uses.append((("domains", name, "embedder"), domain.embedder, "embedders"))
        if domain.prompt_embedder:
            uses.append((("domains", name, "prompt_embedder"), domain.prompt_embedder, "embedders"))
        if domain.art_filter:
            uses.append((("domains", name, "art_filter", "embedder"), domain.art_filter.embedder, "embedders"))
    for name, corpus in config.corpora.items():
        if corpus.counts_from:
            uses.append((("corpora", name, "counts_from"), corpus.counts_from, "corpora"))
    for key, name, kind in uses:
        defined = getattr(config, kind)
        if name not in defined:
            close = difflib.get_close_matches(name, defined, n=1)
            remedy = f"did you mean {close[0]!r}? It has" if close else "it has"
            yield (
                f"{layers.name(key)}: `{'.'.join(key)}` names {name!r}, which `{kind}` lacks; {remedy}: "
                f"{', '.join(defined)}"
            )


def _unscalable_counts(config: Config, layers: _Layers) -> Iterator[str]:
    """What is said of each corpus whose counts are scaled from one that can't be scaled from."""
    for name, corpus in config.corpora.items():
        source = config.corpora.get(corpus.counts_from) if corpus.counts_from else None
        if source and (source.counts_from or source.provided_counts or not source.captions):
            why = "are scaled themselves" if source.counts_from else "come without captions to scale them by"
            yield (
                f"{layers.name(('corpora', name, 'counts_from'))}: `corpora.{name}.counts_from` names "
                f"{corpus.counts_from!r}, whose counts {why}; name a corpus with `captions` and `images`"
            )


def _reversed_counts(config: Config, layers: _Layers) -> Iterator[str]:
    """What is said of each built-in world whose smallest count is above its largest."""
    for section, world in (("atelier", config.atelier), ("truth", config.truth)):
        if world and world.smallest_count > world.largest_count:
            yield (
                f"{layers.name((section, 'smallest_count'))}: `{section}.smallest_count` is {world.smallest_count}, "
                f"above `{section}.largest_count`, {world.largest_count}; lower it"
            )


def _unlike_bases(config: Config, layers: _Layers) -> Iterator[str]:
    """What is said of each model whose base model is itself, or is compared with other targets."""
    for name, model in config.models.items():
        key, base = f"models.{name}.before", config.models.get(model.before or "")
        if base is None:
            continue
        where = layers.name(("models", name, "before"))
        if name in config.models_before(name):
            yield f"{where}: `{key}` leads back to {name!r}: a model is not its own base; take one `before` out"
        elif base.corpus != model.corpus:
            yield (
                f"{where}: `{key}` names {model.before!r}, whose corpus is {base.corpus!r} and not {model.corpus!r}: "
                "its pictures would be compared with other targets; add a model of its pipeline with "
                f"`corpus: {model.corpus}`"
            )


def _check_keys_once(node: yaml.Node | None, path: str | Path) -> None:
    """Raise ConfigError where a mapping has a key twice: YAML's readers keep the last one in silence.

    The tree is looked at before it is made into dicts, since what `<<` merges in may be set otherwise beside it.
    """
    inside, seen = [node], set()
    while inside:
        node = inside.pop()
        if id(node) in seen:
            continue
        seen.add(id(node))
        if isinstance(node, yaml.SequenceNode):
            inside += node.value
        if not isinstance(node, yaml.MappingNode):
            continue
        lines: dict[tuple[str, str], int] = {}
        for key, value in node.value:
            inside.append(value)
            line = key.start_mark.line + 1
            if isinstance(key, yaml.ScalarNode) and (key.tag, key.value) in lines:
                raise ConfigError(
                    f"{path}, line {line}: the key `{key.value}` is in line {lines[key.tag, key.value]} too; the last "
                    "one would replace the first: keep one, or put what is in them together"
                )
            if isinstance(key, yaml.ScalarNode):
                lines[key.tag, key.value] = line


def _read_yaml(path: str | Path) -> dict[str, Any]:
    try:
        text = Path(path).read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ConfigError(f"{path}: there is no such file; check the path, or run in the folder of the study") from None
    except OSError as error:
        raise ConfigError(f"{path}: can't be read ({error.strerror}); name a file of YAML") from None
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: byte {error.start} is not UTF-8; save it as UTF-8") from None
    if text.lstrip().startswith("{"):  # JSON, which Snakemake reads too, may be indented with tabs
        text = text.replace("\t", " ")
    try:
        loader = yaml.SafeLoader(text)
        node = loader.get_single_node()
        _check_keys_once(node, path)
        data = None if node is None else loader.construct_document(node)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"{path}, line {mark.line + 1}" if mark else path
        why = ", ".join(part for part in (error.context, error.problem) if part)
        raise ConfigError(f"{where}: not YAML: {why}; correct that line") from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise ConfigError(f"{path}: not YAML: {' '.join(str(error).split())}") from None
    if not isinstance(data, dict):
        what = "it is empty" if data is None else f"it holds a {'list' if isinstance(data, list) else 'single value'}"
        raise ConfigError(f"{path}: no keys in it: {what}; `fit new` writes such a file")
    return data


def check_files(paths: Sequence[str | Path]) -> None:
    """Raise ConfigError where a configuration file is missing, not YAML, without keys, or has a key twice."""
    for path in paths:
        _read_yaml(path)


def _laid_over(below: Any, above: Any) -> Any:
    """`above` over `below`, key by key as deep as both have dicts: how Snakemake takes several configuration files."""
    if not (isinstance(below, dict) and isinstance(above, dict)):
        return above
    return below | {key: _laid_over(below.get(key), value) for key, value in above.items()}


def load(*paths: str | Path, folder: str = "") -> Config:
    """Read and check configuration files, each laid over those before it.

    Args:
        paths: of the files; config.yaml where there are none.
        folder: the folder of a study that the command went into, as it was typed, for hints at other commands.

    Raises:
        ConfigError: as `check` does; and for a file that is missing or not YAML.
    """
    paths = paths or ("config.yaml",)
    data: dict = {}
    for path in paths:
        data = _laid_over(data, _read_yaml(path))
    config = check(data, files=paths)
    config.remember_source(paths, folder)
    return config
