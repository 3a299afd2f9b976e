"""What a change of a model does to its pictures of concepts: read in images, on the unchanged model's own curve."""

VERSIONS = {"measure_defence": 1, "plot_defence": 1}
"""Stage -> the version of what it computes; a new version runs the stage again."""
