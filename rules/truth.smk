"""Whether the estimated threshold is the true one: many models of the built-in world, in which the same painters have other
counts. Each is then an ordinary study. Ask for the milestone truth."""


wildcard_constraints:
    world=r"\d+",
    changes=one_of({run.changes for run in TRUTH_RUNS.values()} - {PRUNED}),
    deal=r"\d+",
    training=r"\d+",


rule paint_truth_world:
    """Paint the corpus of one deal of the counts to the painters. In another deal the same pictures are there, more of some
    painters and fewer of others."""
    input:
        sheet=CONFIG.atelier.sheet,
    output:
        corpus="results/truth/worlds/{world}/{changes}/{deal}/corpus.parquet",
        training_set="results/truth/worlds/{world}/{changes}/{deal}/training-set.parquet",
        truth="results/truth/worlds/{world}/{changes}/{deal}/truth.parquet",
        references="results/truth/worlds/{world}/{changes}/{deal}/references.parquet",
        photographs="results/truth/worlds/{world}/{changes}/{deal}/photographs.parquet",
    log:
        "results/logs/paint_truth_world/{world}/{changes}/{deal}.log",
    benchmark:
        "results/benchmarks/paint_truth_world/{world}/{changes}/{deal}.tsv"
    conda:
        "../envs/fit.yaml"
    threads: 1
    resources:
        mem_mb=growing(2000),
        runtime=growing(10),
    params:
        settings=settings("paint_truth_world"),
    shell:
        "fit atelier paint --sheet {input.sheet:q} {params.settings[flags]:q} --shards {output.corpus:q} "
        "--training-set {output.training_set:q} --truth {output.truth:q} --references-file {output.references:q} "
        "--photographs-file {output.photographs:q} > {log:q} 2>&1"


rule plan_truth_pruning:
    """Plan which images would have to go for the painters of the first model to lie below its threshold, as a user would."""
    input:
        threshold="results/thresholds/{model}/{domain}.json",
        counts=lambda wildcards: f"results/counts/{TRUTH_RUNS[wildcards.model].corpus}/{wildcards.domain}.parquet",
        scores="results/scores/{model}/{domain}.parquet",
        matched_captions=lambda wildcards: (
            f"results/captions/{TRUTH_RUNS[wildcards.model].corpus}/{wildcards.domain}/matched_captions.parquet"
        ),
        images=tables("images/{corpus}/{domain}"),
        matches=tables("matches/{corpus}/{domain}"),
    output:
        plan=multiext("results/truth/pruning/{model}/{domain}", ".parquet", ".csv", ".txt"),
    log:
        "results/logs/plan_truth_pruning/{model}/{domain}.log",
    benchmark:
        "results/benchmarks/plan_truth_pruning/{model}/{domain}.tsv"
    wildcard_constraints:
        model=TRUTH_MODELS,
        domain=TRUTH_DOMAINS,
    conda:
        "../envs/fit.yaml"
    threads: 1
    params:
        settings=settings("plan_truth_pruning"),
    shell:
        "fit audit --threshold {input.threshold:q} --counts {input.counts:q} --scores {input.scores:q} "
        "--matched-captions {input.matched_captions:q} --images {input.images:q} --matches {input.matches:q} "
        "--plan results/truth/pruning/{wildcards.model}/{wildcards.domain} > {log:q} 2>&1"


rule prune_truth_world:
    """Take the planned images of a few painters out of the first deal."""
    input:
        plan=lambda wildcards: f"results/truth/pruning/{first_run(wildcards).model}/{first_run(wildcards).domain}.parquet",
        corpus="results/truth/worlds/{world}/usual/{deal}/corpus.parquet",
        training_set="results/truth/worlds/{world}/usual/{deal}/training-set.parquet",
        truth="results/truth/worlds/{world}/usual/{deal}/truth.parquet",
    output:
        corpus="results/truth/worlds/{world}/pruned/{deal}/corpus.parquet",
        training_set="results/truth/worlds/{world}/pruned/{deal}/training-set.parquet",
        truth="results/truth/worlds/{world}/pruned/{deal}/truth.parquet",
        pruned="results/truth/worlds/{world}/pruned/{deal}/pruned.tsv",
    log:
        "results/logs/prune_truth_world/{world}/{deal}.log",
    benchmark:
        "results/benchmarks/prune_truth_world/{world}/{deal}.tsv"
    conda:
        "../envs/fit.yaml"
    threads: 1
    params:
        settings=settings("prune_truth_world"),
    shell:
        "fit truth prune --plan {input.plan:q} {params.settings[flags]:q} --corpus {input.corpus:q} "
        "--training-set {input.training_set:q} --truth {input.truth:q} --corpus-file {output.corpus:q} "
        "--training-set-file {output.training_set:q} --truth-file {output.truth:q} --pruned {output.pruned:q} "
        "> {log:q} 2>&1"


rule train_truth_encoder:
    """Train another encoder than the built-in study's, where a changed world asks for one."""
    output:
        folder=directory("results/truth/encoders/{changes}"),
    log:
        "results/logs/train_truth_encoder/{changes}.log",
    benchmark:
        "results/benchmarks/train_truth_encoder/{changes}.tsv"
    conda:
        "../envs/fit.yaml"
    threads: 1
    resources:
        mem_mb=growing(2000),
        runtime=growing(20),
    params:
        settings=settings("train_truth_encoder"),
    shell:
        "fit atelier train-style-encoder {params.settings[flags]:q} --threads {threads} --out {output.folder:q} > {log:q} 2>&1"


rule train_truth_generator:
    """Train a text-to-image pipeline on one deal."""
    input:
        training_set="results/truth/worlds/{world}/{changes}/{deal}/training-set.parquet",
    output:
        folder=directory("results/truth/generators/{world}/{changes}/{deal}/{training}"),
    log:
        "results/logs/train_truth_generator/{world}/{changes}/{deal}/{training}.log",
    benchmark:
        "results/benchmarks/train_truth_generator/{world}/{changes}/{deal}/{training}.tsv"
    wildcard_constraints:
        changes=one_of(run.changes for run in TRUTH_RUNS.values()),
    conda:
        "../envs/fit.yaml"
    threads: 1  # two trainings side by side are 1.45 times as fast as one with two threads
    resources:
        mem_mb=growing(4000),
        runtime=growing(60),
    params:
        settings=settings("train_truth_generator"),
    shell:
        "fit atelier train-generator --training-set {input.training_set:q} {params.settings[flags]:q} --threads {threads} "
        "--out {output.folder:q} > {log:q} 2>&1"


rule measure_truth:
    """Bring together what is known of each painter in one model: the true count, the effective one, and the scores; and what
    each estimator answers."""
    input:
        truth=lambda wildcards: f"{TRUTH_RUNS[wildcards.model].painted}/truth.parquet",
        scores="results/scores/{model}/{domain}.parquet",
        threshold="results/thresholds/{model}/{domain}.json",
        generated=tables("generated/{model}/{domain}"),
        generated_embeddings=embeddings("generated/{model}/{domain}"),
        references=tables("references/{domain}"),
        reference_embeddings=embeddings("references/{domain}/candidates"),
    output:
        painters="results/truth/models/{model}/{domain}.painters.parquet",
        thresholds="results/truth/models/{model}/{domain}.thresholds.parquet",
    log:
        "results/logs/measure_truth/{model}/{domain}.log",
    benchmark:
        "results/benchmarks/measure_truth/{model}/{domain}.tsv"
    wildcard_constraints:
        model=TRUTH_MODELS,
        domain=TRUTH_DOMAINS,
    conda:
        "../envs/fit.yaml"
    threads: 1
    params:
        settings=settings("measure_truth"),
    shell:
        "fit truth measure --truth {input.truth:q} --scores {input.scores:q} --threshold {input.threshold:q} "
        "--generated {input.generated:q} "
        "--generated-embeddings {input.generated_embeddings:q} --references {input.references:q} "
        "--reference-embeddings {input.reference_embeddings:q} {params.settings[flags]:q} "
        "--painters-file {output.painters:q} --thresholds-file {output.thresholds:q} > {log:q} 2>&1"


rule gather_truth:
    """Put the painters of all models into one table, and the thresholds of all models into another."""
    input:
        painters=[
            f"results/truth/models/{m}/{run.domain}.painters.parquet"
            for m, run in TRUTH_RUNS.items()
            if run.changes != PRUNED
        ],
        thresholds=[
            f"results/truth/models/{m}/{run.domain}.thresholds.parquet"
            for m, run in TRUTH_RUNS.items()
            if run.changes != PRUNED
        ],
    output:
        painters="results/truth/painters.parquet",
        thresholds="results/truth/thresholds.parquet",
    log:
        "results/logs/gather_truth.log",
    benchmark:
        "results/benchmarks/gather_truth.tsv"
    conda:
        "../envs/fit.yaml"
    threads: 1
    params:
        settings=settings("gather_truth"),
    shell:
        "fit truth gather --painters {input.painters:q} --thresholds {input.thresholds:q} "
        "--painters-file {output.painters:q} --thresholds-file {output.thresholds:q} > {log:q} 2>&1"


rule estimate_truth:
    """Find each painter's true threshold, and how far the estimates of single models are from the true ones."""
    input:
        painters="results/truth/painters.parquet",
        thresholds="results/truth/thresholds.parquet",
    output:
        answer="results/truth/truth.json",
    log:
        "results/logs/estimate_truth.log",
    benchmark:
        "results/benchmarks/estimate_truth.tsv"
    conda:
        "../envs/fit.yaml"
    threads: 1
    params:
        settings=settings("estimate_truth"),
    shell:
        "fit truth estimate --painters {input.painters:q} --thresholds {input.thresholds:q} {params.settings[flags]:q} "
        "--out {output.answer:q} > {log:q} 2>&1"


rule plot_truth:
    """Draw the painters' own curves, the true thresholds, the estimates beside them, and worlds that break an assumption."""
    input:
        painters="results/truth/painters.parquet",
        thresholds="results/truth/thresholds.parquet",
        answer="results/truth/truth.json",
    output:
        figures=[f"results/truth/{name}.png" for name in ("curves", "estimates", "changes")],
    log:
        "results/logs/plot_truth.log",
    benchmark:
        "results/benchmarks/plot_truth.tsv"
    conda:
        "../envs/fit.yaml"
    threads: 1
    params:
        settings=settings("plot_truth"),
    shell:
        "fit truth plot --painters {input.painters:q} --thresholds {input.thresholds:q} --answer {input.answer:q} "
        "--curves {output.figures[0]:q} --estimates {output.figures[1]:q} "
        "--changes {output.figures[2]:q} > {log:q} 2>&1"


rule truth:
    """The truth experiment: what the estimates of single models are worth."""
    input:
        "results/truth/truth.json",
        [f"results/truth/{name}.png" for name in ("curves", "estimates", "changes")],


rule truth_pruning:
    """The pruning plan of an audit, tried: the painters of a model that was trained without the planned images. This is no part
    of the experiment, as a first model without a threshold has no plan."""
    input:
        [
            f"results/truth/models/{m}/{run.domain}.painters.parquet"
            for m, run in TRUTH_RUNS.items()
            if run.changes == PRUNED
        ],
