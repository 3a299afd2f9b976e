from snakemake.utils import min_version

min_version("9.0")


configfile: "config.yaml"


include: "workflow/common.smk"
include: "workflow/check.smk"


rule all:
    input:
        looked_at(CONFIG.default_study),
        study_files(CONFIG.default_study),


include: "rules/targets.smk"
include: "rules/atelier.smk"
include: "rules/captions.smk"
include: "rules/images.smk"
include: "rules/embeddings.smk"
include: "rules/matching.smk"
include: "rules/generation.smk"
include: "rules/scoring.smk"
include: "rules/thresholds.smk"
include: "rules/alternatives.smk"
include: "rules/sensitivity.smk"
