"""Which prompts make a model paint a training image again: many pictures of one prompt, compared with each other and with
the training images. Ask for the milestone copies."""


wildcard_constraints:
    job=r"\d+",


rule choose_prompts:
    """Choose the prompts: the most duplicated captions of the model's corpus, or the user's; and some of no training image."""
    input:
        files=copies_prompts,
    output:
        prompts="results/copies/models/{model}/prompts.parquet",
    log:
        "results/logs/choose_prompts/{model}.log",
    benchmark:
        "results/benchmarks/choose_prompts/{model}.tsv"
    conda:
        "../envs/fit.yaml"
    threads: 1
    resources:
        mem_mb=growing(4000),
        runtime=growing(60),
    params:
        settings=settings("choose_prompts"),
    shell:
        "fit copies prompts --captions-files {params.settings[files]:q} {params.settings[flags]:q} "
        "--out {output.prompts:q} > {log:q} 2>&1"


rule generate_copies:
    """Generate many pictures of each prompt, with different seeds."""
    input:
        prompts="results/copies/models/{model}/prompts.parquet",
        pipeline=model_folder("model"),
        changes=changed_places,
    output:
        images="results/copies/models/{model}/pictures/{job}.parquet",
    log:
        "results/logs/generate_copies/{model}/{job}.log",
    benchmark:
        "results/benchmarks/generate_copies/{model}/{job}.tsv"
    conda:
        "../envs/fit.yaml"
    threads: 1
    resources:
        flags=resources_of("model", PipelineSettings, GenerationSettings),
        gpu=with_signature(lambda wildcards: CONFIG.models[wildcards.model].gpus),
        mem_mb=growing(8000),
        runtime=growing(600),
    params:
        settings=settings("generate_copies"),
    # A scheduler's SIGTERM reaches every process of a job. The shell ignores it, so that fit can end well.
    shell:
        "trap '' TERM; fit copies generate {params.settings[flags]:q} {resources.flags} --prompts {input.prompts:q} "
        "--job {wildcards.job} --jobs {params.settings[jobs]} --threads {threads} "
        "--work results/cache/copies/{wildcards.model}/{wildcards.job} --out {output.images:q} > {log:q} 2>&1"


rule measure_guidance:
    """Measure how much of the noise that the model predicts is due to the text: the detector."""
    input:
        prompts="results/copies/models/{model}/prompts.parquet",
        pipeline=model_folder("model"),
        changes=changed_places,
    output:
        norms="results/copies/models/{model}/guidance.parquet",
    log:
        "results/logs/measure_guidance/{model}.log",
    benchmark:
        "results/benchmarks/measure_guidance/{model}.tsv"
    conda:
        "../envs/fit.yaml"
    threads: 1
    resources:
        flags=resources_of("model", PipelineSettings, GenerationSettings),
        gpu=with_signature(lambda wildcards: CONFIG.models[wildcards.model].gpus),
        mem_mb=growing(8000),
        runtime=growing(120),
    params:
        settings=settings("measure_guidance"),
    shell:
        "fit copies guidance {params.settings[flags]:q} {resources.flags} --prompts {input.prompts:q} --threads {threads} "
        "--out {output.norms:q} > {log:q} 2>&1"


rule find_copies:
    """Find suspects, whose pictures are near each other, and copies, which are near a training image."""
    input:
        prompts="results/copies/models/{model}/prompts.parquet",
        pictures=copies_pictures,
        norms="results/copies/models/{model}/guidance.parquet",
        training_images=copies_training_images,
    output:
        found="results/copies/models/{model}/found.parquet",
        summary="results/copies/models/{model}/found.json",
    log:
        "results/logs/find_copies/{model}.log",
    benchmark:
        "results/benchmarks/find_copies/{model}.tsv"
    conda:
        "../envs/fit.yaml"
    threads: 1
    resources:
        flags=resource_flags(CONFIG.copies, CopySettings),
        mem_mb=growing(2000 + CONFIG.copies.memory_mb),
        runtime=growing(600),
    params:
        settings=settings("find_copies"),
    shell:
        "fit copies find --prompts {input.prompts:q} --generated {input.pictures:q} --guidance {input.norms:q} "
        "--training-images {input.training_images:q} {params.settings[flags]:q} {resources.flags} --threads {threads} "
        "--summary {output.summary:q} --out {output.found:q} > {log:q} 2>&1"


rule copies:
    """Which prompts of the models make copies of training images."""
    input:
        copies_files,
