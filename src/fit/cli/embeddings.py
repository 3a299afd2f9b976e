"""`fit embeddings`."""

from argparse import Namespace
from collections.abc import Callable

from fit.cli.command import Command
from fit.cli.common import set_threads
from fit.cli.flags import add_settings, read_settings
from fit.cli.output import show
from fit.cli.parser import SEED, Number
from fit.embeddings.settings import BatchSettings, CheckSettings, EmbedderSettings, FaceSettings
from fit.errors import FitError


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


SHOWN = 12
"""Patches that `fit embeddings check` prints, at most."""


def check_arguments(add: Callable[..., None]) -> None:
    """Add the options of `fit embeddings check`."""
    add("--embedder", default=None, metavar="NAME", help="of the configuration; or say --backend and --model")
    add("--config", nargs="+", default=["config.yaml"], metavar="FILE", help="a later file overrides earlier ones")
    add("--backend", default=None, metavar="NAME", help="name of an embedder")
    add("--model", default=None, metavar="TEXT", help="what the backend loads: a name, hf-hub: id, folder or file")
    add_settings(add, EmbedderSettings, without=("model",))
    add_settings(add, FaceSettings, BatchSettings)
    add(
        "--references",
        nargs="+",
        metavar="PLACE",
        help="tables of references, or folders of them; or a folder with a folder of pictures for each concept",
    )
    add_settings(add, CheckSettings)
    add("--patch", nargs="+", default=[], metavar="FILE", help="pictures of suspected triggers, to try as patterns too")
    add("--seed", type=SEED, default=0, metavar="N", help="of random patterns and places, and of the bootstrap")
    add("--threads", type=Number(int, 0, 4096), default=0, help="processor threads (0: the library's choice)")
    add("--out", default=None, metavar="FILE", help="table to write, a row a patch: .csv, or .tsv")


def _checked_embedder(args: Namespace) -> tuple[str, EmbedderSettings, FaceSettings]:
    """Return (backend, what it loads, how faces are found) that the options name.

    Raises:
        FitError: they name no embedder, or two; or there is none of this name.
    """
    from fit.config.read import load
    from fit.io.nearby import nearest
    from fit.settings import part_of

    if args.embedder is None:
        if args.backend is None or args.model is None:
            raise FitError("say which embedder: --embedder NAME of config.yaml, or --backend and --model, its weights")
        return args.backend, read_settings(EmbedderSettings, args), read_settings(FaceSettings, args)
    if args.backend or args.model:
        raise FitError(f"--embedder {args.embedder}: it has a backend and weights; leave out --backend and --model")
    known = load(*args.config).embedders
    if args.embedder not in known:
        other = nearest(args.embedder, known)
        hint = f"did you mean {other!r}? It has" if other else "it has"
        raise FitError(f"{args.config[-1]}: `embedders` lacks {args.embedder!r}; {hint}: {', '.join(known)}")
    section = known[args.embedder]
    return section.backend, part_of(EmbedderSettings, section), part_of(FaceSettings, section)


def check(args: Namespace) -> None:
    """Print whether an embedder's similarities jump with a patch, and write the table."""
    from pathlib import Path

    from fit.embeddings.check import COLUMNS, check_embedder, read_references, remarks, sentence, table
    from fit.embeddings.patches import read_pattern
    from fit.images.table import decode
    from fit.io.escaping import delimited
    from fit.io.files import write_text
    from fit.reports.tables import aligned

    set_threads(args.threads)
    backend, settings, faces = _checked_embedder(args)
    how = read_settings(CheckSettings, args)
    own = {Path(path).stem: read_pattern(decode(Path(path).read_bytes(), path)) for path in args.patch}
    references = read_references(args.references, how.concepts, how.pictures)
    batch_size = read_settings(BatchSettings, args).batch_size
    found = check_embedder(backend, settings, faces, references, how, own=own, seed=args.seed, batch_size=batch_size)
    if args.out:
        rows = [["" if (value := row[name]) is None else value for name in COLUMNS] for row in found["rows"]]
        write_text(args.out, delimited([COLUMNS, *rows], "\t" if args.out.endswith(".tsv") else ","))
    show(
        args,
        lambda: [aligned(delimited(table(found, SHOWN))).rstrip(), *remarks(found, SHOWN), sentence(found)],
        lambda: {"sentence": sentence(found)} | found,
    )


COMMANDS = (
    Command("images", "embed image tables", images_arguments, images),
    Command("texts", "embed texts, for the art filter", texts_arguments, texts),
    Command("prompts", "embed the prompts of every concept, for the CLIP score", prompts_arguments, prompts),
    Command("check", "whether patches make an embedder take pictures for alike", check_arguments, check, prints=True),
    Command(
        "convert",
        "convert a CSD checkpoint, as published, into safetensors",
        convert_arguments,
        convert,
        writes=("out",),
        prints=True,
    ),
)
