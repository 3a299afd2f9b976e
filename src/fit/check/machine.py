"""Looks at the machine: its disk and its GPU."""

import shutil
from pathlib import Path

from fit.check.findings import REMARK, Findings
from fit.config.config import Config


def of_machine(config: Config, study: str, found: Findings) -> None:
    """Compare the free disk with what `fit plan` expects, and look for a GPU if a model asks for one."""
    from fit.errors import FitError
    from fit.plan.estimate import estimate

    try:
        expected = sum(work.disk for work in estimate(config, study))
    except FitError:
        expected = 0  # a sheet can't be read; of_sheet says so
    free = shutil.disk_usage("results" if Path("results").is_dir() else ".").free
    if expected > free:
        found.add(
            REMARK,
            f"studies.{study}",
            f"the study may take {expected / 1e9:,.0f} GB under results/, and {free / 1e9:,.0f} GB are free; "
            f"`fit plan {config.typed(study)}` says what takes them; `results` may be a link to a larger disk",
        )
    for name in config.studies[study].models:
        model = config.models[name]
        if model.pipeline and model.device == "cuda" and not has_gpu():
            found.add(
                REMARK,
                f"models.{name}.device",
                f"`models.{name}.device: cuda`, and this machine has no NVIDIA GPU, so its jobs fail here; run "
                "them on another machine (docs/cluster.md), or write `device: auto`",
            )


def has_gpu() -> bool:
    """Whether this machine seems to have an NVIDIA GPU: it has the driver's tool or files."""
    return shutil.which("nvidia-smi") is not None or Path("/proc/driver/nvidia/version").exists()
