"""The report of a study."""


rule report_study:
    """Bring a study's thresholds, counts and calibration together, beside published values; say what is missing."""
    input:
        looked_at=lambda wildcards: looked_at(wildcards.study, partly=True)(wildcards),
        thresholds=of_complete("results/thresholds/{model}/{domain}.json"),
        counts=of_complete("results/counts/{corpus}/{domain}.parquet"),
        match_thresholds=match_thresholds_of,
        figures=report_figures,
        statuses=statuses_of,
    output:
        report="results/reports/{study}/report.md",
        thresholds=report(
            "results/reports/{study}/thresholds.tsv",
            caption="../workflow/report/thresholds_table.rst",
            category="Tables",
            labels={"study": "{study}", "shows": "thresholds"},
        ),
        scores=report(
            "results/reports/{study}/scores.tsv",
            caption="../workflow/report/scores_table.rst",
            category="Tables",
            labels={"study": "{study}", "shows": "thresholds by each score"},
        ),
        counts=report(
            "results/reports/{study}/counts.tsv",
            caption="../workflow/report/counts_table.rst",
            category="Tables",
            labels={"study": "{study}", "shows": "counts"},
        ),
        calibration=report(
            "results/reports/{study}/calibration.tsv",
            caption="../workflow/report/calibration_table.rst",
            category="Tables",
            labels={"study": "{study}", "shows": "calibration"},
        ),
        data=report(
            "results/reports/{study}/data.tsv",
            caption="../workflow/report/data_table.rst",
            category="Tables",
            labels={"study": "{study}", "shows": "data that it rests on"},
        ),
        tables=expand(
            "results/reports/{{study}}/{table}.{suffix}",
            table=["thresholds", "scores", "counts", "calibration", "data"],
            suffix=["md", "tex"],
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
        "--missing {params.settings[missing]:q} {params.settings[data]:q} --statuses {input.statuses:q} "
        "--out results/reports/{wildcards.study} > {log:q} 2>&1"


rule report_paper:
    """List the paper's tables and figures, made or not; make those that follow from a study's results; compare published
    numbers with the study's."""
    input:
        looked_at=lambda wildcards: looked_at(wildcards.study, partly=True)(wildcards),
        thresholds=of_complete("results/thresholds/{model}/{domain}.json"),
        scores=of_complete("results/scores/{model}/{domain}.parquet"),
        captions=caption_counts_of,
        figures=paper_figures,
        asked_for=asked_for_before,
        missed=missed_tables_before,
    output:
        page="results/reports/{study}/paper/paper.md",
        list=report(
            "results/reports/{study}/paper/list.tsv",
            caption="../workflow/report/paper.rst",
            category="Tables",
            labels={"study": "{study}", "shows": "the paper's tables and figures"},
        ),
        list_as_text=expand("results/reports/{{study}}/paper/list.{suffix}", suffix=["md", "tex"]),
        tables=expand(
            "results/reports/{{study}}/paper/{table}.{suffix}",
            table=["published", "changes", "captions", "invariance", "missed"],
            suffix=["tsv", "md", "tex"],
        ),
    log:
        "results/logs/report_paper/{study}.log",
    benchmark:
        "results/benchmarks/report_paper/{study}.tsv"
    conda:
        "../envs/fit.yaml"
    threads: 1
    params:
        settings=settings("report_paper"),
    shell:
        "fit reports paper {wildcards.study} --thresholds {input.thresholds:q} --scores {input.scores:q} "
        "--captions {input.captions:q} --made {input.figures:q} {input.asked_for:q} "
        "--missed {input.missed:q} --missing {params.settings[missing]:q} {params.settings[flags]:q} "
        "--config {params.settings[config]:q} --out results/reports/{wildcards.study}/paper > {log:q} 2>&1"
