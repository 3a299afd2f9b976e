"""Writes what `snakemake poisoning` found into docs/poisoning.md, and small tables and the figure into docs/poisoning.

    snakemake poisoning
    python benchmarks/poisoning.py

Without results, the tables are made again from docs/poisoning:

    python benchmarks/poisoning.py --results docs/poisoning
"""

import argparse
import json
import shutil
import sys
from pathlib import Path

from fit.io.shown import number_of
from fit.poisoning.measure import AFTER, BEFORE
from fit.thresholds.answer import why_none
from fit.thresholds.headline import follow

sys.path.insert(0, str(Path(__file__).parent))
from pages import write_between
from threshold import table_of

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs/poisoning.md"
FILES = ("models.parquet", "poisoning.json", "poisoning.png")
WORDS = {BEFORE: "as trained", AFTER: "cleaned"}
ESTIMATORS = ("pelt", "one_change", "logistic")


def lines_of(answer):
    """Yield (name, line) of each objective and stage."""
    for objective, of_objective in answer["lines"].items():
        for stage, line in of_objective.items():
            yield f"{objective}, {WORDS[stage]}", line


def success_table(answer):
    """Mean attack success by the number of poisoned pairs."""
    lines = list(lines_of(answer))
    counts = [one["poisoned_pairs"] for one in lines[0][1]["counts"]]
    rows = [
        (
            name,
            [
                f"{one['attack_success']:.2f} ({one['lowest']:.2f} to {one['highest']:.2f})"
                if one["models"] > 1
                else f"{one['attack_success']:.2f}"
                for one in line["counts"]
            ]
            + [f"{line['accuracy']:.3f}"],
        )
        for name, line in lines
    ]
    return table_of(rows, [*map(str, counts), "accuracy"])


def told(answer):
    """An estimator's threshold and interval, or that there is none."""
    if answer["threshold"] is None:
        return "none"
    interval = answer.get("interval")
    ends = f" ({interval[0]:.0f} to {interval[1]:.0f})" if interval else ""
    return f"{answer['threshold']:.0f}{ends}"


def threshold_table(answer):
    """What each estimator says, with its interval, and the headline."""
    rows = []
    for name, line in lines_of(answer):
        found = line["threshold"]
        why = why_none(found)
        headline = f"none: {why}" if why else f"{told(follow(found))}, {found['headline']['kind']}"
        rows.append((name, [told(found["estimators"][one]) for one in ESTIMATORS] + [headline]))
    return table_of(rows, [*ESTIMATORS, "headline"])


def cleaning_table(answer):
    """What cleaning does to models in which the attack worked."""
    rows = []
    for objective, effect in answer["cleaning"].items():
        if not effect["working"]:
            rows.append((objective, ["0", "-", "-", "-", "-", *accuracies(effect)]))
            continue
        ends = effect["removed_interval"]
        interval = f" ({ends[0]:.2f} to {ends[1]:.2f})" if ends else " (too few for an interval)"
        cells = [str(effect["working"]), f"{effect['success_before']:.2f}", f"{effect['success_after']:.2f}"]
        cells += [f"{effect['removed']:.2f}{interval}", str(effect["still_working"])]
        rows.append((objective, [*cells, *accuracies(effect)]))
    columns = ["attack worked in", "success before", "after", "removed", "still works in", "accuracy before", "after"]
    return table_of(rows, columns)


def accuracies(effect):
    """Accuracy of all models before and after."""
    return [f"{effect['accuracy_before']:.3f}", f"{effect['accuracy_after']:.3f}"]


def answer_lines(answer):
    """The answer, as the experiment says it, and what it rests on."""
    models = number_of(sum(line["models"] for _, line in lines_of(answer)) // 2, "model")
    difference = answer["difference"]
    said = [f"**{answer['answer'].capitalize()}.** ({models} were trained, and each was cleaned."]
    if difference["interval"]:
        low, high = difference["interval"]
        said.append(
            "Difference of what cleaning removes, contrastive less self-supervised, in the "
            f"{difference['models']} models of one seed and count whose attack worked under both: "
            f"{difference['difference']:+.2f}, 95 %: {low:+.2f} to {high:+.2f}.)"
        )
    else:
        said[-1] += ")"
    return said


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--results", type=Path, default=ROOT / "results/poisoning", help="folder of the results")
    parser.add_argument("--docs", type=Path, default=DOCS, help="page to write into")
    args = parser.parse_args()
    answer = json.loads((args.results / "poisoning.json").read_text(encoding="utf-8"))
    tables = {
        "answer": answer_lines(answer),
        "success": success_table(answer),
        "thresholds": threshold_table(answer),
        "cleaning": cleaning_table(answer),
    }
    for mark, lines in tables.items():
        print(f"\n{mark}\n" + "\n".join(lines))
        write_between(args.docs, mark, lines)
    folder = args.docs.with_suffix("")
    if args.results.resolve() != folder.resolve():
        folder.mkdir(exist_ok=True)
        for name in FILES:
            shutil.copyfile(args.results / name, folder / name)


if __name__ == "__main__":
    main()
