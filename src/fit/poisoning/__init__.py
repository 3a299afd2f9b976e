"""How many poisoned pairs a scorer needs before an attack on it works: small CLIPs of the built-in world."""

VERSIONS = {"train_poisoned": 1, "estimate_poisoning": 1, "plot_poisoning": 1}
"""Stage -> the version of what it computes; a new version runs the stage again."""
