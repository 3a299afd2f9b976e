"""Every command that the workflow would run is one that the command line understands."""

import os
import re
import shlex
import subprocess
from pathlib import Path

import pytest
import yaml

from fit.cli.main import parse
from fit.config.stages import STAGES
from snakemake_logger_plugin_fit.stages import MILESTONES

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with the project's configuration, and a study that has everything that the built-in one lacks."""
    place = tmp_path_factory.mktemp("rules")
    (place / "concepts").symlink_to(ROOT / "concepts")
    for corpus in ("laion2b-en", "laion5b"):
        (place / "data" / corpus).mkdir(parents=True)
        (place / "data" / corpus / "part-0.parquet").touch()
    data = yaml.safe_load((ROOT / "config.yaml").read_text(encoding="utf-8"))
    sheet = "concept\tname\taliases\tgroup\n" + "".join(f"person-{i}\tPerson {i}\t\tgroup\n" for i in range(5))
    (place / "people.tsv").write_text(sheet)
    for kind in ("references", "pictures", "images"):
        for i in range(5):
            (place / kind / f"person-{i}").mkdir(parents=True)
    (place / "counts.csv").write_text("concept,effective_count\n" + "".join(f"person-{i},{i}\n" for i in range(5)))
    (place / "vetoes.tsv").write_text("concept\timage_id\n")
    for name in data["studies"]["paper"]["domains"]:
        data["domains"][name]["concepts"] = "people.tsv"  # few: a plan of thousands of jobs takes long to print
    data["domains"]["people"] = data["domains"]["celebrities"] | {
        "concepts": "people.tsv",
        "references": {"folder": "references", "vetoes": "vetoes.tsv"},
    }
    data["domains"]["strangers"] = data["domains"]["people"] | {
        "references": {"serpapi": "a picture of {name}"},
        "embedder": "dlib",  # lacks no file, so that the report asks what sites refused
    }
    data["domains"]["painters"]["prompt_embedder"] = "atelier-art"
    data["corpora"]["counted"] = {"provided_counts": "counts.csv"}
    data["corpora"]["local"] = {"provided_images": "images"}
    data["models"]["local"] = {"corpus": "local", "provided_images": "pictures"}
    data["models"]["counted"] = {"corpus": "counted", "pipeline": "someone/model", "revision": "a" * 40}
    data["models"]["linked"] = {"corpus": "laion2b_en", "pipeline": "someone/model"}
    data["models"]["erased"] = {
        "base": "atelier",
        "erase": {"method": "esd", "concepts": ["bruno-beldani"], "domain": "painters"},
        "rewrite": {"rules": [{"find": "{name}", "replace": "an artist, no other"}]},
        "negative_prompt": "a painting by Bruno Beldani",
    }
    data["studies"]["local"] = {"models": ["local", "counted", "linked"], "domains": ["people", "strangers"]}
    attacked = {"models": ["atelier", "erased"], "concepts": ["sander-belberg", "bruno-beldani"]}
    data["attacks"] = attacked | {"domain": "painters"}
    # One model of each kind of job: a world with the usual encoder, and one with another.
    data["truth"] |= {"worlds": [1], "deals": 1, "trainings": 1, "changes": ["weak-encoder"], "changed_deals": 1}
    (place / "config.yaml").write_text(yaml.safe_dump(data))
    return place


def commands(folder, study):
    """(rule, words of its command) of every job that the milestones of a study would run."""
    snakemake = ["snakemake", "--snakefile", ROOT / "Snakefile", "--dry-run", "--printshellcmds", "--logger-fit-plain"]
    done = subprocess.run(
        [*snakemake, *MILESTONES, "--config", f"default_study={study}"],
        cwd=folder,
        env=os.environ | {"SERPAPI_API_KEY": "key"},
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
    )
    said = done.stdout + done.stderr
    assert not done.returncode, said[-3000:]
    for rule, command in re.findall(r"^\s*rule (\w+):.*?^\s*Shell command: (.*?)$", said, re.M | re.S):
        if command != "None":  # a milestone's
            yield rule, shlex.split(command.removeprefix("trap '' TERM; "))


def test_every_command_is_understood(folder):
    seen = set()
    for study in ("atelier", "local", "paper"):
        for rule, words in commands(folder, study):
            assert words[0] == "fit" and ">" in words, words
            args = parse(words[1 : words.index(">")])
            assert args.command.run
            seen.add(rule)
    text = "".join(path.read_text() for path in sorted((ROOT / "rules").glob("*.smk")))
    assert seen == set(re.findall(r"^(?:use )?rule (?:\w+ as )?(\w+)", text, re.M)) - set(MILESTONES)


def test_every_stage_has_a_rule_and_a_version():
    from fit.config.stages import versions

    text = "".join(path.read_text() for path in sorted((ROOT / "rules").glob("*.smk")))
    used = set(re.findall(r'settings\(\s*"(\w+)"', text))
    assert used == set(STAGES) == set(versions())
