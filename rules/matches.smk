"""The match threshold; which training images show their concept; how often the embedder errs."""


rule find_match_threshold:
    """Find the cosine above which two images show the same concept, from references."""
    input:
        references=tables("references/{domain}"),
        embeddings=embeddings("references/{domain}/candidates"),
    output:
        threshold="results/matches/{domain}.threshold.json",
        figure=report(
            "results/matches/{domain}.threshold.png",
            caption="../workflow/report/match_threshold.rst",
            category="Calibration",
            subcategory="{domain}",
            labels={"domain": "{domain}", "shows": "match threshold"},
        ),
    log:
        "results/logs/find_match_threshold/{domain}.log",
    benchmark:
        "results/benchmarks/find_match_threshold/{domain}.tsv"
    conda:
        "../envs/fit.yaml"
    threads: 1
    resources:
        mem_mb=growing(2000),
    params:
        settings=settings("find_match_threshold"),
    shell:
        "fit matches threshold --references {input.references:q} --embeddings {input.embeddings:q} {params.settings[flags]:q} "
        "--out {output.threshold:q} --figure {output.figure:q} > {log:q} 2>&1"


rule find_art_threshold:
    """Find the similarity to the texts above which an image is an artwork, from references and photographs."""
    input:
        artworks=by_art_filter("references/{domain}/candidates"),
        photographs=branch(has_photographs, then=of_art_filter("photographs/{domain}/all")),
        texts=of_art_filter("texts/{domain}"),
    output:
        threshold="results/matches/{domain}.art.json",
        figure=report(
            "results/matches/{domain}.art.png",
            caption="../workflow/report/art_threshold.rst",
            category="Calibration",
            subcategory="{domain}",
            labels={"domain": "{domain}", "shows": "threshold of the art filter"},
        ),
    log:
        "results/logs/find_art_threshold/{domain}.log",
    benchmark:
        "results/benchmarks/find_art_threshold/{domain}.tsv"
    conda:
        "../envs/fit.yaml"
    threads: 1
    resources:
        mem_mb=growing(2000),
    params:
        settings=settings("find_art_threshold"),
    shell:
        "fit matches art-threshold --artworks {input.artworks:q} --photographs {input.photographs:q} "
        "--texts {input.texts:q} {params.settings[flags]:q} --out {output.threshold:q} --figure {output.figure:q} > {log:q} 2>&1"


rule find_matches:
    """Say whether each training image shows its concept."""
    input:
        images=embeddings("images/{corpus}/{domain}"),
        references=tables("references/{domain}"),
        reference_embeddings=embeddings("references/{domain}/candidates"),
        threshold="results/matches/{domain}.threshold.json",
        art_embeddings=by_art_filter("images/{corpus}/{domain}"),
        art_texts=branch(art_filter_of, then=of_art_filter("texts/{domain}")),
        art_threshold=branch(art_filter_of, then="results/matches/{domain}.art.json"),
    output:
        matches="results/matches/{corpus}/{domain}/{part}.parquet",
    log:
        "results/logs/find_matches/{corpus}/{domain}/{part}.log",
    benchmark:
        "results/benchmarks/find_matches/{corpus}/{domain}/{part}.tsv"
    conda:
        "../envs/fit.yaml"
    threads: 1
    resources:
        mem_mb=growing(2000),
    params:
        settings=settings("find_matches", concepts=concepts_of("matches/{corpus}/{domain}")),
    shell:
        "fit matches find --concepts {params.settings[concepts]:q} --images {input.images:q} "
        "--references {input.references:q} --reference-embeddings {input.reference_embeddings:q} "
        "--match-threshold {input.threshold:q} --art-embeddings {input.art_embeddings:q} "
        "--art-texts {input.art_texts:q} --art-threshold {input.art_threshold:q} --out {output.matches:q} > {log:q} 2>&1"


rule verify_embedder:
    """Say how often the domain's embedder errs at its match threshold, by group of the sheet."""
    input:
        sheet=sheet_of,
        references=tables("references/{domain}"),
        embeddings=embeddings("references/{domain}/candidates"),
    output:
        table="results/matches/{domain}.verification.tsv",
    log:
        "results/logs/verify_embedder/{domain}.log",
    benchmark:
        "results/benchmarks/verify_embedder/{domain}.tsv"
    conda:
        "../envs/fit.yaml"
    threads: 1
    resources:
        mem_mb=growing(4000),
        runtime=growing(30),
    params:
        settings=settings("verify_embedder"),
    shell:
        "fit matches verify --sheet {input.sheet:q} --references {input.references:q} "
        "--embeddings results/embeddings/{params.settings[embedder]}/references/{wildcards.domain}/candidates "
        "{params.settings[flags]:q} --out {output.table:q} > {log:q} 2>&1"
