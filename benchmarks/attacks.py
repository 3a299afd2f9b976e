"""What attacks achieve on the models of a study, as a table of docs/attacks.md.

    snakemake attacks
    python benchmarks/attacks.py --results results --docs docs/attacks.md

Rows are read from results/attacks/MODEL/DOMAIN/attacks.parquet. What has not been made is "not measured".
"""

import argparse
from pathlib import Path

import polars as pl
from pages import write_between

NAMES = ("named", "indirect", "described", "arithmetic", "prefix")
"""Attacks, in the order of the columns."""


def cell(row):
    """Return a score with its interval; or why there is none."""
    if row is None:
        return "not measured"
    if row["score"] is None:
        return f"none: {row['reason']}"
    return f"{row['score']:.2f} ({row['low']:.2f} to {row['high']:.2f})"


def lines_of(results):
    """Return the lines of the table of all attacked models below the folder `results`."""
    found = ["| model | concept | " + " | ".join(NAMES) + " |", "|" + " --- |" * (2 + len(NAMES))]
    for path in sorted(Path(results, "attacks").glob("*/*/attacks.parquet")):
        table = pl.read_parquet(path)
        for concept in table["concept"].unique(maintain_order=True):
            rows = {row["attack"]: row for row in table.filter(pl.col("concept") == concept).to_dicts()}
            found.append(f"| {path.parts[-3]} | {concept} | " + " | ".join(cell(rows.get(n)) for n in NAMES) + " |")
    return found if len(found) > 2 else [*found, "| - | - |" + " not measured |" * len(NAMES)]


def main():
    """Parse the command line; print the table, and put it between the marks of a file."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--results", type=Path, required=True, help="folder of results")
    parser.add_argument("--docs", type=Path, help="file with <!-- attacks --> and <!-- /attacks -->")
    args = parser.parse_args()
    lines = lines_of(args.results)
    print("\n".join(lines))
    if args.docs:
        write_between(args.docs, "attacks", lines)


if __name__ == "__main__":
    main()
