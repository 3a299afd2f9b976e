"""The configuration with the models of the truth experiment, each as a model, corpus and domain like a user's own.

So every stage runs on them as on any study.
"""

from dataclasses import replace

from fit.atelier.changes import WORLDS
from fit.config.config import Config
from fit.config.corpus import Captions, Corpus
from fit.config.domain import Domain, References
from fit.config.model import Model
from fit.errors import ConfigError
from fit.truth.design import Run, runs

GENERATOR = "results/atelier/generator"
"""Pipeline of the built-in study's model."""


def of_atelier(config: Config, key: str = "truth") -> tuple[Domain, Corpus, Model]:
    """Return the sections of the built-in study that an experiment's are made from; `key` is that of the experiment.

    Raises:
        ConfigError: there is no such section.
    """
    sheet = config.atelier.sheet if config.atelier else None
    domain = next((d for d in config.domains.values() if d.concepts == sheet), None)
    model = next((m for m in config.models.values() if m.pipeline == GENERATOR and not m.base), None)
    if sheet is None:
        lacks = "there is no section `atelier`"
    elif domain is None:
        lacks = f"no domain in `domains` has `concepts: {sheet}`, the painters of `atelier.sheet`"
    elif model is None:
        lacks = f"no model in `models` has `pipeline: {GENERATOR}`"
    else:
        return domain, config.corpora[model.corpus], model
    raise ConfigError(f"config.yaml: `{key}` repeats the built-in study, but {lacks}; add it, or take `{key}` out")


def why_no_truth(config: Config) -> str | None:
    """Say what the experiment lacks that the configuration asks for; None if nothing, or if it asks for none."""
    if config.truth is None:
        return None
    try:
        of_atelier(config)
    except ConfigError as error:
        return str(error)
    return None


def truth_runs(config: Config) -> list[Run]:
    """Return the runs of the truth experiment, in the order in which they are wanted.

    None without one, or without the built-in study that it repeats: whoever studies another model needs neither, and
    only `snakemake truth` says so.
    """
    return list(runs(config.truth)) if config.truth and not why_no_truth(config) else []


def with_truth(config: Config) -> Config:
    """Return `config` with the models, corpora, domains and embedders of the truth experiment."""
    wanted = truth_runs(config)
    if not wanted:
        return config
    domain, corpus, model = of_atelier(config)
    domains, corpora, models, embedders = {}, {}, {}, {}
    for run in wanted:
        embedder = domain.embedder
        if run.changes in WORLDS and WORLDS[run.changes].encoder_longer != 1:
            embedder = f"truth-{run.changes}"
            embedders[embedder] = replace(
                config.embedders[domain.embedder], model=f"local-dir:results/truth/encoders/{run.changes}"
            )
        if run.domain not in domains:
            # Without the art filter: the photographs in the crawl do not match a painter's references.
            references = References(table=run.references)
            domains[run.domain] = replace(domain, references=references, embedder=embedder, art_filter=None)
        corpora[run.corpus] = replace(corpus, captions=Captions(files=[f"{run.painted}/corpus.parquet"]))
        models[run.model] = replace(model, corpus=run.corpus, pipeline=run.generator)
    return config.model_copy(
        update={
            "domains": config.domains | domains,
            "corpora": config.corpora | corpora,
            "models": config.models | models,
            "embedders": config.embedders | embedders,
        }
    )
