"""Other scores than the imitation score, on the same pictures, and the thresholds by these scores. They are not part of a
study: ask for the milestone alternatives."""


rule score_alternatives:
    """Score the pictures of each concept by CLIP score, Fréchet distance and top-5 mean."""
    input:
        **EVIDENCE,
        prompt_images=branch(
            has_prompt_embedder,
            then=lambda wildcards: tables(
                f"embeddings/{domain_of(wildcards).prompt_embedder}/generated/{{model}}/{{domain}}"
            )(wildcards),
        ),
        prompts=branch(
            has_prompt_embedder,
            then=by_prompt_embedder("results/embeddings/{prompt_embedder}/prompts/{domain}.parquet"),
        ),
    output:
        scores="results/alternatives/{model}/{domain}/{part}.parquet",
    log:
        "results/logs/score_alternatives/{model}/{domain}/{part}.log",
    benchmark:
        "results/benchmarks/score_alternatives/{model}/{domain}/{part}.tsv"
    conda:
        "../envs/fit.yaml"
    threads: 1
    resources:
        mem_mb=growing(2000),
    params:
        settings=settings("score_alternatives", concepts=cheap_concepts),
    shell:
        "fit alternatives score --concepts {params.settings[concepts]:q} "
        + EVIDENCE_FLAGS
        + "{params.settings[flags]:q} --prompt-images {input.prompt_images:q} --prompts {input.prompts:q} "
        "--out {output.scores:q} > {log:q} 2>&1"


rule tabulate_alternative:
    """Bring the counts and one alternative score of all concepts together in a table."""
    input:
        imitation="results/scores/{model}/{domain}.parquet",
        scores=tables("alternatives/{model}/{domain}"),
    output:
        table="results/alternatives/{model}/{domain}.{kind}.parquet",
    log:
        "results/logs/tabulate_alternative/{model}/{domain}.{kind}.log",
    benchmark:
        "results/benchmarks/tabulate_alternative/{model}/{domain}.{kind}.tsv"
    wildcard_constraints:
        kind=one_of(alternatives.REGISTRY),
    conda:
        "../envs/fit.yaml"
    threads: 1
    params:
        settings=settings("tabulate_alternative"),
    shell:
        "fit alternatives tabulate --imitation {input.imitation:q} --scores {input.scores:q} --kind {wildcards.kind} "
        "--out {output.table:q} > {log:q} 2>&1"


use rule detect_threshold as detect_alternative with:
    input:
        table="results/alternatives/{model}/{domain}.{kind}.parquet",
    output:
        threshold="results/alternatives/{model}/{domain}.{kind}.json",
    log:
        "results/logs/detect_alternative/{model}/{domain}.{kind}.log",
    benchmark:
        "results/benchmarks/detect_alternative/{model}/{domain}.{kind}.tsv"


use rule plot_threshold as plot_alternative with:
    input:
        table="results/alternatives/{model}/{domain}.{kind}.parquet",
        threshold="results/alternatives/{model}/{domain}.{kind}.json",
    output:
        figure=report(
            "results/alternatives/{model}/{domain}.{kind}.scores.png",
            caption="../workflow/report/alternative.rst",
            category="Other scores",
            subcategory="{domain}",
            labels={"model": "{model}", "domain": "{domain}", "shows": "{kind} against counts"},
        ),
    log:
        "results/logs/plot_alternative/{model}/{domain}.{kind}.log",
    benchmark:
        "results/benchmarks/plot_alternative/{model}/{domain}.{kind}.tsv"
