"""Pictures: the table that holds them, how they are collected, imported and decoded."""

VERSIONS = {"collect_images": 2, "import_training_images": 2, "import_photographs": 2}
"""Stage -> version, raised whenever what it computes changes."""
