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


def truth_runs(config: Config) -> list[Run]:
    """Return the runs of the truth experiment, in the order in which they are wanted; none without one."""
    return list(runs(config.truth)) if config.truth and config.atelier else []


def _of_atelier(config: Config) -> tuple[Domain, Corpus, Model]:
    """Return the sections of the built-in study that the experiment's are made from.

    Raises:
        ConfigError: there is no such section.
    """
    domain = next((d for d in config.domains.values() if d.concepts == config.atelier.sheet), None)  # type: ignore[union-attr]
    model = next((m for m in config.models.values() if m.pipeline == "results/atelier/generator"), None)
    if domain is None or model is None:
        what = "`domains` has none of the painters of `atelier.sheet`" if domain is None else ""
        what = what or "`models` has none with the pipeline results/atelier/generator"
        raise ConfigError(f"config.yaml: `truth` repeats the built-in study, but {what}; add it, or take `truth` out")
    return domain, config.corpora[model.corpus], model


def with_truth(config: Config) -> Config:
    """Return `config` with the models, corpora, domains and embedders of the truth experiment."""
    wanted = truth_runs(config)
    if not wanted:
        return config
    domain, corpus, model = _of_atelier(config)
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
            references = References(table=f"{run.painted}/references.parquet")
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
