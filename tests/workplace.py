"""A folder where the workflow runs with a configuration of its own, and a study that is small enough for tests."""

import os
import re
import signal
import subprocess
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[1]


HOSTILE_NAMES = (
    "../../../x Belberg",
    'Bruno"; touch pwned; "Beldani',
    "$(touch pwned) Belfane",
    "Leander 🎨 `touch pwned` Bellund",
    "\u202eEssam \u200fBelnik\u202c",
    "{name} {input} 'O\u2019Belquist",
)
"""Names of people whom a shell, a path or a format string would take for something else."""


def _hear_interrupts():
    """What is started in the background of a script ignores SIGINT, and so would all that it starts."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


class Workplace:
    """A folder with a configuration and sheets of its own, in which the project's workflow runs."""

    def __init__(self, folder):
        self.folder = folder
        (folder / "concepts").symlink_to(ROOT / "concepts")
        self.config = yaml.safe_load((ROOT / "config.yaml").read_text())
        self.environment = {}
        self.prefix = []
        """The beginning of a command that everything here is run by."""

    def write(self):
        (self.folder / "config.yaml").write_text(yaml.safe_dump(self.config))

    def start(self, *arguments, output=subprocess.PIPE):
        """Start snakemake here, its output to a pipe or an open file; returns the process, leader of its own group."""
        self.write()
        command = [
            "snakemake",
            "--snakefile",
            str(ROOT / "Snakefile"),
            "--workflow-profile",
            str(ROOT / "profiles/default"),
        ]
        return subprocess.Popen(
            [*self.prefix, *command, "--cores", "2", *arguments],
            cwd=self.folder,
            stdout=output,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
            preexec_fn=_hear_interrupts,
            env=os.environ | self.environment,
        )

    def run(self, *arguments):
        """Run snakemake here; returns its output. Fails the test where snakemake fails."""
        process = self.start(*arguments)
        output, _ = process.communicate()
        assert process.returncode == 0, output[-6000:]
        return output

    def fails(self, *arguments):
        """Run snakemake here, which is to fail; returns its output."""
        process = self.start(*arguments)
        output, _ = process.communicate()
        assert process.returncode != 0, output[-6000:]
        return output

    def planned(self, *arguments):
        """What a run would do: rule -> number of jobs."""
        output = self.run("-n", *arguments)
        table = re.search(r"^job +count\n-+ +-+\n(.*?)\n\n", output, re.S | re.M)
        return {name: int(count) for name, count in map(str.split, table[1].splitlines())} if table else {}


def shrink(place):
    """Make the study of `place` the atelier, shrunk: few painters, models that hardly learn, every stage real."""
    sheet = (ROOT / "concepts" / "painters.tsv").read_text().splitlines()
    rows = [line.split("\t") for line in sheet[:17]]
    for row, name in zip(rows[1:], HOSTILE_NAMES, strict=False):
        row[1] = name
    (place.folder / "painters.tsv").write_text("".join("\t".join(row) + "\n" for row in rows))
    place.config["domains"]["painters"] |= {"concepts": "painters.tsv", "concepts_per_job": 16}
    place.config["domains"]["painters"]["prompts"] = ["a painting by {name}", "{name}, orchard, oil on canvas"]
    place.config["atelier"] |= {
        "sheet": "painters.tsv",
        "painters_without_pictures": 2,
        "largest_count": 60,
        "references_per_painter": 12,
        "photographs": 60,
        "anonymous": 60,
        "encoder_steps": 12,
        "art_filter_steps": 12,
        "autoencoder_steps": 30,
        "generator_steps": 20,
        "generator_batch": 8,
    }
    place.config["models"]["atelier"] |= {"images_per_prompt": 2, "steps": 2}
    place.config["threshold"] |= {"penalty": 0.05, "resamples": 50}
    for model in place.config["models"].values():
        if "base" in model:
            erased = model.get("erase", model)
            erased["concepts" if "erase" in model else "erases"] = [row[0] for row in rows[7:9]]
    place.config["attacks"] |= {"models": ["atelier"], "concepts": [row[0] for row in rows[7:9]]}
