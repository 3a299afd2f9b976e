"""Looks at a study's inputs before its first job, and says on one screen what is missing or wrong."""

import sys

from snakemake.logging import logger
from snakemake_logger_plugin_fit.stages import MILESTONES

from fit.check import ABSENT, examine, screen
from fit.check.targets import unknown_target


def is_planning():
    """Whether no job will run: a dry run, or a drawing of the plan. Then what is missing is said and does not end the run,
    so that a study can be planned before its data is there."""
    return workflow.executor_plugin is None or workflow.dryrun


TOLD = set()
"""Findings that were said already: a study and its report look at the same inputs."""


@cache
def look(study, only, partly):
    """Look at the inputs of a study, once in a run; end the run if the study can't be made.

    Each job reads this workflow again, and does not look. Snakemake's MissingInputException would name every file that
    can't be made, so the run is ended here instead.

    Args:
        study: name of the study.
        only: first parts of keys to look at; all if empty.
        partly: whether the study continues without the thresholds whose inputs are missing.
    """
    if not workflow.is_main_process or study not in CONFIG.studies:
        return
    findings = examine(CONFIG, study, quick=True, only=only or None)
    # If a study is made as far as possible, its report lists what is missing.
    stopping = [f for f in findings if f.stops and not (partly and f.kind == ABSENT)]
    if stopping and not is_planning():
        again = CONFIG.typed(study)
        end(
            f"study {study} can't be made:\n{screen(stopping, again)}\nNo job was started. `fit check {again}` looks "
            "again."
        )
    told = findings if is_planning() or not partly else [f for f in findings if f.kind != ABSENT]
    told = [f for f in told if f not in TOLD]
    TOLD.update(told)
    if told:
        logger.warning(f"study {study}:\n{screen(told, CONFIG.typed(study), 6)}")


def looked_at(study, *only, partly=False):
    """Return an input function that looks at a study's inputs and asks for no file.

    Args:
        study: name of the study.
        only: first parts of keys to look at (corpora, models ...); all if left out.
        partly: whether the study continues without the thresholds whose inputs are missing.
    """

    def files(wildcards):
        look(study, only, partly)
        return []

    return files


def missing(path, key):
    """End the run because `path`, which `key` of the configuration names, is missing; a run that only plans continues."""
    if workflow.is_main_process and not is_planning():
        end(f"{path}: there is no such file or folder; put it there, or change `{key}`. No job was started.")


def end(message):
    """End this run with `message`. An exception of an input function would print a traceback too."""
    logger.error(f"fit: {message}")
    sys.exit(1)


def is_made(path):
    """Return whether a rule makes the file `path`."""
    return any(rule.is_producer(path) for rule in workflow.rules)


def explained(target):
    """Return what is said of a target that no rule makes. Snakemake's MissingRuleException does not say which there are."""
    return f"fit: {unknown_target(target, CONFIG, MILESTONES, is_made)}. No job was started."


if workflow.is_main_process:
    snakemake_logger_plugin_fit.explained = explained
