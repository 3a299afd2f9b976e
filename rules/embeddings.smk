"""One vector per face or image, of training images, references and generated images."""

for batch in OF_CORPORA:

    rule:
        """Embed training images."""
        name:
            f"embed_training_images{batch.suffix}"
        input:
            images=batch.files("results/images/{corpus}/{domain}/{concept}.parquet"),
            model=model_folder("embedder"),
        output:
            embeddings=batch.files(
                "results/embeddings/{embedder}/images/{corpus}/{domain}/{concept}.parquet"
            ),
        log:
            batch.file(
                "results/logs/embed_training_images/{embedder}/images/{corpus}/{domain}/{concept}.log"
            ),
        benchmark:
            batch.file(
                "results/benchmarks/embed_training_images/{embedder}/images/{corpus}/{domain}/{concept}.tsv"
            )
        wildcard_constraints:
            domain=batch.domains,
            corpus=batch.sources,
        conda:
            "../envs/fit.yaml"
        threads: of_embedder("threads")
        resources:
            gpu=of_embedder("gpus"),
            batch_size=of_embedder("batch_size"),
            download=of_embedder("download"),
            mem_mb=growing(8000),  # ViT-H takes 5 GB while it loads; the atelier's encoders 0.7
            runtime=growing(60),
        params:
            settings=settings("embed_images"),
        shell:
            "fit embed images "
            + WEIGHTS
            + FACES
            + "--batch-size {resources.batch_size} --threads {threads} --images {input.images:q} "
            "--out {output.embeddings:q} > {log:q} 2>&1"


for batch in LIGHT:

    rule:
        """Embed reference candidates."""
        name:
            f"embed_references{batch.suffix}"
        input:
            images=batch.files(
                "results/references/{domain}/candidates/{concept}.parquet"
            ),
            model=model_folder("embedder"),
        output:
            embeddings=batch.files(
                "results/embeddings/{embedder}/references/{domain}/{concept}.parquet"
            ),
        log:
            batch.file(
                "results/logs/embed_references/{embedder}/references/{domain}/{concept}.log"
            ),
        benchmark:
            batch.file(
                "results/benchmarks/embed_references/{embedder}/references/{domain}/{concept}.tsv"
            )
        wildcard_constraints:
            domain=batch.domains,
        conda:
            "../envs/fit.yaml"
        threads: of_embedder("threads")
        resources:
            gpu=of_embedder("gpus"),
            batch_size=of_embedder("batch_size"),
            download=of_embedder("download"),
            mem_mb=growing(8000),  # ViT-H takes 5 GB while it loads; the atelier's encoders 0.7
            runtime=growing(60),
        params:
            settings=settings("embed_images"),
        shell:
            "fit embed images "
            + WEIGHTS
            + FACES
            + "--batch-size {resources.batch_size} --threads {threads} --images {input.images:q} "
            "--out {output.embeddings:q} > {log:q} 2>&1"


for batch in OF_MODELS:

    rule:
        """Embed generated images."""
        name:
            f"embed_generated{batch.suffix}"
        input:
            images=batch.files("results/generated/{model}/{domain}/{concept}.parquet"),
            model=model_folder("embedder"),
        output:
            embeddings=batch.files(
                "results/embeddings/{embedder}/generated/{model}/{domain}/{concept}.parquet"
            ),
        log:
            batch.file(
                "results/logs/embed_generated/{embedder}/generated/{model}/{domain}/{concept}.log"
            ),
        benchmark:
            batch.file(
                "results/benchmarks/embed_generated/{embedder}/generated/{model}/{domain}/{concept}.tsv"
            )
        wildcard_constraints:
            domain=batch.domains,
            model=batch.sources,
        conda:
            "../envs/fit.yaml"
        threads: of_embedder("threads")
        resources:
            gpu=of_embedder("gpus"),
            batch_size=of_embedder("batch_size"),
            download=of_embedder("download"),
            mem_mb=growing(8000),  # ViT-H takes 5 GB while it loads; the atelier's encoders 0.7
            runtime=growing(60),
        params:
            settings=settings("embed_images"),
        shell:
            "fit embed images "
            + WEIGHTS
            + FACES
            + "--batch-size {resources.batch_size} --threads {threads} --images {input.images:q} "
            "--out {output.embeddings:q} > {log:q} 2>&1"


rule import_photographs:
    """Take ordinary photographs that are at hand, in a folder or a file."""
    input:
        folder=photographs_folder,
    output:
        images="results/photographs/{domain}.parquet",
    log:
        "results/logs/import_photographs/{domain}.log",
    benchmark:
        "results/benchmarks/import_photographs/{domain}.tsv"
    conda:
        "../envs/fit.yaml"
    threads: 1
    resources:
        **BRINGING,
        mem_mb=growing(2000),
        runtime=growing(60),
    params:
        settings=noticing(
            "import_photographs",
            lambda wildcards: [
                CONFIG.domains[wildcards.domain].art_filter.photographs
            ],
        ),
    shell:
        "fit images import --kind photographs --place {params.settings[photographs]:q} "
        "--work results/cache/imported/photographs/{wildcards.domain} "
        + LIMITS
        + "--out {output.images:q} > {log:q} 2>&1"


rule embed_photographs:
    """Embed ordinary photographs, against which the art filter's cut is found."""
    input:
        images=photographs_table,
        model=model_folder("embedder"),
    output:
        embeddings="results/embeddings/{embedder}/photographs/{domain}.parquet",
    log:
        "results/logs/embed_photographs/{embedder}/{domain}.log",
    benchmark:
        "results/benchmarks/embed_photographs/{embedder}/{domain}.tsv"
    conda:
        "../envs/fit.yaml"
    threads: of_embedder("threads")
    resources:
        gpu=of_embedder("gpus"),
        batch_size=of_embedder("batch_size"),
        download=of_embedder("download"),
        mem_mb=growing(8000),
        runtime=growing(60),
    params:
        settings=settings("embed_images"),
    shell:
        "fit embed images "
        + WEIGHTS
        + FACES
        + "--batch-size {resources.batch_size} --threads {threads} --images {input.images:q} "
        "--out {output.embeddings:q} > {log:q} 2>&1"


rule embed_art_texts:
    """Embed the texts that artworks are similar to."""
    input:
        model=model_folder("embedder"),
    output:
        embeddings="results/embeddings/{embedder}/texts/{domain}.parquet",
    log:
        "results/logs/embed_art_texts/{embedder}/{domain}.log",
    benchmark:
        "results/benchmarks/embed_art_texts/{embedder}/{domain}.tsv"
    conda:
        "../envs/fit.yaml"
    threads: 1
    resources:
        download=of_embedder("download"),
        mem_mb=growing(8000),  # ViT-H takes 5 GB while it loads; the atelier's encoders 0.7
        runtime=growing(10),
    params:
        settings=settings("embed_art_texts"),
    shell:
        "fit embed texts "
        + WEIGHTS
        + "--texts {params.settings[texts]:q} --out {output.embeddings:q} > {log:q} 2>&1"
