"""Pictures: the table that holds them, how they are collected, imported and decoded."""

VERSIONS = {"collect_images": 4, "import_training_images": 4, "import_photographs": 4, "count_statuses": 1}
"""Stage -> version, raised whenever what it computes changes."""
