"""The report of a study."""


rule report_study:
    """Bring a study's thresholds, counts and calibration together, beside published values; say what is missing."""
    input:
        looked_at=lambda wildcards: looked_at(wildcards.study, partly=True)(wildcards),
        thresholds=of_complete("results/thresholds/{model}/{domain}.json"),
        counts=of_complete("results/counts/{corpus}/{domain}.parquet"),
        match_thresholds=match_thresholds_of,
        figures=report_figures,
    output:
        report="results/reports/{study}/report.md",
        tables=expand(
            "results/reports/{{study}}/{table}.{suffix}",
            table=["thresholds", "scores", "counts", "calibration"],
            suffix=["tsv", "md", "tex"],
        ),
    log:
        "results/logs/report_study/{study}.log",
    benchmark:
        "results/benchmarks/report_study/{study}.tsv"
    conda:
        "../envs/fit.yaml"
    threads: 1
    params:
        settings=settings("report_study"),
    shell:
        "fit reports write {wildcards.study} --thresholds {input.thresholds:q} --counts {input.counts:q} "
        "--match-thresholds {input.match_thresholds:q} --figures {input.figures:q} "
        "--missing {params.settings[missing]:q} --out results/reports/{wildcards.study} > {log:q} 2>&1"
