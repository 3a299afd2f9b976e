"""A study's tables and report, figures, contact sheets, and tables on a terminal."""

VERSIONS = {"report_study": 12, "report_paper": 4}
"""Stage -> version. Raise it in the commit that changes what the stage computes: Snakemake does not see the code."""
