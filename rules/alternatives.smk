"""Other scores than the imitation score, on the same pictures, and the thresholds that they lead to. Not part of a study:
ask for the target other_scores."""


rule embed_prompts:
    """Embed every concept's prompts, for the CLIP score."""
    input:
        # Only names and prompts matter, and those are settings.
        sheet=lambda wildcards: ancient(CONFIG.domains[wildcards.domain].concepts),
        model=model_folder("embedder"),
    output:
        embeddings="results/embeddings/{embedder}/prompts/{domain}.parquet",
    log:
        "results/logs/embed_prompts/{embedder}/{domain}.log",
    benchmark:
        "results/benchmarks/embed_prompts/{embedder}/{domain}.tsv"
    conda:
        "../envs/fit.yaml"
    threads: 1
    resources:
        download=of_embedder("download"),
        mem_mb=growing(8000),
        runtime=growing(60),
    params:
        settings=settings("embed_prompts"),
    shell:
        "fit embed prompts "
        + WEIGHTS
        + "--sheet {input.sheet:q} --prompts {params.settings[prompts]:q} --out {output.embeddings:q} > {log:q} 2>&1"


for batch in LIGHT:

    rule:
        """Score the pictures of one concept by CLIP score, Fréchet distance and top-5 mean."""
        name:
            f"score_otherwise{batch.suffix}"
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
            prompt_images=by_prompt_embedder(
                batch.files(
                    "results/embeddings/{embedder}/generated/{model}/{domain}/{concept}.parquet"
                )
            ),
            prompts=by_prompt_embedder(
                "results/embeddings/{embedder}/prompts/{domain}.parquet"
            ),
        output:
            scores=batch.files(
                "results/alternatives/{model}/{domain}/{concept}.parquet"
            ),
        log:
            batch.file("results/logs/score_otherwise/{model}/{domain}/{concept}.log"),
        benchmark:
            batch.file(
                "results/benchmarks/score_otherwise/{model}/{domain}/{concept}.tsv"
            )
        wildcard_constraints:
            domain=batch.domains,
        conda:
            "../envs/fit.yaml"
        threads: 1
        resources:
            mem_mb=growing(2000),
            runtime=growing(10),
        params:
            settings=settings("score_otherwise"),
        shell:
            "fit alternatives score --generated {input.generated:q} --generated-embeddings {input.generated_embeddings:q} "
            "--images {input.images:q} --matches {input.matches:q} --references {input.references:q} "
            "--reference-embeddings {input.reference_embeddings:q} --targets {params.settings[targets]} "
            "--prompt-images {input.prompt_images:q} --prompts {input.prompts:q} --out {output.scores:q} > {log:q} 2>&1"


rule tabulate_alternative:
    """Bring the counts and one other score of all concepts together."""
    input:
        imitation="results/scores/{model}/{domain}.parquet",
        scores=all_concepts("results/alternatives/{model}/{domain}/{concept}.parquet"),
    output:
        table="results/alternatives/{model}/{domain}.{kind}.parquet",
    log:
        "results/logs/tabulate_alternative/{model}/{domain}.{kind}.log",
    benchmark:
        "results/benchmarks/tabulate_alternative/{model}/{domain}.{kind}.tsv"
    wildcard_constraints:
        kind="clip|frechet|top5",
    conda:
        "../envs/fit.yaml"
    threads: 1
    resources:
        mem_mb=growing(1000),
        runtime=growing(10),
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
        figure="results/alternatives/{model}/{domain}.{kind}.scores.png",
    log:
        "results/logs/plot_alternative/{model}/{domain}.{kind}.log",
    benchmark:
        "results/benchmarks/plot_alternative/{model}/{domain}.{kind}.tsv"
