"""`fit scores`."""

import sys

from fit.cli.arguments import add_compared, compared_files, many
from fit.cli.command import Command
from fit.cli.common import by_slug


def imitation_arguments(add):
    add_compared(add)
    add("--top-k", type=int, default=10)
    many(add, "out", help="files to write, in the order of the others")


def imitation(args):
    from fit.io.parquet import write
    from fit.scores.imitation import score_concept

    for out, compared in compared_files(args):
        write(score_concept(**compared, top_k=args.top_k), out)


def tabulate_arguments(add):
    add("--counts")
    many(add, "scores", help="files named by slugs")
    add("--sheet", default=None, help="concept sheet with the groups, if any")
    add("--out")


def tabulate(args):
    from fit.io.parquet import write
    from fit.scores.imitation import tabulate_scores

    table, unscored = tabulate_scores(args.counts, by_slug(args.scores), args.sheet)
    for concept, path in unscored.items():
        print(f"fit: {concept}: no usable picture or target, so no score ({path})", file=sys.stderr)
    write(table, args.out, row_group=4096)


COMMANDS = (
    Command("imitation", "imitation scores of concepts, a file each, a row a prompt", imitation_arguments, imitation),
    Command("tabulate", "counts and scores of all concepts in one table", tabulate_arguments, tabulate),
)
