"""What several files use: the configuration, the tables that hold a job's concepts, the settings of a stage."""

import os
from functools import cache
from inspect import signature
from pathlib import Path

import snakemake_logger_plugin_fit
from snakemake.exceptions import WorkflowError
from snakemake.logging import logger

from fit.settings import resource_flags
from fit.config.attacks import attacked, with_attacks
from fit.config.bases import check_erased
from fit.config.copies import has_copies_world, searched, searched_models, with_copies
from fit.copies.settings import CopySettings
from fit.config.read import check, check_files
from fit.config.stages import stage_settings
from fit.config.truth import truth_runs, with_truth
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
    """Return `path` relative to this folder if it is in it."""
    here = Path.cwd()
    return str(Path(path).relative_to(here)) if Path(path).is_relative_to(here) else path


def is_elsewhere(shell):
    """Whether the folder of the shell, if it is known, is another than this one."""
    return Path(shell).is_dir() and not Path(shell).samefile(Path.cwd())


try:
    # The project's file first: files that the command line names override it.
    over = [str(path) for path in workflow.overwrite_configfiles]
    own = [str(path) for path in workflow.configfiles if str(path) not in over]
    files = list(map(shortened, [*own, *over]))
    # Snakemake has read them already, but if a key is there twice, it kept the last without a message.
    if workflow.is_main_process:
        check_files(files)
    WITHOUT_ATTACKS = with_copies(with_truth(check(config, files=files, command_line=workflow.config_settings.config)))
    CONFIG = with_attacks(WITHOUT_ATTACKS)
    # With `fit run FOLDER`, or --directory, the folder is not that of the shell, where a hint is typed.
    CONFIG.remember_source(files, str(Path.cwd()) if is_elsewhere(os.environ.get("PWD", ".")) else "")
    SLUGS = {domain: CONFIG.slugs(domain) for domain in CONFIG.domains}
    check_erased(WITHOUT_ATTACKS.models, SLUGS)
except FitError as error:
    raise WorkflowError(str(error))


def one_of(names):
    """Return a regular expression that matches `names`; nothing matches it if there are none."""
    return "|".join(map(re.escape, sorted(names))) or "(?!)"


wildcard_constraints:
    domain=one_of(CONFIG.domains),
    corpus=one_of(CONFIG.corpora),
    model=one_of(CONFIG.models),
    embedder=one_of(CONFIG.embedders),
    study=one_of(CONFIG.studies),
    part=r"part_\d+|[a-z0-9][a-z0-9-]*",  # part_000 ...: several concepts that share a job; a slug: one concept


# The limit on GPUs is a limit of this machine (profiles/default); on a cluster it holds for each job.
resource_scopes:
    gpu="local",


def with_signature(function):
    """Note the signature of `function` and return it. Snakemake asks for the signature at every call, which takes a sixth
    of the time of planning."""
    function.__signature__ = signature(function)
    return function


def growing(amount):
    """Return a function: `amount` of memory or time for a job's first attempt, twice as much for its second, and so on."""
    return with_signature(lambda wildcards, attempt: amount * attempt)


# --- the configuration ------------------------------------------------------------------------------------------------


def domain_of(wildcards):
    """Return the section of a job's domain."""
    return CONFIG.domains[wildcards.domain]


@with_signature
def sheet_of(wildcards):
    """Return the concept sheet of a job's domain."""
    return domain_of(wildcards).concepts


def corpora_where(condition):
    """Return a regular expression of the corpora for which `condition` is true."""
    return one_of(name for name, corpus in CONFIG.corpora.items() if condition(corpus))


def models_where(condition):
    """Return a regular expression of the models for which `condition` is true."""
    return one_of(name for name, model in CONFIG.models.items() if condition(model))


@with_signature
def unchanged_sheet(wildcards):
    """Return the concept sheet of a job's domain for stages that need only names. Names are settings, so a change of the
    file itself redoes nothing."""
    return ancient(sheet_of(wildcards))


def existing(paths):
    """Return the files that exist or that the workflow makes, without a user's folders.

    A missing file is left to the command, which says what to do about it, so that a study can be planned before its data
    is there. What changes deep in a folder is noticed by `pictures_in`, as a setting, since Snakemake looks only at the
    time of the folder itself.
    """
    return [path for path in paths if path and (path.startswith("results/") or Path(path).is_file())]


@cache
def pictures_in(folder):
    """Return a text that changes when a file in a user's folder changes, however deep; "" if it is not a folder."""
    try:
        return "" if folder.startswith("results/") else fingerprint(folder)
    except FitError as error:
        raise WorkflowError(str(error))


# --- settings ---------------------------------------------------------------------------------------------------------


@cache
def names_of(domain):
    """Return slug -> name of a domain's concepts."""
    return {concept.slug: concept.name for concept in CONFIG.sheet(domain)}


@cache
def _settings_of(stage, wildcards):
    return stage_settings(CONFIG, stage, **dict(wildcards))


def settings(stage, concepts=None, names=False, folder=None, places=None):
    """Return a function of a job's wildcards that gives the settings of `stage`, a dict of builtins. A change redoes the job.

    Args:
        stage: name of the rule, or of the rule that it uses.
        concepts: function of the wildcards that returns the concepts of the job.
        names: whether results depend on the names of these concepts.
        folder: function that returns a user's folder of pictures, which has a folder per concept; None: no folder.
        places: function that returns a user's files and folders; a change of what is in the folders is noticed.
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
    """Return the concepts of a part; end the run if there is no such part."""
    try:
        return partition.concepts(part)
    except KeyError:
        sheet = CONFIG.domains[domain].concepts
        end(f"{part!r} is neither a part of the domain {domain} nor a concept of its sheet, {sheet}")


def concepts_of(folder):
    """Return a function of a job's wildcards that gives the concepts of its part. `folder` is that of the job's table."""

    return with_signature(
        lambda wildcards: in_part(
            CONFIG.partition_of(folder.format(**dict(wildcards.items()))), wildcards.part, wildcards.domain
        )
    )


cheap_concepts = concepts_of("scores/{model}/{domain}")
"""Return the concepts of a job's part, in a stage that takes seconds for a concept."""


@cache
def _tables(folder, domain, part):
    """Return the tables in `folder` that hold the concepts of `part` (of a cheap stage), or of the domain if it is None."""
    concepts = in_part(CONFIG.partition(domain), part, domain) if part else SLUGS[domain]
    parts = CONFIG.partition_of(folder).holding(concepts)
    return [f"results/{folder}/{name}.parquet" for name in parts]


def filled(text, wildcards):
    """Return `text` with a job's wildcards filled in, and with these:

    - {corpus}: the corpus that the job's model was trained on;
    - {matched}: the corpus whose images are matched for it;
    - {embedder}: the embedder of the job's domain.
    """
    known = dict(wildcards.items())
    if "model" in known:
        known["corpus"] = CONFIG.models[known["model"]].corpus
    if "corpus" in known:
        known["matched"] = CONFIG.matched_corpus(known["corpus"])
    if "domain" in known:
        known = {"embedder": domain_of(wildcards).embedder} | known
    return text.format(**known)


def tables(folder):
    """Return an input function: the tables in `folder` that hold the concepts of a job's part, or of its whole domain."""
    return with_signature(lambda wildcards: _tables(filled(folder, wildcards), wildcards.domain, wildcards.get("part")))


def embeddings(folder):
    """Return an input function as `tables` does: the embeddings, by the domain's embedder, of the tables in `folder`."""
    return tables(f"embeddings/{{embedder}}/{folder}")


def is_compared(wildcards):
    """Whether there are training images to compare the pictures of a job's model with."""
    return CONFIG.corpora[filled("{matched}", wildcards)].has_images


def art_filter_of(wildcards):
    """Return the art filter of a job's domain, or None."""
    return domain_of(wildcards).art_filter


def is_captioned(wildcards):
    """Whether captions are counted of a job's corpus, or of the corpus that its model was trained on."""
    return CONFIG.corpora[filled("{corpus}", wildcards)].captions


EVIDENCE = {
    "generated": tables("generated/{model}/{domain}"),
    "generated_embeddings": embeddings("generated/{model}/{domain}"),
    "images": branch(is_compared, then=embeddings("images/{matched}/{domain}")),
    "matches": branch(is_compared, then=tables("matches/{matched}/{domain}")),
    "references": tables("references/{domain}"),
    "reference_embeddings": embeddings("references/{domain}/candidates"),
}
"""Inputs of each stage that scores pictures: the pictures of a concept, and what they are compared with."""
EVIDENCE_FLAGS = (
    "--generated {input.generated:q} --generated-embeddings {input.generated_embeddings:q} "
    "--images {input.images:q} --matches {input.matches:q} --references {input.references:q} "
    "--reference-embeddings {input.reference_embeddings:q} "
)


# --- models that are loaded -------------------------------------------------------------------------------------------


def model_folder(kind):
    """Return an input function: the folder that an embedder or model is loaded from. What comes from a hub is not an input."""
    key = "models.{}.pipeline" if kind == "model" else "embedders.{}.model"

    @cache
    def of_name(name):
        path = CONFIG.folder_of(kind, name)
        if path and not path.startswith("results/") and not Path(path).exists():
            missing(path, key.format(name))
            return []
        return [path] if path else []

    return with_signature(lambda wildcards: of_name(getattr(wildcards, kind)))


@with_signature
def changed_places(wildcards):
    """Return the files and folders that the changes of a job's model are loaded from."""
    return existing(CONFIG.local_changes(wildcards.model).values())


# These settings of fetching and decoding do not change results, so they are resources, which trigger no rerun.
COLLECTING = resource_flags(CONFIG.collection, FetchSettings, DecodeSettings)
DECODING = resource_flags(CONFIG.collection, DecodeSettings)


def resources_of(kind, *classes):
    """Return a function: the flags of settings that do not change results, for the job's "embedder" or "model".

    Args:
        kind: "embedder" or "model", whose section has the settings.
        classes: settings classes of the stage.
    """
    sections = CONFIG.embedders if kind == "embedder" else CONFIG.models
    flags = {name: resource_flags(its, *classes) for name, its in sections.items()}
    return with_signature(lambda wildcards: flags[getattr(wildcards, kind)])


# --- studies ----------------------------------------------------------------------------------------------------------


@cache
def complete_pairs(study):
    """Return the (model, domain) pairs of a study that lack no input; they are looked for once."""
    return [pair for pair in CONFIG.pairs(study) if not CONFIG.lacks(*pair)]


def counted(pairs):
    """Return the (corpus, domain) pairs whose captions are counted for (model, domain) pairs."""
    corpora = dict.fromkeys((CONFIG.models[model].corpus, d) for model, d in pairs)
    return [pair for pair in corpora if CONFIG.corpora[pair[0]].captions]
