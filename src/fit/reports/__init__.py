"""A study's tables and report, figures, contact sheets, and tables on a terminal."""

VERSIONS = {"report_study": 10, "report_paper": 3}
"""Stage -> version. Raise it in the commit that changes what the stage computes: Snakemake does not see the code."""
