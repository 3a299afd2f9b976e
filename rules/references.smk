"""Verified images of each concept."""


rule collect_references:
    """Collect candidates for references of each concept from the domain's source."""
    input:
        source=lambda wildcards: existing([reference_place(wildcards)]),
        sheet=unchanged_sheet,
    output:
        candidates="results/references/{domain}/candidates/{part}.parquet",
    log:
        "results/logs/collect_references/{domain}/{part}.log",
    benchmark:
        "results/benchmarks/collect_references/{domain}/{part}.tsv"
    conda:
        "../envs/fit.yaml"
    threads: 1
    resources:
        flags=COLLECTING,
        runtime=growing(30),
    params:
        settings=settings(
            "collect_references",
            concepts=reference_concepts,
            names=True,
            folder=reference_place,
        ),
    shell:
        "fit references collect --sheet {input.sheet:q} --concepts {params.settings[concepts]:q} {params.settings[flags]:q} "
        "--cache results/cache/searches --work results/cache/references/{wildcards.domain} "
        "{resources.flags} --decoders {threads} --out {output.candidates:q} > {log:q} 2>&1"


rule select_references:
    """Keep the most mutually similar references of each concept."""
    input:
        candidates=tables("references/{domain}/candidates"),
        embeddings=embeddings("references/{domain}/candidates"),
        vetoes=lambda wildcards: existing([domain_of(wildcards).references.vetoes]),
    output:
        references="results/references/{domain}/{part}.parquet",
    log:
        "results/logs/select_references/{domain}/{part}.log",
    benchmark:
        "results/benchmarks/select_references/{domain}/{part}.tsv"
    conda:
        "../envs/fit.yaml"
    threads: 1
    params:
        settings=settings("select_references", concepts=reference_concepts),
    shell:
        "fit references select --candidates {input.candidates:q} --embeddings {input.embeddings:q} "
        "--concepts {params.settings[concepts]:q} --domain {wildcards.domain} {params.settings[flags]:q} "
        "--out {output.references:q} > {log:q} 2>&1"


rule draw_references:
    """Draw which candidates were kept as references, which were not, and why."""
    input:
        references="results/references/{domain}/{part}.parquet",
    output:
        sheet="results/references/{domain}/{part}.png",
    log:
        "results/logs/draw_references/{domain}/{part}.log",
    benchmark:
        "results/benchmarks/draw_references/{domain}/{part}.tsv"
    conda:
        "../envs/fit.yaml"
    threads: 1
    params:
        settings=settings("draw_references"),
    shell:
        "fit references draw {input.references:q} --out {output.sheet:q} > {log:q} 2>&1"


rule count_candidates:
    """Count how fetching candidates for references ended: how many are images, and how many are not for which reason."""
    input:
        tables=tables("references/{domain}/candidates"),
        sheet=sheet_of,
    output:
        statuses="results/references/{domain}/candidates/statuses.tsv",
    log:
        "results/logs/count_candidates/{domain}.log",
    benchmark:
        "results/benchmarks/count_candidates/{domain}.tsv"
    conda:
        "../envs/fit.yaml"
    threads: 1
    params:
        settings=settings("count_candidates"),
    shell:
        "fit images count-statuses results/references/{wildcards.domain}/candidates --sheet {input.sheet:q} "
        "--out {output.statuses:q} > {log:q} 2>&1"
