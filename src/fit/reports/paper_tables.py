"""Tables of the paper that follow from a study's results: all change points, captions in bins, invariance, and what
captions miss."""

from bisect import bisect_right
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path

import polars as pl

from fit.errors import DataError, again
from fit.published import CAPTION_BINS, CONCEPTS_IN_BINS, FACES_THAT_CAPTIONS_MISS
from fit.reports.invariance import WITHIN, Invariance
from fit.reports.report import Pair, Table
from fit.thresholds.answer import read


def changes_table(thresholds: Mapping[Pair, str | Path]) -> Table:
    """Return every change point of PELT, at the study's penalty: a row each, from few images to many.

    Args:
        thresholds: (model, domain) -> path of the JSON that `fit thresholds detect` wrote.
    """
    columns = ("model", "domain", "penalty", "change point", "images", "first concept above")
    rows: list[tuple[str, ...]] = []
    for pair, path in thresholds.items():
        found = read(path, "changes", "penalty")
        begin = (*pair, f"{found['penalty']:g}")
        for number, place in enumerate(found["changes"], start=1):
            rows.append((*begin, str(number), str(place["effective_count"]), place["concept"]))
        if not found["changes"]:
            rows.append((*begin, "none", "", ""))
    return Table("changes", columns, rows)


def _bin_labels() -> tuple[str, ...]:
    labels = ["0"]
    for low, end in pairwise(CAPTION_BINS):
        labels.append(f"{low:,} to {end - 1:,}")
    return (*labels, f"{CAPTION_BINS[-1]:,} or more")


def captions_table(captions: Mapping[Pair, str | Path]) -> Table:
    """Return how many concepts of each domain have how many captions, in the paper's bins.

    Args:
        captions: (corpus, domain) -> path of the counts that `fit captions count` or `merge` wrote.
    """
    rows: list[tuple[str, ...]] = []
    for pair, path in captions.items():
        try:
            counts = pl.read_parquet(path, columns=["captions"])["captions"].to_list()
        except (OSError, pl.exceptions.PolarsError) as error:
            first = str(error).partition("\n")[0]
            raise DataError(f"{path}: not a table of caption counts ({first}); {again(path)}") from None
        if None in counts:
            raise DataError(f"{path}: a concept has no caption count; {again(path)}")
        of_bin = [0] * (len(CAPTION_BINS) + 1)
        for count in counts:
            of_bin[bisect_right(CAPTION_BINS, count)] += 1
        rows.append((*pair, "this study", str(len(counts)), *map(str, of_bin)))
        if published := CONCEPTS_IN_BINS.get(pair):
            rows.append((*pair, "the paper's list", str(sum(published)), *map(str, published)))
    return Table("captions", ("corpus", "domain", "counted in", "concepts", *_bin_labels()), rows)


def invariance_table(invariances: Mapping[Pair, Invariance]) -> Table:
    """Return how much the scores of concepts with nearly the same count differ."""
    columns = (
        *("model", "domain", "concepts", "pairs", "mean difference", "95 % interval"),
        *("pairs of one count", "mean size of the difference"),
    )
    rows: list[tuple[str, ...]] = []
    for pair, found in invariances.items():
        mean = (
            f"none: no two concepts are fewer than {WITHIN} images apart" if found.mean is None else f"{found.mean:.4f}"
        )
        span = "" if found.interval is None else f"{found.interval[0]:.4f} to {found.interval[1]:.4f}"
        size = "" if found.mean_absolute is None else f"{found.mean_absolute:.4f}"
        rows.append((*pair, str(found.concepts), str(found.pairs), mean, span, str(found.ties), size))
    return Table("invariance", columns, rows)


def missed_table(missed: Mapping[Pair, str | Path]) -> Table:
    """Return which share of the images whose captions name no concept show one, beside the published share.

    Args:
        missed: (corpus, domain) -> path of the table that `fit missed measure` wrote.
    """
    columns = ("corpus", "domain", "measured in", "concepts", "images looked at", "least", "median", "greatest")
    rows: list[tuple[str, ...]] = []
    for pair, path in missed.items():
        names = ["share", "downloaded", "unnamed_captions", "corrected_missed"]
        try:
            table = pl.read_parquet(path, columns=names)
        except (OSError, pl.exceptions.PolarsError) as error:
            first = str(error).partition("\n")[0]
            raise DataError(f"{path}: not a table of what captions miss ({first}); {again(path)}") from None
        if not len(table) or table["share"].null_count():
            raise DataError(f"{path}: no share of a concept's images in it; {again(path)}")
        without = (table["corrected_missed"] / table["unnamed_captions"]).drop_nulls()
        looked_at = f"{table['downloaded'][0]:,}"
        for name, shares in (("this study", table["share"]), ("this study, without the recogniser's errors", without)):
            if len(shares):
                ends = (_percent(value) for value in (shares.min(), shares.median(), shares.max()))
                rows.append((*pair, name, str(len(shares)), looked_at, *ends))
    if rows:
        least, greatest = map(_percent, FACES_THAT_CAPTIONS_MISS)
        rows.append(("", "faces", "published", "", "", least, "", greatest))
    return Table("missed", columns, rows)


def _percent(share: object) -> str:
    return f"{share:.3%}"
