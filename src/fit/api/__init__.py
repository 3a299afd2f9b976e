"""The package for programs and notebooks: what `import fit` gives (docs/python.md)."""

from fit.api.functions import audit, compare, count_captions, threshold
from fit.api.results import AuditResult, CaptionCounts, Comparison, ThresholdResult
from fit.api.study import Study, load_study
from fit.errors import FitError

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
