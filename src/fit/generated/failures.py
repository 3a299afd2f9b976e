"""Turns what a pipeline raises into one line that names the setting to change."""

import re
import traceback
from collections.abc import Mapping, Sequence
from typing import Any

_LONGEST = 300
_SIGNS = (
    (r"\bheight\b|\bwidth\b|sample.size", "height` and `width"),
    (r"num_inference_steps|original_inference_steps|original_steps|\bsteps\b", "steps"),
    (r"guidance", "guidance"),
    (r"negative_prompt", "negative_prompt"),
    (r"[sS]cheduler", "scheduler"),
    (r"'Half'|BFloat16|\bdtype\b|same type|weight type", "dtype"),
)
"""Words of a message -> the setting that it is about; the first that is found counts."""
_SHAPES = re.compile(r"shapes cannot be multiplied|[sS]izes of tensors|size of tensor|shape|size mismatch|to have \d+ ")


def one_line(error: BaseException) -> str:
    """Return the kind and the message of an exception on one line, cut where it is long."""
    message = " ".join(str(error).split())
    if len(message) > _LONGEST:
        message = message[:_LONGEST] + " ..."
    return f"{type(error).__name__}: {message}" if message else type(error).__name__


def _modules(error: BaseException) -> list[str]:
    """Return the modules that an exception went through; the last one raised it."""
    return [frame.f_globals.get("__name__", "") for frame, _ in traceback.walk_tb(error.__traceback__)]


def _is_of_scheduler(error: BaseException) -> bool:
    return any(module.startswith("diffusers.schedulers") for module in _modules(error)[-2:])


def remedy(error: BaseException, sampling: Mapping[str, Any], lacking: Sequence[str] = ()) -> str:
    """Say what to change after `error`, which a pipeline raised while it made pictures.

    Args:
        error: the exception.
        sampling: setting -> value, as the generator was given them.
        lacking: names of the pipeline's components that are missing.

    Returns:
        Text that names keys of a model in config.yaml.
    """
    message = str(error)
    if "NoneType" in message and lacking:
        return f"the pipeline lacks {', '.join(lacking)}: get it again, whole, or name another `pipeline`"
    sized = any(sampling[name] for name in ("height", "width"))
    if sampling["scheduler"] and _is_of_scheduler(error):
        return _of("scheduler", sampling)
    for pattern, setting in _SIGNS:
        if re.search(pattern, message):
            return _of(setting, sampling)
    if _SHAPES.search(message):
        if sized:
            return f"fix {_named('height` and `width', sampling)}: leave them out, or take multiples of 64"
        return "its components do not fit together (such as a text encoder of another width); fix `pipeline`"
    if sampling["scheduler"]:
        return f"{_of('scheduler', sampling)}, or the `pipeline`"
    return "fix `pipeline`, or the settings that it is called with"


def _named(setting: str, sampling: Mapping[str, Any]) -> str:
    values = [sampling[name] for name in setting.split("` and `")]
    return f"`{setting}` ({', '.join('its own' if value is None else str(value) for value in values)})"


def _of(setting: str, sampling: Mapping[str, Any]) -> str:
    if setting == "scheduler" and not sampling["scheduler"]:
        return "fix `scheduler` (it is the pipeline's own), or the `pipeline`"
    return f"fix {_named(setting, sampling)}"
