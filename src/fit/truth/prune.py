"""Takes the images that an audit plans to remove out of a training set, so that the plan can be tried."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import polars as pl

from fit.errors import DataError
from fit.io.files import atomic_write
from fit.io.parquet import read, write_frame


def choose_painters(removed: Mapping[str, int], number: int) -> list[str]:
    """Return `number` painters, spread evenly over those in a plan as ranked by how many rows it removes of each."""
    ranked = sorted(removed, key=lambda slug: (removed[slug], slug))
    places = np.linspace(0, len(ranked) - 1, number + 2)[1:-1].round().astype(int)
    return [ranked[place] for place in dict.fromkeys(places.tolist())]


def prune(plan: str | Path, painters: int, files: Mapping[str | Path, str | Path], pruned: str | Path) -> None:
    """Write tables without the rows that a plan removes of a few painters.

    Args:
        plan: the Parquet file that `fit audit --plan` wrote.
        painters: of how many painters; the others of the plan keep their rows.
        files: table with the column url -> file to write.
        pruned: tab-separated table to write: concept, removed.

    Raises:
        DataError: the plan removes rows of fewer painters.
    """
    rows = pl.DataFrame(pl.from_arrow(read(plan, ["concept", "url"])))
    removed = dict(rows.group_by("concept").len().iter_rows())
    if len(removed) < painters:
        raise DataError(
            f"{plan}: it removes rows of {len(removed)} painters, fewer than {painters}; lower `truth.pruned_painters`"
        )
    chosen = choose_painters(removed, painters)
    gone = rows.filter(pl.col("concept").is_in(chosen))["url"].implode()
    for source, target in files.items():
        table = pl.DataFrame(pl.from_arrow(read(source)))
        write_frame(table.filter(~pl.col("url").is_in(gone)), target)
    with atomic_write(pruned) as part:
        table = pl.DataFrame({"concept": chosen, "removed": [removed[slug] for slug in chosen]})
        table.write_csv(part, separator="\t")
