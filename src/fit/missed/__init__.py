"""The caption assumption: how many training images show a concept although their captions do not name it."""

VERSIONS = {"sample_unnamed": 1, "measure_missed": 2, "count_missed": 2}
"""Stage -> the version of what it computes; a new version runs the stage again."""
