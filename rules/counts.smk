"""Effective counts: how many training images show each concept."""


rule estimate_counts:
    """Estimate how many training images of each concept there are, corrected for dead links and sampling."""
    input:
        sheet=unchanged_sheet,
        captions=branch(is_captioned, then="results/captions/{corpus}/{domain}/counts.parquet"),
        images=tables("images/{corpus}/{domain}"),
        matches=tables("matches/{corpus}/{domain}"),
        threshold="results/matches/{domain}.threshold.json",
        art_threshold=branch(art_filter_of, then="results/matches/{domain}.art.json"),
    output:
        counts="results/counts/{corpus}/{domain}.parquet",
    log:
        "results/logs/estimate_counts/{corpus}/{domain}.log",
    benchmark:
        "results/benchmarks/estimate_counts/{corpus}/{domain}.tsv"
    wildcard_constraints:
        corpus=corpora_where(lambda corpus: corpus.has_images and not corpus.provided_counts),
    conda:
        "../envs/fit.yaml"
    threads: 1
    params:
        settings=settings("estimate_counts"),
    shell:
        "fit counts estimate --sheet {input.sheet:q} --captions {input.captions:q} "
        "--images results/images/{wildcards.corpus}/{wildcards.domain} --matches {input.matches:q} "
        "--match-threshold {input.threshold:q} --art-threshold {input.art_threshold:q} "
        "--out {output.counts:q} > {log:q} 2>&1"


rule scale_counts:
    """Scale another corpus's effective counts by the ratio of caption counts."""
    input:
        captions="results/captions/{corpus}/{domain}/counts.parquet",
        counts=lambda wildcards: f"results/counts/{CONFIG.matched_corpus(wildcards.corpus)}/{wildcards.domain}.parquet",
    output:
        counts="results/counts/{corpus}/{domain}.parquet",
    log:
        "results/logs/scale_counts/{corpus}/{domain}.log",
    benchmark:
        "results/benchmarks/scale_counts/{corpus}/{domain}.tsv"
    wildcard_constraints:
        corpus=corpora_where(lambda corpus: corpus.counts_from),
    conda:
        "../envs/fit.yaml"
    threads: 1
    params:
        settings=settings("scale_counts"),
    shell:
        "fit counts scale --captions {input.captions:q} --counts {input.counts:q} {params.settings[flags]:q} "
        "--out {output.counts:q} > {log:q} 2>&1"


rule import_counts:
    """Take effective counts that are known already."""
    input:
        sheet=sheet_of,
        table=lambda wildcards: CONFIG.corpora[wildcards.corpus].provided_counts,
    output:
        counts="results/counts/{corpus}/{domain}.parquet",
    log:
        "results/logs/import_counts/{corpus}/{domain}.log",
    benchmark:
        "results/benchmarks/import_counts/{corpus}/{domain}.tsv"
    wildcard_constraints:
        corpus=corpora_where(lambda corpus: corpus.provided_counts),
    conda:
        "../envs/fit.yaml"
    threads: 1
    params:
        settings=settings("import_counts"),
    shell:
        "fit counts import --table {input.table:q} --sheet {input.sheet:q} --out {output.counts:q} > {log:q} 2>&1"
