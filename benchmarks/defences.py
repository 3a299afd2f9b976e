"""Writes the tables of docs/defences.md: how often the interval of a score read backwards holds the true count, and
what each way to erase did.

    python benchmarks/defences.py

The first is a simulation. The second comes from the tables of `snakemake defences`, copied into docs/defences as
METHOD.parquet: `--results results/defences` reads a study's own, a folder a model. What has no table is called not
measured.
"""

import argparse
import sys
from pathlib import Path

import numpy as np
import polars as pl
from scipy.special import expit

from fit.atelier.erasing import REGISTRY
from fit.thresholds.backwards import ReadBackwards, resample_scores
from fit.defences.roles import GROUPS

sys.path.insert(0, str(Path(__file__).parent))
from pages import write_between
from threshold import table_of

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs/defences.md"
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
    """Name of a method or model -> its table, a frame."""
    found = {}
    for path in sorted(Path(folder).glob("**/*.parquet")):
        found[path.stem if path.parent == Path(folder) else path.parent.name] = pl.read_parquet(path)
    return found


def interval(row, digits=2):
    """A change in words."""
    return f"{row['value']:+.{digits}f} ({row['low']:+.{digits}f} to {row['high']:+.{digits}f})"


def one(rows, quantity, of):
    """A row of a table, or None."""
    found = rows.filter((pl.col("quantity") == quantity) & (pl.col("of") == of))
    return found.row(0, named=True) if len(found) else None


def measured_table(tables):
    """Lines: what each way to erase did, a row each."""
    rows = []
    for name in [*REGISTRY, *(other for other in tables if other not in REGISTRY)]:
        if name not in tables:
            rows.append((f"`{name}`", ["not measured", *["-"] * 6]))
            continue
        table = tables[name]
        erased = table.filter((pl.col("quantity") == "count") & pl.col("role").str.contains("erased"))
        said = "; ".join(f"{row['base']:.0f} images -> {row['said']}" for row in erased.iter_rows(named=True))
        cells = [said.replace("; 95 %: ", " (95 %: ") + ")" if said else "-"]
        for group in GROUPS:
            if group != "group":
                row = one(table, "score", group)
                cells.append(interval(row) if row else "-")
        for group in ("erased", "others"):
            row = one(table, "frechet", group)
            cells.append(
                f"{row['value']:.2f} ({row['low']:.2f} to {row['high']:.2f}); {row['base']:.2f}" if row else "-"
            )
        rows.append((f"`{name}`", cells))
    columns = (
        "the erased painter corresponds to",
        *("score: erased", "namesakes", "alike", "others"),
        *("Fréchet distance: erased; by chance", "others; by chance"),
    )
    return table_of(rows, columns)


def main():
    """Write both tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--studies", type=int, default=100, help="simulated studies a row; 0: leave that table")
    parser.add_argument("--resamples", type=int, default=300)
    parser.add_argument("--results", default=ROOT / "docs/defences", type=Path)
    parser.add_argument("--docs", default=DOCS, type=Path)
    args = parser.parse_args()
    tables = {"measured": measured_table(tables_in(args.results))}
    if args.studies:
        tables = {"coverage": coverage_table(args.studies, args.resamples)} | tables
    for mark, lines in tables.items():
        print("\n".join(lines))
        write_between(args.docs, mark, lines)


if __name__ == "__main__":
    main()
