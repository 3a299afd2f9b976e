"""The stages of a study in words, in the order that data flows, and the rules of each."""

STAGES: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("painting the built-in world", ("paint_world",)),
    ("training the style encoder and the art filter", ("train_style_encoder", "train_art_filter")),
    ("training the generator", ("train_generator",)),
    ("painting worlds that differ in counts only", ("paint_truth_world", "plan_truth_pruning", "prune_truth_world")),
    ("training models to find the truth with", ("train_truth_encoder", "train_truth_generator")),
    ("erasing concepts", ("erase_concepts",)),
    ("counting captions", ("count_captions", "merge_captions", "plot_counts")),
    ("collecting training images", ("collect_images", "import_training_images", "count_statuses")),
    (
        "collecting references",
        (
            *("collect_references", "import_photographs", "select_references", "draw_references"),
            "count_candidates",
        ),
    ),
    ("generating pictures", ("generate_images", "import_generated", "draw_generated")),
    (
        "attacking models",
        (
            *("rank_words", "find_prefix", "plan_attacks", "score_attack", "tabulate_attacks"),
            *("compare_attacks", "plot_attacks"),
        ),
    ),
    ("embedding images", ("embed_images", "embed_art_texts")),
    (
        "counting training images that match",
        (
            *("find_match_threshold", "find_art_threshold", "verify_embedder", "find_matches"),
            *("estimate_counts", "scale_counts", "import_counts"),
        ),
    ),
    ("scoring the imitation", ("score_imitation", "gather_pictures", "score_null", "tabulate_scores")),
    ("finding the threshold", ("detect_threshold", "plot_threshold", "plot_by_score", "draw_contact_sheet")),
    (
        "scoring in other ways",
        ("embed_prompts", "score_alternatives", "tabulate_alternative", "detect_alternative", "plot_alternative"),
    ),
    ("measuring how sensitive the threshold is", ("rescore_imitation", "measure_sensitivity", "list_outliers")),
    (
        "looking for images that captions miss",
        ("sample_unnamed", "collect_unnamed", "measure_missed", "count_missed"),
    ),
    (
        "comparing estimates with the truth",
        ("measure_truth", "gather_truth", "estimate_truth", "plot_truth"),
    ),
    ("comparing models with their base", ("measure_defence", "plot_defence")),
    ("painting duplicates, and training a model on them", ("paint_copies", "train_copies")),
    (
        "looking for copies of training images",
        ("choose_prompts", "generate_copies", "measure_guidance", "find_copies", "compare_copies"),
    ),
    ("poisoning scorers on purpose", ("train_poisoned", "estimate_poisoning", "plot_poisoning")),
    ("writing the report", ("report_study", "report_paper")),
    ("laying out the explorer", ("select_pictures", "gather_study", "build_explorer")),
)
"""(words of a stage, names of its rules)."""

MILESTONES = (
    *("all", "counts", "scores", "thresholds", "references", "generated"),
    *("verification", "alternatives", "sensitivity", "missed", "defences", "paper", "explorer"),
    *("truth", "truth_pruning", "copies", "copies_atelier", "attacks", "poisoning", "beyond"),
)
"""Rules that only gather files: they are not a stage."""

_OF_GENERATOR = {"autoencoder": (0.0, 0.25), "generator": (0.25, 1.0)}
BARS = {"train_generator": _OF_GENERATOR, "train_truth_generator": _OF_GENERATOR, "train_copies": _OF_GENERATOR}
"""Rule with several progress bars, one after another -> description of a bar -> its part of the job."""


def words_of(rule: str) -> str:
    """Return the stage of a rule, in words; of a rule that is not known, its name in words."""
    return next((words for words, rules in STAGES if rule in rules), rule.replace("_", " "))


def order(names: list[str]) -> list[str]:
    """Return the stages of rules in words, each once, in the order that data flows; unknown ones come last."""
    wanted = {words_of(name) for name in names if name not in MILESTONES}
    known = [words for words, _ in STAGES if words in wanted]
    return known + sorted(wanted - set(known))
