"""A logger of Snakemake that shows the stages of a study instead of each job; Snakemake's own log stays in a file.

Snakemake finds it by the name of this package. profiles/default asks for it; `--logger-fit-plain` gives Snakemake's own
log back. Dry runs, --verbose, --printshellcmds and --debug-dag always show that.
"""

import contextlib
import logging
import re
import shutil
import sys
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from snakemake_interface_logger_plugins.base import LogHandlerBase
from snakemake_interface_logger_plugins.common import LogEvent
from snakemake_interface_logger_plugins.settings import LogHandlerSettingsBase

from snakemake_logger_plugin_fit.jobs import LINES, Job
from snakemake_logger_plugin_fit.stages import MILESTONES, order, words_of

MOST_REMARKS = 10
MOST_WARNINGS = 10
MOST_FAILURES = 3
"""Failed jobs that are shown with the end of their logs."""
MOST_NAMED = 10
"""Failed jobs beyond those that are named, in a line each."""
LONGEST = 40
"""Lines of one message."""
CHATTER = (
    *("Building DAG", "Using shell", "Conda environments: ignored", "Singularity containers: ignored"),
    *("Group jobs: inactive", "Complete log(s)", "Elapsed time", "Assuming unrestricted", "host:", "Select jobs"),
    *("Shutting down", "WorkflowError:\nAt least one job did not complete", "At least one job did not complete"),
)
"""Beginnings of Snakemake's messages about itself, which do not help a user."""

answer: Callable[[], Iterable[str]] | None = None
"""Returns what the workflow says if nothing is to be done; Snakemake calls no handler of success then."""
explained: Callable[[str], str] | None = None
"""Returns what is said of a target that no rule makes, in place of Snakemake's message."""
NO_RULE = re.compile(r"MissingRuleException\b.*\nNo rule to produce (.+?) \(if you use input")


@dataclass
class LogHandlerSettings(LogHandlerSettingsBase):
    """Settings of the logger, as `--logger-fit-...`."""

    plain: bool = field(
        default=False,
        metadata={"help": "Show Snakemake's own log, every job of it, instead of stages.", "env_var": False},
    )


def number_of(number: int, noun: str) -> str:
    """Return a number and its noun, as fit.io.shown does: Snakemake imports this plugin also where fit is not."""
    return f"{number} {noun}{'s' * (number != 1)}"


def duration(seconds: float) -> str:
    """Return seconds in words: `40 seconds`, `3 minutes`, `2.5 hours`."""
    if seconds < 90:
        return number_of(max(1, round(seconds)), "second")
    return f"{seconds / 60:.0f} minutes" if seconds < 5400 else f"{seconds / 3600:.1f} hours"


@dataclass
class Stage:
    """How far a stage is."""

    number: int
    words: str
    jobs: int = 0
    done: int = 0
    started: float = 0.0


class LogHandler(LogHandlerBase):
    """Shows stages on one line that changes, or, if the output is not a terminal, a line when each begins and ends."""

    def __post_init__(self) -> None:
        common = self.common_settings
        self.stream = sys.stdout if common.stdout else sys.stderr
        asked = getattr(self.settings, "plain", False) or common.verbose or common.debug_dag or common.printshellcmds
        self.plain = self._snakemakes() if asked or common.dryrun else None
        self.live = bool(getattr(self.stream, "isatty", lambda: False)())
        self.quiet = {str(getattr(kind, "name", kind)).lower() for kind in common.quiet or ()}
        self.jobs: dict[int, Job] = {}
        self.running: dict[int, Job] = {}
        self.stages: dict[str, Stage] = {}
        self.remarks: dict[str, None] = {}
        self.warnings = self.failures = self.finished = 0
        self.begun = 0.0
        self.ended = False
        self._stop = threading.Event()

    def _snakemakes(self) -> logging.Handler:
        """Return Snakemake's own handler."""
        from snakemake.logging import ColorizingTextHandler, DefaultFilter, DefaultFormatter

        common: Any = self.common_settings
        handler = ColorizingTextHandler(nocolor=common.nocolor, stream=self.stream)
        shown = (common.quiet, common.debug_dag, common.verbose, common.dryrun, common.printshellcmds)
        handler.addFilter(DefaultFilter(*shown))
        handler.setFormatter(DefaultFormatter(common.quiet, common.show_failed_logs))
        return handler

    writes_to_stream = True
    writes_to_file = False
    has_filter = True
    has_formatter = True
    needs_rulegraph = False

    # --- writing ------------------------------------------------------------------------------------------------------

    def _print(self, text: str) -> None:
        """Write lines above the line that changes."""
        with contextlib.suppress(BrokenPipeError, ValueError):
            self._clear()
            self.stream.write(f"{text}\n")
            self.stream.flush()

    def _clear(self) -> None:
        if self.live:
            self.stream.write("\r\x1b[K")

    def _bounded(self, text: str) -> str:
        """Return `text`, shortened to its first lines if it is long."""
        lines = text.splitlines()
        if len(lines) <= LONGEST:
            return text
        more = number_of(len(lines) - LONGEST, "more line")
        return "\n".join([*lines[:LONGEST], f"... and {more} in {self._file()}"])

    def _files(self) -> list[logging.FileHandler]:
        from snakemake.logging import logger

        return [handler for handler in logger.handlers if isinstance(handler, logging.FileHandler)]

    def _file(self) -> str:
        """Return the path of the full log."""
        return next((handler.baseFilename for handler in self._files()), ".snakemake/log")

    def _redraw(self) -> None:
        """Show the first stage of those that run."""
        running = {job.stage for job in self.running.values()}
        stage = next((stage for words, stage in self.stages.items() if words in running), None)
        if stage is None:
            return
        text = self._title(stage)
        fractions = [job.fraction() for job in self.running.values() if job.stage == stage.words]
        share = min((stage.done + sum(fractions)) / max(1, stage.jobs), 0.99)
        if share >= 0.01:
            text += f", {share:.0%}".replace("%", " %")
        elapsed = time.monotonic() - stage.started
        if share >= 0.05 and elapsed >= 5:
            text += f", about {duration(elapsed * (1 - share) / share)} left"
        self.stream.write(f"\r\x1b[K{text[: shutil.get_terminal_size().columns - 1]}")
        self.stream.flush()

    def _tick(self) -> None:
        while not self._stop.wait(1.0):
            self.acquire()
            try:
                with contextlib.suppress(BrokenPipeError, ValueError):
                    self._redraw()
            finally:
                self.release()

    def _title(self, stage: Stage) -> str:
        return f"stage {stage.number} of {len(self.stages)}: {stage.words}"

    # --- events -------------------------------------------------------------------------------------------------------

    def emit(self, record: logging.LogRecord) -> None:
        """Show what a record of Snakemake means to a user."""
        event = getattr(record, "event", None)
        try:
            if explained and (found := NO_RULE.match(str(record.msg))):
                self._print(explained(found[1]))
                return
            if self.plain:
                if self.plain.filter(record):
                    self.plain.emit(record)
                if self.common_settings.dryrun:
                    return
                if event is None and str(record.msg).startswith("Nothing to be done"):
                    self._answer()
                elif event == LogEvent.JOB_INFO:
                    self._keep(record)
                elif event == LogEvent.JOB_FINISHED:
                    self._remark(self.jobs.pop(getattr(record, "job_id", -1), Job("")))
                return
            if "all" in self.quiet:
                return
            takes = {
                LogEvent.RUN_INFO: self._begin,
                LogEvent.JOB_INFO: self._start,
                LogEvent.JOB_FINISHED: self._finish,
                LogEvent.JOB_ERROR: self._fail,
                LogEvent.ERROR: self._text,
                None: self._text,
            }
            if event in takes:
                takes[event](record)
        except Exception:
            self.handleError(record)

    def _keep(self, record: Any) -> Job:
        log = [str(path).split(" (")[0] for path in record.log or ()]
        job = Job(record.rule_name, log, dict(record.wildcards or {}), time.monotonic())
        self.jobs[record.jobid] = job
        return job

    def _begin(self, record: Any) -> None:
        """Begin a run: count the jobs of each stage."""
        stats = {name: count for name, count in record.stats.items() if name != "total"}
        self.begun = time.monotonic()
        self.stages = {words: Stage(number, words) for number, words in enumerate(order(list(stats)), 1)}
        for name, count in stats.items():
            if name not in MILESTONES:
                self.stages[words_of(name)].jobs += count
        jobs = sum(stage.jobs for stage in self.stages.values())
        number = number_of(len(self.stages), "stage")
        if self.stages and "progress" not in self.quiet:
            self._print(f"{number_of(jobs, 'job')} in {number}; the full log: {self._file()}")
        if self.live and "progress" not in self.quiet:
            threading.Thread(target=self._tick, daemon=True).start()

    def _start(self, record: Any) -> None:
        job = self._keep(record)
        if job.rule in MILESTONES:
            return
        self.running[record.jobid] = job
        stage = self.stages.setdefault(job.stage, Stage(len(self.stages) + 1, job.stage))
        if not stage.started:
            stage.started = time.monotonic()
            if not self.live and "progress" not in self.quiet:
                self._print(self._title(stage))

    def _finish(self, record: Any) -> None:
        job = self.jobs.pop(record.job_id, None)
        self.running.pop(record.job_id, None)
        if job is None or job.rule in MILESTONES:
            return
        self.finished += 1
        self._remark(job)
        stage = self.stages[job.stage]
        stage.done += 1
        if stage.done == stage.jobs and "progress" not in self.quiet:
            self._print(f"{self._title(stage)}, done in {duration(time.monotonic() - stage.started)}")

    def _remark(self, job: Job) -> None:
        """Show the messages of a job's commands, each once, up to MOST_REMARKS; the full log has all of them."""
        for text in job.remarks():
            if text in self.remarks:
                continue
            self.remarks[text] = None
            for handler in self._files():
                with handler.lock or contextlib.nullcontext():
                    if handler.stream:
                        handler.stream.write(f"{text}  [{', '.join(job.logs)}]\n")
                        handler.flush()
            if len(self.remarks) <= MOST_REMARKS:
                self._print(text)

    def _fail(self, record: Any) -> None:
        """Show a failed job: what it did, for which concept, the end of its log, and the path of the log."""
        self.running.pop(record.jobid, None)
        job = self.jobs.pop(record.jobid, None) or Job(record.rule_name, list(record.log or ()))
        self.failures += 1
        whom = f" ({job.of_whom()})" if job.wildcards else ""
        title = f"failed while {job.stage}: {job.rule}{whom}"
        logs = ", ".join(job.logs)
        if self.failures > MOST_FAILURES:
            if self.failures <= MOST_FAILURES + MOST_NAMED:
                self._print(f"{title}; its log: {logs}")
            return
        tail = job.tail()
        lines = [title, *(f"    {line}" for line in tail)]
        if not tail:
            lines.append("    (its log is empty or does not exist)")
        if not any("fit:" in line or "rror" in line or "usage:" in line for line in tail):
            lines.append("    (it did not say why: something killed it; if no person did, memory ran out)")
        # The log of a cluster's queue has what a job can't write itself, such as that memory ran out.
        others = [str(path) for path in record.log or () if str(path).split(" (")[0] not in job.logs]
        lines += [f"  see also: {path}" for path in others]
        lines += [f"  {key}: {value}" for key, value in (getattr(record, "aux", None) or {}).items()]
        if logs:
            lines.append(
                f"  its log{f', of which these are the last {LINES} lines' if len(tail) == LINES else ''}: {logs}"
            )
        self._print("\n".join(lines))

    def _text(self, record: Any) -> None:
        """Show a message of Snakemake or of the workflow."""
        text = str(record.getMessage() if record.msg else "").strip("\n")
        if not text or record.levelno < logging.INFO:
            return
        if getattr(record, "fit", False):
            self._end()
            self._print(text)
        elif text.startswith("Nothing to be done"):
            self._print(text)
            self._answer()
        elif text.startswith("Exiting because a job execution failed"):
            self._end()
        elif text.startswith("Trying to restart job"):
            self._print("  it is tried again")
        elif text.startswith(("Terminating processes on user request", "Will exit after finishing")):
            self._print("stopping; the same command goes on from where it was")
        elif text.startswith(CHATTER) or (text.startswith("RuleException") and "CalledProcessError" in text):
            # The second comes before each failed job, with its whole command. The job's own error says more.
            return
        elif record.levelno >= logging.WARNING or not self.begun:
            self._warn(text, record.levelno)

    def _answer(self) -> None:
        """Show what the workflow says if nothing is to be done."""
        lines = list(answer() if answer else ())
        if lines:
            self._print("\n".join(lines))

    def _warn(self, text: str, level: int) -> None:
        self.warnings += level == logging.WARNING
        if level != logging.WARNING or self.warnings <= MOST_WARNINGS:
            self._print(self._bounded(text))

    def _end(self) -> None:
        """Say what was not shown, and how the run ended."""
        if not self.begun or self.ended:
            return
        self.ended = True
        self._stop.set()
        if len(self.remarks) > MOST_REMARKS:
            self._print(f"and {len(self.remarks) - MOST_REMARKS} more remarks (`fit: ...`) in {self._file()}")
        if self.warnings > MOST_WARNINGS:
            self._print(f"and {number_of(self.warnings - MOST_WARNINGS, 'more warning')} in {self._file()}")
        hidden = self.failures - MOST_FAILURES - MOST_NAMED
        if hidden > 0:
            self._print(f"and {number_of(hidden, 'more failed job')} in {self._file()}")
        jobs = sum(stage.jobs for stage in self.stages.values())
        took = duration(time.monotonic() - self.begun)
        if self.failures and self.finished < jobs:
            self._print(
                f"stopped after {took}: {self.finished} of {number_of(jobs, 'job')} done, {self.failures} failed; the "
                f"full log: {self._file()}\nWhen that is fixed, the same command goes on from here."
            )

    def close(self) -> None:
        """Leave the terminal as it was."""
        self._stop.set()
        if self.plain is None and "all" not in self.quiet:
            self._end()
            with contextlib.suppress(BrokenPipeError, ValueError):
                self._clear()
                self.stream.flush()
        super().close()
