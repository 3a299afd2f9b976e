"""What brings a concept back that a model should not imitate: prompts without its name, composed guidance, prefixes of
embeddings. Pictures are generated and embedded by the ordinary rules, as those of a model MODEL.attacked. Ask for the
milestone attacks."""

ATTACKED_CONCEPTS = one_of(CONFIG.attacks.concepts)


rule rank_words:
    """Rank the words that go with each concept in the captions of a corpus."""
    input:
        sheet=unchanged_sheet,
        counts="results/captions/{corpus}/{domain}/counts.parquet",
        matched_captions="results/captions/{corpus}/{domain}/matched_captions.parquet",
        captions=with_signature(lambda wildcards: existing(CONFIG.caption_files(wildcards.corpus))),
    output:
        words="results/attacks/words/{corpus}/{domain}.parquet",
    log:
        "results/logs/rank_words/{corpus}/{domain}.log",
    benchmark:
        "results/benchmarks/rank_words/{corpus}/{domain}.tsv"
    conda:
        "../envs/fit.yaml"
    threads: 1
    resources:
        mem_mb=growing(4000),
        runtime=growing(600),
    params:
        settings=settings("rank_words", places=lambda wildcards: CONFIG.caption_files(wildcards.corpus)),
    shell:
        "fit attacks words --sheet {input.sheet:q} --concepts {params.settings[concepts]:q} --counts {input.counts:q} "
        "--matched-captions {input.matched_captions:q} --captions {params.settings[files]:q} {params.settings[flags]:q} "
        "--out {output.words:q} > {log:q} 2>&1"


rule find_prefix:
    """Find the token embeddings with which a model predicts the noise on a concept's references best."""
    input:
        sheet=unchanged_sheet,
        pipeline=model_folder("model"),
        changes=changed_places,
        images=tables("references/{domain}"),
    output:
        prefix="results/attacks/{model}/{domain}/prefixes/{part}.safetensors",
    log:
        "results/logs/find_prefix/{model}/{domain}/{part}.log",
    benchmark:
        "results/benchmarks/find_prefix/{model}/{domain}/{part}.tsv"
    wildcard_constraints:
        part=ATTACKED_CONCEPTS,
    conda:
        "../envs/fit.yaml"
    threads: 1
    resources:
        flags=resources_of("model", PipelineSettings),
        gpu=with_signature(lambda wildcards: CONFIG.models[wildcards.model].gpus),
        mem_mb=growing(8000),
        runtime=growing(60),
    params:
        settings=settings("find_prefix"),
    shell:
        "fit attacks prefix {params.settings[flags]:q} {resources.flags} --sheet {input.sheet:q} "
        "--concepts {wildcards.part:q} --images {input.images:q} --threads {threads} --out {output.prefix:q} > {log:q} 2>&1"


rule plan_attacks:
    """Write what a model is asked for by each attack on each concept."""
    input:
        sheet=unchanged_sheet,
        words=with_signature(words_of_attacks),
        descriptions=existing([CONFIG.attacks.descriptions]),
        prefixes=with_signature(prefixes_of_attacks),
    output:
        trials="results/attacks/{model}/{domain}/trials.parquet",
    log:
        "results/logs/plan_attacks/{model}/{domain}.log",
    benchmark:
        "results/benchmarks/plan_attacks/{model}/{domain}.tsv"
    conda:
        "../envs/fit.yaml"
    threads: 1
    params:
        settings=settings("plan_attacks"),
        descriptions=CONFIG.attacks.descriptions or [],
    shell:
        "fit attacks plan --sheet {input.sheet:q} --concepts {params.settings[concepts]:q} "
        "--attacks {params.settings[attacks]:q} {params.settings[flags]:q} --words {input.words:q} "
        "--descriptions {params.descriptions:q} --prefixes {input.prefixes:q} --out {output.trials:q} > {log:q} 2>&1"


rule score_attack:
    """Score the pictures of a concept by a model that is attacked, prompt by prompt, on the targets of the model itself."""
    input:
        **{name: files for name, files in EVIDENCE.items() if not name.startswith("generated")},
        generated=lambda wildcards: f"results/generated/{attacked(wildcards.model)}/{wildcards.domain}/{wildcards.part}.parquet",
        generated_embeddings=lambda wildcards: (
            f"results/embeddings/{domain_of(wildcards).embedder}/generated/{attacked(wildcards.model)}/"
            f"{wildcards.domain}/{wildcards.part}.parquet"
        ),
    output:
        scores="results/attacks/{model}/{domain}/scores/{part}.parquet",
    log:
        "results/logs/score_attack/{model}/{domain}/{part}.log",
    benchmark:
        "results/benchmarks/score_attack/{model}/{domain}/{part}.tsv"
    wildcard_constraints:
        part=ATTACKED_CONCEPTS,
    conda:
        "../envs/fit.yaml"
    threads: 1
    params:
        settings=settings("score_attack"),
    shell:
        "fit scores imitation --concepts {wildcards.part:q} "
        + EVIDENCE_FLAGS
        + "{params.settings[flags]:q} --out {output.scores:q} > {log:q} 2>&1"


rule tabulate_attacks:
    """Bring together what each attack achieves on each concept, and to how many training images it corresponds."""
    input:
        trials="results/attacks/{model}/{domain}/trials.parquet",
        scores=lambda wildcards: [
            f"results/attacks/{wildcards.model}/{wildcards.domain}/scores/{c}.parquet" for c in CONFIG.attacks.concepts
        ],
        base_scores=of_base_model("results/scores/{base}/{domain}.parquet"),
    output:
        settings="results/attacks/{model}/{domain}/settings.parquet",
        attacks=multiext("results/attacks/{model}/{domain}/attacks", ".parquet", ".tsv"),
    log:
        "results/logs/tabulate_attacks/{model}/{domain}.log",
    benchmark:
        "results/benchmarks/tabulate_attacks/{model}/{domain}.tsv"
    conda:
        "../envs/fit.yaml"
    threads: 1
    params:
        settings=settings("tabulate_attacks"),
    shell:
        "fit attacks tabulate --trials {input.trials:q} --scores {input.scores:q} --attacks {params.settings[attacks]:q} "
        "{params.settings[flags]:q} --base-scores {input.base_scores:q} --settings-file {output.settings:q} "
        "--out {output.attacks[0]:q} > {log:q} 2>&1"


rule compare_attacks:
    """Put what each attack achieves on each model side by side: before, and under it."""
    input:
        tables=lambda wildcards: [
            f"results/attacks/{m}/{wildcards.domain}/attacks.parquet" for m in CONFIG.attacks.models
        ],
    output:
        compared=multiext("results/attacks/compared/{domain}", ".parquet", ".tsv"),
    log:
        "results/logs/compare_attacks/{domain}.log",
    benchmark:
        "results/benchmarks/compare_attacks/{domain}.tsv"
    conda:
        "../envs/fit.yaml"
    threads: 1
    params:
        settings=settings("compare_attacks"),
    shell:
        "fit attacks compare --tables {input.tables:q} --out {output.compared[0]:q} > {log:q} 2>&1"


rule plot_attacks:
    """Draw all models and attacks on the axis of training images."""
    input:
        table="results/attacks/compared/{domain}.parquet",
    output:
        figure="results/attacks/compared/{domain}.png",
    log:
        "results/logs/plot_attacks/{domain}.log",
    benchmark:
        "results/benchmarks/plot_attacks/{domain}.tsv"
    conda:
        "../envs/fit.yaml"
    threads: 1
    params:
        settings=settings("plot_attacks"),
    shell:
        "fit attacks plot --table {input.table:q} --out {output.figure:q} > {log:q} 2>&1"


rule attacks:
    """What each attack achieves on the models and concepts that the section attacks names, in training images."""
    input:
        [f"results/attacks/compared/{CONFIG.attacks.domain}{suffix}" for suffix in (".parquet", ".tsv", ".png")],
