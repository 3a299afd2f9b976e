"""What is missing or wrong, said before anything runs: the inputs of a study, looked at without reading much of them.

No model is loaded, no network is asked and torch is not imported. `examine` with `quick` is what the workflow does for
the study that it is about to run; `fit check` looks at everything.
"""

from fit.check.findings import ABSENT, WRONG, Finding, Findings, screen
from fit.check.folders import of_images, of_shared_places
from fit.check.machine import of_machine
from fit.check.models import of_embedder, of_model
from fit.check.tables import of_captions, of_counts, of_sheet, of_vetoes

__all__ = ["ABSENT", "WRONG", "Finding", "Findings", "examine", "in_order", "run", "screen"]


HOW_TO_GET = {
    "references.folder": ": a folder of verified pictures per slug in it (README, References)",
    "provided_images": ": a folder of pictures per slug in it (docs/images.md)",
    "provided_counts": ": a CSV with the columns concept and effective_count",
    "captions.files": ": your copy of the corpus's metadata (docs/captions.md)",
    "embedders.": " (docs/embedders.md says where weights are published)",
    "pipeline": ": a pipeline as diffusers saves it (docs/generation.md)",
}
"""Part of a key -> what has to come there, and where that is said."""


def examine(config, study, *, quick=False, only=None):
    """Look at the inputs of a study.

    Args:
        config: fit.config.config.Config; study: name of one of its studies.
        quick: whether to leave out what takes seconds: names in sheets that may mislead, all caption files but the
            first, the disk.
        only: first parts of keys ("corpora", "models", "domains", "embedders") to look at; None for all.

    Returns:
        List of Finding, what stops a study first.
    """
    found = Findings(only)
    pairs = config.pairs(study)
    for model, domain in pairs:
        for key, text in config.missing(model, domain):
            found.add(ABSENT, key, text + next((how for end, how in HOW_TO_GET.items() if end in key), ""))
    slugs = {domain: of_sheet(config, domain, found, quick) for domain in dict.fromkeys(d for _, d in pairs)}
    for domain in slugs:
        of_images(config, ("references", domain), slugs[domain], found)
        if config.domains[domain].art_filter:
            of_images(config, ("photographs", domain), None, found)
        of_vetoes(config, domain, slugs[domain], found)
        for embedder, needed in _embedders(config.domains[domain]):
            of_embedder(config, embedder, found, needed)
    corpora: dict[tuple[str, str], None] = {}
    for model, domain in pairs:
        corpus = config.models[model].corpus
        corpora |= {(corpus, domain): None, (config.matched_corpus(corpus), domain): None}
        of_model(config, model, found)
        of_images(config, ("model", model, domain), slugs[domain], found)
    for corpus, domain in corpora:
        of_counts(config, corpus, slugs[domain], found)
        of_images(config, ("corpus", corpus, domain), slugs[domain], found)
    for corpus in dict.fromkeys(corpus for corpus, _ in corpora):
        of_captions(config, corpus, found, quick)
    of_shared_places(config, [(model, domain) for model, domain in pairs if slugs[domain]], found)
    if not quick:
        of_machine(config, study, found)
    return found.sorted()


def _embedders(domain):
    """(Name, whether a threshold needs it) of the embedders that a domain uses."""
    yield domain.embedder, True
    if domain.art_filter:
        yield domain.art_filter.embedder, True
    if domain.prompt_embedder:
        yield domain.prompt_embedder, False


def in_order(config, study):
    """A line that says what was looked at, where nothing is wrong."""
    its = config.studies[study]
    concepts = sum(len(config.sheet(domain)) for domain in its.domains)
    corpora = len({config.models[model].corpus for model in its.models})

    def of(number, noun, plural=None):
        return f"{number} {noun if number == 1 else plural or noun + 's'}"

    parts = [of(concepts, "concept"), of(len(its.domains), "domain"), of(len(its.models), "model")]
    return f"study {study}: everything that can be looked at is in order: {', '.join(parts)}, " + of(
        corpora, "corpus", "corpora"
    )


def run(args):
    """`fit check [STUDY] [--config FILE ...]`: print what was found; the exit status is 1 where a study would stop."""
    import sys

    from fit.config.read import load

    config = load(*args.config)
    study = config.study_named(args.study)
    findings = examine(config, study)
    for finding in findings:
        print(finding, file=sys.stderr)
    stopping = [finding for finding in findings if finding.stops]
    if stopping:
        several = f"{len(stopping)} things are" if len(stopping) > 1 else "1 thing is"
        print(f"study {study}: {several} missing or wrong", file=sys.stderr)
        return 1
    print(in_order(config, study))
    return 0
