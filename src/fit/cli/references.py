"""`fit references`."""

import sys
from argparse import Namespace
from collections.abc import Callable
from pathlib import Path

from fit.cli.command import Command
from fit.cli.common import add_work
from fit.cli.flags import add_settings, read_settings
from fit.cli.parser import Number, OptionalPath, Slugs
from fit.images.settings import DecodeSettings, FetchSettings
from fit.io.shown import number_of
from fit.references import SOURCES
from fit.references.settings import SearchSettings, SelectionSettings


def collect_arguments(add: Callable[..., None]) -> None:
    add("--source", choices=tuple(SOURCES), help="where references come from")
    add("--place", default="", metavar="TEXT", help="the table or folder, or what to ask serpapi for, with {name}")
    add("--sheet", metavar="FILE", help="concept sheet")
    add("--concepts", action=Slugs, required=True, help="which concepts, in the table's order")
    add_settings(add, SearchSettings)
    add("--cache", default=".searches", metavar="FOLDER", help="keeps the answers of searches")
    add_work(add)
    add_settings(add, FetchSettings, DecodeSettings)
    add("--decoders", type=Number(int, 1, 4096), default=2, metavar="N", help="processes that decode")
    add("--out", metavar="FILE", help="image table of candidates to write")


def collect(args: Namespace) -> None:
    from fit.concepts.sheet import find_concepts, read_sheet
    from fit.references.collect import collect_references

    collect_references(
        args.source,
        args.place,
        find_concepts(args.sheet, args.concepts),
        args.out,
        search=read_settings(SearchSettings, args),
        cache=args.cache,
        work=args.work or Path(args.out).parent / ".collected",
        fetching=read_settings(FetchSettings, args),
        decoding=read_settings(DecodeSettings, args),
        decoders=args.decoders,
        sheet=[concept.slug for concept in read_sheet(args.sheet)],
    )


def select_arguments(add: Callable[..., None]) -> None:
    add("--candidates", nargs="+", metavar="PLACE", help="tables that `fit references collect` wrote, or their folders")
    add("--embeddings", nargs="+", metavar="PLACE", help="embeddings of the candidates, or their folders")
    add("--concepts", action=Slugs, required=True, help="which concepts, in the table's order")
    add_settings(add, SelectionSettings)
    add("--domain", default="NAME", help="of the concepts, to name its keys in messages")
    add("--place", default="", metavar="PATH", help="where references are put, to name it in messages")
    add("--vetoes", action=OptionalPath, metavar="FILE", help="TSV of concept and image_id: rejected images")
    add("--sheet", action=OptionalPath, metavar="FILE", help="concept sheet, by which vetoes of no concept are named")
    add("--out", metavar="FILE", help="table of references to write")


def select(args: Namespace) -> None:
    from fit.concepts.sheet import read_sheet
    from fit.io.concept_tables import ConceptTables
    from fit.references.select import said_of, select_references
    from fit.references.vetoes import read_vetoes, unmatched_vetoes

    candidates, settings = ConceptTables(args.candidates), read_settings(SelectionSettings, args)
    vetoes = read_vetoes(args.vetoes) if args.vetoes else {}
    if vetoes:
        images_of = {
            concept: candidates.read(concept, ["image_id"]).column("image_id").to_pylist() for concept in args.concepts
        }
        slugs = [concept.slug for concept in read_sheet(args.sheet)] if args.sheet else None
        for said in unmatched_vetoes(vetoes, images_of, slugs):
            print(f"fit: {args.vetoes}: {said}", file=sys.stderr)
    embeddings = ConceptTables(args.embeddings)
    for short in select_references(candidates, embeddings, args.concepts, args.out, settings, vetoes):
        why = ", ".join(f"{number} {said_of(decision)}" for decision, number in short.reasons.items())
        place = Path(args.place, short.concept) if Path(args.place).is_dir() else args.place
        print(
            f"fit: {short.concept}: {number_of(short.usable, 'usable reference')} of {short.candidates}"
            f"{f' ({why})' if why else ''}, at least "
            f"{settings.least} {'is' if settings.least == 1 else 'are'} needed; add {settings.least - short.usable} or "
            f"more{f' to {place}' if args.place else ''}, or "
            f"lower `domains.{args.domain}.references.least`; the study goes on without this concept",
            file=sys.stderr,
        )


def draw_arguments(add: Callable[..., None]) -> None:
    add("file", metavar="FILE", help="table that `fit references select` wrote")
    add("--out", metavar="PNG", help="picture to write")


def draw(args: Namespace) -> None:
    from fit.io.files import atomic_write
    from fit.reports.contact_sheets import references_sheet

    with atomic_write(args.out) as part:
        references_sheet(args.file, part)


COMMANDS = (
    Command("collect", "collect candidates from a table, a folder or a search", collect_arguments, collect),
    Command("select", "keep the most mutually similar ones", select_arguments, select),
    Command("draw", "draw which references were kept, which not, and why", draw_arguments, draw),
)
