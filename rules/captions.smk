"""How often captions mention each concept."""


rule count_captions:
    """Count the captions that mention a domain's concepts in a group of the corpus's files, and sample them."""
    input:
        concepts=sheet_of,
        captions=lambda wildcards: existing(part_places(wildcards)),
    output:
        counts="results/captions/{corpus}/{domain}/parts/{part}/counts.parquet",
        names="results/captions/{corpus}/{domain}/parts/{part}/names.parquet",
        matched_captions="results/captions/{corpus}/{domain}/parts/{part}/matched_captions.parquet",
        shards="results/captions/{corpus}/{domain}/parts/{part}/shards.parquet",
    log:
        "results/logs/count_captions/{corpus}/{domain}/{part}.log",
    benchmark:
        "results/benchmarks/count_captions/{corpus}/{domain}/{part}.tsv"
    conda:
        "../envs/fit.yaml"
    threads: 2
    resources:
        runtime=growing(240),
    params:
        settings=settings("count_captions", places=part_places),
    shell:
        "fit captions count --concepts {input.concepts:q} --captions {params.settings[files]:q} "
        "--elasticsearch {params.settings[elasticsearch]:q} {params.settings[flags]:q} "
        "--threads {threads} --part --reuse results/cache/captions/{wildcards.corpus}/{wildcards.domain}/{wildcards.part} "
        "--counts {output.counts:q} --names {output.names:q} --matched-captions {output.matched_captions:q} "
        "--shards {output.shards:q} > {log:q} 2>&1"


rule merge_captions:
    """Merge the counts of a corpus's groups of files, and choose the sample of matched captions of the whole corpus."""
    input:
        counts=all_parts("counts"),
        names=all_parts("names"),
        matched_captions=all_parts("matched_captions"),
        shards=all_parts("shards"),
    output:
        counts="results/captions/{corpus}/{domain}/counts.parquet",
        names="results/captions/{corpus}/{domain}/names.parquet",
        matched_captions="results/captions/{corpus}/{domain}/matched_captions.parquet",
        shards="results/captions/{corpus}/{domain}/shards.parquet",
    log:
        "results/logs/merge_captions/{corpus}/{domain}.log",
    benchmark:
        "results/benchmarks/merge_captions/{corpus}/{domain}.tsv"
    conda:
        "../envs/fit.yaml"
    threads: 1
    resources:
        runtime=growing(60),
    params:
        settings=settings("merge_captions"),
    shell:
        "fit captions merge --parts {input.counts:q} {params.settings[flags]:q} "
        "--counts {output.counts:q} --names {output.names:q} --matched-captions {output.matched_captions:q} "
        "--shards {output.shards:q} > {log:q} 2>&1"


rule plot_counts:
    """Draw how many concepts have how many captions."""
    input:
        counts="results/captions/{corpus}/{domain}/counts.parquet",
    output:
        figure=report(
            "results/captions/{corpus}/{domain}/counts.png",
            caption="../workflow/report/counts.rst",
            category="Counts",
            subcategory="{domain}",
            labels={"corpus": "{corpus}", "domain": "{domain}", "shows": "captions of concepts"},
        ),
    log:
        "results/logs/plot_counts/{corpus}/{domain}.log",
    benchmark:
        "results/benchmarks/plot_counts/{corpus}/{domain}.tsv"
    conda:
        "../envs/fit.yaml"
    threads: 1
    params:
        settings=settings("plot_counts"),
    shell:
        "fit captions plot {input.counts:q} --title {wildcards.corpus}:' '{wildcards.domain} --out {output.figure:q} > {log:q} 2>&1"
