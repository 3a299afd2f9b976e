"""Accepts results that were copied without their times, as `cp -r` does.

Snakemake makes what is older than its inputs again, and a plain copy gives every file the time of the copy. Snakemake's
record of each result says when it was finished (.snakemake/metadata): the copied files get times in that order again.
The rest of a record, above all the settings, stays as it is, so Snakemake still notices when they change.
"""

import json
import os
import sys
import time
from base64 import urlsafe_b64decode
from collections.abc import Iterator
from pathlib import Path

from fit.io.files import write_text

STAMP = Path("results/.written-here")
"""A file whose text is its own modification time, in seconds: in a copy that did not keep times the two differ."""
_BENCHMARKS = Path("results/benchmarks")
_METADATA = Path(".snakemake/metadata")


def stamp() -> None:
    """Note that the results of this folder have the times at which they were made."""
    now = int(time.time()) // 2 * 2  # some file systems keep times to two seconds
    write_text(STAMP, f"{now}\n")
    os.utime(STAMP, (now, now))


def is_copy() -> bool:
    """Whether these results were copied without their times."""
    try:
        return int(STAMP.read_text(encoding="utf-8")) != int(STAMP.stat().st_mtime)
    except (OSError, ValueError):
        return False


def _recorded() -> Iterator[tuple[float, Path]]:
    """Yield (when it was finished, path) of each result that exists and that Snakemake has a record of."""
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


def restore_order() -> int:
    """Give the results times in the order in which they were finished, the last of them now; return how many."""
    recorded = sorted(_recorded())
    moments = sorted({ended for ended, _ in recorded})
    now = time.time_ns()
    # 10 microseconds apart: Snakemake sees the difference, and all are later than the other files of the copy.
    of_moment = {ended: now - (len(moments) - 1 - rank) * 10_000 for rank, ended in enumerate(moments)}
    for ended, path in recorded:
        carrier = Path(path, ".snakemake_timestamp")
        for place in [carrier, path] if path.is_dir() and carrier.exists() else [path]:
            os.utime(place, ns=(of_moment[ended], of_moment[ended]), follow_symlinks=False)
    # Snakemake also looks at the time of a job's benchmark, of which it has no record.
    for root, _, names in os.walk(_BENCHMARKS):
        for name in names:
            os.utime(Path(root, name), ns=(now, now))
    return len(recorded)


def take_copied_results() -> None:
    """Restore the order of results that were copied without their times into this folder, and say so."""
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
            "they were made with: copy that folder too, or take them as they are by `snakemake --touch` (the "
            "settings that they were made with are then not known, and not compared with config.yaml)",
            file=sys.stderr,
        )
