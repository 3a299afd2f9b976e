"""The count at which resemblance jumps: estimators, their uncertainty, groups, and the answer in data and words."""

from fit.thresholds.estimators import ESTIMATORS, best_split, change_points
from fit.thresholds.report import describe, detect, measure
from fit.thresholds.scores import Scores, read_scores, read_table, sort_scores

__all__ = [
    "ESTIMATORS",
    "Scores",
    "best_split",
    "change_points",
    "describe",
    "detect",
    "measure",
    "read_scores",
    "read_table",
    "sort_scores",
]
