"""Which training images show their concept."""

VERSIONS = {"find_match_threshold": 6, "find_art_threshold": 4, "verify_embedder": 2, "find_matches": 2}
"""Stage -> the version of what it computes; a new version runs the stage again."""
