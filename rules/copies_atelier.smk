"""Whether duplicates drive copies, and distinct images imitation: a world in which painters of equal count have distinct
images, or one that is repeated. Its model is an ordinary one. Ask for the milestone copies_atelier."""


rule paint_copies:
    """Paint the corpus, half of whose painters have one image that is repeated."""
    input:
        sheet=CONFIG.atelier.sheet,
    output:
        training_set="results/copies/atelier/training-set.parquet",
        painters="results/copies/atelier/painters.parquet",
        prompts="results/copies/atelier/prompts.parquet",
        references="results/copies/atelier/references.parquet",
    log:
        "results/logs/paint_copies.log",
    benchmark:
        "results/benchmarks/paint_copies.tsv"
    conda:
        "../envs/fit.yaml"
    threads: 1
    resources:
        mem_mb=growing(2000),
        runtime=growing(10),
    params:
        settings=settings("paint_copies"),
    shell:
        "fit copies paint --sheet {input.sheet:q} {params.settings[flags]:q} --training-set {output.training_set:q} "
        "--painters-file {output.painters:q} --prompts-file {output.prompts:q} --references-file {output.references:q} "
        "> {log:q} 2>&1"


rule train_copies:
    """Train a text-to-image pipeline on it."""
    input:
        training_set="results/copies/atelier/training-set.parquet",
    output:
        folder=directory("results/copies/atelier/generator"),
    log:
        "results/logs/train_copies.log",
    benchmark:
        "results/benchmarks/train_copies.tsv"
    conda:
        "../envs/fit.yaml"
    threads: 1  # a second one would mostly wait: two trainings side by side gain more
    resources:
        mem_mb=growing(4000),
        runtime=growing(60),
    params:
        settings=settings("train_copies"),
    shell:
        "fit atelier train-generator --training-set {input.training_set:q} {params.settings[flags]:q} --threads {threads} "
        "--out {output.folder:q} > {log:q} 2>&1"


rule compare_copies:
    """Compare painters of equal count: how much of their captions' pictures is copied, and how well they are imitated."""
    input:
        painters="results/copies/atelier/painters.parquet",
        found=f"results/copies/models/{COPIES_WORLD}/found.parquet",
        summary=f"results/copies/models/{COPIES_WORLD}/found.json",
        generated=copies_world_tables(f"generated/{COPIES_WORLD}/{COPIES_WORLD}"),
        generated_embeddings=copies_world_tables(f"embeddings/{{embedder}}/generated/{COPIES_WORLD}/{COPIES_WORLD}"),
        references=copies_world_tables(f"references/{COPIES_WORLD}"),
        reference_embeddings=copies_world_tables(f"embeddings/{{embedder}}/references/{COPIES_WORLD}/candidates"),
    output:
        table="results/copies/atelier/compared.parquet",
        answer="results/copies/atelier/compared.json",
        figure="results/copies/atelier/compared.png",
    log:
        "results/logs/compare_copies.log",
    benchmark:
        "results/benchmarks/compare_copies.tsv"
    conda:
        "../envs/fit.yaml"
    threads: 1
    params:
        settings=settings("compare_copies"),
    shell:
        "fit copies compare --painters {input.painters:q} --found {input.found:q} --summary {input.summary:q} "
        "--generated {input.generated:q} --generated-embeddings {input.generated_embeddings:q} "
        "--references {input.references:q} --reference-embeddings {input.reference_embeddings:q} "
        "{params.settings[flags]:q} --figure {output.figure:q} --answer {output.answer:q} --out {output.table:q} "
        "> {log:q} 2>&1"


rule copies_atelier:
    """Whether duplicates drive copies, and distinct images imitation, in the built-in world."""
    input:
        "results/copies/atelier/compared.json",
        "results/copies/atelier/compared.png",
