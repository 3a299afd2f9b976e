"""The conda environments hold what the rules' commands import, at the versions of requirements.lock."""

import hashlib
import os
import re
import subprocess
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
import yaml
from importing import imported
from packaging.specifiers import SpecifierSet

ROOT = Path(__file__).parents[2]
ENVIRONMENTS = sorted((ROOT / "envs").glob("*.yaml"))
LOCK = (ROOT / "requirements.lock").read_text()


def normal(name):
    return re.sub(r"[-_.]+", "-", name).lower()


PINS = {normal(name): version for name, version in re.findall(r"^([\w.-]+)(?:\[[^]]*\])?==(\S+)", LOCK, re.M)}


def test_every_rule_names_an_environment_that_exists():
    named = set()
    for path in (ROOT / "rules").glob("*.smk"):
        # A rule without a command is a target.
        rules = re.split(r"^\s*rule\b.*:$", path.read_text(), flags=re.M)[1:]
        for rule in (rule for rule in rules if "shell:" in rule):
            found = re.search(r'conda:\s+"([^"]+)"', rule)
            assert found, f"{path.name}: a rule without conda:\n{rule[:200]}"
            named.add((path.parent / found[1]).resolve())
    assert named == set(ENVIRONMENTS)
    assert len(named) <= 3


@pytest.mark.parametrize("path", ENVIRONMENTS, ids=lambda path: path.name)
def test_conda_brings_one_python_and_pip_and_nothing_unpinned(path):
    environment = yaml.safe_load(path.read_text())
    assert environment["channels"] == ["conda-forge", "nodefaults"]
    pins = dict(
        re.fullmatch(r"([a-z]+)=(\d+\.\d+\.\d+|\d+\.\d+)", entry).groups() for entry in environment["dependencies"]
    )
    assert set(pins) == {"python", "pip"}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert pins["python"] in SpecifierSet(project["requires-python"])
    # The tests run on that Python, so that they hold for the environment.
    assert pins["python"].split(".")[:2] == [str(part) for part in sys.version_info[:2]]


@pytest.mark.parametrize("lock", ["requirements.lock", "envs/audit.lock"])
def test_a_lock_pins_everything_with_hashes(lock):
    blocks = re.split(r"\n(?=\S)", (ROOT / lock).read_text().strip())
    for block in blocks:
        assert re.match(r"[\w.-]+(\[[^]]*\])?==", block), block[:80]
        assert "--hash=sha256:" in block, block[:80]


@pytest.mark.slow
def test_what_fit_imports_is_pinned():
    distributions = packages_distributions() | {"dlib": ["dlib-bin"]}  # whose wheel names its module alone
    for path in (ROOT / "src").rglob("*.py"):
        for module in set(imported(path)) - sys.stdlib_module_names - {"fit", "snakemake_logger_plugin_fit"}:
            names = {normal(name) for name in distributions.get(module, [module])}
            assert names & set(PINS), f"{path.relative_to(ROOT)} imports {module}, which requirements.lock lacks"


def test_what_builds_fit_is_pinned():
    needed = tomllib.loads((ROOT / "pyproject.toml").read_text())["build-system"]["requires"]
    for name, least in (re.fullmatch(r"([\w-]+)>=(\d+)", requirement).groups() for requirement in needed):
        assert int(PINS[normal(name)].partition(".")[0]) >= int(least)


INSTALLS = re.compile(r"\b(?:pip|uv)\b[^\n|;&]*? (?:install|sync)\b(?:\\\n|[^\n])*")


def test_no_step_of_the_set_up_installs_what_is_not_pinned():
    scripts = [path for pattern in ("envs/*.sh", "tests/slurm/*", "tests/browser/*") for path in ROOT.glob(pattern)]
    places = [ROOT / "Makefile", ROOT / ".ci/run", *scripts]
    steps = {str(path.relative_to(ROOT)): INSTALLS.findall(path.read_text()) for path in places if path.is_file()}
    assert len(steps["Makefile"]) == 4 and len(steps["envs/fit.post-deploy.sh"]) == 3
    assert {"tests/slurm/install.sh", "tests/browser/install.sh"} <= set(steps)
    for step in (step for of_file in steps.values() for step in of_file):
        # fit itself is built with packages that the lock pins, not with those that a build environment would fetch.
        is_own = "--no-deps" in step and "--no-build-isolation" in step and "--editable" in step
        assert is_own or "--require-hashes" in step, step


def taken_of_the_lock(script, is_make=False):
    """Return the part of requirements.lock that the `sed` of a script takes."""
    (expression,) = re.findall(r"sed -n '([^']+)' requirements.lock", script)
    expression = expression.replace("$$", "$") if is_make else expression
    taken = subprocess.run(["sed", "-n", expression, "requirements.lock"], cwd=ROOT, capture_output=True, text=True)
    return taken.stdout


def test_what_installs_and_builds_the_rest_is_installed_as_the_lock_pins_it():
    first = taken_of_the_lock((ROOT / "Makefile").read_text(), is_make=True)
    assert re.findall(r"^([a-z-]+)==", first, re.M) == ["setuptools", "uv"]
    assert first.count("==") == 2 and first.count("--hash=sha256:") > 5
    assert not first.rstrip().endswith("\\")
    builder = taken_of_the_lock((ROOT / "envs/fit.post-deploy.sh").read_text())
    assert re.findall(r"^([a-z-]+)==", builder, re.M) == ["setuptools"] and "--hash=sha256:" in builder


def test_what_has_to_be_built_is_built_with_the_locked_setuptools():
    # Of what the lock pins, these are published as their source alone: one hash, where wheels have one for each kind.
    makefile, script = (ROOT / "Makefile").read_text(), (ROOT / "envs/fit.post-deploy.sh").read_text()
    assert "--no-build-isolation-package face_recognition_models" in makefile
    assert "-m pip install --no-build-isolation --require-hashes --requirement requirements.lock" in script


def deploy(folder):
    """Run the script as Snakemake does, in `folder`, with a `python` that notes what it is asked for."""
    programs = folder / "bin"
    programs.mkdir()
    (programs / "python").write_text('#!/bin/sh\necho "$@" >> asked\n')
    (programs / "python").chmod(0o755)
    script = folder / "copy.sh"
    script.write_text((ROOT / "envs/fit.post-deploy.sh").read_text())
    environment = os.environ | {"PATH": f"{programs}{os.pathsep}{os.environ['PATH']}"}
    done = subprocess.run(["bash", script], cwd=folder, env=environment, capture_output=True, text=True)
    asked = folder / "asked"
    return done, asked.read_text().splitlines() if asked.exists() else []


def test_pip_installs_setuptools_then_the_lock_and_then_fit_without_more(tmp_path):
    (tmp_path / "requirements.lock").write_text(LOCK)
    done, asked = deploy(tmp_path)
    assert done.returncode == 0, done.stderr
    assert re.fullmatch(r"-m pip install --no-deps --require-hashes --requirement /\S+", asked[0])
    assert not Path(asked[0].split()[-1]).exists()
    assert asked[1:] == [
        "-m pip install --no-build-isolation --require-hashes --requirement requirements.lock",
        f"-m pip install --no-deps --no-build-isolation --editable {tmp_path}",
    ]


def test_a_changed_lock_makes_the_environment_again(tmp_path):
    # Snakemake knows an environment by its own files, the lock not among them: the script has to change too.
    assert hashlib.sha256(LOCK.encode()).hexdigest() in (ROOT / "envs/fit.post-deploy.sh").read_text(), (
        "requirements.lock and envs/fit.post-deploy.sh differ; run make lock"
    )
    (tmp_path / "requirements.lock").write_text(LOCK + "more==1\n")
    done, asked = deploy(tmp_path)
    assert done.returncode != 0
    assert "run make lock" in done.stderr
    assert asked == []


def test_a_start_elsewhere_is_an_error(tmp_path):
    done, asked = deploy(tmp_path)
    assert done.returncode != 0
    assert "start snakemake in the project's root" in done.stderr
    assert asked == []
