"""`fit run`: which folder, which workflow, which command."""

import os
import sys
from pathlib import Path

import pytest

from fit.cli.main import main, parse
from fit.cli.run import sorted_out
from fit.errors import PlaceError
from fit.studies import workflow
from fit.studies.workflow import Run, environment, study_folder, workflow_folder

ROOT = Path(__file__).parents[2]


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "config.yaml").write_text("")
    return tmp_path


def test_the_first_word_may_be_the_folder(place, monkeypatch):
    assert study_folder(["mine", "counts"]) == (Path("mine"), ["counts"])
    for words in ([], ["counts"], ["other"]):
        with pytest.raises(PlaceError, match="fit new FOLDER"):
            study_folder(words)
    with pytest.raises(PlaceError, match=r"min: .* \(did you mean mine\?\)"):
        study_folder(["min"])
    monkeypatch.chdir(place / "mine")
    (place / "mine" / "counts").mkdir()  # a folder that has the name of a milestone
    assert study_folder(["counts", "scores"]) == (Path(), ["counts", "scores"])
    assert study_folder([]) == (Path(), [])
    assert study_folder(["results/a.parquet"]) == (Path(), ["results/a.parquet"])


def test_the_command_names_the_workflow_and_the_folder(place):
    words = Run(Path("mine"), ["scores"], dry_run=True, cores="3").command()
    assert words[:3] == [sys.executable, "-m", "snakemake"]
    pairs = dict(zip(words[3::2], words[4::2], strict=False))
    assert pairs["--snakefile"] == str(ROOT / "Snakefile") and pairs["--directory"] == str(place / "mine")
    assert pairs["--workflow-profile"] == str(ROOT / "profiles" / "default") and pairs["--cores"] == "3"
    assert words[-2:] == ["--dry-run", "scores"]


def test_a_profile_of_the_study_comes_before_that_of_the_workflow(place):
    assert str(ROOT / "slurm") in Run(Path("mine"), profile="slurm").command()
    (place / "mine" / "slurm").mkdir()
    (place / "mine" / "profiles" / "default").mkdir(parents=True)
    words = Run(Path("mine"), profile="slurm").command()
    assert str(place / "mine" / "slurm") in words and str(place / "mine" / "profiles" / "default") in words
    assert "mine-of-snakemake" in Run(Path("mine"), profile="mine-of-snakemake").command()


def test_options_of_snakemake_follow_two_dashes():
    after = ["--", "--forceall", "--rerun-triggers", "mtime"]
    for given in (["mine", "-n", "scores", "--cores", "2"], ["-n", "--cores", "2", "mine", "scores"]):
        args, words = sorted_out(parse(["run", *given, *after]))
        assert words == ["mine", "scores", *after[1:]] and (args.dry_run, args.cores) == (True, "2")
    assert sorted_out(parse(["run", *after]))[1] == after[1:]
    with pytest.raises(SystemExit):
        sorted_out(parse(["run", "mine", "--cores", "none"]))


def test_jobs_find_the_commands_of_this_python():
    commands = str(Path(sys.executable).parent)
    found = environment({"PATH": os.pathsep.join(["/a", commands, "/b"]), "X": "1"})
    assert found == {"PATH": os.pathsep.join([commands, "/a", "/b"]), "X": "1"}


def test_an_installation_without_a_workflow_says_so(tmp_path, monkeypatch):
    package = tmp_path / "lib" / "python" / "fit"
    (package / "_workflow" / "rules").mkdir(parents=True)
    monkeypatch.setattr(workflow, "__file__", str(package / "studies" / "workflow.py"))
    with pytest.raises(PlaceError, match="install it from a wheel, or from a clone"):
        workflow_folder()
    (package / "_workflow" / "Snakefile").write_text("")
    assert workflow_folder() == package / "_workflow"


def test_a_folder_without_a_study_is_an_error(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["run"]) == 1
    assert "`fit new FOLDER` makes one" in capsys.readouterr().err


def test_a_wheel_has_every_file_of_the_workflow():
    """What setup.py copies is what the Snakefile includes, the profiles, and the environment."""
    import runpy
    from unittest.mock import patch

    with patch("setuptools.setup"):
        patterns = runpy.run_path(str(ROOT / "setup.py"))["FILES"]
    copied = {path.relative_to(ROOT).as_posix() for pattern in patterns for path in ROOT.glob(pattern)}
    text = (ROOT / "Snakefile").read_text()
    for line in text.splitlines():
        if line.strip().startswith("include:"):
            assert line.split('"')[1] in copied
    assert {"Snakefile", "profiles/default/config.yaml", "slurm/config.yaml", "envs/fit.yaml"} <= copied
    assert {path.relative_to(ROOT).as_posix() for path in (ROOT / "workflow" / "report").iterdir()} <= copied
    manifest = (ROOT / "MANIFEST.in").read_text()
    assert all(pattern.partition("/")[0] in manifest for pattern in patterns)
