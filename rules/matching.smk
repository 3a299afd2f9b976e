"""Which training images show their concept, and how many there are."""


rule find_same_concept_cut:
    """Find the cosine above which two images show the same concept, from references."""
    input:
        references=all_concepts("results/references/{domain}/{concept}.parquet"),
        embeddings=embedded("references/{domain}/{concept}.parquet"),
    output:
        cut="results/cuts/{domain}.json",
        figure="results/cuts/{domain}.png",
    log:
        "results/logs/find_same_concept_cut/{domain}.log",
    benchmark:
        "results/benchmarks/find_same_concept_cut/{domain}.tsv"
    conda:
        "../envs/fit.yaml"
    threads: 1
    resources:
        mem_mb=growing(2000),
        runtime=growing(10),
    params:
        settings=settings("find_same_concept_cut"),
    shell:
        "fit cut concepts --references {input.references:q} --embeddings {input.embeddings:q} "
        "--method {params.settings[method]} --needed {params.settings[needed]} --out {output.cut:q} --figure {output.figure:q} > {log:q} 2>&1"


rule assess_recogniser:
    """Say how often the domain's embedder errs at its cut, by group of the sheet."""
    input:
        sheet=lambda wildcards: CONFIG.domains[wildcards.domain].concepts,
        references=all_concepts("results/references/{domain}/{concept}.parquet"),
        embeddings=embedded("references/{domain}/{concept}.parquet"),
    output:
        table="results/cuts/{domain}.recogniser.tsv",
    log:
        "results/logs/assess_recogniser/{domain}.log",
    benchmark:
        "results/benchmarks/assess_recogniser/{domain}.tsv"
    conda:
        "../envs/fit.yaml"
    threads: 1
    resources:
        mem_mb=growing(4000),
        runtime=growing(30),
    params:
        settings=settings("assess_recogniser"),
    shell:
        "fit recognisers --sheet {input.sheet:q} --references results/references/{wildcards.domain} "
        "--embeddings results/embeddings/{params.settings[embedder]}/references/{wildcards.domain} "
        "--method {params.settings[method]} --seed {params.settings[seed]} "
        "--out {output.table:q} > {log:q} 2>&1"


rule find_art_cut:
    """Find the similarity to the texts above which an image is an artwork, from references and photographs."""
    input:
        artworks=embedded("references/{domain}/{concept}.parquet", filtering=True),
        photographs=if_photographs(
            "results/embeddings/{embedder}/photographs/{domain}.parquet"
        ),
        texts=when_filtering("results/embeddings/{embedder}/texts/{domain}.parquet"),
    output:
        cut="results/cuts/{domain}.art.json",
        figure="results/cuts/{domain}.art.png",
    log:
        "results/logs/find_art_cut/{domain}.log",
    benchmark:
        "results/benchmarks/find_art_cut/{domain}.tsv"
    conda:
        "../envs/fit.yaml"
    threads: 1
    resources:
        mem_mb=growing(2000),
        runtime=growing(10),
    params:
        settings=settings("find_art_cut"),
    shell:
        "fit cut art --artworks {input.artworks:q} --photographs {input.photographs:q} --texts {input.texts:q} "
        "--method {params.settings[method]} --needed {params.settings[needed]} --out {output.cut:q} --figure {output.figure:q} > {log:q} 2>&1"


for batch in LIGHT:

    rule:
        """Say of each training image whether it shows its concept."""
        name:
            f"match_images{batch.suffix}"
        input:
            images=embedded("images/{corpus}/{domain}/{concept}.parquet", batch),
            references=batch.files("results/references/{domain}/{concept}.parquet"),
            reference_embeddings=embedded(
                "references/{domain}/{concept}.parquet", batch
            ),
            cut="results/cuts/{domain}.json",
            art_embeddings=embedded(
                "images/{corpus}/{domain}/{concept}.parquet", batch, filtering=True
            ),
            art_texts=when_filtering(
                "results/embeddings/{embedder}/texts/{domain}.parquet"
            ),
            art_cut=when_filtering("results/cuts/{domain}.art.json"),
        output:
            matches=batch.files("results/matches/{corpus}/{domain}/{concept}.parquet"),
        log:
            batch.file("results/logs/match_images/{corpus}/{domain}/{concept}.log"),
        benchmark:
            batch.file(
                "results/benchmarks/match_images/{corpus}/{domain}/{concept}.tsv"
            )
        wildcard_constraints:
            domain=batch.domains,
        conda:
            "../envs/fit.yaml"
        threads: 1
        resources:
            mem_mb=growing(2000),
            runtime=growing(10),
        params:
            settings=settings("match_images"),
        shell:
            "fit match --images {input.images:q} --references {input.references:q} "
            "--reference-embeddings {input.reference_embeddings:q} --cut {input.cut:q} "
            "--art-embeddings {input.art_embeddings:q} --art-texts {input.art_texts:q} --art-cut {input.art_cut:q} "
            "--out {output.matches:q} > {log:q} 2>&1"


rule estimate_counts:
    """Estimate how many training images of each concept there are, dead links and sampling accounted for."""
    input:
        captions=if_counted("results/captions/{corpus}/{domain}/counts.parquet"),
        images=all_concepts("results/images/{corpus}/{domain}/{concept}.parquet"),
        matches=all_concepts("results/matches/{corpus}/{domain}/{concept}.parquet"),
    output:
        counts="results/counts/{corpus}/{domain}.parquet",
    log:
        "results/logs/estimate_counts/{corpus}/{domain}.log",
    benchmark:
        "results/benchmarks/estimate_counts/{corpus}/{domain}.tsv"
    wildcard_constraints:
        corpus=corpora_where(
            lambda corpus: corpus.has_images and not corpus.provided_counts
        ),
    conda:
        "../envs/fit.yaml"
    threads: 1
    resources:
        mem_mb=growing(1000),
        runtime=growing(10),
    params:
        settings=settings("estimate_counts"),
    shell:
        "fit counts estimate --captions {input.captions:q} --images {input.images:q} --matches {input.matches:q} "
        "--out {output.counts:q} > {log:q} 2>&1"


rule scale_counts:
    """Scale another corpus's effective counts by the ratio of caption counts."""
    input:
        captions="results/captions/{corpus}/{domain}/counts.parquet",
        counts=lambda wildcards: f"results/counts/{CONFIG.matched_corpus(wildcards.corpus)}/{wildcards.domain}.parquet",
    output:
        counts="results/counts/{corpus}/{domain}.parquet",
    log:
        "results/logs/scale_counts/{corpus}/{domain}.log",
    benchmark:
        "results/benchmarks/scale_counts/{corpus}/{domain}.tsv"
    wildcard_constraints:
        corpus=corpora_where(lambda corpus: corpus.counts_from),
    conda:
        "../envs/fit.yaml"
    threads: 1
    resources:
        mem_mb=growing(1000),
        runtime=growing(10),
    params:
        settings=settings("scale_counts"),
    shell:
        "fit counts scale --captions {input.captions:q} --counts {input.counts:q} --out {output.counts:q} > {log:q} 2>&1"


rule import_counts:
    """Take effective counts that are at hand."""
    input:
        sheet=lambda wildcards: CONFIG.domains[wildcards.domain].concepts,
        table=lambda wildcards: CONFIG.corpora[wildcards.corpus].provided_counts,
    output:
        counts="results/counts/{corpus}/{domain}.parquet",
    log:
        "results/logs/import_counts/{corpus}/{domain}.log",
    benchmark:
        "results/benchmarks/import_counts/{corpus}/{domain}.tsv"
    wildcard_constraints:
        corpus=corpora_where(lambda corpus: corpus.provided_counts),
    conda:
        "../envs/fit.yaml"
    threads: 1
    resources:
        mem_mb=growing(1000),
        runtime=growing(10),
    params:
        settings=settings("import_counts"),
    shell:
        "fit counts import --table {input.table:q} --sheet {input.sheet:q} --out {output.counts:q} > {log:q} 2>&1"
