"""The caption assumption: images that show a concept although their captions do not name it. This is not part of a study:
ask for the milestone missed."""


rule sample_unnamed:
    """Draw a uniform sample of the captions that name no concept of a domain."""
    input:
        concepts=sheet_of,
        captions=with_signature(lambda wildcards: existing(CONFIG.caption_files(wildcards.corpus))),
    output:
        sample="results/missed/{corpus}/{domain}/sample.parquet",
    log:
        "results/logs/sample_unnamed/{corpus}/{domain}.log",
    benchmark:
        "results/benchmarks/sample_unnamed/{corpus}/{domain}.tsv"
    wildcard_constraints:
        corpus=corpora_where(may_be_missed),
    conda:
        "../envs/fit.yaml"
    threads: 1
    resources:
        mem_mb=growing(4000),
        runtime=growing(600),
    params:
        settings=settings("sample_unnamed", places=lambda wildcards: CONFIG.caption_files(wildcards.corpus)),
    shell:
        "fit missed sample --concepts {input.concepts:q} --captions {params.settings[files]:q} "
        "{params.settings[flags]:q} --out {output.sample:q} > {log:q} 2>&1"


rule collect_unnamed:
    """Collect the images behind the sample."""
    input:
        sample="results/missed/{corpus}/{domain}/sample.parquet",
        corpus=with_signature(lambda wildcards: existing_image_files(wildcards.corpus)),
    output:
        images="results/missed/{corpus}/{domain}/images.parquet",
    log:
        "results/logs/collect_unnamed/{corpus}/{domain}.log",
    benchmark:
        "results/benchmarks/collect_unnamed/{corpus}/{domain}.tsv"
    wildcard_constraints:
        corpus=corpora_where(may_be_missed),
    conda:
        "../envs/fit.yaml"
    threads: 1
    resources:
        flags=COLLECTING,
        mem_mb=growing(2000),
        runtime=growing(600),
    params:
        settings=settings("collect_images", places=image_places),
    shell:
        "fit images collect --source {params.settings[images]} --matched-captions {input.sample:q} "
        "--corpus {params.settings[files]:q} --concepts unnamed {params.settings[flags]:q} "
        "--work results/cache/missed/{wildcards.corpus}/{wildcards.domain} "
        "{resources.flags} --decoders {threads} --out {output.images:q} > {log:q} 2>&1"


rule measure_missed:
    """Match the sample's images against every concept, and extrapolate to the corpus."""
    input:
        sample="results/missed/{corpus}/{domain}/sample.parquet",
        images="results/missed/{corpus}/{domain}/images.parquet",
        embeddings=lambda wildcards: filled(
            "results/embeddings/{embedder}/missed/{corpus}/{domain}/images.parquet", wildcards
        ),
        references=tables("references/{domain}"),
        reference_embeddings=embeddings("references/{domain}/candidates"),
        threshold="results/matches/{domain}.threshold.json",
        art_embeddings=branch(art_filter_of, then=of_art_filter("missed/{corpus}/{domain}/images")),
        art_texts=branch(art_filter_of, then=of_art_filter("texts/{domain}")),
        art_threshold=branch(art_filter_of, then="results/matches/{domain}.art.json"),
        counts="results/counts/{corpus}/{domain}.parquet",
    output:
        missed="results/missed/{corpus}/{domain}.parquet",
    log:
        "results/logs/measure_missed/{corpus}/{domain}.log",
    benchmark:
        "results/benchmarks/measure_missed/{corpus}/{domain}.tsv"
    wildcard_constraints:
        corpus=corpora_where(may_be_missed),
    conda:
        "../envs/fit.yaml"
    threads: 1
    resources:
        mem_mb=growing(4000),
        runtime=growing(120),
    params:
        settings=settings("measure_missed"),
    shell:
        "fit missed measure --sample {input.sample:q} --images {input.images:q} --embeddings {input.embeddings:q} "
        "--references {input.references:q} --reference-embeddings {input.reference_embeddings:q} "
        "--match-threshold {input.threshold:q} --art-embeddings {input.art_embeddings:q} --art-texts {input.art_texts:q} "
        "--art-threshold {input.art_threshold:q} --counts {input.counts:q} --out {output.missed:q} > {log:q} 2>&1"


rule count_missed:
    """Find the threshold with the images that captions miss."""
    input:
        table="results/scores/{model}/{domain}.parquet",
        missed=lambda wildcards: filled("results/missed/{corpus}/{domain}.parquet", wildcards),
    output:
        threshold="results/missed/{model}/{domain}.json",
    log:
        "results/logs/count_missed/{model}/{domain}.log",
    benchmark:
        "results/benchmarks/count_missed/{model}/{domain}.tsv"
    conda:
        "../envs/fit.yaml"
    threads: 1
    params:
        settings=settings("count_missed"),
    shell:
        "fit missed threshold {input.table:q} --missed {input.missed:q} {params.settings[flags]:q} "
        "--out {output.threshold:q} > {log:q} 2>&1"
