"""`fit matches`."""

import argparse
import sys
from pathlib import Path

from fit.cli.arguments import COSINE, many
from fit.cli.command import Command
from fit.cli.common import read_match_threshold, write_json
from fit.cli.parser import same_length
from fit.errors import FitError


def _method(text):
    if text in ("midpoint", "best_f1"):
        return text
    try:
        return COSINE(text)
    except argparse.ArgumentTypeError:
        raise argparse.ArgumentTypeError(f"{text!r} is neither midpoint, best_f1 nor a cosine from -1 to 1") from None


def _write_threshold(positive, negative, args, labels, title):
    from fit.io.files import atomic_write
    from fit.matches.threshold import find_match_threshold, no_match_threshold
    from fit.reports.figures import match_threshold_figure

    try:
        found = find_match_threshold(positive, negative, args.method)
    except FitError as error:
        if args.needed == "yes":
            raise
        found = no_match_threshold(positive, negative, str(error))
        print(f"fit: {error}; no count or score needs it, so the study goes on", file=sys.stderr)
    write_json(found, args.out)
    if args.figure:
        with atomic_write(args.figure) as part:
            domain = Path(args.out).name.split(".")[0]
            match_threshold_figure(positive, negative, found["match_threshold"], labels, part, f"{domain}: {title}")


def threshold_arguments(add):
    many(add, "references", "embeddings")
    add("--method", type=_method, help="midpoint, best_f1, or a cosine")
    add(
        "--needed",
        choices=("yes", "no"),
        default="yes",
        help="no: where none can be found, write that instead of failing",
    )
    add("--out", help="JSON to write")
    add("--figure", default=None, help="histogram to write")


def threshold(args):
    from fit.matches.threshold import reference_means

    same_length(args, "references", "embeddings")
    within, between = reference_means(args.references, args.embeddings)
    labels = ("within a concept", "between concepts", "mean cosine of references")
    _write_threshold(within, between, args, labels, "same concept or not")


def art_threshold_arguments(add):
    many(add, "artworks", help="embeddings of references")
    add("--photographs", nargs="*", default=[], help="embeddings of photographs; none where a cosine is given")
    add("--texts", help="embeddings of the texts")
    add("--method", type=_method, help="midpoint, best_f1, or a cosine")
    add(
        "--needed",
        choices=("yes", "no"),
        default="yes",
        help="no: where none can be found, write that instead of failing",
    )
    add("--out", help="JSON to write")
    add("--figure", default=None, help="histogram to write")


def art_threshold(args):
    from fit.matches.threshold import similarity_to_texts

    artworks = similarity_to_texts(args.artworks, args.texts)
    photographs = similarity_to_texts(args.photographs, args.texts)
    labels = ("references", "photographs", "highest cosine to the texts")
    _write_threshold(artworks, photographs, args, labels, "artwork or photograph")


def find_arguments(add):
    many(add, "images", "references", "reference-embeddings", "out")
    add("--match-threshold", help="JSON of `fit matches threshold`")
    add("--art-embeddings", nargs="*", default=[], help="of the same images, by the art filter; nothing without one")
    add("--art-texts", nargs="*", default=[], help="embeddings of the texts")
    add("--art-threshold", nargs="*", default=[], help="JSON of `fit matches art-threshold`")


def find(args):
    from fit.io.parquet import write
    from fit.matches.match import match_images

    same_length(args, "images", "references", "reference_embeddings", "out")
    if args.art_embeddings:
        same_length(args, "images", "art_embeddings")
        if not (args.art_texts and args.art_threshold):
            raise FitError(
                "match: --art-embeddings go together with --art-texts and --art-threshold; give all three or none"
            )
    match_threshold, art_threshold = (
        read_match_threshold(args.match_threshold)["match_threshold"],
        read_match_threshold(args.art_threshold[0])["match_threshold"] if args.art_threshold else None,
    )
    art_files = args.art_embeddings or [None] * len(args.images)
    files = zip(args.images, args.references, args.reference_embeddings, art_files, args.out, strict=True)
    for images, references, reference_embeddings, art, out in files:
        filtering = (art, args.art_texts[0], art_threshold) if art else None
        write(match_images(images, references, reference_embeddings, match_threshold, filtering), out, row_group=65536)


def verify_arguments(add):
    add("--sheet", help="concept sheet; its column group says who belongs together")
    add("--references", help="folder of reference tables, named by slugs")
    add("--embeddings", nargs="+", metavar="FOLDER", help="of those references, a folder per embedder")
    add("--method", type=_method, help="of each embedder's match threshold: midpoint, best_f1, or a cosine")
    add("--seed", type=int, default=0, help="of the bootstrap over concepts")
    add("--out", default=None, help="table to write (TSV)")


def verify(args):
    from fit.concepts.sheet import read_sheet
    from fit.io.files import atomic_write
    from fit.matches.verification import assess
    from fit.reports.tables import aligned, recognisers

    concepts = read_sheet(args.sheet)
    assessed = [
        (folder, *assess(concepts, args.references, folder, args.method, args.seed)) for folder in args.embeddings
    ]
    table = recognisers(assessed)
    if args.out:
        with atomic_write(args.out) as part:
            part.write_text(table, encoding="utf-8")
    print(aligned(table))


COMMANDS = (
    Command("threshold", "from references: within a concept against between concepts", threshold_arguments, threshold),
    Command(
        "art-threshold",
        "similarity to the texts of artworks against photographs",
        art_threshold_arguments,
        art_threshold,
    ),
    Command("find", "which training images show their concept", find_arguments, find),
    Command("verify", "how often embedders err on references, by group of the sheet", verify_arguments, verify),
)
