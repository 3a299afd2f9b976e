"""How long planning takes, and in how much memory, against the number of concepts.

    python benchmarks/planning.py [--write docs/cluster.md]

Two studies with made-up sheets and corpora of 128 files: the paper's of config.yaml (three models, four domains), and
one model in one domain of many concepts. Each is planned with `snakemake --dry-run` in a folder where everything is
still to be made. Rounds take turns; the table has the medians of the seconds and the highest peak of memory.
"""

import argparse
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import yaml
from pages import write_between

ROOT = Path(__file__).resolve().parents[1]
STUDIES = (("paper", 100), ("paper", 1_600), ("paper", 10_000), ("one domain", 1_000), ("one domain", 10_000))
"""(study, concepts in all)."""
SHARDS = 128
"""Files of captions in each corpus; only their names matter here."""


def prepare(folder, study, concepts):
    """Write a configuration with a study of `concepts` made-up concepts, shared out among its domains."""
    config = yaml.safe_load((ROOT / "config.yaml").read_text(encoding="utf-8"))
    if study == "one domain":
        config["studies"]["paper"] = {"models": ["sd1.5"], "domains": ["classical_artists"]}
    domains = config["studies"]["paper"]["domains"]
    for number, name in enumerate(domains):
        rows = range(number, concepts, len(domains))
        sheet = "concept\tname\taliases\n" + "".join(f"concept-{i:05d}\tConcept {i:05d}\t\n" for i in rows)
        (folder / f"{name}.tsv").write_text(sheet, encoding="utf-8")
        config["domains"][name]["concepts"] = f"{name}.tsv"
    config["default_study"] = "paper"
    (folder / "config.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
    (folder / "concepts").symlink_to(ROOT / "concepts")
    for corpus in ("laion2b-en", "laion5b"):
        (folder / "data" / corpus).mkdir(parents=True)
        for number in range(SHARDS):
            (folder / "data" / corpus / f"part-{number:05d}.parquet").touch()


def plan(study, concepts):
    """Plan a study in a process of its own; returns jobs, seconds, processor seconds, peak MB."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        prepare(folder, study, concepts)
        command = ["snakemake", "--snakefile", str(ROOT / "Snakefile"), "--profile", str(ROOT / "profiles/default")]
        output = folder / "output"
        started = time.perf_counter()
        with output.open("w") as file:
            process = subprocess.Popen(
                [*command, "--dry-run", "--quiet", "rules"], cwd=folder, stdout=file, stderr=subprocess.STDOUT
            )
            _, status, used = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - started
        text = output.read_text()
        if status:
            raise SystemExit(f"snakemake failed:\n{text[-4000:]}")
        jobs = int(re.search(r"^total +(\d+)", text, re.M)[1])
    return jobs, seconds, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024


def table(studies, rounds):
    """The table, as Markdown."""
    found = {study: [] for study in studies}
    for number in range(rounds):
        for study in studies:
            found[study].append(plan(*study))
            print(f"round {number + 1} of {rounds}: {study}: {found[study][-1]}", file=sys.stderr)
    lines = [
        "| study | concepts | jobs | seconds | processor seconds | peak MB |",
        "| --- | ---: | ---: | ---: | ---: | ---: |",
    ]
    for (study, concepts), runs in found.items():
        jobs, seconds, busy, peak = zip(*runs, strict=True)
        medians = f"{statistics.median(seconds):.1f} | {statistics.median(busy):.1f}"
        lines.append(f"| {study} | {concepts:,} | {jobs[0]:,} | {medians} | {max(peak):,.0f} |")
    return "\n".join(lines)


def main():
    """Parse the command line; print the table, or put it between the markers of a file."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", type=int, nargs="+", help="concepts of one domain to plan instead, for a look")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--write", type=Path, metavar="FILE", help="put the table between the markers of this file")
    args = parser.parse_args()
    text = table([("one domain", size) for size in args.sizes or ()] or STUDIES, args.rounds)
    print(text)
    if args.write:
        write_between(args.write, "planning", text.splitlines())


if __name__ == "__main__":
    main()
