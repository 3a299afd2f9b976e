"""`fit alternatives`."""

from fit.cli.arguments import add_compared, compared_files, many
from fit.cli.command import Command
from fit.cli.common import by_slug


def score_arguments(add):
    add_compared(add)
    add("--prompt-images", nargs="*", default=[], help="embeddings of the pictures by a model that reads text, if any")
    add("--prompts", nargs="?", const="", default="", help="embeddings of the prompts by it, if any")
    many(add, "out", help="files to write, in the order of the others")


def score(args):
    from fit.alternatives import score_concept
    from fit.io.parquet import write

    for out, compared in compared_files(args):
        write(score_concept(**{"prompt_images": None} | compared, prompts=args.prompts or None), out)


def tabulate_arguments(add):
    add("--imitation", help="table that `fit scores` wrote")
    many(add, "scores", help="files named by slugs")
    add("--kind", choices=("clip", "frechet", "top5"))
    add("--out")


def tabulate(args):
    from fit.alternatives import tabulate
    from fit.io.parquet import write

    write(tabulate(args.imitation, by_slug(args.scores), args.kind), args.out, row_group=4096)


COMMANDS = (
    Command("score", "CLIP score, Fréchet distance and top-5 mean of concepts", score_arguments, score),
    Command("tabulate", "counts and one such score, for `fit threshold`", tabulate_arguments, tabulate),
)
