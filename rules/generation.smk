"""Pictures of each concept by the model."""

for batch in HEAVY:

    rule:
        """Generate pictures of each concept, from every prompt of the domain."""
        name:
            f"generate_images{batch.suffix}"
        input:
            # Only the names of the job's concepts matter, and those are settings: a new row redoes no old picture.
            sheet=lambda wildcards: ancient(CONFIG.domains[wildcards.domain].concepts),
            pipeline=model_folder("model"),
        output:
            images=batch.files("results/generated/{model}/{domain}/{concept}.parquet"),
        log:
            batch.file("results/logs/generate_images/{model}/{domain}/{concept}.log"),
        benchmark:
            batch.file(
                "results/benchmarks/generate_images/{model}/{domain}/{concept}.tsv"
            )
        wildcard_constraints:
            domain=batch.domains,
            model=models_where(lambda model: model.pipeline),
        conda:
            "../envs/fit.yaml"
        threads: 1
        resources:
            gpu=lambda wildcards: CONFIG.models[wildcards.model].gpus,
            batch_size=lambda wildcards: CONFIG.models[wildcards.model].batch_size,
            device=lambda wildcards: CONFIG.models[wildcards.model].device,
            download=lambda wildcards: yes_or_no(
                CONFIG.models[wildcards.model].download
            ),
            mem_mb=of_pictures(batch, 8000, 1),
            runtime=of_pictures(batch, 30, 1 / 6),
        params:
            settings=batch.settings("generate_images", names=True),
        # A scheduler's SIGTERM reaches every process of a job: the shell outlives it, so that fit can end well.
        shell:
            "trap '' TERM; fit generate --backend {params.settings[backend]:q} "
            "--pipeline {params.settings[pipeline]:q} --revision {params.settings[revision]:q} "
            "--variant {params.settings[variant]:q} --scheduler {params.settings[scheduler]:q} "
            "--dtype {params.settings[dtype]} --steps {params.settings[steps]} "
            "--guidance {params.settings[guidance]} --height {params.settings[height]} "
            "--width {params.settings[width]} --negative-prompt {params.settings[negative_prompt]:q} "
            "--compile {params.settings[compile]} --device {resources.device} --download {resources.download} "
            "--sheet {input.sheet:q} --prompts {params.settings[prompts]:q} "
            "--images-per-prompt {params.settings[images_per_prompt]} --batch-size {resources.batch_size} "
            "--image-format {params.settings[image_format]} --seed {params.settings[seed]} --threads {threads} "
            "--work results/cache/generated/{wildcards.model}/{wildcards.domain} --out {output.images:q} "
            "> {log:q} 2>&1"


for batch in LIGHT:

    rule:
        """Take generated images that are at hand."""
        name:
            f"import_generated{batch.suffix}"
        input:
            place=provided("model"),
        output:
            images=batch.files("results/generated/{model}/{domain}/{concept}.parquet"),
        log:
            batch.file("results/logs/import_generated/{model}/{domain}/{concept}.log"),
        benchmark:
            batch.file(
                "results/benchmarks/import_generated/{model}/{domain}/{concept}.tsv"
            )
        wildcard_constraints:
            domain=batch.domains,
            model=models_where(lambda model: model.provided_images),
        conda:
            "../envs/fit.yaml"
        threads: 1
        resources:
            **BRINGING,
            mem_mb=growing(2000),
            runtime=growing(60),
        params:
            settings=batch.settings("import_generated", place=generated_folder),
        shell:
            "fit images import --kind generated --place {params.settings[place]:q} "
            "--sheet {params.settings[sheet]:q} "
            "--work results/cache/imported/{wildcards.model}/{wildcards.domain} "
            + LIMITS
            + "--out {output.images:q} > {log:q} 2>&1"


rule draw_generated:
    """Draw pictures of one concept, a row a prompt, to look at."""
    input:
        images="results/generated/{model}/{domain}/{concept}.parquet",
    output:
        sheet="results/generated/{model}/{domain}/{concept}.png",
    log:
        "results/logs/draw_generated/{model}/{domain}/{concept}.log",
    benchmark:
        "results/benchmarks/draw_generated/{model}/{domain}/{concept}.tsv"
    conda:
        "../envs/fit.yaml"
    threads: 1
    resources:
        mem_mb=growing(2000),
        runtime=growing(10),
    params:
        settings=settings("draw_generated"),
    shell:
        "fit plot generated {input.images:q} --title {wildcards.model}/{wildcards.concept} --out {output.sheet:q} "
        "> {log:q} 2>&1"
