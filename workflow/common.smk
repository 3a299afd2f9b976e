"""Loads and checks the configuration; says which files a study is made of. Every helper of the rules stands here."""

from functools import cache
from pathlib import Path

import snakemake_logger_plugin_fit
from snakemake.exceptions import WorkflowError
from snakemake.logging import logger

from fit.io import copied_results as copies
from fit.errors import FitError
from fit.io.folders import fingerprint
from fit.config.config import CIRCUMSTANCES, check, check_files

if workflow.is_main_process:
    copies.take_copied_results()


onstart:
    copies.stamp()


def shortened(path):
    """`path` as somebody who works here would write it."""
    return (
        str(Path(path).relative_to(Path.cwd()))
        if Path(path).is_relative_to(Path.cwd())
        else path
    )


try:
    # The project's file first: what the command line names lies over it.
    over = [str(path) for path in workflow.overwrite_configfiles]
    own = [str(path) for path in workflow.configfiles if str(path) not in over]
    files = list(map(shortened, [*own, *over]))
    # Snakemake has read them already, but of a key that is there twice it kept the last in silence.
    if workflow.is_main_process:
        check_files(files)
    CONFIG = check(config, files=files, command_line=workflow.config_settings.config)
    CONCEPTS = {name: CONFIG.sheet(name) for name in CONFIG.domains}
except FitError as error:
    raise WorkflowError(str(error))

SLUGS = {
    domain: [concept.slug for concept in concepts]
    for domain, concepts in CONCEPTS.items()
}


def one_of(names):
    """A regular expression of `names`, or one that nothing matches."""
    return "|".join(map(re.escape, sorted(names))) or "(?!)"


wildcard_constraints:
    domain=one_of(CONFIG.domains),
    corpus=one_of(CONFIG.corpora),
    model=one_of(CONFIG.models),
    embedder=one_of(CONFIG.embedders),
    study=one_of(CONFIG.studies),
    concept="[a-z0-9-]+",


# A limit on GPUs is one of this machine (profiles/default); on a cluster, of each job.
resource_scopes:
    gpu="local",


class Batch:
    """The concepts of one job: one, left open as a wildcard, or several of one domain, named.

    Stages are declared once per batch. A concept's batch follows from its slug, so a concept more or less leaves most
    batches as they are. `sources` is a regular expression of the models or corpora that it is of.
    """

    def __init__(self, domains, concepts=None, suffix="", sources=""):
        self.domains, self.concepts, self.suffix = one_of(domains), concepts, suffix
        self.sources = sources

    def files(self, pattern):
        """`pattern` for every concept of the batch."""
        return (
            [pattern.replace("{concept}", concept) for concept in self.concepts]
            if self.concepts
            else [pattern]
        )

    def file(self, pattern):
        """`pattern` once, for a log or a benchmark."""
        return (
            pattern.replace("{concept}", f"batch{self.suffix}")
            if self.concepts
            else pattern
        )

    def names(self, wildcards):
        """The names of the batch's concepts, which its results depend on."""
        wanted = self.concepts or [wildcards.concept]
        return {
            c.slug: c.name for c in CONCEPTS[wildcards.domain] if c.slug in wanted
        }

    def settings(self, stage, names=False, place=None):
        """The settings of `stage` for a job of this batch: with the names of its concepts, where its results depend on
        them, and with what tells the pictures of each concept from others in the folder that `place(wildcards)` gives.

        A method, since a function that is made in a loop over batches would look at the last of them.
        """

        def pick(wildcards):
            found = settings(stage)(wildcards)
            if names:
                found = found | {"names": self.names(wildcards)}
            folder = place(wildcards) if place else None
            if folder:
                concepts = self.concepts or [wildcards.concept]
                pictures = {
                    concept: pictures_in(f"{folder}/{concept}") for concept in concepts
                }
                found = found | {"pictures": pictures}
            return found

        return pick


def make_batches(heavy, light):
    """Every batch of a stage: the named ones, of domains whose concepts share jobs, and an open one for the others.

    Args:
        heavy, light: names of the models or corpora for which a concept takes minutes in this stage, and seconds.
    """
    batches = []
    for kind, sources in ((True, heavy), (False, light)):
        shared = {
            name: CONFIG.shared_jobs(name, SLUGS[name], kind) for name in CONFIG.domains
        }
        suffix = "" if kind or not heavy else "_light"
        alone = [name for name in CONFIG.domains if not shared[name]]
        if sources and alone:
            batches.append(Batch(alone, suffix=suffix, sources=one_of(sources)))
        for name, of_jobs in shared.items() if sources else ():
            for number, concepts in enumerate(of_jobs):
                named = f"_{name}_{number:03d}{suffix}"
                batches.append(Batch([name], concepts, named, one_of(sources)))
    return batches


LIGHT = make_batches([], ["any"])
HEAVY = make_batches(["any"], [])
OF_CORPORA = make_batches(
    [name for name, corpus in CONFIG.corpora.items() if not corpus.provided_images],
    [name for name, corpus in CONFIG.corpora.items() if corpus.provided_images],
)
OF_MODELS = make_batches(
    [name for name, model in CONFIG.models.items() if model.pipeline],
    [name for name, model in CONFIG.models.items() if not model.pipeline],
)


def known(paths):
    """Those of `paths` that are there or that the workflow makes. A missing one is left to the command, which says what
    to do about it: a study can be planned before its data has come."""
    return [
        path
        for path in paths
        if path and (path.startswith("results/") or Path(path).exists())
    ]


# How images are brought changes none of those that come: a resource, so that a change of it redoes nothing. Snakemake
# takes no fractions there, only text.
BRINGING = {key: str(getattr(CONFIG.collection, key)) for key in CIRCUMSTANCES}


FETCHING = (
    "--connections {resources.connections} "
    "--connections-per-host {resources.connections_per_host} "
    "--connect-timeout-s {resources.connect_timeout_s} "
    "--total-timeout-s {resources.total_timeout_s} --max-bytes {params.settings[max_bytes]} "
    "--retries {resources.retries} --honour-opt-out {params.settings[honour_opt_out]} "
    "--allow-loopback {params.settings[allow_loopback]} "
)


def given_files(places):
    """As known, but without folders of a user: what changes deep in a folder is noticed by `pictures_in`, as a setting,
    since Snakemake looks at the time of the folder itself only."""
    return [
        path
        for path in known(places)
        if path.startswith("results/") or not Path(path).is_dir()
    ]


@cache
def pictures_in(folder):
    """A text that changes when a file does in a user's folder, however deep; "" where it is no folder."""
    try:
        return "" if folder.startswith("results/") else fingerprint(folder)
    except FitError as error:
        raise WorkflowError(str(error))


def reference_files(wildcards):
    """The file that a domain's references come from; none for a folder or a search."""
    references = CONFIG.domains[wildcards.domain].references
    return given_files([references.table or references.folder or ""])


def noticing(stage, places):
    """The settings of `stage`, and what tells the contents of the folders among `places` from others."""

    def pick(wildcards):
        found = {place: pictures_in(place) for place in places(wildcards) if place}
        folders = {place: text for place, text in found.items() if text}
        return settings(stage)(wildcards) | ({"folders": folders} if folders else {})

    return pick


@cache
def known_image_files(corpus):
    """The files that hold the images of a corpus, looked for once; none where the images are behind links."""
    if CONFIG.corpora[corpus].images != "embedded":
        return []
    return given_files(CONFIG.caption_files(corpus))


def image_files(wildcards):
    """The files that hold the images of a job's corpus."""
    return known_image_files(wildcards.corpus)


def image_places(corpus):
    """The files and folders that hold the images of a corpus; none where they are behind links."""
    embedded = CONFIG.corpora[corpus].images == "embedded"
    return CONFIG.caption_files(corpus) if embedded else []


def part_places(wildcards):
    """The caption files and folders of a job's part of its corpus."""
    return CONFIG.caption_parts(wildcards.corpus)[wildcards.part]


def part_files(wildcards):
    """The caption files of a job's part of its corpus."""
    return given_files(CONFIG.caption_parts(wildcards.corpus)[wildcards.part])


def all_parts(kind):
    """The tables `kind` (counts, names, hits or shards) of every part of a job's corpus."""
    return lambda wildcards: expand(
        f"results/captions/{{corpus}}/{{domain}}/parts/{{part}}/{kind}.parquet",
        part=CONFIG.caption_parts(wildcards.corpus),
        **dict(wildcards.items()),
    )


LIMITS = (
    "--max-pixels {params.settings[max_pixels]} --min-side {params.settings[min_side]} "
    "--decode-timeout-s {resources.decode_timeout_s} --decoders {threads} "
)


def corpora_where(condition):
    """A regular expression of the corpora of which `condition` holds."""
    return one_of(name for name, corpus in CONFIG.corpora.items() if condition(corpus))


def models_where(condition):
    """A regular expression of the models of which `condition` holds."""
    return one_of(name for name, model in CONFIG.models.items() if condition(model))


def yes_or_no(value):
    """A setting that is true or false, as the command line takes it."""
    return "yes" if value else "no"


def of_pictures(batch, base, per_picture):
    """An amount that grows with the number of pictures that a job of `batch` generates, and with its attempts."""

    def amount(wildcards, attempt):
        prompts = len(CONFIG.domains[wildcards.domain].prompts)
        of_concept = prompts * CONFIG.models[wildcards.model].images_per_prompt
        return attempt * round(
            base + per_picture * of_concept * len(batch.concepts or [1])
        )

    return amount


def provided(kind):
    """The file that the images at hand of a job's corpus or model are in; none where it is a folder."""
    return lambda wildcards: given_files([provided_place(kind, wildcards)])


def provided_place(kind, wildcards):
    """Where the images at hand of a job's corpus or model are."""
    of_kind = CONFIG.corpora if kind == "corpus" else CONFIG.models
    return of_kind[getattr(wildcards, kind)].provided_images


def corpus_folder(wildcards):
    """The folder of a job's training images at hand; None where they are in a file."""
    return folder_or_none(provided_place("corpus", wildcards))


def generated_folder(wildcards):
    """The folder of a job's generated images at hand; None where they are in a file."""
    return folder_or_none(provided_place("model", wildcards))


def references_folder(wildcards):
    """The folder of a job's references; None where they come from elsewhere."""
    return CONFIG.domains[wildcards.domain].references.folder


def folder_or_none(place):
    return None if place.endswith(".parquet") else place


def if_counted(pattern):
    """`pattern` where a job's corpus has captions, else nothing."""
    return lambda wildcards: (
        expand(pattern, **dict(wildcards.items()))
        if CONFIG.corpora[wildcards.corpus].captions
        else []
    )


def if_compared(pattern):
    """`pattern`, as at_model_corpus fills it in, where a job's model has training images to compare with, else nothing."""

    def files(wildcards):
        corpus = CONFIG.matched_corpus(CONFIG.models[wildcards.model].corpus)
        if not CONFIG.corpora[corpus].has_images:
            return []
        return at_model_corpus(pattern)(wildcards)

    return files


def if_filtered(pattern):
    """As if_compared, but nothing where a job's domain has no art filter either."""
    return lambda wildcards: (
        if_compared(pattern)(wildcards)
        if CONFIG.domains[wildcards.domain].art_filter
        else []
    )


def if_captioned(pattern):
    """`pattern`, as at_model_corpus fills it in, where a job's model was trained on captions that are counted, else
    nothing."""
    return lambda wildcards: (
        at_model_corpus(pattern)(wildcards)
        if CONFIG.corpora[CONFIG.models[wildcards.model].corpus].captions
        else []
    )


def growing(amount):
    """`amount` of memory or time for a job's first attempt, twice as much for its second, and so on."""
    return lambda wildcards, attempt: amount * attempt


@cache
def settings_of(stage, wildcards):
    """The settings of `stage`; one dict for all concepts, which it does not depend on."""
    return CONFIG.settings(stage, **dict(wildcards))


def settings(stage):
    """What `stage` gets from the configuration for a job's wildcards, as one dict; see fit.config.config.Config.settings."""

    def pick(wildcards):
        others = [item for item in wildcards.items() if item[0] != "concept"]
        return settings_of(stage, tuple(others))

    return pick


def groups_of(wildcards):
    """Concept -> group, of the concepts of a job's domain that have one."""
    return {c.slug: c.group for c in CONCEPTS[wildcards.domain] if c.group}


def all_concepts(pattern):
    """`pattern` for every concept of a job's domain; the other wildcards are filled in as they are."""
    return lambda wildcards: expand(
        pattern, concept=SLUGS[wildcards.domain], **dict(wildcards.items())
    )


def embedded(place, batch=None, filtering=False):
    """Embeddings of `place`, by the embedder of a job's domain, or by that of its art filter (none, where it has none).

    A {concept} in `place` is that of the job, or those of its batch, or else every concept of the domain.
    """

    def files(wildcards):
        domain = CONFIG.domains[wildcards.domain]
        if filtering and not domain.art_filter:
            return []
        embedder = domain.art_filter.embedder if filtering else domain.embedder
        patterns = batch.files(place) if batch else [place]
        known = {"concept": SLUGS[wildcards.domain]} | dict(wildcards.items())
        return expand(
            [f"results/embeddings/{embedder}/{pattern}" for pattern in patterns],
            **known,
        )

    return files


def when_filtering(pattern):
    """`pattern` where a job's domain has an art filter, else nothing."""

    def files(wildcards):
        domain = CONFIG.domains[wildcards.domain]
        if not domain.art_filter:
            return []
        return pattern.format(
            domain=wildcards.domain, embedder=domain.art_filter.embedder
        )

    return files


def of_embedder(key):
    """A circumstance of an embedder's jobs, which changes no vector beyond rounding and so is no setting."""

    def value(wildcards):
        found = getattr(CONFIG.embedders[wildcards.embedder], key)
        return yes_or_no(found) if isinstance(found, bool) else found

    return value


WEIGHTS = (
    "--backend {params.settings[backend]:q} --model {params.settings[model]:q} "
    "--dtype {params.settings[dtype]} --download {resources.download} "
)
FACES = (
    "--detection-side {params.settings[detection_side]} --min-face-size {params.settings[min_face_size]} "
    "--pixel-mean {params.settings[pixel_mean]} --pixel-std {params.settings[pixel_std]} "
    "--channels {params.settings[channels]} "
)


def photographs_folder(wildcards):
    """The file that a domain's ordinary photographs are in; none where it is a folder."""
    return given_files([CONFIG.domains[wildcards.domain].art_filter.photographs])


def photographs_table(wildcards):
    """The image table of a domain's ordinary photographs: as the workflow made it, or made of what a user gave."""
    place = CONFIG.domains[wildcards.domain].art_filter.photographs
    return (
        place
        if place.startswith("results/") and place.endswith(".parquet")
        else f"results/photographs/{wildcards.domain}.parquet"
    )


def if_photographs(pattern):
    """`pattern` where a job's domain has an art filter and photographs to find its cut against, else nothing. Where the
    cut is given, photographs that are not there are not asked for."""

    def files(wildcards):
        art_filter = CONFIG.domains[wildcards.domain].art_filter
        if not (art_filter and art_filter.photographs):
            return []
        if art_filter.cut is not None and not known([art_filter.photographs]):
            return []
        return pattern.format(domain=wildcards.domain, embedder=art_filter.embedder)

    return files


def by_prompt_embedder(pattern):
    """`pattern`, with {embedder} the one that compares a domain's pictures with their prompts; nothing without one."""

    def files(wildcards):
        embedder = CONFIG.domains[wildcards.domain].prompt_embedder
        return (
            expand(pattern, embedder=embedder, **dict(wildcards.items()))
            if embedder
            else []
        )

    return files


def has_clip_score(model, domain):
    """Whether pictures of a model can be compared with their prompts: those at hand come without any."""
    return CONFIG.domains[domain].prompt_embedder and CONFIG.models[model].pipeline


def alternative_files(study):
    """The thresholds of a study by other scores than the imitation score, and their figures."""
    return [
        f"results/alternatives/{model}/{domain}.{kind}{suffix}"
        for model, domain in CONFIG.pairs(study)
        for kind in ("clip", "frechet", "top5")
        for suffix in (".json", ".scores.png")
        if kind != "clip" or has_clip_score(model, domain)
    ]


def model_folder(kind):
    """The folder that an embedder or model is loaded from, where it is one; what comes from a hub is no input."""

    def folder(wildcards):
        name = getattr(wildcards, kind)
        path = CONFIG.folder_of(kind, name)
        if path and not path.startswith("results/") and not Path(path).exists():
            key = (
                f"models.{name}.pipeline"
                if kind == "model"
                else f"embedders.{name}.model"
            )
            missing(path, key)
            return []
        return [path] if path else []

    return folder


def at_model_corpus(pattern):
    """`pattern`, with {corpus} what a job's model was trained on, {matched} the corpus whose images stand for it, and
    {embedder} that of the job's domain; a {concept} is that of the job, or else every concept of the domain. `pattern` is
    one or a list of them.
    """

    def path(wildcards):
        corpus = CONFIG.models[wildcards.model].corpus
        concepts = (
            {"concept": SLUGS[wildcards.domain]} if "{concept}" in str(pattern) else {}
        )
        return expand(
            pattern,
            corpus=corpus,
            matched=CONFIG.matched_corpus(corpus),
            embedder=CONFIG.domains[wildcards.domain].embedder,
            **concepts | dict(wildcards.items()),
        )

    return path


def complete_pairs(study):
    """The (model, domain) pairs of a study that lack no input."""
    return [pair for pair in CONFIG.pairs(study) if not CONFIG.lacks(*pair)]


def counted(pairs):
    """The (corpus, domain) pairs behind (model, domain) pairs whose captions are counted."""
    corpora = dict.fromkeys((CONFIG.models[model].corpus, d) for model, d in pairs)
    return [pair for pair in corpora if CONFIG.corpora[pair[0]].captions]


def files_of(study, pairs):
    """What a study ends with: its report, a figure and a contact sheet per threshold, a figure per count of captions."""
    return (
        [f"results/paper/{study}/report.md"]
        + [
            f"results/thresholds/{model}/{domain}.{kind}.png"
            for model, domain in pairs
            for kind in ("scores", "pictures")
        ]
        + [f"results/captions/{c}/{d}/counts.png" for c, d in counted(pairs)]
    )


def study_files(study):
    """What a study ends with, all of it."""
    return files_of(study, CONFIG.pairs(study))


def feasible_files(study):
    """What a study ends with, but for the thresholds whose inputs are missing: its report lists them. A dry run plans
    them too, so that a study can be planned before its data has come."""
    if study not in CONFIG.studies:
        return []
    return files_of(
        study, CONFIG.pairs(study) if workflow.dryrun else complete_pairs(study)
    )


def of_complete(pattern):
    """`pattern` for the pairs of a job's study that lack no input."""
    return lambda wildcards: [
        pattern.format(model=model, domain=domain, corpus=CONFIG.models[model].corpus)
        for model, domain in complete_pairs(wildcards.study)
    ]


def cuts_of(wildcards):
    """The calibrations of a study: of its domains, and of their art filters."""
    domains = dict.fromkeys(domain for _, domain in complete_pairs(wildcards.study))
    return [
        f"results/cuts/{domain}{kind}.json"
        for domain in domains
        for kind in ("", ".art")
        if not kind or CONFIG.domains[domain].art_filter
    ]


def report_figures(wildcards):
    """The figures that a study's report shows."""
    pairs = complete_pairs(wildcards.study)
    return [
        *(f"results/thresholds/{model}/{domain}.scores.png" for model, domain in pairs),
        *(f"results/captions/{c}/{d}/counts.png" for c, d in counted(pairs)),
        *(path.replace(".json", ".png") for path in cuts_of(wildcards)),
    ]


def what_was_made():
    """The answer of the study that was asked for, or what a milestone has made and where, in lines."""
    from fit.thresholds.answer import of_targets

    if workflow.execution_settings.no_hooks:
        return []
    jobs = sorted(workflow.dag.targetjobs, key=lambda job: str(job.rule.name))
    targets = [
        ("", job.output) if job.output else (job.rule.name, job.input) for job in jobs
    ]
    try:
        return of_targets(CONFIG, targets)
    except FitError as error:
        return [f"fit: {error}"]


# Snakemake calls no handler where nothing is to be done; the logger of profiles/default asks for the answer then.
if workflow.is_main_process:
    snakemake_logger_plugin_fit.answer = what_was_made


onsuccess:
    logger.info("\n".join(what_was_made()), extra={"fit": True})
