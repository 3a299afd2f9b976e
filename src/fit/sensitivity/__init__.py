"""How much each choice moves the threshold, and the concepts that defy it."""

VERSIONS = {"rescore_imitation": 3, "measure_sensitivity": 8, "list_outliers": 4}
"""Stage -> the version of what it computes; a new version runs the stage again."""
