"""The imitation threshold, its figure, its pictures."""


rule detect_threshold:
    """Find the count at which the score jumps."""
    input:
        table="results/scores/{model}/{domain}.parquet",
    output:
        threshold="results/thresholds/{model}/{domain}.json",
    log:
        "results/logs/detect_threshold/{model}/{domain}.log",
    benchmark:
        "results/benchmarks/detect_threshold/{model}/{domain}.tsv"
    conda:
        "../envs/fit.yaml"
    threads: 2
    params:
        settings=settings("detect_threshold"),
    shell:
        "fit thresholds detect {input.table:q} {params.settings[flags]:q} --threads {threads} "
        "--out {output.threshold:q} > {log:q} 2>&1"


rule plot_threshold:
    """Draw scores against counts."""
    input:
        table="results/scores/{model}/{domain}.parquet",
        threshold="results/thresholds/{model}/{domain}.json",
    output:
        figure=report(
            "results/thresholds/{model}/{domain}.scores.png",
            caption="../workflow/report/threshold.rst",
            category="Thresholds",
            subcategory="{domain}",
            labels={"model": "{model}", "domain": "{domain}", "shows": "scores against counts"},
        ),
    log:
        "results/logs/plot_threshold/{model}/{domain}.log",
    benchmark:
        "results/benchmarks/plot_threshold/{model}/{domain}.tsv"
    conda:
        "../envs/fit.yaml"
    threads: 1
    params:
        settings=settings("plot_threshold"),
    shell:
        "fit thresholds plot {input.table:q} --threshold {input.threshold:q} --score {params.settings[score]:q} "
        "--title {wildcards.model}:' '{wildcards.domain} --out {output.figure:q} > {log:q} 2>&1"


rule plot_by_score:
    """Draw the published score beside the one at a fixed number of targets, each with its null."""
    input:
        table="results/scores/{model}/{domain}.parquet",
        threshold="results/thresholds/{model}/{domain}.json",
    output:
        figure=report(
            "results/thresholds/{model}/{domain}.by-score.png",
            caption="../workflow/report/by_score.rst",
            category="Thresholds",
            subcategory="{domain}",
            labels={"model": "{model}", "domain": "{domain}", "shows": "scores that do not rise by themselves"},
        ),
    log:
        "results/logs/plot_by_score/{model}/{domain}.log",
    benchmark:
        "results/benchmarks/plot_by_score/{model}/{domain}.tsv"
    conda:
        "../envs/fit.yaml"
    threads: 1
    params:
        settings=settings("plot_by_score"),
    shell:
        "fit thresholds plot-by-score {input.table:q} --threshold {input.threshold:q} "
        "--title {wildcards.model}:' '{wildcards.domain} --out {output.figure:q} > {log:q} 2>&1"


rule draw_contact_sheet:
    """Draw references beside generated pictures, of concepts below and above the threshold."""
    input:
        table="results/scores/{model}/{domain}.parquet",
        threshold="results/thresholds/{model}/{domain}.json",
        references=tables("references/{domain}"),
        generated=tables("generated/{model}/{domain}"),
    output:
        sheet=report(
            "results/thresholds/{model}/{domain}.pictures.png",
            caption="../workflow/report/pictures.rst",
            category="Thresholds",
            subcategory="{domain}",
            labels={"model": "{model}", "domain": "{domain}", "shows": "references beside generated pictures"},
        ),
    log:
        "results/logs/draw_contact_sheet/{model}/{domain}.log",
    benchmark:
        "results/benchmarks/draw_contact_sheet/{model}/{domain}.tsv"
    conda:
        "../envs/fit.yaml"
    threads: 1
    resources:
        mem_mb=growing(2000),
    params:
        settings=settings("draw_contact_sheet"),
    shell:
        "fit thresholds pictures {input.table:q} --threshold {input.threshold:q} --references {input.references:q} "
        "--generated results/generated/{wildcards.model}/{wildcards.domain} "
        "--title {wildcards.model}:' '{wildcards.domain} --out {output.sheet:q} > {log:q} 2>&1"
