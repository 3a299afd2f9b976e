"""Which models are searched for copies, with which prompts and images; and the experiment in the built-in world.

The model of the experiment is a model of the configuration, like a user's own, so that every stage runs on it.
"""

from dataclasses import dataclass, replace

from fit.config.config import Config
from fit.config.corpus import Captions, Corpus
from fit.config.domain import References
from fit.config.study import Copies
from fit.config.truth import of_atelier
from fit.errors import ConfigError
from fit.io.names import expand

WORLD = "copies-atelier"
"""The domain, corpus and model of the experiment."""
FOLDER = "results/copies/atelier"
"""Where its files are."""
GENERATOR = f"{FOLDER}/generator"


@dataclass(frozen=True)
class Searched:
    """What the search for copies of one model takes."""

    caption_files: tuple[str, ...]
    """Of its corpus; none, where captions are not in files."""
    prompts: str | None
    other_prompts: str | None
    training_images: tuple[str, ...]
    """Tables; none: the collected ones."""
    collected: tuple[tuple[str, str], ...]
    """(corpus, domain) whose collected images are taken."""


def why_no_copies_world(config: Config) -> str | None:
    """Say what the experiment lacks that the configuration asks for; None if nothing, or if it asks for none."""
    if config.copies is None or config.copies.atelier is None:
        return None
    try:
        of_atelier(config, "copies.atelier")
    except ConfigError as error:
        return str(error)
    return None


def has_copies_world(config: Config) -> bool:
    """Whether the experiment is asked for, and lacks nothing."""
    return bool(config.copies and config.copies.atelier and not why_no_copies_world(config))


def with_copies(config: Config) -> Config:
    """Return `config` with the model, corpus and domain of the experiment."""
    if not has_copies_world(config):
        return config
    domain, corpus, model = of_atelier(config, "copies.atelier")
    references = References(table=f"{FOLDER}/references.parquet")
    captions = Captions(files=[f"{FOLDER}/training-set.parquet"])
    return config.model_copy(
        update={
            "domains": config.domains | {WORLD: replace(domain, references=references, art_filter=None)},
            "corpora": config.corpora | {WORLD: replace(corpus, captions=captions)},
            "models": config.models | {WORLD: replace(model, corpus=WORLD, pipeline=GENERATOR)},
        }
    )


def copies_of(config: Config) -> Copies:
    """Return the section `copies`.

    Raises:
        ConfigError: there is none.
    """
    if config.copies is None:
        raise ConfigError("config.yaml: there is no section `copies`; add it (docs/copies.md shows one)")
    return config.copies


def searched_models(config: Config) -> list[str]:
    """Return the models that `snakemake copies` looks at, in order.

    Raises:
        ConfigError: one is not defined or has no pipeline, or there is none.
    """
    named = copies_of(config).models
    default = config.studies[config.default_study].models if config.default_study in config.studies else []
    found = [name for name in default if config.models[name].pipeline] if named is None else named
    for name in found:
        if name not in config.models:
            has = ", ".join(config.models)
            raise ConfigError(f"config.yaml: `copies.models` names {name!r}, which `models` lacks; it has: {has}")
        if config.models[name].rewrite:
            raise ConfigError(
                f"config.yaml: `copies.models` names {name!r}, which rewrites prompts of a domain, and captions are "
                "not rewritten; name its base"
            )
        if not config.models[name].pipeline:
            raise ConfigError(
                f"config.yaml: `copies.models` names {name!r}, which has no `pipeline` to ask for pictures; take it out"
            )
    if not found:
        raise ConfigError("config.yaml: no model of the default study has a `pipeline`; name some in `copies.models`")
    return found


def searched(config: Config, model: str) -> Searched:
    """Return what the search for copies of a model takes."""
    copies, name = copies_of(config), config.models[model].corpus
    files = tuple(config.caption_files(name))
    if model == WORLD:
        return Searched(files, f"{FOLDER}/prompts.parquet", None, (f"{FOLDER}/training-set.parquet",), ())
    corpus: Corpus = config.corpora[config.matched_corpus(name)]
    tables, collected = tuple(expand(copies.training_images or ())), []
    if not tables and corpus.images == "embedded":
        tables = tuple(config.caption_files(config.matched_corpus(name)))
    elif not tables and corpus.has_images and config.default_study in config.studies:
        domains = config.studies[config.default_study].domains
        collected = [(config.matched_corpus(name), domain) for domain in domains]
    return Searched(files, copies.prompts, copies.other_prompts, tables, tuple(collected))
