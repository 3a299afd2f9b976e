"""What several commands share."""

import os
import sys
from argparse import Namespace
from collections.abc import Callable
from pathlib import Path
from typing import Any

from fit.cli.parser import Number
from fit.errors import FitError
from fit.io.json_files import read_json


def add_work(add: Callable[..., None]) -> None:
    """Add the option that names the folder of what a stopped job continues with."""
    says = "keeps work in progress, so that a stopped job continues (default: beside --out)"
    add("--work", default=None, metavar="FOLDER", help=says)


def add_threads(add: Callable[..., None]) -> None:
    """Add the option that says how many processor cores resamples are estimated on."""
    add("--threads", type=Number(int, 0, 4096), default=0, metavar="N", help="processor threads (0: one a core)")


def read_match_threshold(path: str | Path, *also: str) -> dict[str, Any]:
    """Return what `fit matches threshold` wrote, which must have the keys `also`.

    Raises:
        FitError: it is not such a file, or no match threshold was found.
    """
    found = read_json(path, ("match_threshold", *also), "fit matches threshold")
    if found["match_threshold"] is None:
        raise FitError(f"{path}: no match threshold was found: {found.get('reason', 'it does not say why')}")
    if not isinstance(found["match_threshold"], (int, float)) or not -1 <= found["match_threshold"] <= 1:
        raise FitError(
            f"{path}: its match threshold is {found['match_threshold']!r}, not a cosine; name a file that "
            "`fit matches threshold` wrote"
        )
    return found


def read_threshold(path: str | Path) -> dict[str, Any]:
    """Return what `fit thresholds detect` wrote.

    Raises:
        FitError: it is not such a file.
    """
    keys = ("threshold", "interval", "below", "above", "changes", "concepts", "estimator", "penalty")
    return read_json(path, keys, "fit thresholds detect --out")


def enter_study(args: Namespace) -> str:
    """Go into the folder of a study, where `args.study` names one in place of a study of config.yaml.

    Returns:
        The folder as it was typed; "" where it is the present one.

    So `fit check FOLDER` is what `fit check` is in that folder. Its other paths are of that folder too: the folder is
    named on stderr, as `fit run` does.

    Raises:
        PlaceError: `args.study` names no such folder, and here is no config.yaml whose study it could be.
    """
    from fit.studies.workflow import CONFIG, not_a_study

    if args.study and Path(args.study, "config.yaml").is_file():
        folder, args.study = args.study, None
        if Path(folder).samefile(Path()):
            return ""
        print(f"in {folder}:", file=sys.stderr, flush=True)
        os.chdir(folder)
        return str(folder)
    if args.study and args.config == [CONFIG] and not Path(CONFIG).exists():
        raise not_a_study(args.study)
    return ""


def set_threads(count: int) -> None:
    """Let PyTorch use `count` threads; 0: as many as it chooses."""
    if count:
        import torch

        torch.set_num_threads(count)
