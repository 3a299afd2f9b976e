"""Erases concepts from a small pipeline, such as the built-in world's: `erase` of a model in config.yaml."""


rule erase_concepts:
    """Train one component of the base's pipeline so that it forgets concepts. The other components stay as they are."""
    input:
        pipeline=pipeline_to_erase_from,
        sheet=sheet_to_erase_from,
    output:
        folder=directory("results/defences/erased/{model}"),
    log:
        "results/logs/erase_concepts/{model}.log",
    benchmark:
        "results/benchmarks/erase_concepts/{model}.tsv"
    wildcard_constraints:
        model=models_where(lambda model: model.erase),
    conda:
        "../envs/fit.yaml"
    threads: 1
    resources:
        mem_mb=growing(4000),
        runtime=growing(60),
    params:
        settings=settings("erase_concepts"),
    shell:
        "fit defences erase --pipeline {input.pipeline:q} --sheet {input.sheet:q} {params.settings[flags]:q} "
        "--threads {threads} --out {output.folder:q} > {log:q} 2>&1"
