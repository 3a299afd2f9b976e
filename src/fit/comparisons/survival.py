"""Whether the jump of a table that is compared survives where the score can't rise by itself."""

from collections.abc import Sequence

from fit.io.user_tables import Source
from fit.thresholds.by_score import measure_by_score
from fit.thresholds.report import measure
from fit.thresholds.scores import Scores

RESAMPLES = 199
"""Of the tests: a table is only asked whether its jump survives."""
ESTIMATORS = ("one_change",)
"""That find the headline of these tests."""


def why_lost(source: Source, table: Scores, penalty: float, seed: int) -> str | None:
    """Say why the jump of a table's published score does not survive (fit.thresholds.by_score); None if it does.

    Args:
        source: of the table; without columns of other scores, nothing is known, and it is None.
        table: what fit.thresholds.scores.read_table found in it.
        penalty: of PELT.
        seed: of the tests.
    """
    found = measure(table, penalty=penalty, resamples=RESAMPLES, seed=seed, estimators=ESTIMATORS)
    by_score = measure_by_score(
        source, table, found, penalty=penalty, resamples=RESAMPLES, seed=seed, estimators=ESTIMATORS
    )
    return by_score["warning"] if by_score else None


def remarks_on(
    sources: Sequence[Source], tables: Sequence[Scores], names: Sequence[str], penalty: float, seed: int
) -> list[str]:
    """Return a remark on each table whose published score has a jump that does not survive.

    Args:
        sources, tables: of why_lost, K of them.
        names: [K] of the tables.
        penalty, seed: of why_lost.
    """
    found = [why_lost(source, table, penalty, seed) for source, table in zip(sources, tables, strict=True)]
    return [
        f"{name} has no imitation threshold: the published score jumps, but {why}"
        for name, why in zip(names, found, strict=True)
        if why
    ]
