"""Whether the estimated threshold is the true one: the same painters, trained with more and with fewer images."""

VERSIONS = {
    "paint_truth_world": 1,
    "plan_truth_pruning": 1,
    "prune_truth_world": 1,
    "train_truth_encoder": 1,
    "train_truth_generator": 1,
    "measure_truth": 2,
    "gather_truth": 1,
    "estimate_truth": 2,
    "plot_truth": 2,
}
"""Stage -> the version of what it computes; a new version runs the stage again."""
