"""Reads the log of a job: how far it is, its last lines, and its remarks."""

import re
from dataclasses import dataclass, field
from pathlib import Path

from snakemake_logger_plugin_fit.stages import BARS, words_of

BAR = re.compile(r"(?:(?P<bar>[^\r\n:|]*): +)?(?P<percent>\d+)%\|")
"""A progress bar of tqdm."""
REMARK = re.compile(r"(?:^|[\r\n\]])(fit: [^\r\n]+)")
"""A message of a command to the user. It may follow a progress bar that has not ended its line."""
MOST = 4_000_000
"""Bytes of a log that are read, from its end."""
LINES = 20
"""Lines of a failed job's log that are shown."""


def _end(path: str, size: int = MOST) -> str:
    """Return the last `size` bytes of a log; nothing if it does not exist (yet)."""
    try:
        with Path(path).open("rb") as file:
            file.seek(max(0, Path(path).stat().st_size - size))
            return file.read().decode("utf-8", "replace")
    except OSError:
        return ""


@dataclass
class Job:
    """A job that runs, has finished or has failed."""

    rule: str
    logs: list[str] = field(default_factory=list)
    wildcards: dict[str, str] = field(default_factory=dict)
    started: float = 0.0

    @property
    def stage(self) -> str:
        """Its stage, in words."""
        return words_of(self.rule)

    def fraction(self) -> float:
        """Return how far it is, from 0 to 1, by the last progress bar in its log."""
        bars = list(BAR.finditer("".join(_end(log, 4000) for log in self.logs)))
        if not bars:
            return 0.0
        last = bars[-1]
        done = min(int(last["percent"]), 100) / 100
        parts = BARS.get(self.rule, {})
        start, stop = parts.get((last["bar"] or "").strip(), (0.0, 1.0))
        return start + (stop - start) * done

    def remarks(self) -> list[str]:
        """Return the lines of its logs that begin with `fit:`."""
        return [match[1].strip() for log in self.logs for match in REMARK.finditer(_end(log))]

    def tail(self) -> list[str]:
        """Return the last lines of its logs, without progress bars."""
        lines = [line for log in self.logs for line in re.split(r"[\r\n]+", _end(log))]
        remarks = (REMARK.search(line) if BAR.search(line) else None for line in lines)
        kept = (
            remark[1] if remark else "" if BAR.search(line) else line.rstrip()
            for line, remark in zip(lines, remarks, strict=True)
        )
        return [line for line in kept if line][-LINES:]

    def of_whom(self) -> str:
        """Return what the job is about: `concept ada-morrini, domain painters`."""
        first = ("concept", "model", "domain", "corpus")
        keys = sorted(self.wildcards, key=lambda key: first.index(key) if key in first else len(first))
        return ", ".join(f"{key} {self.wildcards[key]}" for key in keys)
