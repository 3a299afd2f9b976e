"""`fit atelier`."""

from fit.cli.arguments import STEPS, many
from fit.cli.command import Command
from fit.cli.common import set_threads


def paint_arguments(add):
    add("--sheet")
    for name in ("seed", "zeros", "largest", "references", "photographs", "anonymous"):
        add(f"--{name}", type=int)
    many(add, "shards", help="corpus files to write")
    for name in ("training-set", "truth", "references-file", "photographs-file"):
        add(f"--{name}")


def paint(args):
    from fit.atelier.build import paint_world

    paint_world(
        args.sheet,
        seed=args.seed,
        zeros=args.zeros,
        largest=args.largest,
        references=args.references,
        photographs=args.photographs,
        anonymous=args.anonymous,
        training_set=args.training_set,
        shards=args.shards,
        truth=args.truth,
        references_file=args.references_file,
        photographs_file=args.photographs_file,
    )


def train_style_encoder_arguments(add):
    add("--steps", type=STEPS)
    add("--seed", type=int)
    add("--threads", type=int, default=0)
    add("--out", help="folder to write")


def train_style_encoder(args):
    from fit.atelier.build import build_style_encoder

    set_threads(args.threads)
    build_style_encoder(args.out, steps=args.steps, seed=args.seed)


def train_art_filter_arguments(add):
    add("--steps", type=STEPS)
    add("--seed", type=int)
    add("--threads", type=int, default=0)
    add("--out", help="folder to write")


def train_art_filter(args):
    from fit.atelier.build import build_art_filter

    set_threads(args.threads)
    build_art_filter(args.out, steps=args.steps, seed=args.seed)


def train_generator_arguments(add):
    add("--training-set")
    add("--steps", type=STEPS)
    for name in ("autoencoder-steps", "batch-size", "seed"):
        add(f"--{name}", type=int)
    add("--threads", type=int, default=0)
    add("--out", help="folder to write")


def train_generator(args):
    from fit.atelier.build import build_generator

    set_threads(args.threads)
    build_generator(
        args.training_set,
        args.out,
        autoencoder_steps=args.autoencoder_steps,
        steps=args.steps,
        batch_size=args.batch_size,
        seed=args.seed,
    )


COMMANDS = (
    Command(
        "paint",
        "paint its corpus, references and photographs",
        paint_arguments,
        paint,
        writes=("shards", "training_set", "truth", "references_file", "photographs_file"),
    ),
    Command(
        "train-style-encoder",
        "train the style encoder on painters of its own",
        train_style_encoder_arguments,
        train_style_encoder,
    ),
    Command(
        "train-art-filter", "train the art filter on painters of its own", train_art_filter_arguments, train_art_filter
    ),
    Command("train-generator", "train the text-to-image pipeline", train_generator_arguments, train_generator),
)
