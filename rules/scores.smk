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


rule tabulate_scores:
    """Bring the counts and scores of all concepts together in a table."""
    input:
        counts=lambda wildcards: filled("results/counts/{corpus}/{domain}.parquet", wildcards),
        scores=tables("scores/{model}/{domain}"),
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
        "fit scores tabulate --counts {input.counts:q} --scores {input.scores:q} --sheet {input.sheet:q} "
        "--out {output.table:q} > {log:q} 2>&1"
