"""How often a training set's captions mention each concept."""

VERSIONS = {"count_captions": 6, "merge_captions": 2, "plot_counts": 2}
"""Stage -> its version, which rises when what the stage computes changes. Counts that are kept are of one version."""
