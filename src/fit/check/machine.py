"""The machine: its disk and its GPU."""

import shutil
from pathlib import Path

from fit.check.findings import REMARK


def of_machine(config, study, found):
    """Compare the free disk with what `fit plan` expects, and look for a GPU where a model demands one."""
    from fit.errors import FitError
    from fit.plan.estimate import estimate

    try:
        expected = sum(work.disk for work in estimate(config, study))
    except FitError:
        expected = 0  # of a sheet that can't be read, which is said elsewhere
    free = shutil.disk_usage("results" if Path("results").is_dir() else ".").free
    if expected > free:
        found.add(
            REMARK,
            f"studies.{study}",
            f"the study may take {expected / 1e9:,.0f} GB under results/, and {free / 1e9:,.0f} GB are free; "
            f"`fit plan {study}` says what takes them, `results` may be a link to a larger disk",
        )
    for name in config.studies[study].models:
        model = config.models[name]
        if model.pipeline and model.device == "cuda" and not has_gpu():
            found.add(
                REMARK,
                f"models.{name}.device",
                f"`models.{name}.device: cuda`, and no GPU of NVIDIA is seen here: its jobs fail on this machine; run "
                "them on another (docs/cluster.md), or say `device: auto`",
            )


def has_gpu():
    """Whether this machine seems to have a GPU of NVIDIA: the driver's own tool or files are there."""
    return shutil.which("nvidia-smi") is not None or Path("/proc/driver/nvidia/version").exists()
