"""The report of a study."""


def of_complete(pattern):
    """Return an input function: `pattern` for the pairs of a job's study that lack no input."""
    return lambda wildcards: [
        pattern.format(model=model, domain=domain, corpus=CONFIG.models[model].corpus)
        for model, domain in complete_pairs(wildcards.study)
    ]


def match_thresholds_of(wildcards):
    """Return the match thresholds of a study's domains, and the thresholds of their art filters."""
    domains = dict.fromkeys(domain for _, domain in complete_pairs(wildcards.study))
    return [
        f"results/matches/{domain}.{kind}.json"
        for domain in domains
        for kind in ("threshold", "art")
        if kind != "art" or CONFIG.domains[domain].art_filter
    ]


def report_figures(wildcards):
    """Return the figures that a study's report shows."""
    pairs = complete_pairs(wildcards.study)
    return [
        *(f"results/thresholds/{model}/{domain}.scores.png" for model, domain in pairs),
        *(f"results/captions/{c}/{d}/counts.png" for c, d in counted(pairs)),
        *(path.replace(".json", ".png") for path in match_thresholds_of(wildcards)),
    ]


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
    params:
        settings=settings("report_study"),
    shell:
        "fit reports write {wildcards.study} --thresholds {input.thresholds:q} --counts {input.counts:q} "
        "--match-thresholds {input.match_thresholds:q} --figures {input.figures:q} "
        "--missing {params.settings[missing]:q} --out results/reports/{wildcards.study} > {log:q} 2>&1"
