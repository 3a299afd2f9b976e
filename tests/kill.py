"""Kills a study at random moments of every stage and resumes it each time: nothing may be lost, nothing may differ.

    python tests/kill.py --kills 100 --seed 1

It runs the shrunken study of tests/workplace.py once to its end, the reference. Then each rule in turn, in the order
that data flows, is made again and killed at a random moment of its job, in one of five ways. After each kill every
result that is there must have the bytes of the reference. In the end the study is completed, and every result compared.

Prints a Markdown table to stdout and how it goes to stderr. The exit status is 1 if anything differs or fails.
"""

import argparse
import hashlib
import os
import random
import signal
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from workplace import Workplace, shrink

MARK = "FIT_KILL_TEST"
"""Variable in the environment of all that runs here: so a process is found that has left its group."""
NOT_RESULTS = ("logs", "benchmarks", "cache")
"""What lies in results/ and holds times, or what a stop must not lose until a result is there."""
KNOWN = {".fit-folder", ".snakemake_timestamp", ".written-here"}
"""Hidden files that belong where they are."""
WAYS = {
    "-9 to all": ("all", signal.SIGKILL),
    "-9 to fit": ("fit", signal.SIGKILL),
    "-9 to Snakemake": ("Snakemake", signal.SIGKILL),
    "TERM to all": ("all", signal.SIGTERM),
    "INT to all": ("all", signal.SIGINT),
}
"""Words for a way of killing -> whom, and with what."""
PATIENCE_S = 600
ATTEMPTS = 12
"""How often a job is made again that was over before it could be killed."""


@dataclass(frozen=True)
class Job:
    """A job of the study: its rule, its log, its outputs, and how long it took when nothing disturbed it."""

    rule: str
    log: Path
    outputs: list[str]
    seconds: float


@dataclass
class Story:
    """What happened: (rule, way, whether its job was running) of each kill, and what did not hold."""

    kills: list[tuple[str, str, bool]] = field(default_factory=list)
    went_on: int = 0
    unlocked: int = 0
    wrong: list[str] = field(default_factory=list)

    def say_wrong(self, what):
        self.wrong.append(what)
        print(f"WRONG: {what}", file=sys.stderr, flush=True)


# --- results --------------------------------------------------------------------------------------------------------


def is_temporary(path):
    """Whether a path is of a file that is not finished, which has a hidden name, or lies in a folder with one."""
    return any(part.startswith(".") and part != ".fit-folder" for part in path.parts)


def hashes(results):
    """Path relative to `results` -> SHA-256, of each finished result. A file that is renamed meanwhile is left out."""
    found = {}
    for path in sorted(results.rglob("*")):
        name = path.relative_to(results)
        if name.parts[0] in NOT_RESULTS or is_temporary(name) or not path.is_file():
            continue
        try:
            found[str(name)] = hashlib.sha256(path.read_bytes()).hexdigest()
        except FileNotFoundError:
            continue
    return found


def differences(reference, found, complete):
    """What differs between two results of `hashes`, in words; a missing file only where they are to be `complete`."""
    said = [f"{name}: other bytes than in the reference" for name in found if reference.get(name, "") != found[name]]
    return said + [f"{name}: missing" for name in reference if complete and name not in found]


# --- processes ------------------------------------------------------------------------------------------------------


def processes(folder):
    """Numbers of the processes that run for the study in `folder`, whatever group they are in."""
    wanted = f"{MARK}={folder}".encode()
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and wanted in (entry / "environ").read_bytes().split(b"\0") and state(entry) != "Z":
                yield int(entry.name)
        except OSError:
            continue  # it has ended, or is somebody else's


def state(entry):
    """The letter by which /proc says whether a process runs, sleeps, or has ended."""
    return (entry / "stat").read_text().rpartition(")")[2].split()[0]


def fit_of(job, folder):
    """The process of `fit` that does `job`, or None: what writes its log and is called so, not its shell."""
    for pid in processes(folder):
        try:
            to = Path(f"/proc/{pid}/fd/2").readlink()  # some rules have only this of a command in their log
            if to == folder / job.log and Path(f"/proc/{pid}/comm").read_text().strip() == "fit":
                return pid
        except OSError:
            continue
    return None


# --- the study ------------------------------------------------------------------------------------------------------


def jobs_of(place, targets):
    """Jobs of the finished study, in an order in which they can be made."""
    jobs = {}
    for line in place.run("--detailed-summary", *targets).splitlines():
        cells = line.split("\t")
        if len(cells) < 8 or cells[0] == "output_file" or not cells[3].startswith("results/logs/"):
            continue
        benchmark = place.folder / cells[3].replace("/logs/", "/benchmarks/").replace(".log", ".tsv")
        seconds = float(benchmark.read_text().splitlines()[1].split("\t")[0])
        jobs.setdefault(cells[3], Job(cells[2], Path(cells[3]), [], seconds)).outputs.append(cells[0])
    # A job begins its log after those that it needs have written their last line.
    return sorted(jobs.values(), key=lambda job: (place.folder / job.log).stat().st_mtime)


def order(jobs, kills):
    """(job, way) of each kill: each rule in turn, each time with another of its jobs and in another way."""
    of_rule = {}
    for job in jobs:
        of_rule.setdefault(job.rule, []).append(job)
    ways = list(WAYS)
    for number in range(kills):
        turn, place = divmod(number, len(of_rule))
        rule = list(of_rule)[place]
        yield of_rule[rule][turn % len(of_rule[rule])], ways[(place + turn) % len(ways)]


def unlock(place, story):
    """Do what a user does after a hard kill of Snakemake: `snakemake --unlock`."""
    if any((place.folder / ".snakemake/locks").glob("*")):
        place.run("--unlock")
        story.unlocked += 1


def kill(place, job, way, within_s, story):
    """Make `job` again, what it needs before, and kill it at a random moment. Returns whether it was early enough."""
    whom, number = WAYS[way]
    log, before = place.folder / "snakemake.log", set(processes(place.folder))
    with log.open("w") as output:
        process = place.start("--force", job.outputs[0], output=output)
    deadline, fit = time.monotonic() + PATIENCE_S, None
    while fit is None and process.poll() is None and time.monotonic() < deadline:
        fit = fit_of(job, place.folder)
        time.sleep(0.01)
    if fit is None and process.poll() != 0:
        story.say_wrong(f"{job.rule}: the run before the kill failed: {log.read_text()[-3000:]}")
        end_all(place)
        return True
    moment = time.monotonic() + random.uniform(0, within_s)
    while process.poll() is None and time.monotonic() < moment:
        time.sleep(0.005)
    running = fit is not None and fit_of(job, place.folder) == fit
    if process.poll() is not None or (whom == "fit" and not running):
        process.wait()
        return False
    try:
        if whom == "all":
            os.killpg(process.pid, number)
        else:
            os.kill(fit if whom == "fit" else process.pid, number)
    except ProcessLookupError:
        process.wait()
        return False
    story.kills.append((job.rule, way, running))
    deadline = time.monotonic() + PATIENCE_S
    while process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.05)
    if process.poll() is None:
        story.say_wrong(f"{job.rule}, {way}: Snakemake still runs {PATIENCE_S} s later")
        end_all(place)
    if whom == "Snakemake":
        # Nobody told the job: it goes on, beside the run that resumes.
        story.went_on += bool(set(processes(place.folder)) - before)
    elif survivors := wait_for_the_end(place, 5, before):
        story.say_wrong(f"{job.rule}, {way}: {len(survivors)} processes go on")
    return True


def wait_for_the_end(place, seconds, known=frozenset()):
    """Numbers of the study's processes that still run after some seconds, but for those that are known."""
    deadline = time.monotonic() + seconds
    while (running := set(processes(place.folder)) - known) and time.monotonic() < deadline:
        time.sleep(0.1)
    return running


def end_all(place):
    """End every process of this study, and of no other."""
    for pid in processes(place.folder):
        os.kill(pid, signal.SIGKILL)


def table(jobs, story):
    """Kills by rule and way, as Markdown."""
    counts = Counter((rule, way) for rule, way, _ in story.kills)
    at_work = Counter(rule for rule, _, running in story.kills if running)
    lines = ["| rule | " + " | ".join(WAYS) + " | while its job ran |", "| --- |" + " --- |" * (len(WAYS) + 1)]
    for rule in dict.fromkeys(job.rule for job in jobs):
        cells = [str(counts[rule, way] or "") for way in WAYS]
        lines.append(f"| `{rule}` | " + " | ".join(cells) + f" | {at_work[rule]} |")
    sums = [str(sum(counts[rule, way] for rule, of in counts if of == way)) for way in WAYS]
    lines.append("| all | " + " | ".join(sums) + f" | {sum(at_work.values())} |")
    return "\n".join(lines)


def run(folder, kills, seed, targets=()):
    """Kill the study in `folder` so many times; returns (its jobs, Story, number of results compared, left over)."""
    random.seed(seed)
    place, story = Workplace(folder), Story()
    place.environment = {MARK: str(folder)}
    shrink(place)
    results = folder / "results"
    try:
        place.run(*targets)
        reference, jobs = hashes(results), jobs_of(place, targets)
        print(f"{len(reference)} results of {len(jobs)} jobs to compare with", file=sys.stderr, flush=True)
        for number, (job, way) in enumerate(order(jobs, kills), 1):
            for attempt in range(ATTEMPTS):
                # Where it came too late, the job was quicker than usual.
                if kill(place, job, way, job.seconds / 2**attempt, story):
                    break
            else:
                story.say_wrong(f"{job.rule}, {way}: the job was over each of {ATTEMPTS} times, so it was not killed")
            for what in differences(reference, hashes(results), complete=False):
                story.say_wrong(f"after {job.rule}, {way}: {what}")
            when = "" if story.kills and story.kills[-1][2] else ", its job had ended"
            print(f"{number} of {kills}: {job.rule}, {way}{when}", file=sys.stderr, flush=True)
            unlock(place, story)
        # Each result by name: of one that is not there Snakemake asks nothing where what was made of it is newer.
        place.run("--", *(output for job in jobs for output in job.outputs))
        if survivors := wait_for_the_end(place, 60):
            story.say_wrong(f"{len(survivors)} processes go on after the study's end")
        for what in differences(reference, hashes(results), complete=True):
            story.say_wrong(f"in the end: {what}")
    finally:
        end_all(place)
    left = [path for path in results.rglob(".*") if path.name not in KNOWN]
    return jobs, story, len(reference), left


def main(arguments=None):
    """See the top of this file."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("targets", nargs="*", help="results of the study to go as far as; default: all of it")
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1, help="of the moments")
    parser.add_argument("--folder", type=Path, help="a new folder to work in, which is kept; default: a temporary one")
    args = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as temporary:
        folder = (args.folder or Path(temporary)).resolve()
        folder.mkdir(parents=True, exist_ok=True)
        jobs, story, compared, left = run(folder, args.kills, args.seed, args.targets)
    print(table(jobs, story))
    running = sum(running for *_, running in story.kills)
    print(
        f"\n{len(story.kills)} kills (seed {args.seed}), {running} of them while the job ran, the others between its "
        f"end and Snakemake's. `snakemake --unlock` was needed {story.unlocked} times. {story.went_on} times the job "
        "went on after its Snakemake was killed, beside the run that resumed. Temporary files left: "
        f"{len(left)}. {compared} results compared in the end and after each kill: "
        f"{'NOT ' * bool(story.wrong)}all the same."
    )
    for what in story.wrong:
        print(f"\nWRONG: {what}")
    return 1 if story.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
