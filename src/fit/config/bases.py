"""Models that are derived from another one: what they leave out is their base's."""

from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any

from fit.atelier.erasing import COMPONENTS
from fit.config.places import Location
from fit.errors import ConfigError
from fit.io.nearby import nearest

OF_BASE = ("pipeline", "revision", "variant", "corpus", "provided_images", "backend")
"""Keys that a derived model cannot have: another pipeline, or another corpus, would be another model."""
OWN = ("base", "erase", "origin", "licence")
"""Keys that a derived model does not take from the one that it is derived from. What was made of a model may have
another publisher and other terms."""
TOGETHER = ("components",)
"""Keys whose sections are put together, key by key."""


def erased_folder(model: str) -> str:
    """Return where the workflow puts the component of a model whose concepts it erases."""
    return f"results/defences/erased/{model}"


def with_bases(data: dict[str, Any], file_of: Callable[[Location], str]) -> dict[str, Any]:
    """Return the contents of a configuration in which each derived model has all keys of its base.

    Args:
        data: the contents; not changed.
        file_of: returns what errors call the file that sets a key.

    Raises:
        ConfigError: a base is unknown, leads back to its model, or has no pipeline; or a derived model has a key that
            only its base may have.
    """
    models = data.get("models")
    if not isinstance(models, dict):
        return data
    derived = {
        name: model for name, model in models.items() if isinstance(model, dict) and model.get("base") is not None
    }
    if not derived:
        return data
    problems = [said for name in derived for said in _problems(name, models, file_of)]
    if problems:
        raise ConfigError("\n".join(problems))
    return data | {"models": {name: _whole(name, models) for name in models}}


def _chain(name: str, models: Mapping[str, Any]) -> list[str]:
    """Return a model, its base, the base's base and so on, each once; the last one has no base that is known."""
    found: list[str] = []
    while isinstance(name, str) and name in models and name not in found:
        found.append(name)
        model = models[name]
        name = model.get("base", "") if isinstance(model, dict) else ""
    return found


def _problems(name: str, models: Mapping[str, Any], file_of: Callable[[Location], str]) -> list[str]:
    model, key = models[name], f"models.{name}.base"
    base, where = model["base"], file_of(("models", name, "base"))
    if not isinstance(base, str) or base not in models:
        other = nearest(str(base), models)
        remedy = f"did you mean {other!r}? It has" if other else "it has"
        return [f"{where}: `{key}` names {base!r}, which `models` lacks; {remedy}: {', '.join(models)}"]
    chain = _chain(name, models)
    last = models[chain[-1]]
    if isinstance(last, dict) and last.get("base") is not None:
        if last["base"] not in models:
            return []  # said of that model
        return [
            f"{where}: `{key}` leads back to {last['base']!r} ({' -> '.join([*chain, last['base']])}); end the chain "
            "in a model with a `pipeline`, without a `base`"
        ]
    if isinstance(last, dict) and "pipeline" not in last:
        return [f"{where}: `{key}` leads to {chain[-1]!r}, which has no `pipeline` that could be changed; name another"]
    changed = [one for one in chain[1:] if any(models[one].get(key) for key in ("components", "lora", "erase"))]
    if "erase" in model and changed:
        return [
            f"{file_of(('models', name, 'erase'))}: `models.{name}.erase` trains the pipeline without the changes of "
            f"{changed[0]!r}; name {chain[-1]!r} as `base`"
        ]
    return [
        f"{file_of(('models', name, one))}: `models.{name}.{one}`: a model with a `base` has its base's {one}; take "
        f"`{one}` out, or take `base` out"
        for one in OF_BASE
        if one in model and model[one] != (last.get(one) if isinstance(last, dict) else None)
    ] + [
        f"{file_of(('models', name, 'erase'))}: `models.{name}.erase` makes the component {made!r}, which "
        "`components` names too; take one of them out"
        for made in [_erased(model)]
        if made and (model.get("components") or {}).get(made, {}) and not _is_made(model["components"][made], name)
    ]


def _is_made(component: Any, name: str) -> bool:
    """Whether a component is the one that the workflow makes for a model, as a whole configuration names it."""
    return isinstance(component, dict) and component.get("place") == erased_folder(name)


def _erased(model: Mapping[str, Any]) -> str | None:
    """Return the component that the workflow makes for a model; None if it makes none."""
    erase = model.get("erase")
    return COMPONENTS.get(erase.get("method", "")) if isinstance(erase, dict) else None


def _whole(name: str, models: Mapping[str, Any]) -> Any:
    """Return a model with the keys of its bases."""
    found: dict[str, Any] = {}
    if not isinstance(models[name], dict):
        return models[name]
    for one in reversed(_chain(name, models)):
        model = dict(models[one])
        if made := _erased(model):
            model["components"] = (model.get("components") or {}) | {made: {"place": erased_folder(one)}}
            model.setdefault("erases", model["erase"].get("concepts"))
        together = {
            key: found[key] | model[key]
            for key in TOGETHER
            if isinstance(found.get(key), dict) and isinstance(model.get(key), dict)
        }
        found = {key: value for key, value in found.items() if key not in OWN} | model | together
    return found


def unknown_erased(name: str, model: Any, slugs_of: Mapping[str, Collection[str]]) -> Iterator[tuple[str, str]]:
    """Yield (key, what is wrong) of each concept that a model is to be kept from imitating and that no sheet has.

    Args:
        name: of the model.
        model: of a configuration.
        slugs_of: domain -> slugs of its sheet; where there are none, nothing is said.
    """
    if model.erase:
        key, concepts, known = "erase.concepts", model.erase.concepts, slugs_of.get(model.erase.domain, ())
    else:
        key, concepts, known = "erases", model.erases, [slug for slugs in slugs_of.values() for slug in slugs]
    for slug in concepts:
        if known and slug not in known:
            other = nearest(slug, known)
            hint = f"did you mean {other!r}?" if other else "correct it, or add it to the sheet"
            yield f"models.{name}.{key}", f"`models.{name}.{key}` names {slug!r}, which no sheet has; {hint}"


def check_erased(models: Mapping[str, Any], slugs_of: Mapping[str, Collection[str]]) -> None:
    """Raise ConfigError if a model is to be kept from imitating a concept that no sheet has.

    Args:
        models: of a configuration, by name.
        slugs_of: domain -> slugs of its sheet.
    """
    problems = [text for name, model in models.items() for _, text in unknown_erased(name, model, slugs_of)]
    if problems:
        raise ConfigError("\n".join(f"config.yaml: {problem}" for problem in problems))


def is_inherited(data: Mapping[str, Any], location: Location) -> bool:
    """Whether what is at `location` of the whole contents was set by a model's base, which has the same mistake."""
    if len(location) < 3 or location[0] != "models":
        return False
    model = data["models"].get(location[1])
    return isinstance(model, dict) and model.get("base") is not None and location[2] not in model
