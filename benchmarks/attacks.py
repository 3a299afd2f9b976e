"""What attacks achieve on the models of a study, as tables of docs/attacks.md.

    snakemake attacks
    python benchmarks/attacks.py

Rows are read from results/attacks/compared/DOMAIN.parquet. The table and the figure are kept in docs/attacks, from
which `--results docs/attacks` makes the tables again.
"""

import argparse
import shutil
import sys
from pathlib import Path

import polars as pl

from fit.attacks.compare import ALL, BEFORE
from fit.attacks.tabulate import ANY

sys.path.insert(0, str(Path(__file__).parent))
from pages import reading, write_between
from threshold import table_of

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs/attacks.md"
KEPT = ROOT / "docs/attacks"
NOT_MEASURED = "not measured"
WORDS = {BEFORE: "asked by name", ANY: "all, the best chosen by half of the pictures"}


def cell(row):
    """A count and its interval; or why there is none."""
    if row is None:
        return NOT_MEASURED
    return reading(row["said"]) if row["said"] else f"none: {row['reason']}"


def by_model(compared):
    """Yield (model, concept, {attack: row}) in the order of the table."""
    for (model, concept), rows in compared.group_by("model", "concept", maintain_order=True):
        yield model, concept, {row["attack"]: row for row in rows.iter_rows(named=True)}


def attacks_of(compared):
    """Names of attacks, in the order of the table."""
    return compared["attack"].unique(maintain_order=True).to_list()


def images_table(compared):
    """Lines: to how many training images the pictures correspond, a row a model and concept, an attack a column."""
    names = attacks_of(compared)
    rows = []
    for model, concept, found in by_model(compared):
        if concept != ALL:
            count = next(iter(found.values()))["effective_count"]
            rows.append((f"`{model}`", [f"{concept}, {count:.0f}", *(cell(found.get(name)) for name in names)]))
    return table_of(rows, ["concept, its own images", *(WORDS.get(name, name) for name in names)])


def gains_table(compared):
    """Lines: how much higher each attack scores than the concept's name on the same model, mean over the concepts."""
    names = [name for name in attacks_of(compared) if name != BEFORE]
    rows = []
    for model, concept, found in by_model(compared):
        if concept == ALL:
            named = f"{found[BEFORE]['score']:.2f}" if BEFORE in found else "-"
            said = [
                f"{row['gain']:+.2f} ({row['gain_low']:+.2f} to {row['gain_high']:+.2f})"
                if (row := found.get(name)) and row["gain"] is not None
                else NOT_MEASURED
                for name in names
            ]
            rows.append((f"`{model}`", [named, *said]))
    return table_of(rows or [(NOT_MEASURED, ["-"])], [WORDS[BEFORE], *(WORDS.get(name, name) for name in names)])


def main():
    """Parse the command line; print the tables, and put them between the marks of a page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--results", type=Path, default=ROOT / "results/attacks", help="folder of the results")
    parser.add_argument("--docs", type=Path, default=DOCS, help="page to write")
    args = parser.parse_args()
    tables = sorted(args.results.glob("compared/*.parquet"))
    compared = pl.concat([pl.read_parquet(path) for path in tables]) if tables else None
    for mark, made in (("attacks", images_table), ("gains", gains_table)):
        lines = [NOT_MEASURED] if compared is None else made(compared)
        print("\n".join(lines), end="\n\n")
        write_between(args.docs, mark, lines)
    if tables and args.docs == DOCS and args.results.resolve() != KEPT.resolve():
        for path in [*tables, *(table.with_suffix(".png") for table in tables)]:
            to = KEPT / path.relative_to(args.results)
            to.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, to)


if __name__ == "__main__":
    main()
