"""Pictures: the table that holds them, how they are collected, imported and decoded."""

VERSIONS = {"collect_images": 3, "import_training_images": 3, "import_photographs": 3}
"""Stage -> version, raised whenever what it computes changes."""
