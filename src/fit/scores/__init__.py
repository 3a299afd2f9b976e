"""How closely generated pictures resemble their concept."""

VERSIONS = {"score_imitation": 3, "tabulate_scores": 4}
"""Stage -> the version of what it computes; a new version runs the stage again."""
