"""What data a study rests on, as the configuration has it: models, corpora, references, photographs and embedders."""

from collections.abc import Iterable, Iterator

from fit.config.config import Config
from fit.config.section import Described
from fit.io.shown import number_of
from fit.reports.data import DataSource, Kind

SEARCHES = {"serpapi": "Google's image search, by serpapi.com", "wikiart": "wikiart.org"}
"""Source of references that are fetched from the web -> where from."""
NAMED_FILES = 2
"""Files of a corpus that are named; of more, how many: the configuration has them all."""


def _source(kind: Kind, name: str, places: Iterable[str], of: Described, fetched: Iterable[str] = ()) -> DataSource:
    return DataSource(
        kind=kind,
        name=name,
        places=tuple(places),
        origin=of.origin or "",
        licence=of.licence or "",
        fetched=tuple(fetched),
    )


def _model_places(config: Config, name: str) -> Iterator[str]:
    model = config.models[name]
    if model.provided_images:
        yield model.provided_images
        return
    yield f"{model.pipeline}"
    if model.revision:
        yield f"commit {model.revision}"
    if model.base:
        yield f"derived from the model {model.base}"
        yield from (f"{key}: {place}" for key, place in model.changed_places.items())


def _corpus_places(config: Config, name: str) -> Iterator[str]:
    corpus = config.corpora[name]
    if provided := corpus.provided_images or corpus.provided_counts:
        yield provided
    if corpus.captions:
        files = corpus.captions.files or [f"the index {corpus.captions.elasticsearch}"]
        yield from files[:NAMED_FILES]
        if len(files) > NAMED_FILES:
            yield f"{number_of(len(files) - NAMED_FILES, 'more file')}"
    if corpus.images == "http":
        yield "images behind its links"
    if corpus.counts_from:
        yield f"counts scaled from the corpus {corpus.counts_from}"


def _models_behind(config: Config, model: str) -> Iterator[str]:
    """Yield a model, those that it is derived from, and itself before it was trained on the corpus."""
    yield model
    base = config.models[model].base
    while base:
        yield base
        base = config.models[base].base
    yield from config.models_before(model)


def data_of(config: Config, study: str) -> list[DataSource]:
    """Return what a study rests on, without the pairs of model and domain that lack an input."""
    pairs = [pair for pair in config.pairs(study) if not config.lacks(*pair)]
    models = dict.fromkeys(name for model, _ in pairs for name in _models_behind(config, model))
    domains = dict.fromkeys(domain for _, domain in pairs)
    domains_of: dict[str, dict[str, None]] = {}
    for model, domain in pairs:
        corpus = config.models[model].corpus
        for name in (corpus, config.matched_corpus(corpus)):
            domains_of.setdefault(name, {})[domain] = None
    found = [_source("model", name, _model_places(config, name), config.models[name]) for name in models]
    for name, of_corpus in domains_of.items():
        section = config.corpora[name]
        fetched = of_corpus if section.images == "http" else ()
        found.append(_source("corpus", name, _corpus_places(config, name), section, fetched))
    embedders: dict[str, None] = {}
    for domain in domains:
        of_domain = config.domains[domain]
        references, art_filter = of_domain.references, of_domain.art_filter
        searched = SEARCHES.get(references.source)
        place = ": ".join(filter(None, (searched, references.place)))
        found.append(_source("references", domain, [place], references, [domain] if searched else ()))
        embedders[of_domain.embedder] = None
        if art_filter:
            embedders[art_filter.embedder] = None
            if art_filter.photographs:
                found.append(_source("photographs", domain, [art_filter.photographs], art_filter))
    for name in embedders:
        embedder = config.embedders[name]
        found.append(_source("embedder", name, [f"{embedder.backend}: {embedder.model}"], embedder))
    return found


def written_data(config: Config, study: str) -> list[str]:
    """Return the words by which a command line says what a study rests on (fit.cli.data)."""
    sources = data_of(config, study)
    options = {
        "--data": [f"{one.key}={place}" for one in sources for place in one.places],
        "--origins": [f"{one.key}={one.origin}" for one in sources if one.origin],
        "--licences": [f"{one.key}={one.licence}" for one in sources if one.licence],
        "--fetched": [f"{one.key}={domain}" for one in sources for domain in one.fetched],
    }
    honoured = "--honour-opt-out" if config.collection.honour_opt_out else "--no-honour-opt-out"
    return [*(word for option, texts in options.items() if texts for word in (option, *texts)), honoured]
