"""Pictures of each concept by the model."""


rule generate_images:
    """Generate pictures of each concept, from every prompt of the domain."""
    input:
        sheet=unchanged_sheet,
        pipeline=model_folder("model"),
        changes=changed_places,
        prompts=prompt_table,
    output:
        images="results/generated/{model}/{domain}/{part}.parquet",
    log:
        "results/logs/generate_images/{model}/{domain}/{part}.log",
    benchmark:
        "results/benchmarks/generate_images/{model}/{domain}/{part}.tsv"
    wildcard_constraints:
        model=models_where(lambda model: model.pipeline),
    conda:
        "../envs/fit.yaml"
    threads: 1
    resources:
        flags=resources_of("model", PipelineSettings, GenerationSettings),
        gpu=with_signature(lambda wildcards: CONFIG.models[wildcards.model].gpus),
        mem_mb=of_pictures(8000, 1),
        runtime=of_pictures(30, 1 / 6),
    params:
        settings=settings("generate_images", concepts=generated_concepts, names=True),
    # A scheduler's SIGTERM reaches every process of a job. The shell ignores it, so that fit can end well.
    shell:
        "trap '' TERM; fit generated make {params.settings[flags]:q} "
        "{resources.flags} --sheet {input.sheet:q} --concepts {params.settings[concepts]:q} --threads {threads} "
        "--work results/cache/generated/{wildcards.model}/{wildcards.domain} --out {output.images:q} > {log:q} 2>&1"


rule import_generated:
    """Take generated pictures that are local."""
    input:
        place=lambda wildcards: existing([provided_pictures(wildcards)]),
        sheet=unchanged_sheet,
    output:
        images="results/generated/{model}/{domain}/{part}.parquet",
    log:
        "results/logs/import_generated/{model}/{domain}/{part}.log",
    benchmark:
        "results/benchmarks/import_generated/{model}/{domain}/{part}.tsv"
    wildcard_constraints:
        model=models_where(lambda model: model.provided_images),
    conda:
        "../envs/fit.yaml"
    threads: 1
    resources:
        flags=DECODING,
        mem_mb=growing(2000),
        runtime=growing(60),
    params:
        settings=settings("import_generated", concepts=generated_concepts, folder=provided_pictures),
    shell:
        "fit generated import --place {params.settings[place]:q} --sheet {input.sheet:q} "
        "--concepts {params.settings[concepts]:q} {params.settings[flags]:q} "
        "--work results/cache/imported/{wildcards.model}/{wildcards.domain} "
        "{resources.flags} --decoders {threads} --out {output.images:q} > {log:q} 2>&1"


rule draw_generated:
    """Draw pictures of each concept, a row per prompt, to look at."""
    input:
        images="results/generated/{model}/{domain}/{part}.parquet",
    output:
        sheet="results/generated/{model}/{domain}/{part}.png",
    log:
        "results/logs/draw_generated/{model}/{domain}/{part}.log",
    benchmark:
        "results/benchmarks/draw_generated/{model}/{domain}/{part}.tsv"
    conda:
        "../envs/fit.yaml"
    threads: 1
    resources:
        mem_mb=growing(2000),
    params:
        settings=settings("draw_generated"),
    shell:
        "fit generated draw {input.images:q} --title {wildcards.model} --out {output.sheet:q} > {log:q} 2>&1"
