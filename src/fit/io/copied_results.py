"""Results that were copied without their times, as `cp -r` does, are taken as they are.

Snakemake redoes what is older than its inputs, and a plain copy gives every file the time of the copy. Of each result
Snakemake has written down when it was finished (.snakemake/metadata): the copy's files get times in that order again.
What else Snakemake compares, settings above all, stays as it was written down, so a change of it is noticed as ever.
"""

import json
import os
import sys
import time
from base64 import urlsafe_b64decode
from pathlib import Path

from fit.io.files import atomic_write

STAMP = Path("results/.written-here")
"""A file whose text is its own time of change, in seconds: it is another one in a copy that did not keep times."""
_BENCHMARKS = Path("results/benchmarks")
_METADATA = Path(".snakemake/metadata")


def stamp():
    """Note that the results of this folder have the times at which they were made."""
    now = int(time.time()) // 2 * 2  # some file systems keep times to two seconds
    with atomic_write(STAMP) as part:
        part.write_text(f"{now}\n", encoding="utf-8")
    os.utime(STAMP, (now, now))


def is_copy():
    """Whether these results were copied without their times."""
    try:
        return int(STAMP.read_text(encoding="utf-8")) != int(STAMP.stat().st_mtime)
    except (OSError, ValueError):
        return False


def _recorded():
    """(when it was finished, path) of each result that Snakemake has written down and that is there."""
    for root, _, names in os.walk(_METADATA):
        for name in names:
            try:
                key = "".join(part.lstrip("@") for part in Path(root, name).relative_to(_METADATA).parts)
                path = Path(urlsafe_b64decode(key).decode())
                ended = float(json.loads(Path(root, name).read_text(encoding="utf-8"))["endtime"])
            except (OSError, ValueError, KeyError, TypeError):
                continue  # not a record of a result
            if path.exists():
                yield ended, path


def restore_order():
    """Give the results times in the order in which they were finished, the last of them now. Returns how many."""
    recorded = sorted(_recorded())
    moments = sorted({ended for ended, _ in recorded})
    now = time.time_ns()
    # 10 microseconds apart: Snakemake tells them apart, and all are later than what was copied along with them.
    of_moment = {ended: now - (len(moments) - 1 - rank) * 10_000 for rank, ended in enumerate(moments)}
    for ended, path in recorded:
        carrier = Path(path, ".snakemake_timestamp")
        for place in [carrier, path] if path.is_dir() and carrier.exists() else [path]:
            os.utime(place, ns=(of_moment[ended], of_moment[ended]), follow_symlinks=False)
    # A job counts as old as its benchmark, too, of which nothing is written down.
    for root, _, names in os.walk(_BENCHMARKS):
        for name in names:
            os.utime(Path(root, name), ns=(now, now))
    return len(recorded)


def take_copied_results():
    """Where the results in this folder were copied without their times, restore their order, and say so."""
    if not is_copy():
        return
    count = restore_order()
    if count:
        print(
            f"fit: these results were copied without their times; {count} are taken as they are, in the order in which "
            "they were made",
            file=sys.stderr,
        )
        stamp()
    else:
        print(
            "fit: these results were copied without their times and without the folder .snakemake, which says what "
            "they were made with: copy that folder too, or take them as they are by `snakemake --touch` (with "
            "what they were made is then not known, and not compared with config.yaml)",
            file=sys.stderr,
        )
