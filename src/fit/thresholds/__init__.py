"""The count at which resemblance jumps: estimators, their uncertainty, groups, and the answer in data and words."""

from importlib import import_module
from typing import Any

VERSIONS = {"detect_threshold": 4, "plot_threshold": 5, "draw_contact_sheet": 2}
"""Stage -> version. Raise it in the commit that changes what the stage computes: Snakemake does not see the code."""

_WHERE = {
    "ESTIMATORS": "estimators",
    "best_split": "estimators.one_change",
    "change_points": "estimators.pelt",
    **dict.fromkeys(("describe", "detect", "measure"), "report"),
    **dict.fromkeys(("Scores", "read_scores", "read_table", "sort_scores"), "scores"),
}
"""Name of what this package offers -> its module, which is imported only when the name is asked for."""


def __getattr__(name: str) -> Any:
    if name not in _WHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_WHERE[name]}"), name)
