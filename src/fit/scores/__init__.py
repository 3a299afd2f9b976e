"""How closely generated pictures resemble their concept."""

VERSIONS = {"score_imitation": 4, "gather_pictures": 1, "score_null": 1, "tabulate_scores": 6}
"""Stage -> the version of what it computes; a new version runs the stage again."""
