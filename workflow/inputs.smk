"""Inputs of rules that take more than a look-up, in the order of the stages."""

from fit import alternatives
from fit.config import copies as copies_config
from fit.config.data import data_of
from fit.explorer.beside import tables_beside
from fit.poisoning.settings import OBJECTIVES
from fit.truth.design import PRUNED, USUAL, Run

# --- captions ---------------------------------------------------------------------------------------------------------


def part_places(wildcards):
    """Return the caption files and folders that a job counts."""
    return CONFIG.caption_parts(wildcards.corpus)[wildcards.part]


def all_parts(kind):
    """Return an input function: the tables `kind` of all jobs that count a corpus."""
    return lambda wildcards: collect(
        f"results/captions/{{corpus}}/{{domain}}/parts/{{part}}/{kind}.parquet",
        part=CONFIG.caption_parts(wildcards.corpus),
        **dict(wildcards.items()),
    )


# --- images -----------------------------------------------------------------------------------------------------------


def image_places(wildcards):
    """Return the files and folders that hold the images of a job's corpus; none if the images are behind links."""
    corpus = wildcards.corpus
    embedded = CONFIG.corpora[corpus].images == "embedded"
    return CONFIG.caption_files(corpus) if embedded else []


@cache
def existing_image_files(corpus):
    """Return the files that hold the images of a corpus; look for them once."""
    embedded = CONFIG.corpora[corpus].images == "embedded"
    return existing(CONFIG.caption_files(corpus)) if embedded else []


collected_concepts = concepts_of("images/{corpus}/{domain}")


def of_collected(base, per_concept):
    """Return a function: an amount that grows with the concepts whose images a job collects, and with its attempts."""
    return with_signature(
        lambda wildcards, attempt: attempt * (base + per_concept * (len(collected_concepts(wildcards)) - 1))
    )


def provided_images(wildcards):
    """Return where the provided images of a job's corpus are."""
    return CONFIG.corpora[wildcards.corpus].provided_images


def photographs_of(wildcards):
    """Return where the ordinary photographs of a job's domain are."""
    return domain_of(wildcards).art_filter.photographs


# --- references -------------------------------------------------------------------------------------------------------


def reference_place(wildcards):
    """Return the table or folder of a job's references; "" for a search."""
    references = domain_of(wildcards).references
    return references.table or references.folder or ""


reference_concepts = concepts_of("references/{domain}")


# --- embeddings -------------------------------------------------------------------------------------------------------


@with_signature
def embedded_tables(wildcards):
    """Return the tables of images whose embeddings a job's table has."""
    parts = CONFIG.embedded_parts(wildcards.pictures, wildcards.part)
    return [f"results/{wildcards.pictures}/{part}.parquet" for part in parts]


def of_embedded(base, per_concept):
    """Return a function: an amount that grows with the concepts of a job that embeds training images or generated ones,
    and with its attempts."""

    def amount(wildcards, attempt):
        further = 0
        if wildcards.pictures.startswith(("images/", "generated/")):
            parts = CONFIG.partition_of(f"embeddings/{wildcards.embedder}/{wildcards.pictures}").parts
            further = len(parts.get(wildcards.part, [wildcards.part])) - 1
        return attempt * (base + per_concept * further)

    return with_signature(amount)


how_embedded = resources_of("embedder", EmbedderSettings, BatchSettings)
how_texts_are_embedded = resources_of("embedder", EmbedderSettings)


# --- matches ----------------------------------------------------------------------------------------------------------


def by_art_filter(folder):
    """Return an input function as `tables` does: embeddings by the art filter of a job's domain; none without a filter."""

    def files(wildcards):
        art_filter = art_filter_of(wildcards)
        if not art_filter:
            return []
        return tables(f"embeddings/{art_filter.embedder}/{folder}")(wildcards)

    return files


def of_art_filter(tables):
    """Return an input function: embeddings by the art filter of a job's domain; {domain} in `tables` is filled in."""
    return lambda wildcards: (
        f"results/embeddings/{art_filter_of(wildcards).embedder}/{filled(tables, wildcards)}.parquet"
    )


def has_photographs(wildcards):
    """Whether there are photographs to find the threshold of the art filter against. If the threshold is given, missing
    photographs are not asked for."""
    art_filter = art_filter_of(wildcards)
    if not (art_filter and art_filter.photographs):
        return False
    return art_filter.threshold is None or (
        art_filter.photographs.startswith("results/") or Path(art_filter.photographs).exists()
    )


# --- generated --------------------------------------------------------------------------------------------------------


generated_concepts = concepts_of("generated/{model}/{domain}")


def of_pictures(base, per_picture):
    """Return a function: an amount that grows with the number of pictures that a job generates, and with its attempts."""

    def amount(wildcards, attempt):
        of_concept = CONFIG.pictures_per_concept(wildcards.model, wildcards.domain)
        concepts = len(generated_concepts(wildcards))
        return attempt * round(base + per_picture * of_concept * concepts)

    return with_signature(amount)


@with_signature
def prompt_table(wildcards):
    """Return the table of prompts of a job's model; none if its prompts are those of the domain."""
    return existing([CONFIG.models[wildcards.model].prompt_table])


def provided_pictures(wildcards):
    """Return where the provided pictures of a job's model are."""
    return CONFIG.models[wildcards.model].provided_images


# --- scores -----------------------------------------------------------------------------------------------------------


def scores_of_base_model(wildcards):
    """Return the table of scores of a job's model before it was trained on the concepts; none if it has no base model."""
    before = CONFIG.models[wildcards.model].before
    return [f"results/scores/{before}/{wildcards.domain}.parquet"] if before else []


# --- alternatives -----------------------------------------------------------------------------------------------------


def has_prompt_embedder(wildcards):
    """Whether a job's domain has an embedder that compares pictures with their prompts."""
    return domain_of(wildcards).prompt_embedder


def by_prompt_embedder(text):
    """Return an input function: `text` with {prompt_embedder} filled in."""
    return lambda wildcards: text.replace("{prompt_embedder}", domain_of(wildcards).prompt_embedder)


def alternative_files(study):
    """Return the thresholds of a study by other scores than the imitation score, and their figures."""
    files = []
    for model, domain in CONFIG.pairs(study):
        has_prompts = CONFIG.domains[domain].prompt_embedder and CONFIG.models[model].pipeline
        for kind in sorted(alternatives.REGISTRY):
            if has_prompts or not alternatives.load(kind).needs_prompts:
                files += [
                    f"results/alternatives/{model}/{domain}.{kind}{suffix}" for suffix in (".json", ".scores.png")
                ]
    return files


# --- sensitivity ------------------------------------------------------------------------------------------------------


MATCH_THRESHOLD = branch(is_compared, then="results/matches/{domain}.threshold.json")


def missed_before(wildcards):
    """Return what captions miss of a job's corpus and domain, if somebody asked for it before."""
    path = filled("results/missed/{corpus}/{domain}.parquet", wildcards)
    return [path] if Path(path).exists() else []


# --- missed -----------------------------------------------------------------------------------------------------------


def may_be_missed(corpus):
    """Whether images of a corpus can be drawn whose captions name no concept."""
    return corpus.may_be_missed


def missed_files(study):
    """Return what captions miss, and what that does to the thresholds of a study, where its corpora can be sampled."""
    pairs = [(m, d) for m, d in CONFIG.pairs(study) if CONFIG.corpora[CONFIG.models[m].corpus].may_be_missed]
    tables = [f"results/missed/{CONFIG.models[m].corpus}/{d}.parquet" for m, d in pairs]
    return [*dict.fromkeys(tables), *(f"results/missed/{m}/{d}.json" for m, d in pairs)]


# --- reports ----------------------------------------------------------------------------------------------------------


def of_complete(pattern):
    """Return an input function: `pattern` for the pairs of a job's study that lack no input."""
    return lambda wildcards: [
        pattern.format(model=model, domain=domain, corpus=CONFIG.models[model].corpus)
        for model, domain in complete_pairs(wildcards.study)
    ]


def match_thresholds_of(wildcards):
    """Return the match thresholds of a study's domains, and the thresholds of their art filters."""
    domains = dict.fromkeys(domain for _, domain in complete_pairs(wildcards.study))
    return [
        f"results/matches/{domain}.{kind}.json"
        for domain in domains
        for kind in ("threshold", "art")
        if kind != "art" or CONFIG.domains[domain].art_filter
    ]


def statuses_of(wildcards):
    """Return how fetching images ended, of each corpus and domain of a study whose images came from the web; none if the
    study does not ask whether a site refuses, so that there is nothing to count."""
    if not CONFIG.collection.honour_opt_out:
        return []
    return [f"results/{place}" for source in data_of(CONFIG, wildcards.study) for place in source.statuses]


def report_figures(wildcards):
    """Return the figures that a study's report shows."""
    pairs = complete_pairs(wildcards.study)
    return [
        *(f"results/thresholds/{m}/{d}.{kind}.png" for m, d in pairs for kind in ("scores", "by-score")),
        *(f"results/captions/{c}/{d}/counts.png" for c, d in counted(pairs)),
        *(path.replace(".json", ".png") for path in match_thresholds_of(wildcards)),
    ]


def caption_counts_of(wildcards):
    """Return the caption counts of a study's corpora and domains."""
    return [f"results/captions/{c}/{d}/counts.parquet" for c, d in counted(complete_pairs(wildcards.study))]


def paper_figures(wildcards):
    """Return the figures of the paper that a study ends with."""
    pairs = complete_pairs(wildcards.study)
    return [
        *(
            f"results/thresholds/{model}/{domain}.{kind}.png"
            for model, domain in pairs
            for kind in ("scores", "pictures")
        ),
        *(path.replace(".json", ".png") for path in match_thresholds_of(wildcards)),
    ]


def asked_for_before(wildcards):
    """Return tables and figures of the paper that are no part of a study and exist, as somebody asked for them."""
    pairs = complete_pairs(wildcards.study)
    asked = [f"results/matches/{domain}.verification.tsv" for domain in dict.fromkeys(domain for _, domain in pairs)]
    asked += [f"results/sensitivity/{m}/{d}.outliers.{suffix}" for m, d in pairs for suffix in ("tsv", "png")]
    asked += [f"results/missed/{m}/{d}.json" for m, d in pairs]
    return [path for path in asked if Path(path).exists()]


def missed_tables_before(wildcards):
    """Return what captions miss of a study's corpora and domains, where somebody asked for it before."""
    tables = [path for path in missed_files(wildcards.study) if path.endswith(".parquet")]
    return [path for path in tables if Path(path).exists()]


# --- explorer ---------------------------------------------------------------------------------------------------------


def tables_of_complete(*folders):
    """Return an input function: the tables in `folders`, each with MODEL/DOMAIN, of the pairs of a study that lack nothing."""
    return lambda wildcards: [
        table
        for folder in folders
        for model, domain in complete_pairs(wildcards.study)
        for table in _tables(f"{folder}/{model}/{domain}", domain, None)
    ]


def shown_pictures(wildcards):
    """Return the tables of the pictures that a study's page shows."""
    return [
        table
        for model, domain in CONFIG.shown_pairs(wildcards.study)
        for table in _tables(f"explorer/pictures/{model}/{domain}", domain, None)
    ]


def caption_names_of(wildcards):
    """Return the captions by name of a study's corpora and domains."""
    return [f"results/captions/{c}/{d}/names.parquet" for c, d in counted(complete_pairs(wildcards.study))]


def sheets_of(wildcards):
    """Return the concept sheets of a study's domains."""
    return list(dict.fromkeys(CONFIG.domains[domain].concepts for _, domain in complete_pairs(wildcards.study)))


def measured_before(wildcards):
    """Return what is no part of a study and exists, as somebody asked for it: errors by group, what captions miss."""
    pairs = complete_pairs(wildcards.study)
    asked = [f"results/matches/{domain}.verification.tsv" for _, domain in pairs]
    asked += [f"results/missed/{m}/{d}.json" for m, d in pairs]
    asked += [f"results/missed/{CONFIG.models[m].corpus}/{d}.parquet" for m, d in pairs]
    return [path for path in dict.fromkeys(asked) if Path(path).exists()]


def tables_of_others(wildcards):
    """Return the tables of scores of other studies that a study is compared with."""
    return [str(table) for folder in CONFIG.explorer.beside for table in tables_beside(folder)]


# --- attacks ----------------------------------------------------------------------------------------------------------


def words_of_attacks(wildcards):
    """Return the table of words that go with concepts, where the attacks need it."""
    corpus = CONFIG.models[wildcards.model].corpus
    return [f"results/attacks/words/{corpus}/{wildcards.domain}.parquet"] if CONFIG.attacks.needs_words else []


def prefixes_of_attacks(wildcards):
    """Return the prefixes of all concepts that are attacked, where they are asked for."""
    folder = f"results/attacks/{wildcards.model}/{wildcards.domain}/prefixes"
    return [f"{folder}/{c}.safetensors" for c in CONFIG.attacks.concepts] if "prefix" in CONFIG.attacks.attacks else []


# --- truth -----------------------------------------------------------------------------------------------------------


TRUTH_RUNS = {run.model: run for run in truth_runs(CONFIG)}
TRUTH_MODELS = one_of(TRUTH_RUNS)
TRUTH_DOMAINS = one_of(run.domain for run in TRUTH_RUNS.values())


def first_run(wildcards):
    """Return the run whose model is audited: the first training of a deal of the usual world."""
    return Run(int(wildcards.world), USUAL, int(wildcards.deal), 1)


# --- defences ---------------------------------------------------------------------------------------------------------


def of_base_model(text):
    """Return an input function: `text` with {base}, the model that a job's derived one is compared with (itself, if it is not
    derived), filled in."""
    return lambda wildcards: text.format(
        base=CONFIG.derived_from(wildcards.model) or wildcards.model, **dict(wildcards.items())
    )


def tables_of_base(folder):
    """Return an input function as `tables` does, of the model that a job's derived one is compared with."""

    def files(wildcards):
        return _tables(filled(of_base_model(folder)(wildcards), wildcards), wildcards.domain, None)

    return files


def pipeline_to_erase_from(wildcards):
    """Return the folder of the pipeline from which concepts are erased; a hub id is not an input, and not erased from."""
    path = CONFIG.folder_of("model", wildcards.model)
    return [path] if path else []


def sheet_to_erase_from(wildcards):
    """Return the concept sheet of the concepts that are erased for a job's model."""
    return CONFIG.domains[CONFIG.models[wildcards.model].erase.domain].concepts


def defence_files(study):
    """Return what is measured of the models that are derived from those of a study, or are in it."""
    return [
        f"results/defences/{m}/{d}{suffix}"
        for m, d in CONFIG.defended_pairs(study)
        for suffix in (".parquet", ".tsv", ".png")
    ]


# --- copies ----------------------------------------------------------------------------------------------------------


COPIES_WORLD = copies_config.WORLD


def present(paths, key):
    """Return `paths` as `existing` does; end the run if one that the workflow does not make is missing."""
    for path in paths:
        if not path.startswith("results/") and not Path(path).exists():
            missing(path, key)
    return existing(paths)


def copies_prompts(wildcards):
    """Return the files that a job's prompts are made of: captions of the model's corpus, and a user's tables."""
    found = searched(CONFIG, wildcards.model)
    tables = {"copies.prompts": found.prompts, "copies.other_prompts": found.other_prompts}
    named = [path for key, table in tables.items() if table for path in present([table], key)]
    return [*existing(found.caption_files), *named]


def copies_training_images(wildcards):
    """Return the tables of training images that a job's pictures are compared with."""
    found = searched(CONFIG, wildcards.model)
    collected = [
        table for corpus, domain in found.collected for table in _tables(f"images/{corpus}/{domain}", domain, None)
    ]
    if not found.training_images and not collected:
        end(
            f"the corpus of {wildcards.model} has no images to compare with; name Parquet tables of training images in "
            "`copies.training_images`. No job was started."
        )
    return [*present(found.training_images, "copies.training_images"), *collected]


def copies_pictures(wildcards):
    """Return the tables of pictures of all prompts of a job's model."""
    return [f"results/copies/models/{wildcards.model}/pictures/{job}.parquet" for job in range(CONFIG.copies.jobs)]


def copies_files(wildcards):
    """Return what is found about each model that is searched for copies."""
    try:
        return [f"results/copies/models/{model}/found.json" for model in searched_models(CONFIG)]
    except FitError as error:
        end(str(error))


def copies_world_tables(folder):
    """Return an input function: the tables in `folder` of all painters of the experiment; {embedder}: the domain's."""
    return lambda wildcards: _tables(folder.format(embedder=CONFIG.domains[COPIES_WORLD].embedder), COPIES_WORLD, None)


# --- targets ----------------------------------------------------------------------------------------------------------


def files_of(study, pairs):
    """Return what a study ends with: its report and page, a figure and a contact sheet per threshold, a figure per caption
    count."""
    return (
        # The table is asked for, too: a report of an earlier version lacks it, and would not be written again for it.
        [f"results/reports/{study}/{name}" for name in ("report.md", "data.tsv")]
        + [f"results/explorer/{study}/index.html"]
        + [
            f"results/thresholds/{model}/{domain}.{kind}.png"
            for model, domain in pairs
            for kind in ("scores", "by-score", "pictures")
        ]
        + [f"results/captions/{c}/{d}/counts.png" for c, d in counted(pairs)]
    )


def study_files(study):
    """Return all that a study ends with."""
    return files_of(study, CONFIG.pairs(study))


def feasible_files(study):
    """Return what a study ends with, without the thresholds whose inputs are missing: its report lists these. A dry run
    plans them too, so that a study can be planned before its data is there."""
    if study not in CONFIG.studies:
        return []
    return files_of(study, CONFIG.pairs(study) if workflow.dryrun else complete_pairs(study))


def paper_page(study):
    """Return the page of a study that lists the paper's tables and figures; none if there is no such study."""
    return [f"results/reports/{study}/paper/paper.md"] if study in CONFIG.studies else []
