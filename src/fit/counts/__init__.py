"""How many training images of a concept there are."""

VERSIONS = {"estimate_counts": 5, "scale_counts": 3, "import_counts": 1}
"""Stage -> the version of what it computes; a new version runs the stage again."""
