"""Writes what `snakemake copies` and `snakemake copies_atelier` found into docs/copies.md, and files into docs/copies.

    snakemake copies copies_atelier
    python benchmarks/copies.py

Without results, the tables that the docs have are made again from docs/copies: `python benchmarks/copies.py --results
docs/copies`. What is not there is said to be not measured.
"""

import argparse
import json
import shutil
import sys
from pathlib import Path

import polars as pl

from fit.copies.paint import DISTINCT, REPEATED
from fit.io.shown import number_of

sys.path.insert(0, str(Path(__file__).parent))
from pages import write_between
from threshold import table_of

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs/copies.md"
NOT_MEASURED = "not measured"
WORDS = {REPEATED: "one image, repeated", DISTINCT: "distinct images"}


def percent(found):
    """A rate in words, with its interval."""
    if not found or found["value"] is None:
        return NOT_MEASURED
    low, high = found["interval"]
    return f"{found['hits']} of {found['of']} ({100 * low:.0f} to {100 * high:.0f} %)"


def number(value, digits=2):
    """A number, or that there is none."""
    return NOT_MEASURED if value is None else f"{value:.{digits}f}"


def difference(found):
    """A difference in words, with its interval."""
    if not found or found["difference"] is None:
        return NOT_MEASURED
    said = f"{found['difference']:+.2f}"
    return said if found["interval"] is None else f"{said} ({found['interval'][0]:+.2f} to {found['interval'][1]:+.2f})"


def count_table(answer):
    """Lines: a row a count and kind of painters."""
    rows = []
    for row in answer["by_count"]:
        if row["kind"] in WORDS:
            named = [number_of(row["count"], "image"), WORDS[row["kind"]], str(row["painters"])]
            rates = [percent(row[name]) for name in ("is_suspect", "is_copy", "is_detected")]
            rows.append([*named, number(row["copied_share"]), number(row["score"]), *rates])
    rows.sort(key=lambda row: (int(row[0].split()[0].replace(",", "")), row[1]))
    head = ["of which kind", "painters", "copied share", "imitation score", "suspects", "copies", "detected"]
    return table_of([(row[0], row[1:]) for row in rows], head)


def known_table(answer):
    """Lines: both differences, and precision and recall of each way to tell."""
    found, known = answer["found"], answer["found"]["known"] or {}
    rows = [
        ["copied share: repeated less distinct", difference(answer["copies"]), ""],
        ["imitation score: repeated less distinct", difference(answer["imitation"]), ""],
    ]
    false = {
        "suspects": found["epsilon"]["false_positives"],
        "copies": found["copies_false_positives"],
        "detector": (found["detector"] or {}).get("false_positives"),
    }
    for name in ("suspects", "copies", "detector"):
        against = known.get(name) or {}
        said = f"precision {percent(against.get('precision'))}; recall {percent(against.get('recall'))}"
        rows.append([name, said if against else NOT_MEASURED, percent(false[name])])
    return table_of(
        [(name, cells) for name, *cells in rows], ["found", "false positives: prompts of no training image"]
    )


def model_table(results):
    """Lines: a row a model that was searched."""
    rows = []
    for path in sorted(Path(results).glob("models/*/found.json")):
        found = json.loads(path.read_text(encoding="utf-8"))
        cells = [percent(found[name]) for name in ("suspects", "copies", "detected")]
        false = [found["epsilon"], {"false_positives": found["copies_false_positives"]}, found["detector"] or {}]
        rows.append((path.parent.name, cells + [percent(one.get("false_positives")) for one in false]))
    columns = ["suspects", "copies", "detected"]
    columns += [f"{name}, of prompts of no training image" for name in columns]
    return table_of(rows or [(NOT_MEASURED, [NOT_MEASURED] * 6)], columns)


def main():
    """Write the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--results", type=Path, default=ROOT / "results/copies", help="folder of the results")
    parser.add_argument("--docs", type=Path, default=DOCS, help="page to write")
    args = parser.parse_args()
    answer = args.results / "atelier/compared.json"
    tables = {"counts": [NOT_MEASURED], "known": [NOT_MEASURED], "models": model_table(args.results)}
    if answer.exists():
        said = json.loads(answer.read_text(encoding="utf-8"))
        tables |= {"counts": count_table(said), "known": known_table(said)}
    for mark, lines in tables.items():
        write_between(args.docs, mark, lines)
        print("\n".join(lines), end="\n\n")
    kept = args.docs.parent / "copies"
    if answer.exists() and args.docs == DOCS and args.results.resolve() != kept.resolve():
        copy(args.results, kept)


def copy(results, kept):
    """Keep what the tables are made of beside the page."""
    for path in [*results.glob("models/*/found.json"), *results.glob("atelier/compared.*")]:
        to = kept / path.relative_to(results)
        to.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix == ".parquet":
            pl.read_parquet(path).write_parquet(to, compression="zstd")
        else:
            shutil.copyfile(path, to)


if __name__ == "__main__":
    main()
