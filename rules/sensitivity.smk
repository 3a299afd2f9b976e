"""How much each choice moves the threshold, and which concepts defy it. The page of a study shows both; the milestone
sensitivity makes them alone."""


rule rescore_imitation:
    """Score the pictures of each concept at every top-k and at match thresholds around the one in use."""
    input:
        **EVIDENCE,
        threshold=MATCH_THRESHOLD,
        art_threshold=branch(
            lambda wildcards: is_compared(wildcards) and art_filter_of(wildcards),
            then="results/matches/{domain}.art.json",
        ),
    output:
        scores="results/sensitivity/{model}/{domain}/{part}.parquet",
    log:
        "results/logs/rescore_imitation/{model}/{domain}/{part}.log",
    benchmark:
        "results/benchmarks/rescore_imitation/{model}/{domain}/{part}.tsv"
    conda:
        "../envs/fit.yaml"
    threads: 1
    params:
        settings=settings("rescore_imitation", concepts=cheap_concepts),
    shell:
        "fit sensitivity rescore --concepts {params.settings[concepts]:q} "
        + EVIDENCE_FLAGS
        + "{params.settings[flags]:q} --match-threshold {input.threshold:q} --art-threshold {input.art_threshold:q} "
        "--out {output.scores:q} > {log:q} 2>&1"


rule measure_sensitivity:
    """Find the threshold over penalties, concepts and prompts left out, top-k, match thresholds, and choices of the
    paper's code; draw them all."""
    input:
        table="results/scores/{model}/{domain}.parquet",
        counts=lambda wildcards: filled("results/counts/{corpus}/{domain}.parquet", wildcards),
        threshold="results/thresholds/{model}/{domain}.json",
        rescored=tables("sensitivity/{model}/{domain}"),
        match_threshold=MATCH_THRESHOLD,
        missed=missed_before,
    output:
        sensitivity="results/sensitivity/{model}/{domain}.json",
        figure=report(
            "results/sensitivity/{model}/{domain}.png",
            caption="../workflow/report/sensitivity.rst",
            category="Sensitivity",
            subcategory="{domain}",
            labels={"model": "{model}", "domain": "{domain}", "shows": "threshold under every choice"},
        ),
    log:
        "results/logs/measure_sensitivity/{model}/{domain}.log",
    benchmark:
        "results/benchmarks/measure_sensitivity/{model}/{domain}.tsv"
    conda:
        "../envs/fit.yaml"
    threads: 2
    resources:
        mem_mb=growing(2000),
        runtime=growing(30),
    params:
        settings=settings("measure_sensitivity"),
    shell:
        "fit sensitivity measure {input.table:q} --threshold {input.threshold:q} --rescored {input.rescored:q} "
        "{params.settings[flags]:q} --match-threshold {input.match_threshold:q} --counts {input.counts:q} "
        "--missed {input.missed:q} "
        "--threads {threads} --title {wildcards.model}:' '{wildcards.domain} --out {output.sensitivity:q} "
        "--figure {output.figure:q} > {log:q} 2>&1"


rule list_outliers:
    """List the concepts that defy the threshold, with measurements of each, and show their pictures."""
    input:
        **{key: files for key, files in EVIDENCE.items() if key != "matches"},
        table="results/scores/{model}/{domain}.parquet",
        threshold="results/thresholds/{model}/{domain}.json",
        counts=lambda wildcards: filled("results/counts/{corpus}/{domain}.parquet", wildcards),
        names=branch(
            is_captioned,
            then=lambda wildcards: filled("results/captions/{corpus}/{domain}/names.parquet", wildcards),
        ),
        rescored=tables("sensitivity/{model}/{domain}"),
        match_threshold=MATCH_THRESHOLD,
    output:
        table=report(
            "results/sensitivity/{model}/{domain}.outliers.tsv",
            caption="../workflow/report/outliers.rst",
            category="Sensitivity",
            subcategory="{domain}",
            labels={"model": "{model}", "domain": "{domain}", "shows": "outliers, and what may explain them"},
        ),
        figure=report(
            "results/sensitivity/{model}/{domain}.outliers.png",
            caption="../workflow/report/outliers.rst",
            category="Sensitivity",
            subcategory="{domain}",
            labels={"model": "{model}", "domain": "{domain}", "shows": "pictures of outliers"},
        ),
    log:
        "results/logs/list_outliers/{model}/{domain}.log",
    benchmark:
        "results/benchmarks/list_outliers/{model}/{domain}.tsv"
    conda:
        "../envs/fit.yaml"
    threads: 1
    resources:
        mem_mb=growing(4000),
        runtime=growing(120),
    params:
        settings=settings("list_outliers"),
    shell:
        "fit sensitivity outliers {input.table:q} --threshold {input.threshold:q} --counts {input.counts:q} "
        "--names {input.names:q} --references {input.references:q} --reference-embeddings {input.reference_embeddings:q} "
        "--generated results/generated/{wildcards.model}/{wildcards.domain} "
        "--generated-embeddings {params.settings[generated_embeddings]:q} "
        "--images {params.settings[images]:q} --rescored {input.rescored:q} "
        "--match-threshold {input.match_threshold:q} "
        "--title {wildcards.model}:' '{wildcards.domain}', concepts that defy the threshold' "
        "--out {output.table:q} --figure {output.figure:q} > {log:q} 2>&1"
