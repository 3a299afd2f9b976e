"""`fit generated`."""

import sys
from argparse import Namespace
from collections.abc import Callable
from pathlib import Path

from fit.cli.command import Command
from fit.cli.common import add_work, set_threads
from fit.cli.flags import add_settings, read_settings
from fit.cli.parser import Number, Slugs
from fit.errors import ConfigError
from fit.generated.settings import ChangeSettings, GenerationSettings, PipelineSettings
from fit.images.settings import DecodeSettings
from fit.io.shown import number_of


def make_arguments(add: Callable[..., None]) -> None:
    add_settings(add, PipelineSettings, GenerationSettings, ChangeSettings)
    add("--sheet", metavar="FILE", help="concept sheet")
    add("--concepts", action=Slugs, required=True, help="which concepts, in the table's order")
    add("--prompts", nargs="+", default=None, metavar="TEXT", help="templates with {name}; or give --prompt-table")
    add("--prompt-table", default=None, metavar="FILE", help="table of each concept's own prompts (docs/attacks.md)")
    add("--seed", type=Number(int, 0, 2**63 - 1), metavar="N", help="of the study")
    add("--threads", type=Number(int, 0, 4096), default=0, help="processor threads (0: the library's choice)")
    add_work(add)
    add("--out", metavar="FILE", help="image table to write")


def make(args: Namespace) -> None:
    from fit import generated
    from fit.concepts.sheet import find_concepts
    from fit.generated.conditioning import Prompts, asked_texts, read_prompts
    from fit.generated.rewriting import Rewritten, rewrite_prompts
    from fit.generated.run import generate_table

    if (args.prompts is None) == (args.prompt_table is None):
        raise ConfigError("what the model is asked for: give either --prompts or --prompt-table")
    concepts = find_concepts(args.sheet, args.concepts)
    set_threads(args.threads)
    changes = read_settings(ChangeSettings, args)
    generator = generated.prepare(read_settings(PipelineSettings, args), changes)
    prompts: Prompts = args.prompts or read_prompts(args.prompt_table, args.concepts)
    if changes.rewrites:
        texts = rewrite_prompts(concepts, prompts, changes)
        asked = {text for concept in concepts for text in asked_texts(concept, prompts)}
        print(f"fit: {len(texts)} of {number_of(len(asked), 'prompt')} are rewritten", file=sys.stderr)
        generator = Rewritten(generator, texts)
    statuses = generate_table(
        generator,
        concepts,
        args.out,
        settings=read_settings(GenerationSettings, args),
        prompts=prompts,
        study_seed=args.seed,
        work=args.work,
    )
    for concept, counted in statuses.items():
        bad = ", ".join(f"{count} {status}" for status, count in counted.items() if status != "ok")
        if bad:
            print(
                f"fit: {concept}: of {number_of(counted.total(), 'picture')} {bad}; they count as not made",
                file=sys.stderr,
            )


def import_arguments(add: Callable[..., None]) -> None:
    add("--place", metavar="PATH", help="folder with a folder per slug, or Parquet with the columns concept and bytes")
    add("--concepts", action=Slugs, required=True, help="which concepts, in the table's order")
    add("--sheet", default=None, metavar="FILE", help="concept sheet: rows of a table that are of no concept are named")
    add_work(add)
    add_settings(add, DecodeSettings)
    add("--decoders", type=Number(int, 1, 4096), default=2, help="processes that decode")
    add("--out", metavar="FILE", help="image table to write")


def import_(args: Namespace) -> None:
    from fit.concepts.sheet import read_sheet
    from fit.images.local import import_generated

    bad = import_generated(
        args.place,
        args.concepts,
        args.out,
        work=args.work or Path(args.out).parent / ".imported",
        decoding=read_settings(DecodeSettings, args),
        decoders=args.decoders,
        sheet=[concept.slug for concept in read_sheet(args.sheet)] if args.sheet else None,
    )
    for concept, count in bad.items():
        print(
            f"fit: {concept}: {number_of(count, 'generated image')} can't be decoded and "
            f"{'is' if count == 1 else 'are'} left out",
            file=sys.stderr,
        )


def draw_arguments(add: Callable[..., None]) -> None:
    add("table", help="image table that `fit generated make` wrote")
    add("--title", default="", metavar="TEXT", help="of the picture")
    add("--out", metavar="PNG", help="picture to write")


def draw(args: Namespace) -> None:
    from fit.io.files import atomic_write
    from fit.reports.contact_sheets import generated_sheet

    with atomic_write(args.out) as part:
        generated_sheet(args.table, part, args.title)


COMMANDS = (
    Command("make", "generate pictures of concepts", make_arguments, make),
    Command("import", "take local pictures that a model made", import_arguments, import_),
    Command("draw", "draw the pictures of concepts, a row per prompt", draw_arguments, draw),
)
