"""How often captions mention each concept."""


rule count_captions:
    """Count mentions of a domain's concepts in a group of the corpus's files, and sample the rows behind them."""
    input:
        concepts=lambda wildcards: CONFIG.domains[wildcards.domain].concepts,
        captions=part_files,
    output:
        counts="results/captions/{corpus}/{domain}/parts/{part}/counts.parquet",
        names="results/captions/{corpus}/{domain}/parts/{part}/names.parquet",
        hits="results/captions/{corpus}/{domain}/parts/{part}/hits.parquet",
        shards="results/captions/{corpus}/{domain}/parts/{part}/shards.parquet",
    log:
        "results/logs/count_captions/{corpus}/{domain}/{part}.log",
    benchmark:
        "results/benchmarks/count_captions/{corpus}/{domain}/{part}.tsv"
    conda:
        "../envs/fit.yaml"
    threads: 2
    resources:
        mem_mb=growing(1000),  # measured: under 0.5 GB whatever the files (docs/captions.md)
        runtime=growing(240),
    params:
        settings=noticing("count_captions", part_places),
    shell:
        "fit captions count --concepts {input.concepts:q} --captions {params.settings[files]:q} "
        "--elasticsearch {params.settings[elasticsearch]:q} --on-bad-shard {params.settings[on_bad_shard]} --encoding {params.settings[encoding]} "
        "--caption-column {params.settings[caption_column]:q} --url-column {params.settings[url_column]:q} "
        "--columns {params.settings[columns]:q} --tokens {params.settings[tokens]} "
        "--fold-accents {params.settings[fold_accents]} --max-hits {params.settings[max_hits]} "
        "--seed {params.settings[seed]} --threads {threads} --part "
        "--reuse results/cache/captions/{wildcards.corpus}/{wildcards.domain}/{wildcards.part} "
        "--counts {output.counts:q} --names {output.names:q} --hits {output.hits:q} --shards {output.shards:q} "
        "> {log:q} 2>&1"


rule merge_captions:
    """Merge the counts of a corpus's groups of files, and choose the sample of the whole."""
    input:
        counts=all_parts("counts"),
        names=all_parts("names"),
        hits=all_parts("hits"),
        shards=all_parts("shards"),
    output:
        counts="results/captions/{corpus}/{domain}/counts.parquet",
        names="results/captions/{corpus}/{domain}/names.parquet",
        hits="results/captions/{corpus}/{domain}/hits.parquet",
        shards="results/captions/{corpus}/{domain}/shards.parquet",
    log:
        "results/logs/merge_captions/{corpus}/{domain}.log",
    benchmark:
        "results/benchmarks/merge_captions/{corpus}/{domain}.tsv"
    conda:
        "../envs/fit.yaml"
    threads: 1
    resources:
        mem_mb=growing(1000),
        runtime=growing(60),
    params:
        settings=settings("merge_captions"),
    shell:
        "fit captions merge --parts {input.counts:q} "
        "--caption-column {params.settings[caption_column]:q} --url-column {params.settings[url_column]:q} "
        "--columns {params.settings[columns]:q} --tokens {params.settings[tokens]} "
        "--fold-accents {params.settings[fold_accents]} --max-hits {params.settings[max_hits]} "
        "--seed {params.settings[seed]} --counts {output.counts:q} --names {output.names:q} "
        "--hits {output.hits:q} --shards {output.shards:q} > {log:q} 2>&1"


rule plot_counts:
    """Draw how many concepts have how many captions."""
    input:
        counts="results/captions/{corpus}/{domain}/counts.parquet",
    output:
        figure="results/captions/{corpus}/{domain}/counts.png",
    log:
        "results/logs/plot_counts/{corpus}/{domain}.log",
    benchmark:
        "results/benchmarks/plot_counts/{corpus}/{domain}.tsv"
    conda:
        "../envs/fit.yaml"
    threads: 1
    resources:
        mem_mb=growing(1000),
        runtime=growing(10),
    params:
        settings=settings("plot_counts"),
    shell:
        "fit plot counts {input.counts:q} --title {wildcards.corpus}:' '{wildcards.domain} --out {output.figure:q} "
        "> {log:q} 2>&1"
