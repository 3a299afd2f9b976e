"""Writes the tables of docs/defences.md: how often the interval of a score read backwards holds the true count, and
what each defence did.

    snakemake defences
    python benchmarks/defences.py

The first is a simulation. The others come from the tables of `snakemake defences`, which are kept in docs/defences, a
folder a model: `--results docs/defences` makes the tables from them again.
"""

import argparse
import shutil
import sys
from pathlib import Path

import numpy as np
import polars as pl
from scipy.special import expit

from fit.defences.roles import GROUPS
from fit.thresholds.backwards import ReadBackwards, resample_scores

sys.path.insert(0, str(Path(__file__).parent))
from pages import reading, write_between
from threshold import table_of

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs/defences.md"
KEPT = ROOT / "docs/defences"
NOT_MEASURED = "not measured"
SHOWN = "atelier-advunlearn"
"""The model whose figure the page shows."""
COUNTS = (5, 20, 60, 150, 300)
WORLDS = {"48 concepts": (48, 0.1, 0.15), "48 concepts, noisier": (48, 0.2, 0.3), "200 concepts": (200, 0.1, 0.15)}
"""Name -> (concepts, sd of a concept's score around the curve, sd of a picture's score around the concept's)."""


def true_curve(counts):
    """The score of a concept: half of its rise at 60 images."""
    return -0.1 + 0.9 * expit(1.5 * (np.log1p(counts) - np.log1p(60)))


def pictures(mean, noise, rng):
    """Scores of 4 pictures of each of 5 prompts."""
    return [mean + noise * rng.normal(size=4) for _ in range(5)]


def mean_of(images):
    """A concept's score."""
    return float(np.mean([prompt.mean() for prompt in images]))


def coverage_table(studies, resamples):
    """Lines: how often the 95 % interval of a reading holds the true count, a count a column."""
    rows = []
    for name, (concepts, spread, noise) in WORLDS.items():
        rng = np.random.default_rng(1)
        held = {count: [] for count in COUNTS}
        for _ in range(studies):
            counts = np.rint(np.expm1(rng.uniform(0, np.log1p(1000), concepts)))
            images = [pictures(m, noise, rng) for m in true_curve(counts) + spread * rng.normal(size=concepts)]
            drawn = np.stack([resample_scores(one, resamples, rng) for one in images], axis=1)
            rows_drawn = rng.integers(concepts, size=(resamples, concepts))
            back = ReadBackwards(counts, np.array([mean_of(one) for one in images]), drawn, rows_drawn)
            for count in COUNTS:
                read = pictures(true_curve(count), noise, rng)
                found = back.read(mean_of(read), resample_scores(read, resamples, rng))
                held[count].append(found.low <= count <= found.high)
        rows.append((name, [f"{np.mean(held[count]):.0%}" for count in COUNTS]))
    return table_of(rows, [f"{count} images" for count in COUNTS])


def tables_in(folder):
    """Name of a model -> its table, a frame."""
    return {path.parent.name: pl.read_parquet(path) for path in sorted(Path(folder).glob("*/*.parquet"))}


def interval(row, digits=2):
    """A change in words."""
    return f"{row['value']:+.{digits}f} ({row['low']:+.{digits}f} to {row['high']:+.{digits}f})"


def one(rows, quantity, of):
    """A row of a table, or None."""
    found = rows.filter((pl.col("quantity") == quantity) & (pl.col("of") == of))
    return found.row(0, named=True) if len(found) else None


def counts_table(tables):
    """Lines: to how many training images each erased concept corresponds, a model a row."""
    rows, columns = [], {}
    for table in tables.values():
        erased = table.filter(pl.col("role").str.contains("erased"))
        for row in erased.filter(pl.col("quantity") == "base_count").iter_rows(named=True):
            columns.setdefault(row["of"], (row["base"], reading(row["said"])))
    if columns:
        rows.append(("the unchanged model", [said for _, said in columns.values()]))
    for name, table in tables.items():
        found = {row["of"]: row for row in table.filter(pl.col("quantity") == "count").iter_rows(named=True)}
        rows.append((f"`{name}`", [reading(found[of]["said"]) if of in found else "-" for of in columns]))
    return table_of(
        rows or [(NOT_MEASURED, ["-"])], [f"{of}, {n:.0f} images" for of, (n, _) in columns.items()] or ["-"]
    )


def costs_table(tables):
    """Lines: what each model changes for the erased concepts, their neighbours and others."""
    rows = []
    for name, table in tables.items():
        cells = [interval(row) if (row := one(table, "score", group)) else "-" for group in GROUPS if group != "group"]
        for group in ("erased", "others"):
            row = one(table, "frechet", group)
            cells.append(
                f"{row['value']:.2f} ({row['low']:.2f} to {row['high']:.2f}); {row['base']:.2f}" if row else "-"
            )
        rows.append((f"`{name}`", cells))
    columns = (
        *("score: erased", "namesakes", "alike", "others"),
        *("Fréchet distance: erased; by chance", "others; by chance"),
    )
    return table_of(rows or [(NOT_MEASURED, ["-"] * len(columns))], columns)


def keep(results, kept):
    """Keep tables, and the figure that the page shows, beside it."""
    for path in [*results.glob("*/*.parquet"), *results.glob(f"{SHOWN}/*.png")]:
        to = kept / path.relative_to(results)
        to.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, to)


def main():
    """Write both tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--studies", type=int, default=100, help="simulated studies a row; 0: leave that table")
    parser.add_argument("--resamples", type=int, default=300)
    parser.add_argument("--results", default=ROOT / "results/defences", type=Path)
    parser.add_argument("--docs", default=DOCS, type=Path)
    args = parser.parse_args()
    found = tables_in(args.results)
    tables = {"images": counts_table(found), "costs": costs_table(found)}
    if args.studies:
        tables = {"coverage": coverage_table(args.studies, args.resamples)} | tables
    for mark, lines in tables.items():
        print("\n".join(lines))
        write_between(args.docs, mark, lines)
    if args.docs == DOCS and args.results.resolve() != KEPT.resolve():
        keep(args.results, KEPT)


if __name__ == "__main__":
    main()
