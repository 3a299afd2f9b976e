"""Says what is missing or wrong before anything runs: looks at the inputs of a study without reading much of them.

No model is loaded, nothing is downloaded and torch is not imported. The workflow calls `examine` with `quick` for the
study that it will run; `fit check` looks at everything.
"""

from collections.abc import Collection, Iterator

from fit.check.findings import ABSENT, REMARK, WRONG, Finding, Findings, screen
from fit.check.folders import of_images, of_shared_places
from fit.check.machine import of_machine
from fit.check.models import of_embedder, of_model
from fit.check.tables import of_captions, of_counts, of_sheet, of_vetoes
from fit.config.config import Config
from fit.explorer.beside import nothing_beside, tables_beside
from fit.io.shown import number_of
from fit.published import MATCH_THRESHOLDS

__all__ = ["ABSENT", "WRONG", "Finding", "Findings", "examine", "in_order", "looked_at", "screen"]


HOW_TO_GET = {
    "references.folder": ": a folder of verified pictures per slug in it (docs/images.md)",
    "provided_images": ": a folder of pictures per slug in it (docs/images.md)",
    "provided_counts": ": a CSV with the columns concept and effective_count",
    "captions.files": ": your copy of the corpus's metadata (docs/captions.md)",
    "embedders.": " (docs/embeddings.md says where weights are published)",
    "pipeline": ": a pipeline as diffusers saves it (docs/generated.md)",
}
"""Part of a key -> what belongs there, and which document says so."""


def examine(config: Config, study: str, *, quick: bool = False, only: Collection[str] | None = None) -> list[Finding]:
    """Look at the inputs of a study, and of the models that are derived from its own.

    Args:
        config: the configuration.
        study: name of one of its studies.
        quick: whether to leave out what takes seconds, or is no part of a study: misleading names in sheets, all
            caption files but the first, derived models, the disk.
        only: first parts of the keys to look at ("corpora", "models", "domains", "embedders"); None: all.

    Returns:
        The findings; those that stop the study come first.
    """
    found = Findings(only)
    pairs = config.pairs_with_bases(study)
    derived = [] if quick else [pair for pair in config.defended_pairs(study) if pair not in pairs]
    for model, domain in [*pairs, *derived]:
        for key, text in config.missing(model, domain):
            found.add(ABSENT, key, text + next((how for end, how in HOW_TO_GET.items() if end in key), ""))
    slugs = {domain: of_sheet(config, domain, found, quick) for domain in dict.fromkeys(d for _, d in pairs)}
    for domain in slugs:
        of_images(config, ("references", domain), slugs[domain], found)
        if config.domains[domain].art_filter:
            of_images(config, ("photographs", domain), None, found)
        of_vetoes(config, domain, slugs[domain], found)
        _of_match_threshold(config, domain, found)
        for embedder, needed in _embedders(config, domain):
            of_embedder(config, embedder, found, needed)
    corpora: dict[tuple[str, str], None] = {}
    for model, domain in pairs:
        corpus = config.models[model].corpus
        corpora |= {(corpus, domain): None, (config.matched_corpus(corpus), domain): None}
        of_model(config, model, found)
        of_images(config, ("model", model, domain), slugs[domain], found)
    for model in dict.fromkeys(model for model, _ in derived):
        of_model(config, model, found)
    for corpus, domain in corpora:
        of_counts(config, corpus, slugs[domain], found)
        of_images(config, ("corpus", corpus, domain), slugs[domain], found)
    for corpus in dict.fromkeys(corpus for corpus, _ in corpora):
        of_captions(config, corpus, found, quick)
    of_shared_places(config, [(model, domain) for model, domain in pairs if slugs[domain]], found)
    for folder in config.explorer.beside:
        if not tables_beside(folder):
            found.add(WRONG, "explorer.beside", f"{nothing_beside(folder)} (`explorer.beside`)")
    if not quick:
        of_machine(config, study, found)
    return found.sorted()


def _of_match_threshold(config: Config, domain: str, found: Findings) -> None:
    """Say of a published match threshold what it can be compared with."""
    name = str(config.domains[domain].match_threshold)
    if name in MATCH_THRESHOLDS:
        found.add(
            REMARK,
            f"domains.{domain}.match_threshold",
            f"domains.{domain}: {name} ({MATCH_THRESHOLDS[name]:g}) holds for the paper's embedder and references. It "
            "was found from means that include each reference's cosine with itself: compare it only with one found so "
            "(`mean_with_itself: true`, and `match_threshold: midpoint` or best_f1_published; docs/choices.md)",
        )


def _embedders(config: Config, domain: str) -> Iterator[tuple[str, bool]]:
    """Yield (name, whether a threshold needs it) of the embedders that a domain uses."""
    its = config.domains[domain]
    yield its.embedder, True
    if its.art_filter:
        yield its.art_filter.embedder, True
    if its.prompt_embedder:
        yield its.prompt_embedder, False


def looked_at(config: Config, study: str) -> dict[str, int]:
    """Return how many concepts, domains, models and corpora a study has; its sheets are in order."""
    its = config.studies[study]
    return {
        "concepts": sum(len(config.sheet(domain)) for domain in its.domains),
        "domains": len(its.domains),
        "models": len(its.models),
        "corpora": len({config.models[model].corpus for model in its.models}),
    }


def in_order(config: Config, study: str) -> str:
    """Return a line that says what was looked at; it is shown if nothing is wrong."""
    number = looked_at(config, study)
    kinds = {"concepts": "concept", "domains": "domain", "models": "model", "corpora": "corpus"}
    parts = [number_of(number[key], noun) for key, noun in kinds.items()]
    return f"study {study}: everything that can be checked is in order: {', '.join(parts)}"
