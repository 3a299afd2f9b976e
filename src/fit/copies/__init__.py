"""Copies: which prompts make a model paint a training image again, and what drives that."""

VERSIONS = {
    "choose_prompts": 1,
    "generate_copies": 1,
    "measure_guidance": 1,
    "find_copies": 1,
    "paint_copies": 1,
    "train_copies": 1,
    "compare_copies": 1,
}
"""Stage -> the version of what it computes; a new version runs the stage again."""
