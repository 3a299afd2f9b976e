"""`fit scores`."""

import sys
from argparse import Namespace
from collections.abc import Callable
from typing import TYPE_CHECKING

from fit.cli.command import Command
from fit.cli.flags import add_settings, read_settings
from fit.cli.parser import Number, OptionalPath, Slugs
from fit.errors import FitError
from fit.scores.settings import FixedTargetSettings, NullSettings, ScoreSettings, TargetSettings

if TYPE_CHECKING:
    import pyarrow as pa

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


def check_training(args: Namespace) -> None:
    """Check that --images and --matches name tables both, or neither does.

    Raises:
        FitError: only one of them does.
    """
    if bool(args.images) != bool(args.matches):
        raise FitError("--images and --matches are of the same training images; give both or neither")


def evidence_places(args: Namespace) -> "EvidencePlaces":
    """Return the tables that the options of add_evidence name.

    Raises:
        FitError: only one of --images and --matches names any.
    """
    from fit.io.concept_tables import ConceptTables
    from fit.scores.evidence import EvidencePlaces

    check_training(args)
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
    add_settings(add, TargetSettings, ScoreSettings, FixedTargetSettings)
    add("--out", help="table to write")


def imitation(args: Namespace) -> None:
    """Write the imitation scores of concepts, a row per prompt."""
    from fit.io.concept_tables import write_concepts
    from fit.scores.evidence import read_evidence
    from fit.scores.imitation import OF_PROMPT, score_concept

    places = evidence_places(args)
    targets, settings = read_settings(TargetSettings, args), read_settings(ScoreSettings, args)
    fixed = read_settings(FixedTargetSettings, args)
    tables = ((slug, score_concept(read_evidence(places, slug), targets, settings, fixed)) for slug in args.concepts)
    write_concepts(tables, args.out, OF_PROMPT)


def gather_arguments(add: Callable[..., None]) -> None:
    """Add the options of `fit scores gather`."""
    add("--generated", nargs="+", metavar="PLACE", help=f"{EVIDENCE['generated']}: files or folders")
    add(
        "--generated-embeddings",
        nargs="+",
        metavar="PLACE",
        help=f"{EVIDENCE['generated-embeddings']}: files or folders",
    )
    add("--sheet", help="concept sheet: whose pictures")
    add("--counts", help="effective counts")
    add("--out", help="table to write")


def gather(args: Namespace) -> None:
    """Write the mean vectors of all concepts' generated pictures, a row a prompt."""
    from fit.concepts.sheet import read_sheet
    from fit.io.concept_tables import ConceptTables
    from fit.io.parquet import write
    from fit.scores.null import gather_pictures

    generated = ConceptTables(args.generated)
    concepts = [concept.slug for concept in read_sheet(args.sheet) if concept.slug in generated]
    table = gather_pictures(concepts, generated, ConceptTables(args.generated_embeddings), args.counts)
    write(table, args.out, row_group=4096)


def null_arguments(add: Callable[..., None]) -> None:
    """Add the options of `fit scores null`."""
    add("--concepts", action=Slugs, required=True, help="concepts of this job, in the order of the output")
    add("--pictures", help="table of `fit scores gather`")
    for name in ("references", "reference-embeddings"):
        add(f"--{name}", nargs="+", metavar="PLACE", help=f"{EVIDENCE[name]}: files or folders")
    for name, what in TRAINING.items():
        add(f"--{name}", nargs="*", default=[], metavar="PLACE", help=f"{what}: files or folders")
    add_settings(add, TargetSettings, ScoreSettings, FixedTargetSettings, NullSettings)
    add("--seed", type=Number(int, 0, 2**63 - 1), default=0, metavar="N", help="of the draw of other concepts")
    add("--out", help="table to write")


def null(args: Namespace) -> None:
    """Write the scores of other concepts' pictures on the targets of concepts."""
    from fit.io.concept_tables import ConceptTables, write_concepts
    from fit.scores.evidence import read_targets
    from fit.scores.null import OF_NULL, Gathered, null_scores

    check_training(args)
    references, embeddings = ConceptTables(args.references), ConceptTables(args.reference_embeddings)
    training = optional_tables(args.images), optional_tables(args.matches)
    gathered, rule = Gathered(args.pictures), read_settings(TargetSettings, args).targets
    settings, fixed = read_settings(ScoreSettings, args), read_settings(FixedTargetSettings, args)
    others = read_settings(NullSettings, args)

    def score(slug: str) -> "pa.Table":
        targets = read_targets(references, embeddings, *training, rule, slug)
        return null_scores(slug, targets, gathered, settings, fixed, others, args.seed)

    tables = ((slug, score(slug)) for slug in args.concepts)
    write_concepts(tables, args.out, OF_NULL)


def tabulate_arguments(add: Callable[..., None]) -> None:
    """Add the options of `fit scores tabulate`."""
    add("--counts", help="effective counts")
    add("--scores", nargs="+", metavar="PLACE", help="tables of `fit scores imitation`: files or folders")
    add("--nulls", nargs="*", default=[], metavar="PLACE", help="tables of `fit scores null`, if any: files or folders")
    add("--sheet", help="concept sheet: which concepts, and their groups")
    add("--before", action=OptionalPath, help="such a table of the base model, if there is one: scores before training")
    for name in ("references", "reference-embeddings"):
        add(f"--{name}", nargs="*", default=[], metavar="PLACE", help=f"{EVIDENCE[name]}, if any: files or folders")
    add_settings(add, FixedTargetSettings)
    add("--out", help="table to write")


def tabulate(args: Namespace) -> None:
    """Write the counts and scores of all concepts in one table."""
    from fit.io.concept_tables import ConceptTables
    from fit.io.parquet import write
    from fit.scores.tabulate import describe_size, read_before, reference_spreads, tabulate_scores

    references, embeddings = optional_tables(args.references), optional_tables(args.reference_embeddings)
    if (references is None) != (embeddings is None):
        raise FitError("--references and --reference-embeddings are of the same images; give both or neither")
    table, unscored = tabulate_scores(
        args.counts,
        ConceptTables(args.scores),
        args.sheet,
        optional_tables(args.nulls),
        before=read_before(args.before) if args.before else None,
        spreads=reference_spreads(references, embeddings) if references and embeddings else None,
    )
    for concept, path in unscored.items():
        print(f"fit: {concept}: no usable picture, or too few targets, so no score ({path})", file=sys.stderr)
    for line in describe_size(table, read_settings(FixedTargetSettings, args)):
        print(f"fit: {line}", file=sys.stderr)
    write(table, args.out, row_group=4096)


COMMANDS = (
    Command("imitation", "imitation scores of concepts, a row per prompt", imitation_arguments, imitation),
    Command("gather", "mean vectors of all concepts' generated pictures", gather_arguments, gather),
    Command("null", "scores of other concepts' pictures on the targets of concepts", null_arguments, null),
    Command("tabulate", "counts and scores of all concepts in one table", tabulate_arguments, tabulate),
)
