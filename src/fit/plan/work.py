"""The work of a study, and what a run has measured of it."""

from collections import defaultdict
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from fit.config.config import Config
from fit.errors import FitError
from fit.io.concept_tables import concepts_in
from fit.plan.rates import ATELIER_S


@dataclass(frozen=True)
class Work:
    """Jobs of one stage, for one model, embedder or corpus."""

    stage: str
    subject: str
    jobs: int
    units: float | None
    """How many `unit` they work through, None if unknown."""
    unit: str
    seconds: float
    """What one unit takes."""
    size: float
    """Bytes that one unit leaves."""
    reason: str
    """The source of `seconds` and `size`."""
    gpu: bool = False
    threads: int = 1
    measured: bool = False
    bound: bool = False
    """Whether `units` is an upper bound."""

    @property
    def hours(self) -> float:
        """Hours of one job at a time."""
        return (self.units or 0) * self.seconds / 3600

    @property
    def gpu_hours(self) -> float:
        """Hours of a GPU."""
        return self.hours if self.gpu else 0.0

    @property
    def cpu_hours(self) -> float:
        """Hours of processor cores; a job on a GPU keeps one busy."""
        return self.hours * self.threads

    @property
    def disk(self) -> float:
        """Bytes left under results/."""
        return (self.units or 0) * self.size


@dataclass
class _Measured:
    """What a run has left of a stage: seconds, units, and the bytes of the tables that it made."""

    seconds: float = 0.0
    units: int = 0
    size: int = 0


class Planner:
    """Collects the work of a study, and what a run has measured of it."""

    def __init__(self, config: Config, results: str | Path):
        self.config, self.results = config, Path(results)
        self.works: list[Work] = []
        self._found: dict[tuple[str, str, bool], _Measured] = defaultdict(_Measured)

    def add(self, place: str, made: str, counted: str | None = None, **fields: Any) -> None:
        """Add the work of a stage, and what was measured of it.

        A job's benchmark has the name of the table that it makes.

        Args:
            place: folder of its benchmarks, below results/benchmarks.
            made: folder of the tables that it makes, below results.
            counted: folder of tables whose rows are its units; None where a unit is a concept.
            fields: those of Work.
        """
        work = Work(jobs=len(self.config.partition_of(made).parts), **fields)
        self.works.append(work)
        found = self._found[work.stage, work.subject, work.gpu]
        for path in sorted((self.results / "benchmarks" / place).glob("*.tsv")):
            output = self.results / made / f"{path.stem}.parquet"
            parts = [path.stem] if counted == made else self.config.embedded_parts(counted or "", path.stem)
            units = self._rows(counted, parts) if counted else _concepts_of(output)
            if units is None or not output.is_file():
                continue
            found.seconds += _seconds(path)
            found.units += units
            found.size += output.stat().st_size

    def _rows(self, folder: str, parts: list[str]) -> int | None:
        """Return how many rows tables in a folder below results have together; None if one can't be read."""
        rows = [rows_of(self.results / folder / f"{part}.parquet") for part in parts]
        return sum(found for found in rows if found is not None) if None not in rows else None

    def once(self, stage: str) -> None:
        """Add a job of the atelier, measured or not."""
        path = self.results / "benchmarks" / f"{stage}.tsv"
        there = path.is_file()
        self.works.append(
            Work(
                stage=stage,
                subject="atelier",
                jobs=1,
                units=1,
                unit="world" if stage == "paint_world" else "model",
                seconds=_seconds(path) if there else ATELIER_S[stage],
                size=0,
                reason="its benchmark" if there else "on two cores, with the settings of config.yaml",
                threads=1 if stage == "paint_world" else 2,
                measured=there,
            )
        )

    def rated(self) -> list[Work]:
        """Return all work, with measured rates where there are any; that of several domains is added up."""
        sums: dict[tuple[str, str], Work] = {}
        for work in self.works:
            found = self._found[work.stage, work.subject, work.gpu]
            if found.units:
                work = replace(
                    work,
                    seconds=found.seconds / found.units,
                    size=found.size / found.units,
                    measured=True,
                    reason=f"of {found.units:,} {work.unit}",
                )
            key = (work.stage, work.subject)
            if key in sums:
                before = sums[key]
                units = None if before.units is None or work.units is None else before.units + work.units
                work = replace(before, jobs=before.jobs + work.jobs, units=units, bound=before.bound or work.bound)
            sums[key] = work
        return list(sums.values())


def rows_of(path: Path) -> int | None:
    """Return the number of rows of a Parquet table; None if it can't be read."""
    try:
        return pq.read_metadata(path).num_rows
    except (OSError, pa.ArrowException):
        return None


def _concepts_of(path: Path) -> int | None:
    """Return the number of concepts of a table; None if it can't be read."""
    try:
        return len(concepts_in(path))
    except FitError:
        return None


def _seconds(path: Path) -> float:
    """Return the mean seconds of a Snakemake benchmark file."""
    header, *rows = [line.split("\t") for line in path.read_text(encoding="utf-8").splitlines()]
    column = header.index("s")
    return sum(float(row[column]) for row in rows) / len(rows)
