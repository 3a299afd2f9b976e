"""The explorer: one page on which a study is understood."""


rule select_pictures:
    """Make thumbnails of each concept's references, generated pictures and their nearest targets; list what each step
    left out."""
    input:
        **EVIDENCE,
        image_tables=branch(is_compared, then=tables("images/{matched}/{domain}")),
    output:
        pictures="results/explorer/pictures/{model}/{domain}/{part}.parquet",
        excluded="results/explorer/excluded/{model}/{domain}/{part}.parquet",
    log:
        "results/logs/select_pictures/{model}/{domain}/{part}.log",
    benchmark:
        "results/benchmarks/select_pictures/{model}/{domain}/{part}.tsv"
    conda:
        "../envs/fit.yaml"
    threads: 1
    resources:
        mem_mb=growing(4000),
    params:
        settings=settings("select_pictures", concepts=cheap_concepts),
    shell:
        "fit explorer pictures --concepts {params.settings[concepts]:q} "
        + EVIDENCE_FLAGS
        + "--image-tables {input.image_tables:q} {params.settings[flags]:q} "
        "--excluded {output.excluded:q} --out {output.pictures:q} > {log:q} 2>&1"


rule gather_study:
    """Gather what the explorer and the datasheet say of a study, from its files; say what is missing."""
    input:
        looked_at=lambda wildcards: looked_at(wildcards.study, partly=True)(wildcards),
        thresholds=of_complete("results/thresholds/{model}/{domain}.json"),
        tables=of_complete("results/scores/{model}/{domain}.parquet"),
        counts=of_complete("results/counts/{corpus}/{domain}.parquet"),
        sensitivity=of_complete("results/sensitivity/{model}/{domain}.json"),
        outliers=of_complete("results/sensitivity/{model}/{domain}.outliers.tsv"),
        match_thresholds=match_thresholds_of,
        names=caption_names_of,
        sheets=sheets_of,
        by_prompt=tables_of_complete("scores", "scores/null", "explorer/excluded"),
        pictures=shown_pictures,
        asked_for=measured_before,
        beside=tables_of_others,
        statuses=statuses_of,
    output:
        study="results/explorer/{study}/study.json",
    log:
        "results/logs/gather_study/{study}.log",
    benchmark:
        "results/benchmarks/gather_study/{study}.tsv"
    conda:
        "../envs/fit.yaml"
    threads: 1
    resources:
        mem_mb=growing(4000),
        runtime=growing(60),
    params:
        settings=settings("gather_study"),
    shell:
        "fit explorer gather {wildcards.study} --parts {params.settings[parts]:q} "
        "--corpora {params.settings[corpora]:q} --counts-from {params.settings[counts_from]:q} "
        "--sheets {params.settings[sheets]:q} --embedders {params.settings[embedders]:q} "
        "--people {params.settings[people]:q} --missing {params.settings[missing]:q} {params.settings[flags]:q} "
        "{params.settings[data]:q} --results results --out {output.study:q} > {log:q} 2>&1"


rule build_explorer:
    """Lay the page of a study out, with its pictures, in one file."""
    input:
        study="results/explorer/{study}/study.json",
        pictures=shown_pictures,
    output:
        page=report(
            "results/explorer/{study}/index.html",
            caption="../workflow/report/explorer.rst",
            category="Explorer",
            labels={"study": "{study}", "shows": "the study on one page"},
        ),
    log:
        "results/logs/build_explorer/{study}.log",
    benchmark:
        "results/benchmarks/build_explorer/{study}.tsv"
    conda:
        "../envs/fit.yaml"
    threads: 1
    resources:
        mem_mb=growing(4000),
    params:
        settings=settings("build_explorer"),
    shell:
        "fit explorer build {input.study:q} --pictures {params.settings[folders]:q} {params.settings[flags]:q} "
        "--out {output.page:q} > {log:q} 2>&1"
