"""The built-in world: invented painters, their corpus, and the models that are trained on it."""

VERSIONS = {
    "paint_world": 3,
    "train_style_encoder": 1,
    "train_art_filter": 1,
    "train_generator": 3,
    "erase_concepts": 1,
}
"""Stage -> the version of what it computes; a change of results raises it."""
