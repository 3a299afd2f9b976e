from snakemake.utils import min_version

min_version("9.0")


configfile: "config.yaml"


include: "workflow/common.smk"
include: "workflow/inputs.smk"
include: "workflow/check.smk"
include: "workflow/answer.smk"


rule all:
    input:
        looked_at(CONFIG.default_study),
        lambda wildcards: study_files(CONFIG.default_study),


include: "rules/captions.smk"
include: "rules/images.smk"
include: "rules/references.smk"
include: "rules/embeddings.smk"
include: "rules/matches.smk"
include: "rules/counts.smk"
include: "rules/generated.smk"
include: "rules/scores.smk"
include: "rules/thresholds.smk"
include: "rules/alternatives.smk"
include: "rules/sensitivity.smk"
include: "rules/missed.smk"
include: "rules/defences.smk"
include: "rules/erasing.smk"
include: "rules/reports.smk"
include: "rules/explorer.smk"
include: "rules/targets.smk"


if CONFIG.atelier:

    include: "rules/atelier.smk"


if CONFIG.copies:

    include: "rules/copies.smk"


if has_copies_world(CONFIG):

    include: "rules/copies_atelier.smk"


if CONFIG.attacks:

    include: "rules/attacks.smk"


if TRUTH_RUNS:

    include: "rules/truth.smk"


if CONFIG.poisoning:

    include: "rules/poisoning.smk"


if CONFIG.attacks and CONFIG.poisoning and has_copies_world(CONFIG):

    include: "rules/beyond.smk"
