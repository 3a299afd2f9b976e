"""Which training images show their concept."""

VERSIONS = {"find_match_threshold": 3, "find_art_threshold": 3, "verify_embedder": 1, "find_matches": 1}
"""Stage -> the version of what it computes; a new version runs the stage again."""
