"""One vector per face or image, of training images, references and generated images."""

for batch in BATCHES:

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
        conda:
            "../envs/fit.yaml"
        threads: lambda wildcards: CONFIG.embedders[wildcards.embedder].threads
        resources:
            gpu=lambda wildcards: CONFIG.embedders[wildcards.embedder].gpus,
            mem_mb=4000,  # measured: 0.7 GB with the atelier's encoders
            runtime=60,
        params:
            settings=settings("embed_images"),
        shell:
            "fit embed images --backend {params.settings[backend]:q} --model {params.settings[model]:q} "
            "--dtype {params.settings[dtype]} --download {params.settings[download]} "
            "--detection-side {params.settings[detection_side]} --min-face-size {params.settings[min_face_size]} "
            "--pixel-mean {params.settings[pixel_mean]} --pixel-std {params.settings[pixel_std]} "
            "--channels {params.settings[channels]} "
            "--batch-size {params.settings[batch_size]} --threads {threads} --images {input.images:q} "
            "--out {output.embeddings:q} 2>&1 | tee {log:q}"

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
        threads: lambda wildcards: CONFIG.embedders[wildcards.embedder].threads
        resources:
            gpu=lambda wildcards: CONFIG.embedders[wildcards.embedder].gpus,
            mem_mb=4000,  # measured: 0.7 GB with the atelier's encoders
            runtime=60,
        params:
            settings=settings("embed_images"),
        shell:
            "fit embed images --backend {params.settings[backend]:q} --model {params.settings[model]:q} "
            "--dtype {params.settings[dtype]} --download {params.settings[download]} "
            "--detection-side {params.settings[detection_side]} --min-face-size {params.settings[min_face_size]} "
            "--pixel-mean {params.settings[pixel_mean]} --pixel-std {params.settings[pixel_std]} "
            "--channels {params.settings[channels]} "
            "--batch-size {params.settings[batch_size]} --threads {threads} --images {input.images:q} "
            "--out {output.embeddings:q} 2>&1 | tee {log:q}"

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
        conda:
            "../envs/fit.yaml"
        threads: lambda wildcards: CONFIG.embedders[wildcards.embedder].threads
        resources:
            gpu=lambda wildcards: CONFIG.embedders[wildcards.embedder].gpus,
            mem_mb=4000,  # measured: 0.7 GB with the atelier's encoders
            runtime=60,
        params:
            settings=settings("embed_images"),
        shell:
            "fit embed images --backend {params.settings[backend]:q} --model {params.settings[model]:q} "
            "--dtype {params.settings[dtype]} --download {params.settings[download]} "
            "--detection-side {params.settings[detection_side]} --min-face-size {params.settings[min_face_size]} "
            "--pixel-mean {params.settings[pixel_mean]} --pixel-std {params.settings[pixel_std]} "
            "--channels {params.settings[channels]} "
            "--batch-size {params.settings[batch_size]} --threads {threads} --images {input.images:q} "
            "--out {output.embeddings:q} 2>&1 | tee {log:q}"


rule embed_photographs:
    """Embed ordinary photographs, against which the art filter's cut is found."""
    input:
        images=lambda wildcards: known(
            [CONFIG.domains[wildcards.domain].art_filter.photographs]
        ),
        model=model_folder("embedder"),
    output:
        embeddings="results/embeddings/{embedder}/photographs/{domain}.parquet",
    log:
        "results/logs/embed_photographs/{embedder}/{domain}.log",
    benchmark:
        "results/benchmarks/embed_photographs/{embedder}/{domain}.tsv"
    conda:
        "../envs/fit.yaml"
    threads: lambda wildcards: CONFIG.embedders[wildcards.embedder].threads
    resources:
        gpu=lambda wildcards: CONFIG.embedders[wildcards.embedder].gpus,
        mem_mb=4000,
        runtime=60,
    params:
        settings=settings("embed_photographs"),
    shell:
        "fit embed images --backend {params.settings[backend]:q} --model {params.settings[model]:q} "
        "--dtype {params.settings[dtype]} --download {params.settings[download]} "
        "--detection-side {params.settings[detection_side]} --min-face-size {params.settings[min_face_size]} "
        "--pixel-mean {params.settings[pixel_mean]} --pixel-std {params.settings[pixel_std]} "
        "--channels {params.settings[channels]} "
        "--batch-size {params.settings[batch_size]} --threads {threads} --images {params.settings[photographs]:q} "
        "--out {output.embeddings:q} 2>&1 | tee {log:q}"


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
        mem_mb=4000,
        runtime=10,
    params:
        settings=settings("embed_art_texts"),
    shell:
        "fit embed texts --backend {params.settings[backend]:q} --model {params.settings[model]:q} "
        "--dtype {params.settings[dtype]} --download {params.settings[download]} "
        "--texts {params.settings[texts]:q} --out {output.embeddings:q} 2>&1 | tee {log:q}"
