"""Writes the estimate of a study as text."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from fit.io.shown import number_of
from fit.plan.rates import amount
from fit.plan.work import Work


def _time(seconds: float) -> str:
    """Return seconds per unit, readable from nanoseconds to hours."""
    for factor, sign in ((1, "s"), (1e-3, "ms"), (1e-6, "µs")):
        if seconds >= factor:
            return f"{seconds / factor:.3g} {sign}"
    return f"{seconds / 1e-9:.3g} ns"


def _duration(hours: float) -> str:
    """Return hours as a person says them."""
    return (
        f"{hours / 24:,.1f} days"
        if hours >= 48
        else f"{hours:,.1f} hours"
        if hours >= 1
        else number_of(hours * 60, "minute")
    )


def report(works: Sequence[Work], study: str, gpus: int = 1) -> str:
    """Return the estimate as text: a row per stage and subject, totals, the time on `gpus` GPUs, what is assumed."""
    lines = [f"study {study}, from the beginning to its thresholds", "", *_table(works), ""]
    lines.append("Merging, match thresholds, tables and figures take minutes and are left out.")
    gpu_hours = sum(work.gpu_hours for work in works)
    if gpu_hours:
        lines.append(f"GPU work: {_duration(gpu_hours / gpus)} on {number_of(gpus, 'GPU')} without a pause")
    for work in works:
        if work.stage == "collect_images" and work.unit == "links" and work.units:
            most = "up to " if work.bound else ""
            lines.append(f"requests for {work.subject}: {most}{_duration(work.hours)}, one job at a time")
    assumed = [work for work in works if not work.measured]
    if assumed:
        lines += ["", "Rates that are assumed, not measured (a run leaves measured ones in results/benchmarks):"]
        lines += [f"  {work.stage}, {work.subject}: {_time(work.seconds)} each; {work.reason}" for work in assumed]
    unknown = [f"  {work.stage}, {work.subject}: the number of {work.unit}" for work in works if work.units is None]
    if unknown:
        lines += ["", "Not known, and not in the totals:", *unknown]
    if any(work.bound for work in works):
        lines += ["", "`up to`: captions are not counted yet, so max_matched_captions is assumed for every concept."]
    return "\n".join(lines)


def rows_of_works(works: Sequence[Work], study: str, gpus: int = 1) -> dict[str, Any]:
    """Return the estimate in builtins: study, rows (a Work each, with its hours and bytes), and totals."""
    rows = [
        asdict(work) | {"gpu_hours": work.gpu_hours, "cpu_hours": work.cpu_hours, "disk": work.disk} for work in works
    ]
    names = ("jobs", "gpu_hours", "cpu_hours", "disk")
    totals: dict[str, float] = {name: sum(row[name] for row in rows) for name in names}
    return {"study": study, "rows": rows, "total": totals, "gpus": gpus, "hours_on_gpus": totals["gpu_hours"] / gpus}


def _table(works: Sequence[Work]) -> list[str]:
    """Return the lines of the table: a row per stage and subject, and totals."""
    rows = [("stage", "for", "jobs", "amount", "GPU hours", "CPU hours", "disk", "rate")]
    for work in works:
        units = "?" if work.units is None else f"{'up to ' if work.bound else ''}{round(work.units):,}"
        known = work.units is not None
        rows.append(
            (
                work.stage,
                work.subject,
                f"{work.jobs:,}",
                f"{units} {work.unit}",
                f"{work.gpu_hours:,.1f}" if work.gpu and known else "",
                f"{work.cpu_hours:,.1f}" if known else "?",
                f"{amount(work.disk)}B" if work.disk else "",
                f"{_time(work.seconds)} {'measured' if work.measured else 'assumed'}",
            )
        )
    gpu_hours = sum(work.gpu_hours for work in works)
    totals = (f"{sum(work.jobs for work in works):,}", "", f"{gpu_hours:,.1f}")
    cpu_hours, disk = sum(work.cpu_hours for work in works), sum(work.disk for work in works)
    rows.append(("total", "", *totals, f"{cpu_hours:,.1f}", f"{amount(disk)}B", ""))
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    right = {2, 3, 4, 5, 6}
    lines = [
        "  ".join(
            cell.rjust(width) if i in right else cell.ljust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
    rule = "  ".join("-" * width for width in widths)
    return [lines[0], rule, *lines[1:-1], rule, lines[-1]]
