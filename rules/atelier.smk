"""The built-in world: makes everything that a study of another model has ready, its corpus and its models."""


rule paint_world:
    """Paint the painters' corpus, their references, and ordinary photographs."""
    input:
        sheet=CONFIG.atelier.sheet,
    output:
        shards=[f"results/atelier/corpus/{i:03d}.parquet" for i in range(CONFIG.atelier.shards)],
        training_set="results/atelier/training-set.parquet",
        truth="results/atelier/truth.parquet",
        references="results/atelier/references.parquet",
        photographs="results/atelier/photographs.parquet",
    log:
        "results/logs/paint_world.log",
    benchmark:
        "results/benchmarks/paint_world.tsv"
    conda:
        "../envs/fit.yaml"
    threads: 1
    resources:
        mem_mb=growing(2000),  # measured: 0.9 GB with 20,000 pictures
        runtime=growing(10),
    params:
        settings=settings("paint_world"),
    shell:
        "fit atelier paint --sheet {input.sheet:q} {params.settings[flags]:q} --shards {output.shards:q} "
        "--training-set {output.training_set:q} --truth {output.truth:q} --references-file {output.references:q} "
        "--photographs-file {output.photographs:q} > {log:q} 2>&1"


rule train_style_encoder:
    """Train the encoder that tells painters apart, on painters that no study has."""
    output:
        folder=directory("results/atelier/style-encoder"),
    log:
        "results/logs/train_style_encoder.log",
    benchmark:
        "results/benchmarks/train_style_encoder.tsv"
    conda:
        "../envs/fit.yaml"
    threads: 1  # a second one would mostly wait: two trainings side by side gain more
    resources:
        mem_mb=growing(2000),
        runtime=growing(20),
    params:
        settings=settings("train_style_encoder"),
    shell:
        "fit atelier train-style-encoder {params.settings[flags]:q} --threads {threads} --out {output.folder:q} > {log:q} 2>&1"


rule train_art_filter:
    """Train the model that tells artworks from photographs."""
    output:
        folder=directory("results/atelier/art-filter"),
    log:
        "results/logs/train_art_filter.log",
    benchmark:
        "results/benchmarks/train_art_filter.tsv"
    conda:
        "../envs/fit.yaml"
    threads: 1  # a second one would mostly wait: two trainings side by side gain more
    resources:
        mem_mb=growing(2000),
        runtime=growing(20),
    params:
        settings=settings("train_art_filter"),
    shell:
        "fit atelier train-art-filter {params.settings[flags]:q} --threads {threads} --out {output.folder:q} > {log:q} 2>&1"


rule train_generator:
    """Train the text-to-image pipeline on the corpus, as it was before links died."""
    input:
        training_set="results/atelier/training-set.parquet",
    output:
        folder=directory("results/atelier/generator"),
    log:
        "results/logs/train_generator.log",
    benchmark:
        "results/benchmarks/train_generator.tsv"
    conda:
        "../envs/fit.yaml"
    threads: 1  # a second one would mostly wait: two trainings side by side gain more
    resources:
        mem_mb=growing(4000),  # measured: 2.1 GB
        runtime=growing(60),
    params:
        settings=settings("train_generator"),
    shell:
        "fit atelier train-generator --training-set {input.training_set:q} {params.settings[flags]:q} --threads {threads} "
        "--out {output.folder:q} > {log:q} 2>&1"
