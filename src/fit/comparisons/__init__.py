"""Whether two thresholds differ: of two models, checkpoints, scores or domains."""
