"""Looks at a study's inputs before its first job, and says on one screen what is missing or wrong."""

import sys

from snakemake.logging import logger

from fit.check import ABSENT, examine, screen


def is_planning():
    """Whether nothing is carried out: a dry run, a drawing of the plan. What is missing is only told then, so that a
    study can be planned before its data has come."""
    return workflow.executor_plugin is None or workflow.dryrun


TOLD = set()
"""What was said of inputs already: a study and its report look at the same ones."""


@cache
def look(study, only, partly):
    """Look at the inputs of a study, once in a run; stop where it can't be carried out.

    Each job reads this workflow again: that is no time to look. A MissingInputException would name every file that
    can't be made, so the run is ended here instead.
    """
    if not workflow.is_main_process or study not in CONFIG.studies:
        return
    findings = examine(CONFIG, study, quick=True, only=only or None)
    # Of a study that is made as far as it can be, its report lists what is missing.
    stopping = [f for f in findings if f.stops and not (partly and f.kind == ABSENT)]
    if stopping and not is_planning():
        end(
            f"study {study} can't be made:\n{screen(stopping, study)}\nNo job was started. `fit check {study}` looks "
            "again, with the same --config as --configfile here."
        )
    told = findings if is_planning() or not partly else [f for f in findings if f.kind != ABSENT]
    told = [f for f in told if f not in TOLD]
    TOLD.update(told)
    if told:
        logger.warning(f"study {study}:\n{screen(told, study, 6)}")


def looked_at(study, *only, partly=False):
    """An input function that looks at a study's inputs and asks for no file.

    Args:
        only: first parts of keys to look at (corpora, models ...), all where left out.
        partly: whether the study goes on without the thresholds whose inputs are missing.
    """

    def files(wildcards):
        look(study, only, partly)
        return []

    return files


def missing(path, key):
    """Say that `path`, which `key` of the configuration names, is not there; ends a run, but for one that only plans."""
    if workflow.is_main_process and not is_planning():
        end(f"{path}: there is no such file or folder; put it there, or change `{key}`. No job was started.")


def end(message):
    """End this run with `message` and without the traceback that an exception of an input function comes with."""
    logger.error(f"fit: {message}")
    sys.exit(1)
