"""How often captions mention each concept."""


rule count_captions:
    """Count mentions of a domain's concepts in a corpus, and sample the rows behind them."""
    input:
        concepts=lambda wildcards: CONFIG.domains[wildcards.domain].concepts,
        captions=corpus_files,
    output:
        counts="results/captions/{corpus}/{domain}/counts.parquet",
        hits="results/captions/{corpus}/{domain}/hits.parquet",
    log:
        "results/logs/count_captions/{corpus}/{domain}.log",
    benchmark:
        "results/benchmarks/count_captions/{corpus}/{domain}.tsv"
    conda:
        "../envs/fit.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=240,
    params:
        settings=settings("count_captions"),
    shell:
        "fit captions count --concepts {input.concepts:q} --captions {params.settings[files]:q} "
        "--caption-column {params.settings[caption_column]:q} --url-column {params.settings[url_column]:q} "
        "--max-hits {params.settings[max_hits]} --seed {params.settings[seed]} "
        "--counts {output.counts:q} --hits {output.hits:q} 2>&1 | tee {log:q}"
