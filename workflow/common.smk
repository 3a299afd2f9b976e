"""What several rule files use: the configuration, the tables that hold a job's concepts, the settings of a stage."""

from functools import cache
from inspect import signature
from pathlib import Path

import snakemake_logger_plugin_fit
from snakemake.exceptions import WorkflowError
from snakemake.logging import logger

from fit.settings import resource_flags
from fit.config.read import check, check_files
from fit.config.stages import stage_settings
from fit.embeddings.settings import BatchSettings, EmbedderSettings
from fit.errors import FitError
from fit.generated.settings import GenerationSettings, PipelineSettings
from fit.images.settings import DecodeSettings, FetchSettings
from fit.io import copied_results
from fit.io.folders import fingerprint

if workflow.is_main_process:
    copied_results.take_copied_results()


onstart:
    copied_results.stamp()


def shortened(path):
    """`path` as somebody who works here would write it."""
    here = Path.cwd()
    return str(Path(path).relative_to(here)) if Path(path).is_relative_to(here) else path


try:
    # The project's file first: what the command line names lies over it.
    over = [str(path) for path in workflow.overwrite_configfiles]
    own = [str(path) for path in workflow.configfiles if str(path) not in over]
    files = list(map(shortened, [*own, *over]))
    # Snakemake has read them already, but of a key that is there twice it kept the last in silence.
    if workflow.is_main_process:
        check_files(files)
    CONFIG = check(config, files=files, command_line=workflow.config_settings.config)
    SLUGS = {domain: CONFIG.slugs(domain) for domain in CONFIG.domains}
except FitError as error:
    raise WorkflowError(str(error))


def one_of(names):
    """A regular expression of `names`, or one that nothing matches."""
    return "|".join(map(re.escape, sorted(names))) or "(?!)"


wildcard_constraints:
    domain=one_of(CONFIG.domains),
    corpus=one_of(CONFIG.corpora),
    model=one_of(CONFIG.models),
    embedder=one_of(CONFIG.embedders),
    study=one_of(CONFIG.studies),
    part=r"part_\d+|[a-z0-9-]+",  # several concepts that share a job, or one concept


# A limit on GPUs is one of this machine (profiles/default); on a cluster, of each job.
resource_scopes:
    gpu="local",


def with_signature(function):
    """`function`, its signature noted. Snakemake asks for it at every call, which takes a sixth of the time of planning."""
    function.__signature__ = signature(function)
    return function


def growing(amount):
    """`amount` of memory or time for a job's first attempt, twice as much for its second, and so on."""
    return with_signature(lambda wildcards, attempt: amount * attempt)


# --- the configuration ------------------------------------------------------------------------------------------------


def domain_of(wildcards):
    """The section of a job's domain."""
    return CONFIG.domains[wildcards.domain]


@with_signature
def sheet_of(wildcards):
    """The concept sheet of a job's domain."""
    return domain_of(wildcards).concepts


def corpora_where(condition):
    """A regular expression of the corpora of which `condition` holds."""
    return one_of(name for name, corpus in CONFIG.corpora.items() if condition(corpus))


def models_where(condition):
    """A regular expression of the models of which `condition` holds."""
    return one_of(name for name, model in CONFIG.models.items() if condition(model))


@with_signature
def unchanged_sheet(wildcards):
    """The concept sheet of a job's domain, for stages that depend on names only, which are settings: a change of the
    file redoes nothing."""
    return ancient(sheet_of(wildcards))


def existing(paths):
    """The paths that exist or that the workflow makes, without a user's folders. A missing one is left to the command,
    which says what to do about it: a study can be planned before its data is there. What changes deep in a folder is
    noticed by `pictures_in`, as a setting, since Snakemake looks at the time of the folder itself only.
    """
    return [path for path in paths if path and (path.startswith("results/") or Path(path).is_file())]


@cache
def pictures_in(folder):
    """A text that changes when a file in a user's folder does, however deep; "" where it is not a folder."""
    try:
        return "" if folder.startswith("results/") else fingerprint(folder)
    except FitError as error:
        raise WorkflowError(str(error))


# --- settings ---------------------------------------------------------------------------------------------------------


@cache
def names_of(domain):
    """Slug -> name of a domain's concepts."""
    return {concept.slug: concept.name for concept in CONFIG.sheet(domain)}


@cache
def _settings_of(stage, wildcards):
    return stage_settings(CONFIG, stage, **dict(wildcards))


def settings(stage, concepts=None, names=False, folder=None, places=None):
    """What `stage` gets from the configuration for a job's wildcards, as one dict of builtins; a change redoes the job.

    Args:
        concepts: function of the wildcards that gives the concepts of the job.
        names: whether results depend on their names.
        folder: function that gives a user's folder of pictures, one folder per concept; None: no folder.
        places: function that gives a user's files and folders; what is in the folders is noticed.
    """

    def pick(wildcards):
        shared = {key: value for key, value in wildcards.items() if key != "part" or stage == "count_captions"}
        found = _settings_of(stage, tuple(shared.items()))
        if concepts:
            found = found | {"concepts": list(concepts(wildcards))}
        if names:
            found = found | {"names": [names_of(wildcards.domain)[slug] for slug in found["concepts"]]}
        place = folder(wildcards) if folder else None
        if place and not place.endswith(".parquet"):
            pictures = {c: pictures_in(f"{place}/{c}") for c in found["concepts"]}
            found = found | {"pictures": pictures}
        contents = {place: pictures_in(place) for place in (places(wildcards) if places else []) if place}
        if any(contents.values()):
            found = found | {"folders": {p: text for p, text in contents.items() if text}}
        return found

    return with_signature(pick)


# --- tables of concepts -----------------------------------------------------------------------------------------------


def in_part(partition, part, domain):
    """The concepts of a part; ends the plan where there is no such part."""
    try:
        return partition.concepts(part)
    except KeyError:
        sheet = CONFIG.domains[domain].concepts
        end(f"{part!r} is neither a part of the domain {domain} nor a concept of its sheet, {sheet}")


def concepts_of(folder):
    """A function that gives the concepts of a job's part; `folder`: where the job's table goes, which its part is of."""

    return with_signature(
        lambda wildcards: in_part(
            CONFIG.partition_of(folder.format(**dict(wildcards.items()))), wildcards.part, wildcards.domain
        )
    )


cheap_concepts = concepts_of("scores/{model}/{domain}")
"""The concepts of a part of a stage that takes seconds a concept."""


@cache
def _tables(folder, domain, part):
    """The tables in `folder` that hold the concepts of `part` (of a cheap stage), or of a domain where it is None."""
    concepts = in_part(CONFIG.partition(domain), part, domain) if part else SLUGS[domain]
    parts = CONFIG.partition_of(folder).holding(concepts)
    return [f"results/{folder}/{name}.parquet" for name in parts]


def filled(text, wildcards):
    """`text` with a job's wildcards, and with {corpus}, what its model was trained on, {matched}, the corpus whose images
    are compared with, and {embedder}, that of its domain."""
    known = dict(wildcards.items())
    if "model" in known:
        known["corpus"] = CONFIG.models[known["model"]].corpus
    if "corpus" in known:
        known["matched"] = CONFIG.matched_corpus(known["corpus"])
    if "domain" in known:
        known = {"embedder": domain_of(wildcards).embedder} | known
    return text.format(**known)


def tables(folder):
    """An input function: the tables in `folder` that hold the concepts of a job's part, or of all its domain."""
    return with_signature(lambda wildcards: _tables(filled(folder, wildcards), wildcards.domain, wildcards.get("part")))


def embeddings(folder):
    """As `tables`: embeddings by the domain's embedder of the tables in `folder`."""
    return tables(f"embeddings/{{embedder}}/{folder}")


def is_compared(wildcards):
    """Whether a job's model has training images to compare with."""
    return CONFIG.corpora[filled("{matched}", wildcards)].has_images


def art_filter_of(wildcards):
    """The art filter of a job's domain, or None."""
    return domain_of(wildcards).art_filter


def is_captioned(wildcards):
    """Whether captions of a job's corpus, or of what its model was trained on, are counted."""
    return CONFIG.corpora[filled("{corpus}", wildcards)].captions


EVIDENCE = {
    "generated": tables("generated/{model}/{domain}"),
    "generated_embeddings": embeddings("generated/{model}/{domain}"),
    "images": branch(is_compared, then=embeddings("images/{matched}/{domain}")),
    "matches": branch(is_compared, then=tables("matches/{matched}/{domain}")),
    "references": tables("references/{domain}"),
    "reference_embeddings": embeddings("references/{domain}/candidates"),
}
"""What a concept's pictures are compared with, as inputs of each stage that scores them."""
EVIDENCE_FLAGS = (
    "--generated {input.generated:q} --generated-embeddings {input.generated_embeddings:q} "
    "--images {input.images:q} --matches {input.matches:q} --references {input.references:q} "
    "--reference-embeddings {input.reference_embeddings:q} "
)


# --- models that are loaded -------------------------------------------------------------------------------------------


def model_folder(kind):
    """The folder that an embedder or model is loaded from, where it is one; what comes from a hub is not an input."""
    key = "models.{}.pipeline" if kind == "model" else "embedders.{}.model"

    def folder(wildcards):
        name = getattr(wildcards, kind)
        path = CONFIG.folder_of(kind, name)
        if path and not path.startswith("results/") and not Path(path).exists():
            missing(path, key.format(name))
            return []
        return [path] if path else []

    return with_signature(folder)


# How images are fetched and decoded does not change which there are: a resource, which triggers no rerun.
COLLECTING = resource_flags(CONFIG.collection, FetchSettings, DecodeSettings)
DECODING = resource_flags(CONFIG.collection, DecodeSettings)


def resources_of(kind, *classes):
    """The flags of the settings classes that do not change results, from a job's section: its "embedder" or "model"."""
    sections = CONFIG.embedders if kind == "embedder" else CONFIG.models
    flags = {name: resource_flags(its, *classes) for name, its in sections.items()}
    return with_signature(lambda wildcards: flags[getattr(wildcards, kind)])


# --- studies ----------------------------------------------------------------------------------------------------------


def complete_pairs(study):
    """The (model, domain) pairs of a study that lack no input."""
    return [pair for pair in CONFIG.pairs(study) if not CONFIG.lacks(*pair)]


def counted(pairs):
    """The (corpus, domain) pairs behind (model, domain) pairs whose captions are counted."""
    corpora = dict.fromkeys((CONFIG.models[model].corpus, d) for model, d in pairs)
    return [pair for pair in corpora if CONFIG.corpora[pair[0]].captions]
