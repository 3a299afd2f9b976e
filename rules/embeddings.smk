"""One vector per face or image: of training images, references, generated images and photographs; and one per text."""


rule embed_images:
    """Embed tables of images."""
    input:
        images=embedded_tables,
        model=model_folder("embedder"),
    output:
        embeddings="results/embeddings/{embedder}/{pictures}/{part}.parquet",
    log:
        "results/logs/embed_images/{embedder}/{pictures}/{part}.log",
    benchmark:
        "results/benchmarks/embed_images/{embedder}/{pictures}/{part}.tsv"
    wildcard_constraints:
        pictures=r"photographs/[^/]+|references/[^/]+/candidates|(images|generated|missed)/[^/]+/[^/]+",
    conda:
        "../envs/fit.yaml"
    threads: with_signature(lambda wildcards: CONFIG.embedders[wildcards.embedder].threads)
    resources:
        flags=how_embedded,
        gpu=with_signature(lambda wildcards: CONFIG.embedders[wildcards.embedder].gpus),
        mem_mb=growing(8000),  # ViT-H takes 5 GB while it loads; the atelier's encoders 0.7
        runtime=of_embedded(60, 5),
    params:
        settings=settings("embed_images"),
    shell:
        "fit embeddings images {params.settings[flags]:q} "
        "{resources.flags} --threads {threads} --images {input.images:q} --out {output.embeddings:q} > {log:q} 2>&1"


rule embed_art_texts:
    """Embed the texts of the art filter, to which artworks are similar."""
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
        flags=how_texts_are_embedded,
        mem_mb=growing(8000),
    params:
        settings=settings("embed_art_texts"),
    shell:
        "fit embeddings texts {params.settings[flags]:q} "
        "{resources.flags} --out {output.embeddings:q} > {log:q} 2>&1"


rule embed_prompts:
    """Embed every concept's prompts, for the CLIP score."""
    input:
        sheet=unchanged_sheet,
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
        flags=how_texts_are_embedded,
        mem_mb=growing(8000),
        runtime=growing(60),
    params:
        settings=settings("embed_prompts"),
    shell:
        "fit embeddings prompts {params.settings[flags]:q} "
        "{resources.flags} --sheet {input.sheet:q} --out {output.embeddings:q} > {log:q} 2>&1"
