"""What captions miss in the atelier, beside the truth: writes a table into docs/counts.md.

    python benchmarks/missed.py --folder FOLDER [--write docs/counts.md]

Two worlds are painted, and looked at with the same encoders: one in which captions name every painter, and one in which
a fifth of each painter's pictures have captions without a name. No generator is trained. A folder that was used before
is continued.
"""

import argparse
import subprocess
from pathlib import Path

import numpy as np
import polars as pl
import yaml
from pages import write_between

ROOT = Path(__file__).parents[1]
NAMELESS = (0.0, 0.2)
PLACE = "results/missed/atelier/painters.parquet"


def make(folder, nameless, changed):
    """Measure what captions miss in a world where a share of each painter's pictures is nameless."""
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / "concepts").exists():
        (folder / "concepts").symlink_to(ROOT / "concepts")
    config = yaml.safe_load((ROOT / "config.yaml").read_text(encoding="utf-8"))
    config["atelier"] |= {"nameless": nameless, **changed}
    config["corpora"]["atelier"]["unnamed_sample"] = 1500
    (folder / "config.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
    profile = ["--workflow-profile", str(ROOT / "profiles/default"), "--quiet", "all", "--cores", "2"]
    subprocess.run(["snakemake", "--snakefile", str(ROOT / "Snakefile"), PLACE, *profile], cwd=folder, check=True)


def covered(table, name):
    """The share of painters whose interval has the truth."""
    low, high, truth = (table[column].to_numpy() for column in (f"{name}_low", f"{name}_high", "true_missed"))
    return f"{((low <= truth) & (truth <= high)).mean():.2f}"


def error(table, column):
    """The median relative error of counts, of painters with 20 pictures or more."""
    many = table.filter(pl.col("true") >= 20)
    median = ((many[column] - many["true"]) / many["true"]).abs().median()
    return "" if median is None else f"{median:.1%}"  # corrected counts may be unknown


def row(folder, nameless):
    """The cells of a world."""
    truth = pl.read_parquet(folder / "results/atelier/truth.parquet").drop_nulls("painter")
    true = truth.group_by("painter").agg(
        pl.len().alias("true"), (pl.col("kind") == "nameless").sum().alias("true_missed")
    )
    table = pl.read_parquet(folder / PLACE).join(true, left_on="concept", right_on="painter", how="left")
    table = table.with_columns(pl.col("true", "true_missed").fill_null(0))
    sums = [str(int(table[name].sum())) for name in ("true_missed", "missed", "corrected_missed")]
    rank = np.corrcoef(table["missed"].rank(), table["true_missed"].rank())[0, 1] if nameless else np.nan
    return [
        f"{nameless:.0%}",
        f"{table['downloaded'][0]:,} of {table['unnamed_captions'][0]:,}",
        *sums,
        covered(table, "missed"),
        covered(table, "corrected_missed"),
        f"{rank:.2f}" if nameless else "",
        *(error(table, name) for name in ("effective_count", "with_missed", "with_corrected_missed")),
    ]


def main():
    """Parse the command line; print the table, or put it between the marks of a file."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, required=True, help="where the worlds are made, one after the other")
    parser.add_argument("--small", action="store_true", help="a small world and encoders that hardly learn, for a look")
    parser.add_argument("--write", type=Path, metavar="FILE", help="put the table between the marks of this file")
    args = parser.parse_args()
    small = {"largest_count": 20, "anonymous": 60, "encoder_steps": 5, "art_filter_steps": 5, "photographs": 40}
    columns = (
        *("nameless", "images looked at", "missed: truth", "raw", "corrected"),
        *("raw interval holds the truth", "corrected interval does", "rank correlation"),
        *("error of the count", "with missed", "with corrected missed"),
    )
    lines = [f"| {' | '.join(columns)} |", f"| {' | '.join('---:' for _ in columns)} |"]
    for nameless in NAMELESS:
        make(args.folder, nameless, small if args.small else {})
        lines.append(f"| {' | '.join(row(args.folder, nameless))} |")
    text = "\n".join(lines)
    print(text)
    if args.write:
        write_between(args.write, "missed", text.splitlines())


if __name__ == "__main__":
    main()
