"""Lets a study run out of disk or of memory again and again: each stop must be said in words, and nothing may differ.

    python tests/starve.py --disk
    python tests/starve.py --memory

As root on Linux. The shrunken study of tests/workplace.py runs once undisturbed, the reference. Then it runs on a disk
(tmpfs) or in a cgroup that has too little; each time it stops it gets a step more, until it is done. After each stop
every result that is there must have the bytes of the reference.

Prints a Markdown table to stdout and how it goes to stderr. The exit status is 1 if anything differs, or if a stop is
not explained.
"""

import argparse
import os
import re
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from kill import differences, hashes, unlock
from workplace import Workplace, shrink

SIGNS = ("no space left", "No space left", "something killed it", "not enough memory", "Killed")
"""What a stop is explained by, the clearest first."""
TRACEBACK = "Traceback (most recent call last)"


@dataclass
class Story:
    """What happened at each stop: (megabytes, failed rules, what was said), and what did not hold."""

    stops: list[tuple[int, str, str]] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    unlocked: int = 0

    def say_wrong(self, what):
        self.wrong.append(what)
        print(f"WRONG: {what}", file=sys.stderr, flush=True)


@contextmanager
def disk(folder, first_mb):
    """A small disk at `folder`; gives what sets its size."""

    def resize(size_mb):
        subprocess.run(["mount", "-o", f"remount,size={size_mb}m", str(folder)], check=True)

    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={first_mb}m", "tmpfs", str(folder)], check=True)
    try:
        yield resize, []
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


@contextmanager
def memory(_folder, first_mb):
    """A cgroup; gives what sets its limit, and the beginning of a command that runs in it."""
    two = Path("/sys/fs/cgroup/cgroup.controllers").exists()
    group = Path("/sys/fs/cgroup" if two else "/sys/fs/cgroup/memory", f"fit-starve-{os.getpid()}")
    group.mkdir()

    def resize(size_mb):
        (group / ("memory.max" if two else "memory.limit_in_bytes")).write_text(f"{size_mb << 20}\n")

    try:
        resize(first_mb)
        # The shell joins the group, and becomes the command.
        yield resize, ["sh", "-c", f'echo $$ > {group}/cgroup.procs && exec "$@"', "sh"]
    finally:
        group.rmdir()


def explained(place, output):
    """(rules that failed, what was said of it) of a run that stopped; what was said is None if nobody understands it.

    A job that is killed for memory can say nothing; the screen says of it that it was killed.
    """
    named = ", ".join(sorted(set(re.findall(r"failed while [^:]+: (\w+)", output)))) or "-"
    logs = [place.folder / log for log in re.findall(r"its log[^:]*: (results/logs/\S+\.log)", output)]
    texts = [output, *(log.read_text(errors="replace") for log in logs if log.is_file())]
    lines = [line.strip() for text in texts for line in text.splitlines()]
    said = next((line for sign in SIGNS for line in lines if sign in line), None)
    # Snakemake's own records may meet the full disk too: it makes a traceback of that, with the words in the last line.
    if any(TRACEBACK in text for text in texts[1:]):
        said = None
    return named, said and re.sub(r"/tmp/\S*?/(results|config|painters)", r"\1", said)[:160]


def starve(kind, first_mb, step_mb, reference, folder, targets, shrinking):
    story = Story()
    with kind(folder, first_mb) as (resize, prefix):
        place = Workplace(folder)
        shrinking(place)
        place.prefix = prefix
        size = first_mb
        while True:
            process = place.start(*targets)
            output, _ = process.communicate()
            for what in differences(reference, hashes(folder / "results"), complete=process.returncode == 0):
                story.say_wrong(f"at {size} MB: {what}")
            if process.returncode == 0:
                break
            named, said = explained(place, output)
            story.stops.append((size, named, said or "NOT EXPLAINED"))
            print(f"{size} MB: {named}: {said}", file=sys.stderr, flush=True)
            if said is None:
                story.say_wrong(f"at {size} MB, {named}: not explained: {output[-3000:]}")
            size += step_mb
            resize(size)
            unlock(place, story)
        print(f"{size} MB: done", file=sys.stderr, flush=True)
    return story, size


def main(arguments=None):
    """See the top of this file."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("targets", nargs="*")
    parser.add_argument("--disk", action="store_true")
    parser.add_argument("--memory", action="store_true")
    parser.add_argument(
        "--first-mb", type=int, default=None, help="what there is at first; default: 1, or 150 of memory"
    )
    parser.add_argument("--step-mb", type=int, default=None, help="given after each stop: 2, or 50")
    args = parser.parse_args(arguments)
    status = 0
    with tempfile.TemporaryDirectory() as temporary:
        undisturbed = Path(temporary, "reference")
        undisturbed.mkdir()
        place = Workplace(undisturbed)
        shrink(place)
        place.run(*args.targets)
        reference = hashes(undisturbed / "results")
        for kind, wanted, first, step in ((disk, args.disk, 1, 2), (memory, args.memory, 150, 50)):
            if not wanted:
                continue
            folder = Path(temporary, kind.__name__)
            folder.mkdir()
            first, step = args.first_mb or first, args.step_mb or step
            story, size = starve(kind, first, step, reference, folder, args.targets, shrink)
            print(f"| {kind.__name__}, MB | stopped | what was said |\n| --- | --- | --- |")
            for of_stop in story.stops:
                print("| {} | {} | {} |".format(*of_stop))
            print(
                f"\nDone with {size} MB, after {len(story.stops)} stops; {len(reference)} results compared after each: "
                f"{f'{len(story.wrong)} faults' if story.wrong else 'all the same, and every stop explained'}.\n"
            )
            status |= bool(story.wrong)
    return status


if __name__ == "__main__":
    sys.exit(main())
