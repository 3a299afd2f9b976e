"""What a model that is derived from another one does otherwise than it: `base` in config.yaml. It is not part of a study: ask
for the milestone defences."""


rule measure_defence:
    """Read a derived model's scores on its base's curve, and measure whom and what else the change hits."""
    input:
        base_scores=of_base_model("results/scores/{base}/{domain}.parquet"),
        base_generated=tables_of_base("generated/{base}/{domain}"),
        base_embeddings=tables_of_base("embeddings/{{embedder}}/generated/{base}/{domain}"),
        base_prompt_images=branch(
            has_prompt_embedder,
            then=lambda wildcards: tables_of_base(
                f"embeddings/{domain_of(wildcards).prompt_embedder}/generated/{{base}}/{{domain}}"
            )(wildcards),
        ),
        scores="results/scores/{model}/{domain}.parquet",
        generated=tables("generated/{model}/{domain}"),
        embeddings=embeddings("generated/{model}/{domain}"),
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
        references=tables("references/{domain}"),
        reference_embeddings=embeddings("references/{domain}/candidates"),
        sheet=sheet_of,
    output:
        table="results/defences/{model}/{domain}.parquet",
        tsv="results/defences/{model}/{domain}.tsv",
    log:
        "results/logs/measure_defence/{model}/{domain}.log",
    benchmark:
        "results/benchmarks/measure_defence/{model}/{domain}.tsv"
    wildcard_constraints:
        model=models_where(lambda model: model.base),
    conda:
        "../envs/fit.yaml"
    threads: 1
    params:
        settings=settings("measure_defence"),
    shell:
        "fit defences measure --base-scores {input.base_scores:q} --base-generated {input.base_generated:q} "
        "--base-embeddings {input.base_embeddings:q} --base-prompt-images {input.base_prompt_images:q} "
        "--defended-scores {input.scores:q} --defended-generated {input.generated:q} "
        "--defended-embeddings {input.embeddings:q} --defended-prompt-images {input.prompt_images:q} "
        "--prompts {input.prompts:q} --references {input.references:q} "
        "--reference-embeddings {input.reference_embeddings:q} --sheet {input.sheet:q} {params.settings[flags]:q} "
        "--out {output.table:q} --tsv {output.tsv:q} > {log:q} 2>&1"


rule plot_defence:
    """Draw where a derived model's scores lie on its base's curve."""
    input:
        table="results/defences/{model}/{domain}.parquet",
    output:
        figure="results/defences/{model}/{domain}.png",
    log:
        "results/logs/plot_defence/{model}/{domain}.log",
    benchmark:
        "results/benchmarks/plot_defence/{model}/{domain}.tsv"
    conda:
        "../envs/fit.yaml"
    threads: 1
    params:
        settings=settings("plot_defence"),
    shell:
        "fit defences plot --table {input.table:q} --title {wildcards.model:q} --out {output.figure:q} > {log:q} 2>&1"
