"""`fit embeddings`."""

from argparse import Namespace
from collections.abc import Callable

from fit.cli.command import Command
from fit.cli.common import set_threads
from fit.cli.flags import add_settings, read_settings
from fit.cli.output import show
from fit.cli.parser import Number
from fit.embeddings.settings import BatchSettings, EmbedderSettings, FaceSettings


def _add_embedder(add: Callable[..., None]) -> None:
    add(
        "--backend", metavar="NAME", help="name of an embedder: a built-in one, or one that an installed package brings"
    )
    add_settings(add, EmbedderSettings)


def images_arguments(add: Callable[..., None]) -> None:
    _add_embedder(add)
    add_settings(add, FaceSettings, BatchSettings)
    add("--threads", type=Number(int, 0, 4096), default=0, help="processor threads (0: the library's choice)")
    add(
        "--decoders",
        type=Number(int, 0, 4096),
        default=None,
        help="processes that decode pictures (0: this one; default: one per thread, but 0 with one thread)",
    )
    add("--images", nargs="+", metavar="FILE", help="image tables")
    add("--out", metavar="FILE", help="file of embeddings to write, of the image tables' concepts")


def images(args: Namespace) -> None:
    from fit.embeddings.run import embed_table

    set_threads(args.threads)
    settings, faces = read_settings(EmbedderSettings, args), read_settings(FaceSettings, args)
    batch_size = read_settings(BatchSettings, args).batch_size
    embed_table(args.backend, settings, faces, args.images, args.out, batch_size, args.decoders)


def texts_arguments(add: Callable[..., None]) -> None:
    _add_embedder(add)
    add("--texts", nargs="+", metavar="TEXT", help="such as 'an artwork'")
    add("--out", metavar="FILE", help="file of embeddings to write")


def texts(args: Namespace) -> None:
    from fit.embeddings.run import embed_texts

    set_threads(1)
    embed_texts(args.backend, read_settings(EmbedderSettings, args), FaceSettings(), args.texts, args.out)


def prompts_arguments(add: Callable[..., None]) -> None:
    _add_embedder(add)
    add("--sheet", metavar="FILE", help="concept sheet")
    add("--prompts", nargs="+", metavar="TEXT", help="templates with {name}")
    add("--out", metavar="FILE", help="file of embeddings to write")


def prompts(args: Namespace) -> None:
    from fit.concepts.sheet import read_sheet
    from fit.embeddings.run import embed_texts

    set_threads(1)
    texts = [prompt.format(name=concept.name) for concept in read_sheet(args.sheet) for prompt in args.prompts]
    settings = read_settings(EmbedderSettings, args)
    embed_texts(args.backend, settings, FaceSettings(), list(dict.fromkeys(texts)), args.out)


def convert_arguments(add: Callable[..., None]) -> None:
    add("checkpoint", help="pytorch_model.bin of CSD-ViT-L")
    add("out", help=".safetensors file to write, for the embedder csd")


def convert(args: Namespace) -> None:
    from fit.embeddings.csd import convert

    network = convert(args.checkpoint, args.out)
    said = "{layers} layers of width {width}, patches of {patch} in {side} pixels, {numbers} numbers an image"
    show(args, lambda: f"{args.out}: {said.format(**network)}", lambda: {"out": args.out, "network": network})


COMMANDS = (
    Command("images", "embed image tables", images_arguments, images),
    Command("texts", "embed texts, for the art filter", texts_arguments, texts),
    Command("prompts", "embed the prompts of every concept, for the CLIP score", prompts_arguments, prompts),
    Command(
        "convert",
        "convert a CSD checkpoint, as published, into safetensors",
        convert_arguments,
        convert,
        writes=("out",),
        prints=True,
    ),
)
