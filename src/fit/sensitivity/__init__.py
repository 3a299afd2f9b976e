"""How much each choice moves the threshold, and the concepts that defy it."""

VERSIONS = {"rescore_imitation": 2, "measure_sensitivity": 4, "list_outliers": 2}
"""Stage -> the version of what it computes; a new version runs the stage again."""
