"""`fit alternatives`."""

from argparse import Namespace
from collections.abc import Callable

from fit.alternatives import REGISTRY
from fit.cli.command import Command
from fit.cli.flags import add_settings, read_settings
from fit.cli.parser import OptionalPath
from fit.cli.scores import add_evidence, evidence_places
from fit.scores.settings import TargetSettings

OF_IMITATION = ("fewest_targets", "empty_prompt")
"""Fields of TargetSettings that only the imitation score has a use for."""


def score_arguments(add: Callable[..., None]) -> None:
    """Add the options of `fit alternatives score`."""
    add_evidence(add)
    add_settings(add, TargetSettings, without=OF_IMITATION)
    add(
        "--prompt-images",
        nargs="*",
        default=[],
        metavar="PLACE",
        help="embeddings of the pictures by an embedder that also reads text, if any: files or folders",
    )
    add("--prompts", action=OptionalPath, help="embeddings of the prompts by it, if any")
    add("--out", help="table to write")


def score(args: Namespace) -> None:
    """Write the alternative scores of concepts."""
    from fit.alternatives.score import SCHEMA, score_concept
    from fit.io.concept_tables import write_concepts
    from fit.scores.evidence import read_evidence

    places, targets = evidence_places(args), read_settings(TargetSettings, args, without=OF_IMITATION)
    tables = ((slug, score_concept(read_evidence(places, slug), targets)) for slug in args.concepts)
    write_concepts(tables, args.out, SCHEMA)


def tabulate_arguments(add: Callable[..., None]) -> None:
    """Add the options of `fit alternatives tabulate`."""
    add("--imitation", help="table of `fit scores tabulate`")
    add("--scores", nargs="+", metavar="PLACE", help="tables of `fit alternatives score`: files or folders")
    add("--kind", choices=tuple(REGISTRY), help="which score")
    add("--out", help="table to write")


def tabulate(args: Namespace) -> None:
    """Write the counts and one alternative score of all concepts in one table."""
    from fit.alternatives.tabulate import tabulate
    from fit.io.concept_tables import ConceptTables
    from fit.io.parquet import write

    write(tabulate(args.imitation, ConceptTables(args.scores), args.kind), args.out, row_group=4096)


COMMANDS = (
    Command("score", "CLIP score, Fréchet distance and top-5 mean of concepts", score_arguments, score),
    Command("tabulate", "counts and one such score, for `fit thresholds detect`", tabulate_arguments, tabulate),
)
