"""Milestones to ask for by name, and what a study ends with."""


rule counts:
    """Effective counts of the default study."""
    input:
        looked_at(CONFIG.default_study, "corpora", "domains", "embedders"),
        [f"results/counts/{CONFIG.models[m].corpus}/{d}.parquet" for m, d in CONFIG.pairs(CONFIG.default_study)],


rule scores:
    """Counts and scores of the default study, a table per model and domain."""
    input:
        looked_at(CONFIG.default_study),
        [f"results/scores/{m}/{d}.parquet" for m, d in CONFIG.pairs(CONFIG.default_study)],


rule thresholds:
    """Thresholds of the default study."""
    input:
        looked_at(CONFIG.default_study),
        [f"results/thresholds/{m}/{d}.json" for m, d in CONFIG.pairs(CONFIG.default_study)],


rule references:
    """Contact sheets of the default study's references, to decide on vetoes."""
    input:
        looked_at(CONFIG.default_study, "domains", "embedders"),
        [
            f"results/references/{d}/{part}.png"
            for d in CONFIG.studies[CONFIG.default_study].domains
            for part in CONFIG.partition_of(f"references/{d}").parts
        ],


rule generated:
    """Contact sheets of the default study's generated pictures, a row per prompt."""
    input:
        looked_at(CONFIG.default_study, "models"),
        [
            f"results/generated/{m}/{d}/{part}.png"
            for m, d in CONFIG.pairs(CONFIG.default_study)
            for part in CONFIG.partition_of(f"generated/{m}/{d}").parts
        ],


rule verification:
    """How often the embedders of the default study's domains err, by group."""
    input:
        looked_at(CONFIG.default_study, "domains", "embedders"),
        [f"results/matches/{d}.verification.tsv" for d in CONFIG.studies[CONFIG.default_study].domains],


rule alternatives:
    """Thresholds of the default study by other scores than the imitation score."""
    input:
        looked_at(CONFIG.default_study),
        lambda wildcards: alternative_files(CONFIG.default_study),


rule sensitivity:
    """How much each choice moves the thresholds of the default study, and the concepts that defy them."""
    input:
        looked_at(CONFIG.default_study),
        [
            f"results/sensitivity/{m}/{d}{suffix}"
            for m, d in CONFIG.pairs(CONFIG.default_study)
            for suffix in (".json", ".outliers.tsv")
        ],


rule defences:
    """What each model that is derived from one of the default study does otherwise than it."""
    input:
        looked_at(CONFIG.default_study),
        lambda wildcards: defence_files(CONFIG.default_study),


rule explorer:
    """The page of the default study, as far as its inputs are there."""
    input:
        looked_at(CONFIG.default_study, partly=True),
        f"results/explorer/{CONFIG.default_study}/index.html",


rule missed:
    """What captions of the default study's corpora miss, and what that does to its thresholds."""
    input:
        looked_at(CONFIG.default_study),
        lambda wildcards: missed_files(CONFIG.default_study),


rule paper:
    """The paper's study, as far as its inputs are there: its report, and a list of the paper's tables and figures."""
    input:
        looked_at("paper", partly=True),
        lambda wildcards: feasible_files("paper"),
        lambda wildcards: paper_page("paper"),
