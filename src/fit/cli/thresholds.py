"""`fit thresholds`."""

from fit.cli.command import Command
from fit.cli.common import read_threshold, write_json


def detect_arguments(add):
    add("table", help="CSV or Parquet with the columns concept, effective_count, score (and more: docs/threshold.md)")
    add(
        "--estimators",
        nargs="+",
        default=None,
        help="pelt, single, isotonic, logistic (default: all, in this order); the first is the headline",
    )
    add("--penalty", type=float, default=0.9, help="of PELT, for each change")
    add("--resamples", type=int, default=1000, help="of the bootstrap, and permutations of the tests")
    add("--seed", type=int, default=0)
    add("--out", default=None, help="JSON to write")


def detect(args):
    from fit.thresholds import describe, measure, read_table
    from fit.thresholds.answer import sentence

    settings = {"penalty": args.penalty, "resamples": args.resamples, "seed": args.seed}
    found = measure(read_table(args.table), **settings, **({"estimators": args.estimators} if args.estimators else {}))
    if args.out:
        write_json(found, args.out)
    print(sentence(found), *describe(found), sep="\n")


def plot_arguments(add):
    add("table")
    add("--threshold", help="JSON of `fit threshold`")
    add("--score", default="imitation score", help="what it is called in the figure")
    add("--title", default="")
    add("--out")


def plot(args):
    from fit.io.files import atomic_write
    from fit.reports.figures import threshold_figure
    from fit.thresholds import read_scores

    _, counts_of, scores = read_scores(args.table)
    with atomic_write(args.out) as part:
        threshold_figure(counts_of, scores, read_threshold(args.threshold), args.title, part, args.score)


def pictures_arguments(add):
    add("table")
    add("--threshold", help="JSON of `fit threshold`")
    add("--references", help="folder of reference tables")
    add("--generated", help="folder of generated tables")
    add("--rows", type=int, default=20)
    add("--title", default="")
    add("--out")


def pictures(args):
    import numpy as np

    from fit.io.files import atomic_write
    from fit.reports.figures import contact_sheet
    from fit.thresholds import read_scores

    concepts, counts_of, scores = read_scores(args.table)
    found = read_threshold(args.threshold)
    split = found["below"]["concepts"] if found["below"] else len(concepts) // 2
    # As many rows from each side of the threshold, spread over it, so that the page shows both.
    sides = [np.arange(split), np.arange(split, len(concepts))]
    chosen = [
        side[i]
        for side in sides
        if len(side)
        for i in np.unique(np.linspace(0, len(side) - 1, args.rows // 2).astype(int))
    ]
    rows = []
    for i in chosen:
        mark = "" if found["threshold"] is None else " (above)" if i >= split else " (below)"
        label = f"{concepts[i]}\n{counts_of[i]:.0f} images, score {scores[i]:.2f}{mark}"
        rows.append((label, f"{args.references}/{concepts[i]}.parquet", f"{args.generated}/{concepts[i]}.parquet"))
    with atomic_write(args.out) as part:
        contact_sheet(rows, part, args.title)


COMMANDS = (
    Command("detect", "the imitation threshold of a table of concepts", detect_arguments, detect),
    Command("plot", "scores against counts", plot_arguments, plot),
    Command("pictures", "references beside generated pictures, below and above", pictures_arguments, pictures),
)
