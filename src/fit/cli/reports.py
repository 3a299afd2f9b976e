"""`fit reports`."""

from pathlib import Path

from fit.cli.command import Command


def write_arguments(add):
    add("study", help="its name, the title of the page")
    add("--thresholds", nargs="*", default=[], help="JSON files MODEL/DOMAIN.json")
    add("--counts", nargs="*", default=[], help="effective counts, CORPUS/DOMAIN.parquet")
    add("--match-thresholds", nargs="*", default=[], help="JSON files DOMAIN.json and DOMAIN.art.json")
    add("--figures", nargs="*", default=[], help="pictures to show")
    add("--missing", nargs="*", default=[], metavar="TEXT", help="MODEL/DOMAIN: what it lacks")
    add("--out", help="folder to write into")


def write(args):
    from fit.io.files import by_key
    from fit.reports import report as paper
    from fit.thresholds.answer import of_pair

    def by_pair(paths):
        """(model or corpus, domain) -> path, of files .../MODEL/DOMAIN.suffix."""
        return by_key(paths, lambda path: (Path(path).parent.name, Path(path).stem), "the pair")

    def of_cut(path):
        kind = Path(path).stem.split(".")
        return kind[0], "artworks" if kind[1:] else "same concept"

    match_thresholds = by_key(args.match_thresholds, of_cut, "the domain")
    missing: dict[tuple[str, ...], list[str]] = {}
    for text in args.missing:
        pair, _, lacking = text.partition(": ")
        missing.setdefault(tuple(pair.split("/")), []).append(lacking)
    figures = {" ".join(Path(path).with_suffix("").parts[-3:]).removeprefix("results "): path for path in args.figures}
    counts_of = by_pair(args.counts)
    tables = [
        paper.thresholds_table(by_pair(args.thresholds), missing, counts_of),
        paper.counts_table(counts_of),
        paper.calibration_table(match_thresholds),
    ]
    answers = [of_pair(model, domain, path) for (model, domain), path in by_pair(args.thresholds).items()]
    answers += [of_pair(pair[0], pair[-1], "", lacks) for pair, lacks in missing.items()]
    paper.write_report(args.study, answers, tables, missing, figures, args.out)
    print(f"{args.out}/report.md: {len(args.thresholds)} thresholds, {len(missing)} missing")


def show_arguments(add):
    add("file", help="TSV, CSV, Parquet or JSON; pictures and other bytes are left out")
    add("--rows", type=int, default=100, help="of Parquet and JSON lines, at most (0: all)")


def show(args):
    from fit.reports.show import show

    for line in show(args.file, args.rows):
        print(line)


COMMANDS = (
    Command("write", "a study's tables, in three formats, and a page that shows them", write_arguments, write),
    Command("show", "print a table in columns", show_arguments, show),
)
