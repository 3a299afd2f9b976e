"""`fit scores`."""

import sys
from argparse import Namespace
from collections.abc import Callable
from typing import TYPE_CHECKING

from fit.cli.command import Command
from fit.cli.flags import add_settings, read_settings
from fit.cli.parser import Slugs
from fit.errors import FitError
from fit.scores.settings import ScoreSettings, TargetSettings

if TYPE_CHECKING:
    from fit.io.concept_tables import ConceptTables
    from fit.scores.evidence import EvidencePlaces

EVIDENCE = {
    "generated": "image tables of generated pictures",
    "generated-embeddings": "embeddings of the generated pictures",
    "references": "image tables of references",
    "reference-embeddings": "embeddings of the references",
}
"""Option that names tables which every score needs -> what they are."""
TRAINING = {"images": "embeddings of training images, if any", "matches": "matches of the same images, if any"}


def add_evidence(add: Callable[..., None]) -> None:
    """Give a command the options that name the evidence on concepts."""
    add("--concepts", action=Slugs, required=True, help="concepts of this job, in the order of the output")
    for name, what in EVIDENCE.items():
        add(f"--{name}", nargs="+", metavar="PLACE", help=f"{what}: files or folders")
    for name, what in TRAINING.items():
        add(f"--{name}", nargs="*", default=[], metavar="PLACE", help=f"{what}: files or folders")


def optional_tables(places: list[str]) -> "ConceptTables | None":
    """Return the tables in `places`; None without any place."""
    from fit.io.concept_tables import ConceptTables

    return ConceptTables(places) if places else None


def evidence_places(args: Namespace) -> "EvidencePlaces":
    """Return the tables that the options of add_evidence name.

    Raises:
        FitError: only one of --images and --matches names any.
    """
    from fit.io.concept_tables import ConceptTables
    from fit.scores.evidence import EvidencePlaces

    if bool(args.images) != bool(args.matches):
        raise FitError("--images and --matches are of the same training images; give both or neither")
    return EvidencePlaces(
        generated=ConceptTables(args.generated),
        generated_embeddings=ConceptTables(args.generated_embeddings),
        references=ConceptTables(args.references),
        reference_embeddings=ConceptTables(args.reference_embeddings),
        images=optional_tables(args.images),
        matches=optional_tables(args.matches),
        prompt_images=optional_tables(getattr(args, "prompt_images", [])),
        prompts=getattr(args, "prompts", None),
    )


def imitation_arguments(add: Callable[..., None]) -> None:
    """Add the options of `fit scores imitation`."""
    add_evidence(add)
    add_settings(add, TargetSettings, ScoreSettings)
    add("--out", help="table to write")


def imitation(args: Namespace) -> None:
    """Write the imitation scores of concepts, a row per prompt."""
    from fit.io.concept_tables import write_concepts
    from fit.scores.evidence import read_evidence
    from fit.scores.imitation import OF_PROMPT, score_concept

    places = evidence_places(args)
    targets, settings = read_settings(TargetSettings, args), read_settings(ScoreSettings, args)
    tables = ((slug, score_concept(read_evidence(places, slug), targets, settings)) for slug in args.concepts)
    write_concepts(tables, args.out, OF_PROMPT)


def tabulate_arguments(add: Callable[..., None]) -> None:
    """Add the options of `fit scores tabulate`."""
    add("--counts", help="effective counts")
    add("--scores", nargs="+", metavar="PLACE", help="tables of `fit scores imitation`: files or folders")
    add("--sheet", help="concept sheet: which concepts, and their groups")
    add("--out", help="table to write")


def tabulate(args: Namespace) -> None:
    """Write the counts and scores of all concepts in one table."""
    from fit.io.concept_tables import ConceptTables
    from fit.io.parquet import write
    from fit.scores.tabulate import tabulate_scores

    table, unscored = tabulate_scores(args.counts, ConceptTables(args.scores), args.sheet)
    for concept, path in unscored.items():
        print(f"fit: {concept}: no usable picture or target, so no score ({path})", file=sys.stderr)
    write(table, args.out, row_group=4096)


COMMANDS = (
    Command("imitation", "imitation scores of concepts, a row per prompt", imitation_arguments, imitation),
    Command("tabulate", "counts and scores of all concepts in one table", tabulate_arguments, tabulate),
)
