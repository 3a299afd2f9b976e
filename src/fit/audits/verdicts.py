"""Which concepts lie above a measured threshold, how likely that is, and how many verdicts are expected to be wrong.

Nothing is measured here: counts are compared with a threshold, and the uncertainty of both is taken into account. Where
something is unknown, the result says so.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from fit.audits.counts import ConceptCount
from fit.audits.likelihood import HighScores, probability_of_reaching
from fit.audits.threshold import Threshold
from fit.io.escaping import delimited
from fit.io.files import atomic_write
from fit.io.shown import number_of

NOT_SHOWN = (
    "That a concept is below does not show that no model imitates it; that it is above does not show that one does. It "
    "says nothing about rights."
)
"""What no comparison with a threshold shows."""
STATEMENT = (
    "This compares counts with one measured threshold. It speaks of imitation by this study's score, for its model and "
    f"its corpus, on the assumptions of its method (docs/audit.md). {NOT_SHOWN}"
)
"""Printed with every audit, and written beside its files."""

COLUMNS = ("concept", "verdict", "count", "low", "high", "by", "p_above")
SCORE_COLUMNS = ("p_high", "p_high_low", "p_high_high")
LAST_COLUMNS = ("to_remove", "reason")
PLAN_COLUMNS = ("planned", "matching", "left")
VERDICTS = ("above", "within", "below", "unknown", "refused")
CONFIDENCE = 0.95


@dataclass
class Audit:
    """A row per concept, the largest counts first, and remarks on them."""

    threshold: Threshold
    rows: list[dict[str, Any]]
    expected: list[str] = field(default_factory=list)
    """How many verdicts are expected to be wrong, in words."""
    remarks: list[str] = field(default_factory=list)
    high_score: float | None = None
    """A score above this is high; None if no scores were given."""

    @property
    def columns(self) -> tuple[str, ...]:
        """Return the names of the columns: those on scores and on a plan only where they are known."""
        names = COLUMNS + SCORE_COLUMNS * any("p_high" in row for row in self.rows) + LAST_COLUMNS
        return names + PLAN_COLUMNS * any("planned" in row for row in self.rows)

    def table(self) -> str:
        """Return the rows as tab-separated text; an unknown value is an empty cell."""
        columns = self.columns
        return delimited([columns, *([row.get(column, "") for column in columns] for row in self.rows)])

    def note(self) -> str:
        """Return the threshold, how many concepts lie where, what is unknown, and STATEMENT, as text."""
        return "\n".join([str(self.threshold), self.summary, *self.expected, *self.remarks, STATEMENT]) + "\n"

    @property
    def summary(self) -> str:
        """Say how many concepts have which verdict, or why none has one; without a full stop."""
        if self.threshold.refusal:
            return f"{number_of(len(self.rows), 'concept')}, no verdict: {self.threshold.refusal}"
        verdicts = [row["verdict"] for row in self.rows]
        return (
            f"{number_of(len(self.rows), 'concept')}: "
            f"{', '.join(f'{verdicts.count(one)} {one}' for one in VERDICTS[:4])}"
        )

    def to_dict(self) -> dict[str, Any]:
        """Return all of it in builtins: threshold, rows (as `table` has them, null where unknown), and the note."""
        threshold = self.threshold
        return {
            "threshold": threshold.images,
            "interval": [threshold.low, threshold.high] if threshold.has_interval else None,
            "refusal": threshold.refusal,
            "verdicts": {verdict: sum(row["verdict"] == verdict for row in self.rows) for verdict in VERDICTS},
            "high_score": self.high_score,
            "rows": [{name: row.get(name) for name in self.columns} for row in self.rows],
            "expected": self.expected,
            "remarks": self.remarks,
            "statement": STATEMENT,
        }


def some(concepts: Sequence[str]) -> str:
    """Return the first names, and how many more there are."""
    rest = len(concepts) - 5
    return ", ".join(concepts[:5]) + (f" and {rest} more" if rest > 0 else "")


def _row(of: ConceptCount, threshold: Threshold) -> dict[str, Any]:
    row: dict[str, Any] = {"concept": of.concept, "verdict": "unknown", "reason": "no count"}
    if of.count is None:
        return row
    row |= {"count": of.count}
    if of.low is not None and of.high is not None:
        row |= {"low": of.low, "high": of.high}
    if threshold.refusal:
        return row | {"verdict": "refused", "reason": threshold.refusal}
    verdict = threshold.place(of.count)
    by = {"below": threshold.low + 1 - of.count, "above": of.count - threshold.high + 1, "within": 0}[verdict]
    row |= {"verdict": verdict, "by": by, "reason": ""}
    if threshold.low >= 0:
        row["to_remove"] = max(0, (of.most or 0) - threshold.low)
    return row


def _rounded(probability: float) -> float:
    return round(probability, 3)


def _expected_wrong(verdicts: Sequence[str], reached: np.ndarray) -> str | None:
    """Say how many verdicts are expected to be wrong about the side of the threshold.

    Args:
        verdicts: [N].
        reached: [N, Q] P(count >= threshold) for each of the threshold's quantiles.
    """
    above, below = (np.array([verdict == side for verdict in verdicts]) for side in ("above", "below"))
    given = int(above.sum() + below.sum())
    if not given:
        return None
    # All verdicts are compared with one threshold: they go wrong together.
    wrong = (1 - reached[above]).sum(axis=0) + reached[below].sum(axis=0)
    tail = (1 - CONFIDENCE) / 2
    few, many = np.quantile(wrong, [tail, 1 - tail])
    return (
        f"Of the {given} verdicts above or below, {wrong.mean():.1f} are expected to be wrong about the side of the "
        f"threshold ({few:.1f} to {many:.1f}, as the threshold lies here or there in its distribution)."
    )


def _expected_scores(rows: Sequence[dict[str, Any]]) -> list[str]:
    said = []
    for side, what in (("above", "low"), ("below", "high")):
        chances = [row["p_high"] for row in rows if row["verdict"] == side and "p_high" in row]
        wrong = sum(1 - chance if side == "above" else chance for chance in chances)
        if chances:
            said.append(
                f"Of the {number_of(len(chances), 'concept')} {side}, {wrong:.1f} are expected to have a {what} score."
            )
    return said


def _remarks(ordered: Sequence[ConceptCount], threshold: Threshold, skipped: int, of_captions: bool) -> list[str]:
    remarks = []
    if of_captions:
        remarks.append(
            "These are counts of captions, not effective counts: how many of their images show the concept is not "
            "known, and a threshold is in images. `fit counts estimate` makes effective counts."
        )
    remarks += threshold.remarks
    if not threshold.has_interval and not threshold.refusal:
        remarks.append(
            "The threshold has no interval: how far off it may be is not known, so no verdict is sure, and no "
            "probability is given."
        )
    if threshold.low < 0 and not threshold.refusal:
        remarks.append("The threshold is 0 images: no count is below it, so nothing can be pruned to be.")
    if threshold.low == 0 and not threshold.refusal:
        remarks.append("The threshold may be as low as 1 image: only a concept without any image is below it.")
    if unknown := [of.concept for of in ordered if of.count is None]:
        remarks.append(f"No count, so no verdict: {some(unknown)}.")
    if bare := [of.concept for of in ordered if of.count is not None and of.high is None]:
        remarks.append(f"A count without an interval, taken as exact: {some(bare)}.")
    if skipped:
        remarks.append(f"In no count: {number_of(skipped, 'row')} of the corpus that could not be read.")
    return remarks


def audit(
    counted: Sequence[ConceptCount],
    threshold: Threshold,
    skipped: int = 0,
    of_captions: bool = False,
    scores: HighScores | None = None,
) -> Audit:
    """Compare counts with a threshold.

    Args:
        counted: the counts.
        threshold: what they are compared with.
        skipped: rows of the corpus that the counts leave out.
        of_captions: whether the counts are of captions.
        scores: of the study; None if unknown.

    Returns:
        A row per concept: verdict (below, within the threshold's interval, above, unknown without a count, or refused),
        by how many images it is beyond the nearer end of the interval, p_above: P(count >= threshold), from the
        threshold's quantiles and the count's interval; with `scores` p_high: P(score is high | count), and its
        interval; how many images must go for the high end of the count to be below the threshold's interval; and the
        reason where there is no verdict.
    """
    ordered = sorted(counted, key=lambda of: (-1 if of.count is None else of.count, of.concept), reverse=True)
    rows = [_row(of, threshold) for of in ordered]
    remarks = _remarks(ordered, threshold, skipped, of_captions)
    found = Audit(threshold, rows, remarks=remarks)
    judged = [(row, of) for row, of in zip(rows, ordered, strict=True) if "by" in row]
    if not judged:
        return found
    if threshold.quantiles:
        counts, lows, highs = ([row.get(name) for row, _ in judged] for name in ("count", "low", "high"))
        reached = probability_of_reaching([int(count or 0) for count in counts], lows, highs, threshold.quantiles)
        for (row, _), chance in zip(judged, reached.mean(axis=1), strict=True):
            row["p_above"] = _rounded(float(chance))
        found.expected += [text for text in [_expected_wrong([row["verdict"] for row, _ in judged], reached)] if text]
    if scores:
        for row, of in judged:
            chances = (_rounded(chance) for chance in scores.probability(of.concept, row["count"]))
            row |= zip(SCORE_COLUMNS, chances, strict=True)
        found.expected += _expected_scores(rows)
        found.high_score = scores.level
        found.remarks.append(
            f"A score is high above {scores.level:.3f}, the middle of the mean scores below and above the threshold."
        )
    return found


def write_audit(found: Audit, table: str | Path | None = None, plan_out: str | None = None) -> None:
    """Write the table to the path `table`, and the note beside it and beside the plan, as .txt."""
    files = {f"{table}.txt": found.note(), str(table): found.table()} if table else {}
    if plan_out:
        files[f"{plan_out}.txt"] = found.note()
    for path, text in files.items():
        with atomic_write(path) as part:
            part.write_text(text, encoding="utf-8")
