"""The imitation threshold, its figure, its pictures, its table."""


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
    threads: 1
    resources:
        mem_mb=growing(1000),
        runtime=growing(10),
    params:
        settings=settings("detect_threshold"),
    shell:
        "fit threshold {input.table:q} --estimators {params.settings[estimators]} "
        "--penalty {params.settings[penalty]} --seed {params.settings[seed]} "
        "--resamples {params.settings[resamples]} --out {output.threshold:q} > {log:q} 2>&1"


rule plot_threshold:
    """Draw scores against counts."""
    input:
        table="results/scores/{model}/{domain}.parquet",
        threshold="results/thresholds/{model}/{domain}.json",
    output:
        figure="results/thresholds/{model}/{domain}.scores.png",
    log:
        "results/logs/plot_threshold/{model}/{domain}.log",
    benchmark:
        "results/benchmarks/plot_threshold/{model}/{domain}.tsv"
    conda:
        "../envs/fit.yaml"
    threads: 1
    resources:
        mem_mb=growing(1000),
        runtime=growing(10),
    params:
        settings=settings("plot_threshold"),
    shell:
        "fit plot threshold {input.table:q} --threshold {input.threshold:q} --score {params.settings[score]:q} "
        "--title {wildcards.model}:' '{wildcards.domain} --out {output.figure:q} > {log:q} 2>&1"


rule draw_contact_sheet:
    """Draw references beside generated pictures, of concepts below and above the threshold."""
    input:
        table="results/scores/{model}/{domain}.parquet",
        threshold="results/thresholds/{model}/{domain}.json",
        references=all_concepts("results/references/{domain}/{concept}.parquet"),
        generated=all_concepts("results/generated/{model}/{domain}/{concept}.parquet"),
    output:
        sheet="results/thresholds/{model}/{domain}.pictures.png",
    log:
        "results/logs/draw_contact_sheet/{model}/{domain}.log",
    benchmark:
        "results/benchmarks/draw_contact_sheet/{model}/{domain}.tsv"
    conda:
        "../envs/fit.yaml"
    threads: 1
    resources:
        mem_mb=growing(2000),
        runtime=growing(10),
    params:
        settings=settings("draw_contact_sheet"),
    shell:
        "fit plot contact-sheet {input.table:q} --threshold {input.threshold:q} "
        "--references results/references/{wildcards.domain} "
        "--generated results/generated/{wildcards.model}/{wildcards.domain} "
        "--title {wildcards.model}:' '{wildcards.domain} --out {output.sheet:q} > {log:q} 2>&1"


rule report_study:
    """Bring a study's thresholds, counts and calibration together, beside published values; say what is missing."""
    input:
        looked_at=lambda wildcards: looked_at(wildcards.study, partly=True)(wildcards),
        thresholds=of_complete("results/thresholds/{model}/{domain}.json"),
        counts=of_complete("results/counts/{corpus}/{domain}.parquet"),
        cuts=cuts_of,
        figures=report_figures,
    output:
        report="results/paper/{study}/report.md",
        tables=expand(
            "results/paper/{{study}}/{table}.{suffix}",
            table=["thresholds", "counts", "calibration"],
            suffix=["tsv", "md", "tex"],
        ),
    log:
        "results/logs/report_study/{study}.log",
    benchmark:
        "results/benchmarks/report_study/{study}.tsv"
    conda:
        "../envs/fit.yaml"
    threads: 1
    resources:
        mem_mb=growing(1000),
        runtime=growing(10),
    params:
        settings=settings("report_study"),
    shell:
        "fit report {wildcards.study} --thresholds {input.thresholds:q} --counts {input.counts:q} --cuts {input.cuts:q} "
        "--figures {input.figures:q} --missing {params.settings[missing]:q} "
        "--out results/paper/{wildcards.study} > {log:q} 2>&1"
