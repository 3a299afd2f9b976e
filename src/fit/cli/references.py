"""`fit references`."""

import sys
from pathlib import Path

from fit.cli.arguments import add_fetching, fetching, many
from fit.cli.command import Command
from fit.cli.common import by_slug
from fit.cli.parser import same_length


def collect_arguments(add):
    add("--source", choices=("table", "folder", "serpapi", "wikiart"))
    add("--place", nargs="?", const="", default="", help="the table or folder, or what to ask serpapi for, with {name}")
    add("--sheet", help="concept sheet")
    add("--candidates", type=int, default=30, help="how many to search for")
    add("--cache", default=".searches", metavar="FOLDER", help="keeps the answers of searches")
    many(add, "out", help="image tables to write, named by the slugs of their concepts")
    add("--work", default=None, metavar="FOLDER", help="for what a kill must not lose (default: beside --out)")
    add_fetching(add)


def collect(args):
    from fit.concepts.sheet import find_concepts, read_sheet
    from fit.references.references import collect_references

    targets = by_slug(args.out)
    work = args.work or Path(args.out[0]).parent / ".collected"
    places = {"wanted": args.candidates, "cache": args.cache, "work": work}
    concepts, sheet = find_concepts(args.sheet, targets), [concept.slug for concept in read_sheet(args.sheet)]
    collect_references(args.source, args.place, concepts, targets, sheet=sheet, **places, **fetching(args))


def select_arguments(add):
    many(add, "candidates", "embeddings", "out")
    add("--keep", type=int)
    add("--least", type=int, default=10, help="with fewer usable ones a concept is left out")
    add("--domain", default="NAME", help="of the concepts, to name its keys in messages")
    add("--place", default="", help="where references are put, to name it in messages")
    add(
        "--vetoes", nargs="?", const="", default="", metavar="FILE", help="TSV of concept and image_id: rejected images"
    )
    add("--sheet", nargs="?", const="", default="", help="concept sheet, by which vetoes of no concept are named")


def select(args):
    from fit.concepts.sheet import read_sheet
    from fit.embeddings.files import read_single_faces
    from fit.io import parquet
    from fit.references import references

    same_length(args, "candidates", "embeddings", "out")
    vetoes = references.read_vetoes(args.vetoes) if args.vetoes else {}
    if vetoes:
        images_of = {
            Path(out).stem: parquet.read(candidates, ["image_id"]).column("image_id").to_pylist()
            for candidates, out in zip(args.candidates, args.out, strict=True)
        }
        slugs = [concept.slug for concept in read_sheet(args.sheet)] if args.sheet else None
        for said in references.unmatched_vetoes(vetoes, images_of, slugs):
            print(f"fit: {args.vetoes}: {said}", file=sys.stderr)
    for candidates, embeddings, out in zip(args.candidates, args.embeddings, args.out, strict=True):
        concept = Path(out).stem
        names, vectors = read_single_faces(embeddings)
        rules = {"keep": args.keep, "least": args.least, "vetoed": vetoes.get(concept, frozenset())}
        selected = references.select(parquet.read(candidates), names, vectors, **rules)
        if not any(selected.column("kept").to_pylist()):
            usable = sum(decision == "too few references" for decision in selected.column("decision").to_pylist())
            print(
                f"fit: {concept}: {usable} usable references of {len(selected)}, at least {args.least} are needed; add "
                f"{args.least - usable} or more{' to ' + args.place if args.place else ''}, or lower "
                f"`domains.{args.domain}.references.least`; the study goes on without this concept",
                file=sys.stderr,
            )
        parquet.write(selected, out)


def draw_arguments(add):
    many(add, "files", help="tables that `fit references select` wrote")
    many(add, "out", help="pictures to write")


def draw(args):
    from fit.io.files import atomic_write
    from fit.reports.figures import references_sheet

    same_length(args, "files", "out")
    for path, out in zip(args.files, args.out, strict=True):
        with atomic_write(out) as part:
            references_sheet(path, part, Path(path).stem)


COMMANDS = (
    Command("collect", "collect candidates from a table, a folder or a search", collect_arguments, collect),
    Command("select", "keep the most mutually similar ones", select_arguments, select),
    Command("draw", "draw which references were kept, which not, and why", draw_arguments, draw),
)
