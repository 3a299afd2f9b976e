"""`fit embeddings`."""

from fit.cli.arguments import add_embedder, embedder_settings, many
from fit.cli.command import Command
from fit.cli.common import set_threads
from fit.cli.parser import same_length


def images_arguments(add):
    add_embedder(add)
    add("--batch-size", type=int, default=64, help="images a batch, at most; halved as often as memory runs out")
    add("--threads", type=int, default=0, help="processor threads (0: the library's choice)")
    add(
        "--decoders",
        type=int,
        default=None,
        help="processes that decode pictures (0: this one; default: one per thread, but 0 with one thread)",
    )
    add("--detection-side", type=int, default=1280, help="longest side in pixels of what faces are searched in")
    add("--min-face-size", type=int, default=20, help="side of the smallest faces, in pixels of that")
    for name in ("--pixel-mean", "--pixel-std"):
        add(name, type=float, default=None, help="arcface: how pixels are scaled; auto: as the file tells")
    add("--channels", choices=("rgb", "bgr"), default="rgb", help="arcface: order of the colours")
    many(add, "images", "out")


def images(args):
    from fit.embeddings.run import embed_tables

    same_length(args, "images", "out")
    set_threads(args.threads)
    embed_tables(args.backend, embedder_settings(args), args.images, args.out, args.batch_size, args.decoders)


def texts_arguments(add):
    add_embedder(add)
    many(add, "texts")
    add("--out")


def texts(args):
    from fit.embeddings.run import embed_texts as embed

    set_threads(1)
    embed(args.backend, embedder_settings(args), args.texts, args.out)


def prompts_arguments(add):
    add_embedder(add)
    add("--sheet", help="concept sheet")
    many(add, "prompts", help="templates with {name}")
    add("--out")


def prompts(args):
    from fit.concepts.sheet import read_sheet
    from fit.embeddings.run import embed_texts as embed

    set_threads(1)
    texts = [prompt.format(name=concept.name) for concept in read_sheet(args.sheet) for prompt in args.prompts]
    embed(args.backend, embedder_settings(args), list(dict.fromkeys(texts)), args.out)


def convert_arguments(add):
    add("checkpoint", help="pytorch_model.bin of CSD-ViT-L")
    add("out", help=".safetensors file to write, for the embedder csd")


def convert(args):
    from fit.embeddings.csd import convert

    print(f"{args.out}: {convert(args.checkpoint, args.out)}")


COMMANDS = (
    Command("images", "embed image tables", images_arguments, images),
    Command("texts", "embed texts, for the art filter", texts_arguments, texts),
    Command("prompts", "embed the prompts of every concept, for the CLIP score", prompts_arguments, prompts),
    Command("convert", "a CSD checkpoint as published into safetensors", convert_arguments, convert, writes=("out",)),
)
