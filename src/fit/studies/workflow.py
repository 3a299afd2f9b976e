"""Finds the workflow of this installation, and the command by which a folder's study is run with it."""

import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from fit.errors import PlaceError
from fit.io.nearby import near

CONFIG = "config.yaml"
"""Name of the file that makes a folder a study."""
IN_PACKAGE = "_workflow"
"""Folder of the package that holds the workflow in a wheel; setup.py puts it there."""


def workflow_folder() -> Path:
    """Return the folder with the Snakefile: in the package, of a wheel; else the clone that this code is in.

    Raises:
        PlaceError: it is in neither.
    """
    package = Path(__file__).parents[1]
    for folder in (package / IN_PACKAGE, package.parents[1]):
        if Path(folder, "Snakefile").is_file() and Path(folder, "rules").is_dir():
            return folder
    raise PlaceError(
        f"{package}: this installation of fit has no workflow (Snakefile, rules/): install it from a wheel, or from a "
        "clone with `pip install --editable .`"
    )


def not_a_study(folder: str) -> PlaceError:
    """Return the error for a path that was named as a study's folder and has no config.yaml."""
    other = near(folder)
    hint = f" (did you mean {other}?)" if other and Path(other, CONFIG).is_file() else ""
    return PlaceError(
        f"{folder}: not the folder of a study: it has no {CONFIG}{hint}; `fit new FOLDER` makes "
        "one, and `fit run` runs "
        "it"
    )


def study_folder(words: Sequence[str]) -> tuple[Path, list[str]]:
    """Tell the folder of a study from targets.

    Args:
        words: as they are typed: perhaps a folder, then targets.

    Returns:
        (folder, targets): the first word, if it is a folder with config.yaml; else the present folder.

    Raises:
        PlaceError: there is no config.yaml in it.
    """
    first = words[0] if words else ""
    if first and Path(first, CONFIG).is_file():
        return Path(first), list(words[1:])
    is_folder = Path(first).is_dir() and not first.startswith("results/")
    if first and (is_folder or not Path(CONFIG).is_file()):
        if is_folder and Path(CONFIG).is_file():
            return Path(), list(words)  # a target that has the name of a folder
        raise not_a_study(first)
    if not Path(CONFIG).is_file():
        raise PlaceError(
            f"{CONFIG}: there is none in this folder, so it is not a study's; `fit new FOLDER` makes one, and `fit run "
            "FOLDER` runs it"
        )
    return Path(), list(words)


@dataclass(frozen=True)
class Run:
    """How a study is run."""

    folder: Path
    targets: Sequence[str] = ()
    """Milestones and files, and options of Snakemake."""
    dry_run: bool = False
    cores: str | None = None
    """How many, or "all"; None: as the profile says."""
    profile: str | None = None
    """A folder, or the name of one: in the study's folder, or of the workflow (slurm)."""

    def _profile(self, workflow: Path) -> str:
        """Return the place of the profile; a study's own before that of the workflow."""
        assert self.profile is not None
        for place in (Path(self.folder, self.profile), Path(self.profile), workflow / self.profile):
            if place.is_dir():
                return str(place.resolve())
        return self.profile  # of ~/.config/snakemake, or of nowhere: Snakemake says so

    def command(self) -> list[str]:
        """Return the words of the command, without a shell.

        Raises:
            PlaceError: this installation has no workflow.
        """
        workflow = workflow_folder()
        own = Path(self.folder, "profiles", "default")
        default = own if own.is_dir() else workflow / "profiles" / "default"
        words = [sys.executable, "-m", "snakemake", "--snakefile", str(workflow / "Snakefile")]
        words += ["--directory", str(self.folder.resolve()), "--workflow-profile", str(default.resolve())]
        if self.profile:
            words += ["--profile", self._profile(workflow)]
        if self.cores:
            words += ["--cores", self.cores]
        return [*words, *(["--dry-run"] if self.dry_run else []), *self.targets]


def environment(given: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of a run: its jobs call `fit`, so the commands of this Python come first on the path."""
    commands = str(Path(sys.executable).parent)
    path = given.get("PATH", "").split(os.pathsep)
    return {**given, "PATH": os.pathsep.join([commands, *(place for place in path if place and place != commands)])}


def replace_process(run: Run) -> None:
    """Become the run: its output, signals and exit status are those of this process. Does not return.

    Raises:
        PlaceError: this installation has no workflow.
    """
    words = run.command()
    sys.stdout.flush()
    sys.stderr.flush()
    os.execve(words[0], words, environment(os.environ))
