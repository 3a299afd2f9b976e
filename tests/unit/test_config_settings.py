"""A setting is declared once: the configuration, the schema, the command and the rule are made from the declaration."""

import contextlib
import dataclasses
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Annotated, Any, ClassVar

import pydantic
import pytest
from annotated_types import Ge, Gt, Le

from fit.cli.flags import add_settings, read_settings
from fit.cli.parser import Parser
from fit.config.schema import schema_text
from fit.config.section import Section, section
from fit.settings import RESOURCE, STRICT, resource_flags, written_settings

ROOT = Path(__file__).parents[2]


@dataclasses.dataclass(frozen=True, kw_only=True)
class BrushSettings:
    """Settings of a room that does not exist."""

    __pydantic_config__: ClassVar[Any] = STRICT

    width: Annotated[int, Ge(1), Le(99)] = 3
    """Of the brush, in hairs."""
    pressure: Annotated[float, Gt(0)] | None = None
    """In newton; left out: as it falls."""
    is_wet: bool = False
    """Whether it is wet."""
    colours: list[str] = dataclasses.field(default_factory=list)
    """Names of colours."""
    patience_s: Annotated[float, Gt(0), RESOURCE] = 5.0
    """Seconds to wait."""


@section
class Brush(BrushSettings, Section):
    """A section made of them."""

    name: str
    """What it is called."""


@contextlib.contextmanager
def copied_package(files):
    """Yield a function that runs Python with a copy of the package in which `files` (name -> text) are replaced."""
    with tempfile.TemporaryDirectory() as folder:
        shutil.copytree(ROOT / "src/fit", Path(folder, "fit"), ignore=shutil.ignore_patterns("__pycache__"))
        for name, text in files.items():
            Path(folder, "fit", name).write_text(text, encoding="utf-8")

        def run(*arguments):
            environment = os.environ | {"PYTHONPATH": folder, "COLUMNS": "120"}
            done = subprocess.run(
                [sys.executable, *arguments], cwd=ROOT, env=environment, capture_output=True, text=True
            )
            assert not done.returncode, done.stderr
            return done.stdout

        yield run


def command():
    parser = Parser(prog="brush")
    add_settings(parser.add_argument, BrushSettings)
    return parser


@pytest.mark.slow
def test_a_new_field_is_found_in_the_schema_in_the_help_and_in_the_rules_command():
    """The whole way of a setting, in processes of their own: one line in one file, and nothing else."""
    declared = (ROOT / "src/fit/scores/settings.py").read_text(encoding="utf-8")
    added = '    sharpness: Annotated[int, Ge(1), Le(9)] = 4\n    """How sharp a score is."""\n'
    with copied_package({"scores/settings.py": declared.replace("    top_k:", f"{added}    top_k:")}) as run:
        schema = json.loads(run("-c", "from fit.config.schema import schema_text; print(schema_text())"))
        assert schema["$defs"]["Threshold"]["properties"]["sharpness"]["description"] == "How sharp a score is."
        assert "--sharpness" in run("-m", "fit", "scores", "imitation", "--help")
        words = run(
            "-c",
            "from fit.config.read import load; from fit.config.stages import stage_settings; "
            "print(*stage_settings(load(), 'score_imitation', domain='painters')['flags'])",
        )
        assert "--sharpness=4" in words


@pytest.mark.parametrize(
    "settings",
    [
        BrushSettings(),
        BrushSettings(width=9, pressure=0.25, is_wet=True, colours=["red", "--blue"[2:]], patience_s=1.5),
    ],
)
def test_what_is_written_for_a_rule_is_read_back_as_the_same_settings(settings):
    words = written_settings(settings, BrushSettings) + written_settings(settings, BrushSettings, resources=True)
    found = read_settings(BrushSettings, command().parse_args(words))
    assert dataclasses.asdict(found) | {"colours": list(found.colours)} == dataclasses.asdict(settings)


def test_resources_are_written_apart_as_they_trigger_no_rerun():
    assert not any("patience" in word for word in written_settings(BrushSettings(), BrushSettings))
    assert resource_flags(BrushSettings(), BrushSettings) == "--patience-s=5.0"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--width=0"], "'0' is not a whole number of at least 1 and at most 99"),
        (["--width=2.5"], "'2.5' is not a whole number"),
        (["--pressure=0"], "'0' is not a number above 0"),
        (["--is-wet=yes"], "ignored explicit argument 'yes'"),
    ],
)
def test_an_option_out_of_its_bounds_is_refused(words, said, capsys):
    with pytest.raises(SystemExit):
        command().parse_args(words)
    assert said in capsys.readouterr().err


@pytest.mark.parametrize(
    ("data", "said"),
    [({"width": 0}, "greater than or equal to 1"), ({"width": True}, "this is not a number"), ({"x": 1}, "Unexpected")],
)
def test_the_same_bounds_hold_in_the_configuration(data, said):
    with pytest.raises(pydantic.ValidationError, match=said):
        Brush(name="sable", **data)
    assert Brush(name="sable", width=9).width == 9


def test_the_schema_is_the_one_that_make_schema_writes():
    assert (ROOT / "config.schema.json").read_text(encoding="utf-8") == schema_text(), "run `make schema`"
    assert (ROOT / "config.yaml").read_text().startswith("# yaml-language-server: $schema=config.schema.json\n")


def test_the_schema_describes_keys_that_come_from_the_rooms():
    found = json.loads(schema_text())["$defs"]
    assert found["Model"]["properties"]["steps"]["description"] == "Denoising steps."
    assert all("description" in key for section in found.values() for key in section.get("properties", {}).values())
