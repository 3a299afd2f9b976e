"""Images behind the captions, and reference images."""

for batch in HEAVY:

    rule:
        """Collect the images behind sampled captions."""
        name:
            f"collect_images{batch.suffix}"
        input:
            hits="results/captions/{corpus}/{domain}/hits.parquet",
            corpus=image_files,
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
            corpus=corpora_where(lambda corpus: corpus.images),
        conda:
            "../envs/fit.yaml"
        threads: 1
        resources:
            **BRINGING,
            mem_mb=growing(2000),
            runtime=growing(240),
        params:
            settings=noticing(
                "collect_images", lambda wildcards: image_places(wildcards.corpus)
            ),
        shell:
            "fit images collect --source {params.settings[images]} --hits {input.hits:q} "
            "--corpus {params.settings[files]:q} --work results/cache/images/{wildcards.corpus}/{wildcards.domain} "
            + FETCHING
            + LIMITS
            + "--out {output.images:q} > {log:q} 2>&1"


for batch in LIGHT:

    rule:
        """Take training images that are at hand."""
        name:
            f"import_training_images{batch.suffix}"
        input:
            place=provided("corpus"),
        output:
            images=batch.files("results/images/{corpus}/{domain}/{concept}.parquet"),
        log:
            batch.file(
                "results/logs/import_training_images/{corpus}/{domain}/{concept}.log"
            ),
        benchmark:
            batch.file(
                "results/benchmarks/import_training_images/{corpus}/{domain}/{concept}.tsv"
            )
        wildcard_constraints:
            domain=batch.domains,
            corpus=corpora_where(lambda corpus: corpus.provided_images),
        conda:
            "../envs/fit.yaml"
        threads: 1
        resources:
            **BRINGING,
            mem_mb=growing(2000),
            runtime=growing(60),
        params:
            settings=batch.settings("import_training_images", place=corpus_folder),
        shell:
            "fit images import --kind training --place {params.settings[place]:q} "
            "--sheet {params.settings[sheet]:q} "
            "--work results/cache/imported/{wildcards.corpus}/{wildcards.domain} "
            + LIMITS
            + "--out {output.images:q} > {log:q} 2>&1"

    rule:
        """Take the reference candidates of each concept from the domain's source."""
        name:
            f"collect_references{batch.suffix}"
        input:
            source=reference_files,
            # Only the names of the job's concepts matter, and those are settings.
            sheet=lambda wildcards: ancient(CONFIG.domains[wildcards.domain].concepts),
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
            **BRINGING,
            mem_mb=growing(1000),
            runtime=growing(30),
        params:
            settings=batch.settings(
                "collect_references", names=True, place=references_folder
            ),
        shell:
            "fit references collect --source {params.settings[source]} --place {params.settings[place]:q} "
            "--sheet {input.sheet:q} --candidates {params.settings[candidates]} --cache results/cache/searches "
            "--work results/cache/references/{wildcards.domain} "
            + FETCHING
            + LIMITS
            + "--out {output.candidates:q} > {log:q} 2>&1"

    rule:
        """Keep the most mutually similar references of each concept."""
        name:
            f"select_references{batch.suffix}"
        input:
            candidates=batch.files(
                "results/references/{domain}/candidates/{concept}.parquet"
            ),
            embeddings=embedded("references/{domain}/{concept}.parquet", batch),
            vetoes=lambda wildcards: known(
                [CONFIG.domains[wildcards.domain].references.vetoes or ""]
            ),
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
            mem_mb=growing(1000),
            runtime=growing(10),
        params:
            settings=settings("select_references"),
        shell:
            "fit references select --candidates {input.candidates:q} --embeddings {input.embeddings:q} "
            "--keep {params.settings[keep]} --least {params.settings[least]} --vetoes {params.settings[vetoes]:q} "
            "--domain {wildcards.domain} --place {params.settings[place]:q} "
            "--sheet {params.settings[sheet]:q} --out {output.references:q} > {log:q} 2>&1"

    rule:
        """Draw which references were kept, which not, and why."""
        name:
            f"draw_references{batch.suffix}"
        input:
            references=batch.files("results/references/{domain}/{concept}.parquet"),
        output:
            sheets=batch.files("results/references/{domain}/{concept}.png"),
        log:
            batch.file("results/logs/draw_references/{domain}/{concept}.log"),
        benchmark:
            batch.file("results/benchmarks/draw_references/{domain}/{concept}.tsv")
        wildcard_constraints:
            domain=batch.domains,
        conda:
            "../envs/fit.yaml"
        threads: 1
        resources:
            mem_mb=growing(1000),
            runtime=growing(10),
        params:
            settings=settings("draw_references"),
        shell:
            "fit references show --files {input.references:q} --out {output.sheets:q} > {log:q} 2>&1"
