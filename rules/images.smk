"""Training images: those behind the matched captions, or provided ones; and ordinary photographs."""


rule collect_images:
    """Collect the images behind the matched captions."""
    input:
        matched_captions="results/captions/{corpus}/{domain}/matched_captions.parquet",
        corpus=with_signature(lambda wildcards: existing_image_files(wildcards.corpus)),
    output:
        images="results/images/{corpus}/{domain}/{part}.parquet",
    log:
        "results/logs/collect_images/{corpus}/{domain}/{part}.log",
    benchmark:
        "results/benchmarks/collect_images/{corpus}/{domain}/{part}.tsv"
    wildcard_constraints:
        corpus=corpora_where(lambda corpus: corpus.images),
    conda:
        "../envs/fit.yaml"
    threads: 1
    resources:
        flags=COLLECTING,
        mem_mb=growing(2000),
        runtime=of_collected(240, 10),
    params:
        settings=settings(
            "collect_images",
            concepts=collected_concepts,
            places=image_places,
        ),
    shell:
        "fit images collect --source {params.settings[images]} --matched-captions {input.matched_captions:q} "
        "--corpus {params.settings[files]:q} --concepts {params.settings[concepts]:q} {params.settings[flags]:q} "
        "--work results/cache/images/{wildcards.corpus}/{wildcards.domain} "
        "{resources.flags} --decoders {threads} --out {output.images:q} > {log:q} 2>&1"


rule import_training_images:
    """Take training images that are local."""
    input:
        place=lambda wildcards: existing([provided_images(wildcards)]),
        sheet=unchanged_sheet,
    output:
        images="results/images/{corpus}/{domain}/{part}.parquet",
    log:
        "results/logs/import_training_images/{corpus}/{domain}/{part}.log",
    benchmark:
        "results/benchmarks/import_training_images/{corpus}/{domain}/{part}.tsv"
    wildcard_constraints:
        corpus=corpora_where(lambda corpus: corpus.provided_images),
    conda:
        "../envs/fit.yaml"
    threads: 1
    resources:
        flags=DECODING,
        mem_mb=growing(2000),
        runtime=growing(60),
    params:
        settings=settings(
            "import_training_images",
            concepts=collected_concepts,
            folder=provided_images,
        ),
    shell:
        "fit images import --place {params.settings[place]:q} --sheet {input.sheet:q} "
        "--concepts {params.settings[concepts]:q} {params.settings[flags]:q} "
        "--work results/cache/imported/{wildcards.corpus}/{wildcards.domain} "
        "{resources.flags} --decoders {threads} --out {output.images:q} > {log:q} 2>&1"


rule import_photographs:
    """Take ordinary photographs, against which the threshold of the art filter is found."""
    input:
        place=lambda wildcards: existing([photographs_of(wildcards)]),
    output:
        images="results/photographs/{domain}/all.parquet",
    log:
        "results/logs/import_photographs/{domain}.log",
    benchmark:
        "results/benchmarks/import_photographs/{domain}.tsv"
    conda:
        "../envs/fit.yaml"
    threads: 1
    resources:
        flags=DECODING,
        mem_mb=growing(2000),
        runtime=growing(60),
    params:
        settings=settings(
            "import_photographs",
            places=lambda wildcards: [photographs_of(wildcards)],
        ),
    shell:
        "fit images import-photographs --place {params.settings[place]:q} {params.settings[flags]:q} "
        "--work results/cache/imported/photographs/{wildcards.domain} "
        "{resources.flags} --decoders {threads} --out {output.images:q} > {log:q} 2>&1"


rule count_statuses:
    """Count how fetching training images ended: how many are images, and how many are not for which reason."""
    input:
        tables=tables("images/{corpus}/{domain}"),
        sheet=sheet_of,
    output:
        statuses="results/images/{corpus}/{domain}/statuses.tsv",
    log:
        "results/logs/count_statuses/{corpus}/{domain}.log",
    benchmark:
        "results/benchmarks/count_statuses/{corpus}/{domain}.tsv"
    conda:
        "../envs/fit.yaml"
    threads: 1
    params:
        settings=settings("count_statuses"),
    shell:
        "fit images count-statuses results/images/{wildcards.corpus}/{wildcards.domain} --sheet {input.sheet:q} "
        "--out {output.statuses:q} > {log:q} 2>&1"
