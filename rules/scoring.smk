"""How closely the model's pictures resemble each concept."""

for batch in LIGHT:

    rule:
        """Score the pictures of one concept, prompt by prompt."""
        name:
            f"score_imitation{batch.suffix}"
        input:
            generated=batch.files(
                "results/generated/{model}/{domain}/{concept}.parquet"
            ),
            generated_embeddings=embedded(
                "generated/{model}/{domain}/{concept}.parquet", batch
            ),
            images=if_compared(
                batch.files(
                    "results/embeddings/{embedder}/images/{matched}/{domain}/{concept}.parquet"
                )
            ),
            matches=if_compared(
                batch.files("results/matches/{matched}/{domain}/{concept}.parquet")
            ),
            references=batch.files("results/references/{domain}/{concept}.parquet"),
            reference_embeddings=embedded(
                "references/{domain}/{concept}.parquet", batch
            ),
        output:
            score=batch.files("results/scores/{model}/{domain}/{concept}.parquet"),
        log:
            batch.file("results/logs/score_imitation/{model}/{domain}/{concept}.log"),
        benchmark:
            batch.file(
                "results/benchmarks/score_imitation/{model}/{domain}/{concept}.tsv"
            )
        wildcard_constraints:
            domain=batch.domains,
        conda:
            "../envs/fit.yaml"
        threads: 1
        resources:
            mem_mb=growing(1000),
            runtime=growing(10),
        params:
            settings=settings("score_imitation"),
        shell:
            "fit score --generated {input.generated:q} --generated-embeddings {input.generated_embeddings:q} "
            "--images {input.images:q} --matches {input.matches:q} --references {input.references:q} "
            "--reference-embeddings {input.reference_embeddings:q} --targets {params.settings[targets]} "
            "--top-k {params.settings[top_k]} --out {output.score:q} > {log:q} 2>&1"


rule tabulate_scores:
    """Bring the counts and scores of all concepts together."""
    input:
        counts=at_model_corpus("results/counts/{corpus}/{domain}.parquet"),
        scores=all_concepts("results/scores/{model}/{domain}/{concept}.parquet"),
        # Only the groups of concepts matter, and those are settings.
        sheet=lambda wildcards: ancient(CONFIG.domains[wildcards.domain].concepts),
    output:
        table="results/scores/{model}/{domain}.parquet",
    log:
        "results/logs/tabulate_scores/{model}/{domain}.log",
    benchmark:
        "results/benchmarks/tabulate_scores/{model}/{domain}.tsv"
    conda:
        "../envs/fit.yaml"
    threads: 1
    resources:
        mem_mb=growing(1000),
        runtime=growing(10),
    params:
        settings=lambda wildcards: settings("tabulate_scores")(wildcards)
        | {"groups": groups_of(wildcards)},
    shell:
        "fit scores --counts {input.counts:q} --scores {input.scores:q} --sheet {input.sheet:q} "
        "--out {output.table:q} > {log:q} 2>&1"
