"""How closely the model's pictures resemble each concept."""


rule score_imitation:
    """Score the pictures of each concept, prompt by prompt."""
    input:
        **EVIDENCE,
    output:
        scores="results/scores/{model}/{domain}/{part}.parquet",
    log:
        "results/logs/score_imitation/{model}/{domain}/{part}.log",
    benchmark:
        "results/benchmarks/score_imitation/{model}/{domain}/{part}.tsv"
    conda:
        "../envs/fit.yaml"
    threads: 1
    params:
        settings=settings("score_imitation", concepts=cheap_concepts),
    shell:
        "fit scores imitation --concepts {params.settings[concepts]:q} "
        + EVIDENCE_FLAGS
        + "{params.settings[flags]:q} --out {output.scores:q} > {log:q} 2>&1"


rule gather_pictures:
    """Gather the mean vectors of all concepts' pictures, prompt by prompt, for the null."""
    input:
        generated=tables("generated/{model}/{domain}"),
        embeddings=embeddings("generated/{model}/{domain}"),
        counts=lambda wildcards: filled("results/counts/{corpus}/{domain}.parquet", wildcards),
        sheet=unchanged_sheet,
    output:
        pictures="results/scores/null/{model}/{domain}.parquet",
    log:
        "results/logs/gather_pictures/{model}/{domain}.log",
    benchmark:
        "results/benchmarks/gather_pictures/{model}/{domain}.tsv"
    conda:
        "../envs/fit.yaml"
    threads: 1
    params:
        settings=settings("gather_pictures"),
    shell:
        "fit scores gather --generated results/generated/{wildcards.model}/{wildcards.domain} "
        "--generated-embeddings {params.settings[generated_embeddings]:q} --counts {input.counts:q} --sheet {input.sheet:q} "
        "--out {output.pictures:q} > {log:q} 2>&1"


rule score_null:
    """Score other concepts' pictures on the targets of each concept: what the score would be without imitation."""
    input:
        **{key: files for key, files in EVIDENCE.items() if not key.startswith("generated")},
        pictures="results/scores/null/{model}/{domain}.parquet",
    output:
        scores="results/scores/null/{model}/{domain}/{part}.parquet",
    log:
        "results/logs/score_null/{model}/{domain}/{part}.log",
    benchmark:
        "results/benchmarks/score_null/{model}/{domain}/{part}.tsv"
    conda:
        "../envs/fit.yaml"
    threads: 1
    params:
        settings=settings("score_null", concepts=cheap_concepts),
    shell:
        "fit scores null --concepts {params.settings[concepts]:q} --pictures {input.pictures:q} "
        "--images {input.images:q} --matches {input.matches:q} --references {input.references:q} "
        "--reference-embeddings {input.reference_embeddings:q} {params.settings[flags]:q} "
        "--out {output.scores:q} > {log:q} 2>&1"


rule tabulate_scores:
    """Bring the counts and scores of all concepts together in a table."""
    input:
        counts=lambda wildcards: filled("results/counts/{corpus}/{domain}.parquet", wildcards),
        scores=tables("scores/{model}/{domain}"),
        nulls=tables("scores/null/{model}/{domain}"),
        before=scores_of_base_model,
        references=tables("references/{domain}"),
        reference_embeddings=embeddings("references/{domain}/candidates"),
        sheet=unchanged_sheet,
    output:
        table="results/scores/{model}/{domain}.parquet",
    log:
        "results/logs/tabulate_scores/{model}/{domain}.log",
    benchmark:
        "results/benchmarks/tabulate_scores/{model}/{domain}.tsv"
    conda:
        "../envs/fit.yaml"
    threads: 1
    params:
        settings=settings("tabulate_scores"),
    shell:
        "fit scores tabulate --counts {input.counts:q} --scores {input.scores:q} --nulls {input.nulls:q} "
        "--before {input.before:q} --references {input.references:q} "
        "--reference-embeddings {input.reference_embeddings:q} "
        "--sheet {input.sheet:q} {params.settings[flags]:q} --out {output.table:q} > {log:q} 2>&1"
