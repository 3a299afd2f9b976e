"""`fit atelier`."""

from argparse import Namespace
from collections.abc import Callable

from fit.atelier.changes import WORLDS
from fit.atelier.settings import ArtFilterSettings, GeneratorSettings, StyleEncoderSettings, WorldSettings
from fit.cli.command import Command
from fit.cli.common import set_threads
from fit.cli.flags import add_settings, read_settings
from fit.cli.parser import SEED, THREADS, Number


def paint_arguments(add: Callable[..., None]) -> None:
    """Add the arguments of `paint`."""
    add("--sheet", help="concept sheet of the painters")
    add_settings(add, WorldSettings)
    add("--seed", type=SEED, metavar="N", help="of every random choice")
    add("--shards", nargs="+", help="corpus files to write")
    add("--training-set", help="Parquet file to write: the captioned pictures that the generator sees")
    add("--truth", help="Parquet file to write: the true painter of each picture, which no stage reads")
    add("--references-file", help="Parquet file to write: pictures of each painter")
    add("--photographs-file", help="Parquet file to write: pictures that are not artworks")
    add("--deal", type=Number(int, 0, 999), default=0, metavar="N", help="of the counts to the painters, of --deals")
    add(
        "--deals",
        type=Number(int, 1, 1000),
        default=1,
        metavar="N",
        help="how many deals there are of the counts to the painters",
    )
    add("--changes", choices=list(WORLDS), default="usual", help="what is unlike the usual world")


def paint(args: Namespace) -> None:
    """Paint the corpus, the references and the photographs."""
    from fit.atelier.build import WorldFiles, paint_world

    files = WorldFiles(
        training_set=args.training_set,
        shards=args.shards,
        truth=args.truth,
        references=args.references_file,
        photographs=args.photographs_file,
    )
    settings, changes = read_settings(WorldSettings, args), WORLDS[args.changes]
    paint_world(args.sheet, settings, args.seed, files, deal=args.deal, deals=args.deals, changes=changes)


def _add_training(add: Callable[..., None], settings: type) -> None:
    """Add what all trainings take."""
    add_settings(add, settings)
    add("--seed", type=SEED, metavar="N", help="of every random choice")
    add("--threads", type=THREADS, default=0, help="of PyTorch; 0: its own number")
    add("--out", help="folder to write")


def train_style_encoder_arguments(add: Callable[..., None]) -> None:
    """Add the arguments of `train-style-encoder`."""
    _add_training(add, StyleEncoderSettings)


def train_style_encoder(args: Namespace) -> None:
    """Train the style encoder."""
    from fit.atelier.build import build_style_encoder

    set_threads(args.threads)
    build_style_encoder(args.out, read_settings(StyleEncoderSettings, args), args.seed)


def train_art_filter_arguments(add: Callable[..., None]) -> None:
    """Add the arguments of `train-art-filter`."""
    _add_training(add, ArtFilterSettings)


def train_art_filter(args: Namespace) -> None:
    """Train the art filter."""
    from fit.atelier.build import build_art_filter

    set_threads(args.threads)
    build_art_filter(args.out, read_settings(ArtFilterSettings, args), args.seed)


def train_generator_arguments(add: Callable[..., None]) -> None:
    """Add the arguments of `train-generator`."""
    add("--training-set", help="Parquet file with the columns caption and image")
    _add_training(add, GeneratorSettings)


def train_generator(args: Namespace) -> None:
    """Train the text-to-image pipeline."""
    from fit.atelier.build import build_generator

    set_threads(args.threads)
    build_generator(args.training_set, args.out, read_settings(GeneratorSettings, args), args.seed)


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
