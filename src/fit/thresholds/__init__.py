"""The count at which resemblance jumps: estimators, their uncertainty, groups, and the answer in data and words."""

VERSIONS = {"detect_threshold": 12, "plot_threshold": 8, "plot_by_score": 2, "draw_contact_sheet": 3}
"""Stage -> version. Raise it in the commit that changes what the stage computes: Snakemake does not see the code."""
