"""Writes what `snakemake beyond` found into docs/beyond.md: known effects, whether they are there, and the time.

    snakemake beyond
    python benchmarks/beyond.py

It also writes the tables of docs/copies.md, docs/defences.md, docs/attacks.md and docs/poisoning.md, by the scripts of
these pages. What follows from the results is kept in docs/beyond/beyond.json, from which `--results docs/beyond` makes
the tables again.
"""

import argparse
import csv
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import polars as pl

from fit.attacks.compare import BEFORE
from fit.attacks.tabulate import ANY, interval
from fit.io.shown import number_of

sys.path.insert(0, str(Path(__file__).parent))
from pages import write_between
from threshold import table_of

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs/beyond.md"
KEPT = ROOT / "docs/beyond"
NOT_MEASURED = "not measured"
PAGES = ("copies", "defences", "attacks", "poisoning")
ERASED, ROBUST, CONTROL = "atelier-esd", "atelier-advunlearn", "atelier-control"
PREFIX = "prefix"
PARTS = {
    "the default study, which all of it begins with": ("world", "study"),
    "copies": ("copies",),
    "defences": ("defences",),
    "attacks": ("attacks",),
    "a poisoned scorer": ("poisoning",),
}


# --- known effects ----------------------------------------------------------------------------------------------------


def drawn_gain(results, model, attack):
    """(gain of an attack over the name, the same [resamples]), means over concepts; None without a table."""
    tables = sorted(Path(results, "attacks", model).glob("*/attacks.parquet"))
    if not tables:
        return None
    rows = pl.concat([pl.read_parquet(path) for path in tables])
    found = {(row["concept"], row["attack"]): row for row in rows.iter_rows(named=True)}
    pairs = [(row, found.get((concept, BEFORE))) for (concept, name), row in found.items() if name == attack]
    pairs = [(one, other) for one, other in pairs if other and one["drawn"] and other["drawn"]]
    if not pairs:
        return None
    gains = np.array([one["score"] - other["score"] for one, other in pairs])
    return gains.mean(), np.mean([np.subtract(one["drawn"], other["drawn"]) for one, other in pairs], axis=0)


def effect(value, drawn=None, ends=None):
    """A difference with its interval, and whether it is above 0."""
    low, high = interval(drawn) if ends is None else ends
    return {"value": float(value), "low": float(low), "high": float(high), "shown": bool(low > 0)}


def attack_effects(results):
    """Yield (effect in words, effect or None): what attacks bring back, and from which defence less."""
    for attack, said in ((PREFIX, "a prefix"), (ANY, "the best of all attacks")):
        erased, robust = (drawn_gain(results, model, attack) for model in (ERASED, ROBUST))
        yield (
            f"an erased painter comes back: score under {said} minus that of the name, after `esd`",
            effect(*erased) if erased else None,
        )
        yield (
            f"less so after AdvUnlearn, under {said}: gain after `esd` minus gain after `advunlearn`",
            effect(erased[0] - robust[0], erased[1] - robust[1]) if erased and robust else None,
        )


def erasing_effects(results):
    """Yield (effect in words, effect or None): how much lower scores are after erasing, and after the control."""
    for model, group, said in (
        (ERASED, "erased", "erasing lowers the painters' score: the base's mean less that after `esd`"),
        (CONTROL, "erased", "so does the control, which erases nothing: the same after `control`"),
        (
            ERASED,
            "others",
            "erasing lowers the scores of other painters, too (neighbours left out): the same after `esd`",
        ),
    ):
        found = None
        for path in sorted(Path(results, "defences", model).glob("*.parquet"))[:1]:
            rows = pl.read_parquet(path).filter((pl.col("quantity") == "score") & (pl.col("of") == group))
            for row in rows.iter_rows(named=True):
                found = effect(-row["value"], ends=(-row["high"], -row["low"]))
        yield said, found


def copy_effects(results):
    """Yield (effect in words, effect or None): what duplicates and distinct pictures drive."""
    path = Path(results, "copies/atelier/compared.json")
    answer = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    for key, sign, said in (
        ("copies", 1, "duplicates drive copies: copied share of a repeated image less that of distinct ones"),
        (
            "imitation",
            -1,
            "distinct pictures drive imitation: score with distinct images less that with a repeated one",
        ),
    ):
        found = answer.get(key) or {}
        ends = found.get("interval")
        yield said, effect(sign * found["difference"], ends=sorted(sign * end for end in ends)) if ends else None


def cleaning_effect(results):
    """Yield (effect in words, effect or None): whether cleaning depends on the objective."""
    path = Path(results, "poisoning/poisoning.json")
    answer = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    found = answer.get("difference") or {}
    ends = found.get("interval")
    yield (
        "cleaning works under one objective and fails under the other: attack success that it removes, `contrastive` "
        "less `self-supervised`",
        effect(found["difference"], ends=ends) if ends else None,
    )


def effects_of(results):
    """[{effect, ...}] of all known effects."""
    parts = (copy_effects, erasing_effects, attack_effects, cleaning_effect)
    return [{"effect": said, **(found or {})} for part in parts for said, found in part(results)]


def effects_table(effects):
    """Lines: a row a known effect."""
    rows = []
    for one in effects:
        if "value" not in one:
            rows.append((one["effect"], [NOT_MEASURED, "-"]))
            continue
        said = f"{one['value']:+.2f} ({one['low']:+.2f} to {one['high']:+.2f})"
        opposite = "the opposite" if one["high"] < 0 else "no: the interval contains 0"
        rows.append((one["effect"], [said, "yes" if one["shown"] else opposite]))
    return table_of(rows, ["measured, 95 %", "there?"])


# --- time -------------------------------------------------------------------------------------------------------------

RULES_OF = {
    "copies": "choose_prompts generate_copies measure_guidance find_copies paint_copies train_copies compare_copies",
    "defences": "erase_concepts measure_defence plot_defence",
    "attacks": "rank_words find_prefix plan_attacks score_attack tabulate_attacks compare_attacks plot_attacks",
    "poisoning": "train_poisoned estimate_poisoning plot_poisoning",
}
OWN_PARTS = {rule: part for part, rules in RULES_OF.items() for rule in rules.split()}


def part_of(path, folder):
    """Return which part of the experiment a job's benchmark belongs to, by its rule and its model."""
    rule, *rest = path.relative_to(folder).with_suffix("").parts
    if rule in OWN_PARTS:
        return OWN_PARTS[rule]
    names = "/".join(rest)
    if ".attacked" in names:
        return "attacks"
    if "copies" in names:
        return "copies"
    return "defences" if "atelier-" in names.replace("atelier-style", "").replace("atelier-art", "") else "study"


def seconds_of(results):
    """Part -> (jobs, seconds of processor time of all jobs, as Snakemake's benchmarks say)."""
    folder = Path(results, "benchmarks")
    found = {}
    for path in folder.rglob("*.tsv"):
        part = part_of(path, folder)
        (row,) = csv.DictReader(path.open(encoding="utf-8"), delimiter="\t")
        jobs, seconds = found.get(part, (0, 0.0))
        # A job that was over before Snakemake looked at it has no processor time.
        known = row["cpu_time"] if row["cpu_time"] not in ("NA", "-", "") else row["s"]
        found[part] = (jobs + 1, seconds + float(known))
    return found


def times_table(times):
    """Lines: minutes of processor time of each part, and how long two cores take at least."""
    rows, total = [], 0.0
    for name, parts in PARTS.items():
        jobs, seconds = map(sum, zip(*(times.get(part, (0, 0.0)) for part in parts), strict=True))
        total += seconds
        rows.append((name, [number_of(jobs, "job"), f"{seconds / 60:.0f}", f"{seconds / 120:.0f}"]))
    rows.append(("all (sums are rounded)", ["", f"{total / 60:.0f}", f"{total / 120:.0f}"]))
    return table_of(rows, ["", "minutes of processor time", "on 2 cores, at least"])


def main():
    """Write the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--results", type=Path, default=ROOT / "results", help="folder of the results")
    parser.add_argument("--docs", type=Path, default=DOCS, help="page to write")
    args = parser.parse_args()
    kept = args.results / "beyond.json"
    if kept.exists():
        answer = json.loads(kept.read_text(encoding="utf-8"))
    else:
        answer = {"effects": effects_of(args.results), "times": seconds_of(args.results)}
    for mark, lines in (("effects", effects_table(answer["effects"])), ("times", times_table(answer["times"]))):
        print("\n".join(lines), end="\n\n")
        write_between(args.docs, mark, lines)
    if args.docs == DOCS and args.results.resolve() != KEPT.resolve():
        KEPT.mkdir(exist_ok=True)
        (KEPT / "beyond.json").write_text(json.dumps(answer, indent=1) + "\n", encoding="utf-8")
        for page in PAGES:
            command = [sys.executable, str(ROOT / f"benchmarks/{page}.py"), "--results", str(args.results / page)]
            subprocess.run([*command, *(["--studies", "0"] if page == "defences" else [])], check=True)


if __name__ == "__main__":
    main()
