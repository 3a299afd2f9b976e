"""How much each choice moves the threshold, and which concepts defy it. Not part of a study: ask for the target
sensitivity."""

for batch in LIGHT:

    rule:
        """Score the pictures of one concept at every top-k and at cuts around the one in use."""
        name:
            f"rescore_imitation{batch.suffix}"
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
            cut=if_compared("results/cuts/{domain}.json"),
            art_cut=if_filtered("results/cuts/{domain}.art.json"),
        output:
            scores=batch.files("results/sensitivity/{model}/{domain}/{concept}.parquet"),
        log:
            batch.file("results/logs/rescore_imitation/{model}/{domain}/{concept}.log"),
        benchmark:
            batch.file(
                "results/benchmarks/rescore_imitation/{model}/{domain}/{concept}.tsv"
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
            settings=settings("rescore_imitation"),
        shell:
            "fit sensitivity rescore --generated {input.generated:q} --generated-embeddings {input.generated_embeddings:q} "
            "--images {input.images:q} --matches {input.matches:q} --references {input.references:q} "
            "--reference-embeddings {input.reference_embeddings:q} --cut {input.cut:q} --art-cut {input.art_cut:q} "
            "--targets {params.settings[targets]} --top-k {params.settings[top_k]} --out {output.scores:q} > {log:q} 2>&1"


rule measure_sensitivity:
    """Find the threshold over penalties, concepts and prompts left out, top-k, and cuts; draw them all."""
    input:
        table="results/scores/{model}/{domain}.parquet",
        threshold="results/thresholds/{model}/{domain}.json",
        rescored=all_concepts("results/sensitivity/{model}/{domain}/{concept}.parquet"),
        cut=if_compared("results/cuts/{domain}.json"),
    output:
        sensitivity="results/sensitivity/{model}/{domain}.json",
        figure="results/sensitivity/{model}/{domain}.png",
    log:
        "results/logs/measure_sensitivity/{model}/{domain}.log",
    benchmark:
        "results/benchmarks/measure_sensitivity/{model}/{domain}.tsv"
    conda:
        "../envs/fit.yaml"
    threads: 1
    resources:
        mem_mb=growing(2000),
        runtime=growing(30),
    params:
        settings=settings("measure_sensitivity"),
    shell:
        "fit sensitivity measure {input.table:q} --threshold {input.threshold:q} --rescored {input.rescored:q} "
        "--top-k {params.settings[top_k]} --cut {input.cut:q} --prompts {params.settings[prompts]:q} "
        "--title {wildcards.model}:' '{wildcards.domain} --out {output.sensitivity:q} --figure {output.figure:q} "
        "> {log:q} 2>&1"


rule list_outliers:
    """List the concepts that defy the threshold, with what was measured of each, and show their pictures."""
    input:
        table="results/scores/{model}/{domain}.parquet",
        threshold="results/thresholds/{model}/{domain}.json",
        counts=at_model_corpus("results/counts/{corpus}/{domain}.parquet"),
        names=if_captioned("results/captions/{corpus}/{domain}/names.parquet"),
        references=all_concepts("results/references/{domain}/{concept}.parquet"),
        reference_embeddings=embedded("references/{domain}/{concept}.parquet"),
        generated=all_concepts("results/generated/{model}/{domain}/{concept}.parquet"),
        generated_embeddings=embedded("generated/{model}/{domain}/{concept}.parquet"),
        images=if_compared(
            "results/embeddings/{embedder}/images/{matched}/{domain}/{concept}.parquet"
        ),
        rescored=all_concepts("results/sensitivity/{model}/{domain}/{concept}.parquet"),
        cut=if_compared("results/cuts/{domain}.json"),
    output:
        table="results/sensitivity/{model}/{domain}.outliers.tsv",
        sheet="results/sensitivity/{model}/{domain}.outliers.png",
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
        "--names {input.names:q} --references results/references/{wildcards.domain} "
        "--reference-embeddings results/embeddings/{params.settings[embedder]}/references/{wildcards.domain} "
        "--generated results/generated/{wildcards.model}/{wildcards.domain} "
        "--generated-embeddings "
        "results/embeddings/{params.settings[embedder]}/generated/{wildcards.model}/{wildcards.domain} "
        "--images {params.settings[images]:q} --rescored results/sensitivity/{wildcards.model}/{wildcards.domain} "
        "--cut {input.cut:q} --title {wildcards.model}:' '{wildcards.domain}', concepts that defy the threshold' "
        "--out {output.table:q} --sheet {output.sheet:q} > {log:q} 2>&1"
