"""The stages of a study in words, in the order that data flows, and the rules of each."""

STAGES: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("painting the built-in world", ("paint_world",)),
    ("training the models that recognise", ("train_style_encoder", "train_art_filter")),
    ("training the generator", ("train_generator",)),
    ("counting captions", ("count_captions", "merge_captions", "plot_counts")),
    ("collecting training images", ("collect_images", "import_training_images")),
    ("collecting references", ("collect_references", "import_photographs", "select_references", "draw_references")),
    ("generating pictures", ("generate_images", "import_generated", "draw_generated")),
    (
        "embedding images",
        ("embed_training_images", "embed_references", "embed_generated", "embed_photographs", "embed_art_texts"),
    ),
    (
        "counting training images that match",
        (
            *("find_same_concept_cut", "find_art_cut", "match_images"),
            *("estimate_counts", "scale_counts", "import_counts", "assess_recogniser"),
        ),
    ),
    ("scoring the imitation", ("score_imitation", "tabulate_scores")),
    ("finding the threshold", ("detect_threshold", "plot_threshold", "draw_contact_sheet")),
    (
        "scoring in other ways",
        ("embed_prompts", "score_otherwise", "tabulate_alternative", "detect_alternative", "plot_alternative"),
    ),
    ("measuring how sensitive the threshold is", ("rescore_imitation", "measure_sensitivity", "list_outliers")),
    ("writing the report", ("report_study",)),
)
"""(words of a stage, names of its rules). A rule that is declared for each batch has the batch behind its name."""

MILESTONES = (
    *("all", "counts", "scores", "thresholds", "references", "generated"),
    *("recognisers", "other_scores", "sensitivity", "paper"),
)
"""Rules that only gather files: they are no stage."""

BARS = {"train_generator": {"autoencoder": (0.0, 0.25), "generator": (0.25, 1.0)}}
"""Rule with several progress bars, one after another -> description of a bar -> which part of the job it is of."""


def rule_of(name: str) -> str:
    """The rule that a job's rule is declared by: `embed_generated` of `embed_generated_painters_000`."""
    known = [rule for _, rules in STAGES for rule in rules if name == rule or name.startswith(f"{rule}_")]
    return max(known, key=len, default=name)


def words_of(name: str) -> str:
    """The stage of a rule, in words; of one that is not known, its name in words."""
    rule = rule_of(name)
    return next((words for words, rules in STAGES if rule in rules), rule.replace("_", " "))


def order(names: list[str]) -> list[str]:
    """Words of the stages of rules, each once, in the order that data flows; those not known come last."""
    wanted = {words_of(name) for name in names if name not in MILESTONES}
    known = [words for words, _ in STAGES if words in wanted]
    return known + sorted(wanted - set(known))
