"""The explorer: one page on which a study is understood, and the datasheet that can be handed over."""

VERSIONS = {"select_pictures": 1, "gather_study": 4, "build_explorer": 4}
"""Stage -> version. Raise it in the commit that changes what the stage computes: Snakemake does not see the code."""
