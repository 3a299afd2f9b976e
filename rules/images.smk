"""Images behind the captions, and reference images."""

for batch in BATCHES:

    rule:
        """Collect the images behind sampled captions."""
        name:
            f"collect_images{batch.suffix}"
        input:
            hits="results/captions/{corpus}/{domain}/hits.parquet",
            corpus=corpus_files,
        output:
            images=batch.files("results/images/{corpus}/{domain}/{concept}.parquet"),
        log:
            batch.file("results/logs/collect_images/{corpus}/{domain}/{concept}.log"),
        benchmark:
            batch.file(
                "results/benchmarks/collect_images/{corpus}/{domain}/{concept}.tsv"
            )
        wildcard_constraints:
            domain=batch.domains,
        conda:
            "../envs/fit.yaml"
        threads: 1
        resources:
            mem_mb=2000,
            runtime=240,
        params:
            settings=settings("collect_images"),
        shell:
            "fit images collect --source {params.settings[images]} --hits {input.hits:q} --corpus {params.settings[files]:q} "
            "--out {output.images:q} > {log:q} 2>&1"

    rule:
        """Take the reference candidates of each concept from the domain's source."""
        name:
            f"collect_references{batch.suffix}"
        input:
            source=lambda wildcards: known(
                [CONFIG.domains[wildcards.domain].references.path]
            ),
        output:
            candidates=batch.files(
                "results/references/{domain}/candidates/{concept}.parquet"
            ),
        log:
            batch.file("results/logs/collect_references/{domain}/{concept}.log"),
        benchmark:
            batch.file("results/benchmarks/collect_references/{domain}/{concept}.tsv")
        wildcard_constraints:
            domain=batch.domains,
        conda:
            "../envs/fit.yaml"
        threads: 1
        resources:
            mem_mb=1000,
            runtime=30,
        params:
            settings=settings("collect_references"),
        shell:
            "fit references collect --{params.settings[source]} {params.settings[path]:q} "
            "--out {output.candidates:q} > {log:q} 2>&1"

    rule:
        """Keep the most mutually similar references of each concept."""
        name:
            f"select_references{batch.suffix}"
        input:
            candidates=batch.files(
                "results/references/{domain}/candidates/{concept}.parquet"
            ),
            embeddings=embedded("references/{domain}/{concept}.parquet", batch),
        output:
            references=batch.files("results/references/{domain}/{concept}.parquet"),
        log:
            batch.file("results/logs/select_references/{domain}/{concept}.log"),
        benchmark:
            batch.file("results/benchmarks/select_references/{domain}/{concept}.tsv")
        wildcard_constraints:
            domain=batch.domains,
        conda:
            "../envs/fit.yaml"
        threads: 1
        resources:
            mem_mb=1000,
            runtime=10,
        params:
            settings=settings("select_references"),
        shell:
            "fit references select --candidates {input.candidates:q} --embeddings {input.embeddings:q} "
            "--keep {params.settings[keep]} --out {output.references:q} > {log:q} 2>&1"
