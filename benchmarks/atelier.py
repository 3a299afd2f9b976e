"""Runs the default study with several seeds and writes what it found into docs/atelier.md, beside its bars.

    python benchmarks/atelier.py

Each seed paints another corpus, trains its own models, and takes about as long as `make run`. A seed that was run
before is not run again, unless something that it depends on has changed.
"""

import argparse
import json
import subprocess
import time
from pathlib import Path

import numpy as np
import polars as pl
import yaml
from scipy.stats import spearmanr

from fit.embeddings.files import read_embeddings
from fit.io.concept_tables import ConceptTables
from fit.matches.threshold import roc_auc

ROOT = Path(__file__).parents[1]
START, END = "<!-- bars -->", "<!-- /bars -->"


def run_study(seed, folder):
    """Run the study with `seed` in `folder`; returns the minutes that it took (0.0 where there was nothing to do)."""
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / "concepts").exists():
        (folder / "concepts").symlink_to(ROOT / "concepts")
    config = yaml.safe_load((ROOT / "config.yaml").read_text()) | {"seed": seed}
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    profile = ["--workflow-profile", str(ROOT / "profiles/default"), "--quiet", "all"]
    started = time.monotonic()
    subprocess.run(["snakemake", "--snakefile", str(ROOT / "Snakefile"), *profile], cwd=folder, check=True)
    return (time.monotonic() - started) / 60


def encoder_auc(results, pairs=400_000):
    """ROC AUC of the cosine of two references of one painter against two of different painters."""
    tables = ConceptTables([results / "embeddings/atelier-style/references/painters/candidates"])
    of_painters = [read_embeddings(tables.path(slug), slug)[1] for slug in sorted(tables)]
    within = [(v @ v.T)[np.triu_indices(len(v), 1)] for v in of_painters]
    owner = np.repeat(np.arange(len(of_painters)), [len(v) for v in of_painters])
    vectors = np.concatenate(of_painters)
    one, other = np.random.default_rng(0).integers(len(owner), size=(2, pairs))
    different = owner[one] != owner[other]
    between = (vectors[one] * vectors[other]).sum(axis=1)[different]
    return roc_auc(np.concatenate(within), between)


def count_errors(results):
    """Spearman correlation of effective with true counts, and the median relative error from 20 images on."""
    truth = pl.read_parquet(results / "atelier/truth.parquet").drop_nulls("painter").group_by("painter").len("true")
    counts = pl.read_parquet(results / "counts/atelier/painters.parquet")
    both = counts.join(truth, left_on="concept", right_on="painter", how="left").fill_null(0)
    many = both.filter(pl.col("true") >= 20)
    errors = ((many["effective_count"] - many["true"]) / many["true"]).abs()
    return float(spearmanr(both["effective_count"], both["true"]).statistic), float(errors.median())


def measure(results):
    """What one finished study found: figure -> (value, whether it meets its bar)."""
    found = json.loads((results / "thresholds/atelier/painters.json").read_text())
    table = pl.read_parquet(results / "scores/atelier/painters.parquet")
    pelt, split = found["threshold"], found["one_change"]["threshold"]
    below = found["below"]["concepts"] if pelt is not None else 0
    sides = [table["score"][:below].to_numpy(), table["score"][below:].to_numpy()]
    low, high = (side.mean() if len(side) else float("nan") for side in sides)
    correlation, error = count_errors(results)
    auc = encoder_auc(results)
    interval = found["interval"] or (float("nan"), float("nan"))
    return {
        "threshold, images (PELT)": (str(pelt), pelt is not None and 10 <= pelt <= 100),
        "95 % bootstrap interval": (f"{interval[0]:.0f} to {interval[1]:.0f}", None),
        "best single split, images": (str(split), pelt is not None and 0.5 <= split / pelt <= 2),
        "changes that PELT found": (", ".join(str(c["effective_count"]) for c in found["changes"]), None),
        "concepts below, above": (f"{below}, {len(table) - below}", min(below, len(table) - below) >= 15),
        "mean score below, above": (f"{low:.3f}, {high:.3f}", bool(high - low >= 0.3 and high >= 2.5 * low)),
        "ROC AUC of the encoder": (f"{auc:.4f}", auc >= 0.98),
        "Spearman, effective with true count": (f"{correlation:.3f}", correlation >= 0.95),
        "median relative error from 20 images": (f"{error:.1%}", error <= 0.15),
    }


BARS = {
    "threshold, images (PELT)": "10 to 100",
    "best single split, images": "within a factor of 2",
    "concepts below, above": "at least 15",
    "mean score below, above": "0.3 apart, 2.5 times",
    "ROC AUC of the encoder": "at least 0.98",
    "Spearman, effective with true count": "at least 0.95",
    "median relative error from 20 images": "at most 15 %",
}


def main():
    """Run the seeds, print the table, and write it into the docs."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3, 11, 12, 13])
    parser.add_argument("--folder", type=Path, default=ROOT / "results/bars", help="where the studies are run")
    parser.add_argument("--docs", type=Path, default=ROOT / "docs/atelier.md")
    args = parser.parse_args()
    columns = {}
    for seed in args.seeds:
        folder = args.folder / f"seed-{seed}"
        minutes = run_study(seed, folder)
        print(f"seed {seed}: {minutes:.1f} minutes", flush=True)
        columns[seed] = measure(folder / "results")
    lines = ["| | bar | " + " | ".join(f"seed {seed}" for seed in columns) + " |", "| --- " * (2 + len(columns)) + "|"]
    for figure in next(iter(columns.values())):
        cells = [
            value + (" **(missed)**" if met is False else "") for value, met in (c[figure] for c in columns.values())
        ]
        lines.append(f"| {figure} | {BARS.get(figure, '')} | " + " | ".join(cells) + " |")
    print("\n".join(lines))
    text = args.docs.read_text(encoding="utf-8")
    head, rest = text.split(START)
    args.docs.write_text(f"{head}{START}\n\n" + "\n".join(lines) + f"\n\n{END}{rest.split(END)[1]}", encoding="utf-8")


if __name__ == "__main__":
    main()
