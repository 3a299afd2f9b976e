"""FIT, finding the imitation threshold: how many images of a concept a text-to-image model needs to imitate it.

For programs and notebooks: `fit.threshold`, `fit.count_captions`, `fit.audit`, `fit.compare` and `fit.load_study`
(docs/python.md). They are imported when they are asked for, so that `import fit` and the command line start at once.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fit.api import (
        AuditResult,
        CaptionCounts,
        Comparison,
        FitError,
        Study,
        ThresholdResult,
        audit,
        compare,
        count_captions,
        load_study,
        threshold,
    )

__all__ = [
    "AuditResult",
    "CaptionCounts",
    "Comparison",
    "FitError",
    "Study",
    "ThresholdResult",
    "audit",
    "compare",
    "count_captions",
    "load_study",
    "threshold",
]


def __getattr__(name: str) -> Any:
    """Return a name of `__all__`, from fit.api."""
    if name not in __all__:
        raise AttributeError(f"module 'fit' has no attribute {name!r}")
    value = getattr(import_module("fit.api"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
