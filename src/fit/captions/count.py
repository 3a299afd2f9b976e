"""Counts the captions that mention each concept in files of a corpus."""

from collections.abc import Sequence
from pathlib import Path

from fit.captions.kept import KeptCounts
from fit.captions.scan import CountJob, scan
from fit.captions.tables import CountFiles
from fit.concepts.sheet import Concept
from fit.io.files import make_folder


def count_captions(
    concepts: Sequence[Concept], job: CountJob, outputs: CountFiles, reuse: str | Path | None = None
) -> None:
    """Count the captions that mention each concept, and sample the rows behind them.

    Args:
        concepts: of the sheet.
        job: the files, and how they are read and sampled. Nothing of a broken file that is skipped counts, and the
            outputs say so.
        outputs: the files to write.
        reuse: a folder that keeps what was counted, so that one more concept is counted alone; None for none.

    Raises:
        CorpusError: a file is not usable, two have the same name, or there is no row.
        SheetError: a name has no token.
        PlaceError: `reuse` holds files that FIT did not write.
    """
    kept = KeptCounts(reuse) if reuse else None  # claims the folder, before every file is looked at
    rows, fingerprints = job.check()
    for path in (outputs.counts, outputs.names, outputs.matched_captions, outputs.shards):
        make_folder(path.parent)
    if kept is None:
        scan(concepts, job, outputs, rows)
    else:
        kept.count(concepts, job, outputs, rows, fingerprints)
