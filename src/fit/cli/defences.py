"""`fit defences`."""

import json
import sys
from argparse import Namespace
from collections.abc import Callable

from fit.atelier.settings import ErasingSettings
from fit.cli.command import Command
from fit.cli.common import set_threads
from fit.cli.flags import add_settings, read_settings
from fit.cli.parser import SEED, Number, OptionalPath, Slugs
from fit.cli.scores import optional_tables
from fit.defences.settings import DefenceSettings

SIDES = {"base": "the base model", "defended": "the model that is derived from it"}


def erase_arguments(add: Callable[..., None]) -> None:
    """Add the options of `fit defences erase`."""
    add("--pipeline", metavar="FOLDER", help="diffusers pipeline of the base: Stable Diffusion's parts, of any size")
    add("--sheet", metavar="FILE", help="concept sheet")
    add("--concepts", action=Slugs, required=True, help="concepts to erase")
    add("--prompts", nargs="+", metavar="TEXT", help="templates with {name}")
    add_settings(add, ErasingSettings)
    add("--seed", type=SEED, metavar="N", help="of prompts, latents and noise")
    add("--threads", type=Number(int, 0, 4096), default=0, help="processor threads (0: the library's choice)")
    add("--out", metavar="FOLDER", help="folder of the component that was trained")


def erase(args: Namespace) -> None:
    """Train a component of a pipeline so that it forgets concepts."""
    from fit.atelier.erasing.run import erase
    from fit.concepts.sheet import find_concepts, read_sheet
    from fit.io.files import atomic_write, check_replaceable

    check_replaceable(args.out)
    set_threads(args.threads)
    erased = find_concepts(args.sheet, args.concepts)
    others = [concept for concept in read_sheet(args.sheet) if concept.slug not in args.concepts]
    component = erase(
        args.pipeline,
        [concept.name for concept in erased],
        [concept.name for concept in others],
        args.prompts,
        read_settings(ErasingSettings, args),
        seed=args.seed,
    )
    with atomic_write(args.out) as part:
        component.save_pretrained(part)


def measure_arguments(add: Callable[..., None]) -> None:
    """Add the options of `fit defences measure`."""
    for side, who in SIDES.items():
        add(f"--{side}-scores", metavar="FILE", help=f"table of `fit scores tabulate` of {who}")
        add(f"--{side}-generated", nargs="+", metavar="PLACE", help=f"pictures of {who}: files or folders")
        add(f"--{side}-embeddings", nargs="+", metavar="PLACE", help="embeddings of these pictures")
        add(
            f"--{side}-prompt-images",
            nargs="*",
            default=[],
            metavar="PLACE",
            help="embeddings of these pictures by an embedder that also reads text, if any",
        )
    add("--prompts", action=OptionalPath, help="embeddings of the prompts by it, if any")
    add("--references", nargs="+", metavar="PLACE", help="image tables of references: files or folders")
    add("--reference-embeddings", nargs="+", metavar="PLACE", help="embeddings of the references")
    add("--sheet", metavar="FILE", help="concept sheet of the domain")
    add("--erased", nargs="*", default=[], metavar="SLUG", help="concepts that the model is to be kept from imitating")
    add_settings(add, DefenceSettings)
    add("--resamples", type=Number(int, 1, 10_000_000), default=1000, metavar="N", help="of the bootstrap")
    add("--seed", type=SEED, default=0, metavar="N", help="of the bootstrap")
    add("--out", metavar="FILE", help="table to write: Parquet")
    add("--tsv", metavar="FILE", help="the same for reading: tab-separated")


def measure(args: Namespace) -> None:
    """Write what a model does otherwise than its base."""
    from fit.defences.measure import Places, measure, summary, write_tsv
    from fit.embeddings.files import read_embeddings
    from fit.io.concept_tables import ConceptTables
    from fit.io.parquet import write

    def places(side: str) -> Places:
        of = vars(args)
        return Places(
            scores=of[f"{side}_scores"],
            generated=ConceptTables(of[f"{side}_generated"]),
            embeddings=ConceptTables(of[f"{side}_embeddings"]),
            prompt_images=optional_tables(of[f"{side}_prompt_images"]),
        )

    prompts = dict(zip(*read_embeddings(args.prompts), strict=True)) if args.prompts else None
    found = measure(
        places("base"),
        places("defended"),
        args.sheet,
        args.erased,
        references=ConceptTables(args.references),
        reference_embeddings=ConceptTables(args.reference_embeddings),
        prompts=prompts,
        settings=read_settings(DefenceSettings, args),
        resamples=args.resamples,
        seed=args.seed,
    )
    table = found.table().replace_schema_metadata({"curve": json.dumps(found.curve)})
    write(table, args.out, row_group=4096)
    write_tsv(table, args.tsv)
    print("\n".join(summary(found)), file=sys.stderr)


def plot_arguments(add: Callable[..., None]) -> None:
    """Add the options of `fit defences plot`."""
    add("--table", metavar="FILE", help="table of `fit defences measure`")
    add("--title", default="", metavar="TEXT", help="of the figure")
    add("--out", metavar="PNG", help="figure to write")


def plot(args: Namespace) -> None:
    """Draw the figure of a defended model."""
    import polars as pl

    from fit.defences.figure import draw_defence
    from fit.defences.measure import ROWS
    from fit.io.parquet import open_parquet, read

    told = (open_parquet(args.table).schema_arrow.metadata or {}).get(b"curve", b"{}")
    rows = pl.DataFrame(pl.from_arrow(read(args.table, ROWS.names, schema=ROWS)))
    draw_defence(rows, json.loads(told), args.title, args.out)


COMMANDS = (
    Command("erase", "train a component of a small pipeline so that it forgets concepts", erase_arguments, erase),
    Command(
        "measure",
        "what a model does otherwise than the one that it is derived from, read in images",
        measure_arguments,
        measure,
        writes=("out", "tsv"),
    ),
    Command("plot", "draw the figure of a derived model", plot_arguments, plot),
)
