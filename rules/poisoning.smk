"""How many poisoned pairs a scorer needs before an attack on it works: small CLIPs of the built-in world. Ask for the
milestone poisoning."""


wildcard_constraints:
    objective=one_of(OBJECTIVES),
    scorer_seed=r"\d+",


rule train_poisoned:
    """Train small CLIPs of one objective and seed, with more and more poisoned pairs, clean each, and measure both."""
    input:
        sheet=CONFIG.poisoning.sheet,
    output:
        models="results/poisoning/models/{objective}/{scorer_seed}.parquet",
    log:
        "results/logs/train_poisoned/{objective}/{scorer_seed}.log",
    benchmark:
        "results/benchmarks/train_poisoned/{objective}/{scorer_seed}.tsv"
    conda:
        "../envs/fit.yaml"
    threads: 1
    resources:
        mem_mb=growing(2000),
        runtime=growing(60),
    params:
        settings=settings("train_poisoned"),
    shell:
        "fit poisoning train --sheet {input.sheet:q} {params.settings[flags]:q} --threads {threads} --out {output.models:q} "
        "> {log:q} 2>&1"


rule estimate_poisoning:
    """Find at how many poisoned pairs the attack works, before and after cleaning."""
    input:
        models=[
            f"results/poisoning/models/{objective}/{seed}.parquet"
            for objective in OBJECTIVES
            for seed in CONFIG.poisoning.seeds
        ],
    output:
        table="results/poisoning/models.parquet",
        answer="results/poisoning/poisoning.json",
    log:
        "results/logs/estimate_poisoning.log",
    benchmark:
        "results/benchmarks/estimate_poisoning.tsv"
    conda:
        "../envs/fit.yaml"
    threads: 1
    params:
        settings=settings("estimate_poisoning"),
    shell:
        "fit poisoning estimate --models {input.models:q} {params.settings[flags]:q} --table {output.table:q} "
        "--out {output.answer:q} > {log:q} 2>&1"


rule plot_poisoning:
    """Draw attack success against poisoned pairs, before and after cleaning, under both objectives."""
    input:
        models="results/poisoning/models.parquet",
        answer="results/poisoning/poisoning.json",
    output:
        figure="results/poisoning/poisoning.png",
    log:
        "results/logs/plot_poisoning.log",
    benchmark:
        "results/benchmarks/plot_poisoning.tsv"
    conda:
        "../envs/fit.yaml"
    threads: 1
    params:
        settings=settings("plot_poisoning"),
    shell:
        "fit poisoning plot --models {input.models:q} --answer {input.answer:q} --out {output.figure:q} > {log:q} 2>&1"


rule poisoning:
    """How many poisoned pairs a scorer needs, and what cleaning does."""
    input:
        "results/poisoning/poisoning.json",
        "results/poisoning/poisoning.png",
