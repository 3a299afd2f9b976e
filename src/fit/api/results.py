"""What the functions of the package return: numbers, a sentence, a table and a figure."""

import html
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from fit.api.tables import as_frame

if TYPE_CHECKING:
    import polars as pl
    from matplotlib.figure import Figure

    from fit.audits.verdicts import Audit
    from fit.captions.report import CountReport
    from fit.thresholds.scores import Scores

Interval = tuple[float, float] | None
"""Low and high end, in images (of a comparison: of the ratio); the value is above the low end, at most the high one."""


def drawn(draw: "Callable[[], Figure]") -> "Figure":
    """Return the figure that `draw` draws; the settings and the backend of matplotlib stay those of the program.

    `draw` imports what it draws with: fit.reports.style changes settings when it is imported.
    """
    import matplotlib.pyplot as plt

    with plt.rc_context():
        plt.rcParams["text.parse_math"] = False
        return draw()


class Result(ABC):
    """A result: it prints as its sentence, and a notebook shows its sentence and its table."""

    @property
    @abstractmethod
    def sentence(self) -> str:
        """The answer in a sentence, without a full stop."""

    @property
    @abstractmethod
    def table(self) -> "pl.DataFrame":
        """The rows behind the answer, a frame of polars."""

    def __str__(self) -> str:
        return self.sentence

    def _repr_html_(self) -> str:
        return f"<p>{html.escape(self.sentence)}</p>\n{self.table._repr_html_()}"


@dataclass(frozen=True, eq=False)
class ThresholdResult(Result):
    """The imitation threshold of a table of concepts; `fit.threshold` returns it."""

    threshold: float | None
    """Images; None if there is no threshold."""
    interval: Interval
    """Its 95 % interval; None without a threshold, or where no resample has one."""
    found: dict[str, Any] = field(repr=False)
    """All that was measured: what `fit thresholds detect --out` writes."""
    _scores: "Scores" = field(repr=False)
    _of_whom: tuple[str | None, str | None] = field(default=(None, None), repr=False)

    @property
    def sentence(self) -> str:
        """The answer in a sentence, as `fit thresholds detect` says it first."""
        from fit.thresholds.answer import sentence

        return sentence(self.found, *self._of_whom)

    @property
    def text(self) -> str:
        """All lines that `fit thresholds detect` prints."""
        from fit.thresholds.by_score import describe_by_score
        from fit.thresholds.report import describe

        return "\n".join([self.sentence, *describe(self.found), *describe_by_score(self.found)])

    @property
    def table(self) -> "pl.DataFrame":
        """The concepts, ascending in count: concept, effective_count, score, side ("below", "above"; null if none)."""
        import polars as pl

        scores = self._scores
        sides: list[str | None] = [None] * len(scores)
        if self.threshold is not None:
            sides = ["above" if count >= self.threshold else "below" for count in scores.counts]
        columns = {
            "concept": scores.concepts.tolist(),
            "effective_count": scores.counts.tolist(),
            "score": scores.scores.tolist(),
            "side": pl.Series(sides, dtype=pl.String),
        }
        return pl.DataFrame(columns)

    @property
    def estimators(self) -> "pl.DataFrame":
        """What each estimator says: estimator, threshold, low and high end of its interval, reason if it has none."""
        rows = []
        for name, answer in self.found["estimators"].items():
            low, high = answer.get("interval") or (None, None)
            rows.append({"estimator": name, "threshold": answer["threshold"], "low": low, "high": high})
            rows[-1]["reason"] = answer.get("reason")
        return as_frame(rows, ("estimator", "threshold", "low", "high", "reason"))

    def plot(self, title: str = "") -> "Figure":
        """Draw scores against counts, with the threshold and its interval: the figure of `fit thresholds plot`."""

        def draw() -> "Figure":
            from fit.reports.figures import draw_threshold

            return draw_threshold(self._scores.counts, self._scores.scores, self.found, title)

        return drawn(draw)

    def to_dict(self) -> dict[str, Any]:
        """Return all that was measured in builtins: what `fit thresholds detect --out` writes."""
        from fit.io.json_files import as_builtins

        return dict(as_builtins(self.found))


@dataclass(frozen=True, eq=False)
class CaptionCounts(Result):
    """How many captions mention each concept; `fit.count_captions` returns it."""

    captions: int
    """How many captions were read."""
    matched: "pl.DataFrame | None" = field(repr=False)
    """Captions that mention a concept, at most max_matched_captions of each: concept, shard, row, url, caption; None
    where none were asked for."""
    _report: "CountReport" = field(repr=False)

    @property
    def sentence(self) -> str:
        """How often the concepts are mentioned, in a sentence."""
        return self._report.sentence

    @property
    def table(self) -> "pl.DataFrame":
        """Captions of each concept, in the order that was given: concept, captions."""
        import polars as pl

        return pl.DataFrame(pl.from_arrow(self._report.counts.select(["concept", "captions"])))

    @property
    def names(self) -> "pl.DataFrame":
        """Captions of each name and alias: concept, name, captions, and what is doubtful about the name."""
        import polars as pl

        return pl.DataFrame(pl.from_arrow(self._report.names))

    @property
    def remarks(self) -> list[str]:
        """What is doubtful about the counts, a sentence each."""
        return self._report.remarks

    def plot(self, title: str = "") -> "Figure":
        """Draw how many concepts have how many captions: the figure of `fit captions plot`."""

        def draw() -> "Figure":
            from fit.reports.figures import draw_counts

            return draw_counts(self._report.counts.column("captions").to_numpy(), title)

        return drawn(draw)

    def to_dict(self) -> dict[str, Any]:
        """Return counts and remarks in builtins: what `fit captions count --json` prints, but the files."""
        return self._report.to_dict()


@dataclass(frozen=True, eq=False)
class AuditResult(Result):
    """Which concepts lie above a threshold; `fit.audit` returns it."""

    threshold: int | None
    """Images that the counts are compared with; None if there is no threshold."""
    interval: tuple[int, int] | None
    """Its interval; None if unknown."""
    refusal: str | None
    """Why there is no verdict; None if there are verdicts."""
    _audit: "Audit" = field(repr=False)

    @property
    def sentence(self) -> str:
        """How many concepts are above, within and below, in a sentence."""
        return self._audit.summary

    @property
    def note(self) -> str:
        """What `fit audit` prints below its table: what is expected to be wrong, what is unknown, what it is worth."""
        return self._audit.note()

    @property
    def table(self) -> "pl.DataFrame":
        """A row per concept, the largest count first, with the columns of `fit audit` (docs/audit.md)."""
        return as_frame(self._audit.rows, self._audit.columns)

    def plot(self, title: str = "") -> "Figure":
        """Draw the counts, with their intervals, beside the threshold."""

        def draw() -> "Figure":
            from fit.audits.figure import draw_audit

            return draw_audit(self._audit, title)

        return drawn(draw)

    def to_dict(self) -> dict[str, Any]:
        """Return all of it in builtins: what `fit audit --json` prints."""
        from fit.io.json_files import as_builtins

        return dict(as_builtins(self._audit.to_dict()))


@dataclass(frozen=True, eq=False)
class Comparison(Result):
    """Whether two thresholds differ; `fit.compare` returns it."""

    ratio: float | None
    """Second threshold to the first, each plus 1 image; None if no estimator finds both."""
    interval: Interval
    """95 % interval of the ratio."""
    p_value: float | None
    """Of the ratio 1."""
    found: dict[str, Any] = field(repr=False)
    """All that was measured: what `fit compare --out` writes, but the names."""
    names: tuple[str, str]
    _tables: "tuple[Scores, Scores]" = field(repr=False)

    @property
    def sentence(self) -> str:
        """The answer in a sentence."""
        from fit.comparisons.words import sentence

        return sentence(self.found, self.names)

    @property
    def table(self) -> "pl.DataFrame":
        """A row per estimator: estimator, first and second (thresholds), ratio, low, high, p_value, reason."""
        rows = []
        for name, answer in self.found["estimators"].items():
            low, high = answer.get("interval") or (None, None)
            row = {"estimator": name, "ratio": answer["ratio"], "low": low, "high": high}
            row |= {side: self.found[side]["estimators"][name]["threshold"] for side in ("first", "second")}
            rows.append(row | {key: answer.get(key) for key in ("p_value", "reason")})
        return as_frame(rows, ("estimator", "first", "second", "ratio", "low", "high", "p_value", "reason"))

    def plot(self, title: str = "") -> "Figure":
        """Draw both tables with their thresholds, and the ratio by each estimator: the figure of `fit compare`."""

        def draw() -> "Figure":
            from fit.comparisons.figure import draw_comparison

            return draw_comparison(self._tables, self.found, self.names, title)

        return drawn(draw)

    def to_dict(self) -> dict[str, Any]:
        """Return all of it in builtins: what `fit compare --out` writes."""
        from fit.io.json_files import as_builtins

        return dict(as_builtins({"names": self.names} | self.found))
