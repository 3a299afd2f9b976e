"""The Python interface, for mkdocstrings: which objects the page shows."""

import fit

ROOMS = {
    "Captions": ("fit.captions.count.count_captions", "fit.captions.merge.merge_counts"),
    "Effective counts": ("fit.counts.estimate.effective_count", "fit.counts.corrected.corrected_count"),
    "Match thresholds": ("fit.matches.threshold.find_match_threshold", "fit.matches.verification.error_rates"),
    "Scores": ("fit.scores.imitation.imitation_score", "fit.scores.targets.choose_targets"),
    "Thresholds": (
        "fit.thresholds.report.detect",
        "fit.thresholds.report.measure",
        "fit.thresholds.report.describe",
        "fit.thresholds.answer.sentence",
        "fit.thresholds.scores.read_scores",
    ),
    "Errors": ("fit.errors.FitError",),
}
"""Heading -> functions of the rooms behind the commands, which a script may call."""


def python_interface() -> str:
    """What `import fit` offers, and the functions of rooms."""
    lines = []
    if public := getattr(fit, "__all__", ()):
        lines += ["## import fit", ""]
        lines += [f"::: fit.{name}\n" for name in public]
    for heading, objects in ROOMS.items():
        lines += [f"## {heading}", "", *(f"::: {name}\n" for name in objects)]
    return "\n".join(lines)
