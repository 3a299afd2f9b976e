"""`fit matches`."""

import argparse
import sys
from argparse import Namespace
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from fit.cli.command import Command
from fit.cli.common import read_match_threshold
from fit.cli.flags import add_settings, read_settings
from fit.cli.output import show
from fit.cli.parser import Number, OptionalPath, Slugs
from fit.errors import FitError
from fit.io.json_files import write_json
from fit.matches.settings import METHODS, MeanSettings

if TYPE_CHECKING:
    import numpy as np

    from fit.matches.threshold import MatchThreshold

COSINE = Number(float, -1, 1)


def _method(text: str) -> str | float:
    """Return the method that `text` names, or the cosine that it is."""
    if text in METHODS:
        return text
    try:
        return float(COSINE(text))
    except argparse.ArgumentTypeError:
        raise argparse.ArgumentTypeError(
            f"{text!r} is neither {', '.join(METHODS)} nor a cosine from -1 to 1"
        ) from None


def _add_method(add: Callable[..., None]) -> None:
    """Give a command the options of how a threshold is found, and what is written."""
    add("--method", type=_method, help=f"{', '.join(METHODS)}, or a cosine")
    add(
        "--needed",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="whether a threshold has to be found; if not, a file without one is written instead of an error",
    )
    add("--out", help="JSON to write")
    add("--figure", default=None, help="histogram to write")


def _write_threshold(
    positive: "np.ndarray",
    negative: "np.ndarray",
    args: Namespace,
    labels: tuple[str, str, str],
    title: str,
    complete: "Callable[[MatchThreshold], MatchThreshold] | None" = None,
    references: "dict[str, np.ndarray] | None" = None,
) -> None:
    """Find the threshold between two kinds of similarities, and write it.

    Args:
        positive: [P] cosines.
        negative: [N] cosines.
        args: with the options of _add_method.
        labels: of the positive, the negative and the axis of the figure.
        title: of the figure.
        complete: adds keys to what is written.
        references: concept -> vectors, of which the rates of single images are measured; None for none.
    """
    from fit.io.files import atomic_write
    from fit.matches.image_rates import measure_image_rates
    from fit.matches.threshold import find_match_threshold, no_match_threshold
    from fit.reports.figures import match_threshold_figure

    try:
        found = find_match_threshold(positive, negative, args.method)
    except FitError as error:
        if args.needed:
            raise
        found = no_match_threshold(positive, negative, str(error))
        print(f"fit: {error}; no count or score needs it, so the study goes on", file=sys.stderr)
    rates = {}
    if references is not None:
        threshold = found["match_threshold"]
        rates = dict(measure_image_rates(references if threshold is not None else {}, threshold or 0.0))
    found = complete(found) if complete else found
    write_json({**found, **rates}, args.out)
    if args.figure:
        with atomic_write(args.figure) as part:
            domain = Path(args.out).name.split(".")[0]
            match_threshold_figure(positive, negative, found["match_threshold"], labels, part, f"{domain}: {title}")


def threshold_arguments(add: Callable[..., None]) -> None:
    """Add the options of `fit matches threshold`."""
    add("--references", nargs="+", metavar="PLACE", help="image tables of references: files or folders")
    add("--embeddings", nargs="+", metavar="PLACE", help="embeddings of the references: files or folders")
    add_settings(add, MeanSettings)
    _add_method(add)


def threshold(args: Namespace) -> None:
    """Write the cosine above which two images show the same concept."""
    from fit.io.concept_tables import ConceptTables
    from fit.matches.threshold import concept_means, reference_vectors, say_means

    with_itself = read_settings(MeanSettings, args).mean_with_itself
    references = reference_vectors(ConceptTables(args.references), ConceptTables(args.embeddings))
    vectors = list(references.values())
    within, between = concept_means(vectors, with_itself=with_itself)
    labels = ("within a concept", "between concepts", "mean cosine of references")

    def complete(found: "MatchThreshold") -> "MatchThreshold":
        return say_means(found, vectors, with_itself)

    _write_threshold(within, between, args, labels, "same concept or not", complete, references)


def art_threshold_arguments(add: Callable[..., None]) -> None:
    """Add the options of `fit matches art-threshold`."""
    add("--artworks", nargs="+", metavar="PLACE", help="embeddings of references: files or folders")
    add("--photographs", nargs="*", default=[], help="embeddings of photographs; none where a cosine is given")
    add("--texts", help="embeddings of the texts")
    _add_method(add)


def art_threshold(args: Namespace) -> None:
    """Write the cosine to a text above which an image is an artwork."""
    from fit.io.concept_tables import ConceptTables
    from fit.matches.threshold import similarity_of_photographs, similarity_to_texts

    artworks = similarity_to_texts(ConceptTables(args.artworks), args.texts)
    photographs = similarity_of_photographs(args.photographs, args.texts)
    labels = ("references", "photographs", "highest cosine to the texts")
    _write_threshold(artworks, photographs, args, labels, "artwork or photograph")


def find_arguments(add: Callable[..., None]) -> None:
    """Add the options of `fit matches find`."""
    add("--concepts", action=Slugs, required=True, help="concepts of this job, in the order of the output")
    add("--images", nargs="+", metavar="PLACE", help="embeddings of training images: files or folders")
    add("--references", nargs="+", metavar="PLACE", help="image tables of references: files or folders")
    add("--reference-embeddings", nargs="+", metavar="PLACE", help="embeddings of the references: files or folders")
    add("--match-threshold", help="JSON of `fit matches threshold`")
    add(
        "--art-embeddings",
        nargs="*",
        default=[],
        metavar="PLACE",
        help="embeddings of the same images by the embedder of the art filter, if any: files or folders",
    )
    add("--art-texts", action=OptionalPath, help="embeddings of the texts, if there is an art filter")
    add("--art-threshold", action=OptionalPath, help="JSON of `fit matches art-threshold`, if there is an art filter")
    add("--out", help="table to write")


def find(args: Namespace) -> None:
    """Write which training images show their concept."""
    from fit.embeddings.files import read_embeddings
    from fit.io.concept_tables import ConceptTables, write_concepts
    from fit.matches.match import MATCHES, MATCHES_OF_ART, ArtFilter, find_matches

    given = [bool(value) for value in (args.art_embeddings, args.art_texts, args.art_threshold)]
    if any(given) and not all(given):
        raise FitError(
            "--art-embeddings, --art-texts and --art-threshold belong to one art filter; give all three or none"
        )
    art_filter = None
    match_threshold = read_match_threshold(args.match_threshold)["match_threshold"]
    if all(given):
        art_filter = ArtFilter(
            embeddings=ConceptTables(args.art_embeddings),
            texts=read_embeddings(args.art_texts)[1],
            threshold=read_match_threshold(args.art_threshold)["match_threshold"],
        )
    images, references = ConceptTables(args.images), ConceptTables(args.references)
    embeddings = ConceptTables(args.reference_embeddings)
    found = (
        (slug, find_matches(slug, images, references, embeddings, match_threshold, art_filter))
        for slug in args.concepts
    )
    write_concepts(found, args.out, MATCHES_OF_ART if art_filter else MATCHES)


def verify_arguments(add: Callable[..., None]) -> None:
    """Add the options of `fit matches verify`."""
    add("--sheet", help="concept sheet; its column group says which concepts belong together")
    add("--references", nargs="+", metavar="PLACE", help="image tables of references: files or folders")
    add("--embeddings", nargs="+", metavar="FOLDER", help="embeddings of the references, a folder per embedder")
    add("--method", type=_method, help=f"of each embedder's match threshold: {', '.join(METHODS)}, or a cosine")
    add_settings(add, MeanSettings)
    add("--seed", type=Number(int, 0, 2**63 - 1), default=0, help="of the bootstrap over concepts")
    add("--out", default=None, help="table to write (TSV)")


def verify(args: Namespace) -> None:
    """Print how often embedders err on references, by group."""
    from fit.concepts.sheet import read_sheet
    from fit.io.concept_tables import ConceptTables
    from fit.io.files import atomic_write
    from fit.matches.verification import rows_of_verified, tabulate, verify
    from fit.reports.tables import aligned

    concepts, references = read_sheet(args.sheet), ConceptTables(args.references)
    means = {"mean_with_itself": read_settings(MeanSettings, args).mean_with_itself}
    verified = [
        (folder, *verify(concepts, references, ConceptTables([folder]), args.method, args.seed, **means))
        for folder in args.embeddings
    ]
    table = tabulate(verified)
    if args.out:
        with atomic_write(args.out) as part:
            part.write_text(table, encoding="utf-8")
    show(args, lambda: aligned(table), lambda: rows_of_verified(verified))


COMMANDS = (
    Command(
        "threshold",
        "find the match threshold: similarity within a concept against similarity between concepts",
        threshold_arguments,
        threshold,
    ),
    Command(
        "art-threshold",
        "find the art filter's threshold: similarity of artworks to its texts against that of photographs",
        art_threshold_arguments,
        art_threshold,
    ),
    Command("find", "which training images show their concept", find_arguments, find),
    Command(
        "verify", "how often embedders err on references, by group of the sheet", verify_arguments, verify, prints=True
    ),
)
