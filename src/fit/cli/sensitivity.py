"""`fit sensitivity`."""

from argparse import Namespace
from collections.abc import Callable
from typing import TYPE_CHECKING, cast

from fit.cli.command import Command
from fit.cli.common import add_threads, read_match_threshold, read_threshold
from fit.cli.flags import add_settings, read_settings
from fit.cli.output import show
from fit.cli.parser import Number, OptionalPath
from fit.cli.scores import EVIDENCE, add_evidence, evidence_places, optional_tables
from fit.io.json_files import write_json
from fit.scores.settings import ScoreSettings, TargetSettings

if TYPE_CHECKING:
    from fit.matches.threshold import MatchThreshold

THRESHOLDS_TRIED = ("midpoint", "best_f1", "lowest_positive", "highest_negative")
"""Keys of what `fit matches threshold` writes that fit.sensitivity.rescore.thresholds_around takes."""


def _add_match_threshold(add: Callable[..., None]) -> None:
    add("--match-threshold", action=OptionalPath, help="JSON of `fit matches threshold`, if there are training images")


def _match_threshold(args: Namespace) -> "MatchThreshold | None":
    if not args.match_threshold:
        return None
    return cast("MatchThreshold", read_match_threshold(args.match_threshold, *THRESHOLDS_TRIED))


def rescore_arguments(add: Callable[..., None]) -> None:
    """Add the options of `fit sensitivity rescore`."""
    add_evidence(add)
    add_settings(add, TargetSettings, ScoreSettings)
    _add_match_threshold(add)
    add("--art-threshold", action=OptionalPath, help="JSON of `fit matches art-threshold`, if there is an art filter")
    add("--out", help="table to write")


def rescore(args: Namespace) -> None:
    """Write the scores of concepts at every top-k and around the match threshold."""
    from fit.io.concept_tables import write_concepts
    from fit.scores.evidence import read_evidence
    from fit.sensitivity.rescore import RESCORED, rescore_concept

    places, match_threshold = evidence_places(args), _match_threshold(args)
    settings = read_settings(TargetSettings, args), read_settings(ScoreSettings, args)
    art_threshold = read_match_threshold(args.art_threshold)["match_threshold"] if args.art_threshold else None
    tables = (
        (slug, rescore_concept(read_evidence(places, slug), *settings, match_threshold, art_threshold))
        for slug in args.concepts
    )
    write_concepts(tables, args.out, RESCORED, row_group=4096)


def measure_arguments(add: Callable[..., None]) -> None:
    """Add the options of `fit sensitivity measure`."""
    add("table", help="as `fit thresholds detect` takes it")
    add("--threshold", help="JSON of `fit thresholds detect`")
    add(
        "--rescored",
        nargs="*",
        default=[],
        metavar="PLACE",
        help="tables of `fit sensitivity rescore`, for top-k and match thresholds: files or folders",
    )
    add_settings(add, ScoreSettings)
    _add_match_threshold(add)
    add("--prompts", nargs="*", default=[], help="their templates, to name them by")
    add("--counts", action=OptionalPath, help="effective counts, also of concepts that have no score in the study")
    add("--missed", action=OptionalPath, help="table of `fit missed measure`, if it was made")
    add("--resamples", type=Number(int, 1, 10_000_000), default=1000, help="of the bootstrap, for intervals")
    add("--seed", type=Number(int, 0, 2**63 - 1), default=0, help="of its draws")
    add_threads(add)
    add("--title", default="", help="of the figure")
    add("--out", default=None, help="JSON to write")
    add("--figure", default=None, help="picture to write")


def measure(args: Namespace) -> None:
    """Print how much each choice moves the threshold."""
    from fit.io.files import atomic_write
    from fit.reports.figures import sensitivity_figure
    from fit.sensitivity.measure import CHOICES, describe, measure, say
    from fit.thresholds.headline import follow
    from fit.thresholds.scores import read_table
    from fit.thresholds.threads import use_threads

    use_threads(args.threads)
    found = measure(
        read_table(args.table),
        follow(read_threshold(args.threshold)),
        rescored=optional_tables(args.rescored),
        settings=read_settings(ScoreSettings, args),
        match_threshold=_match_threshold(args),
        prompts=args.prompts,
        counts=args.counts,
        missed=args.missed,
        resamples=args.resamples,
        seed=args.seed,
    )
    if args.out:
        write_json(found, args.out)
    if args.figure:
        names = {key: (CHOICES[key], say(key, choice)) for key, choice in found["choices"].items()}
        with atomic_write(args.figure) as part:
            sensitivity_figure(found, names, args.title, part)
    show(args, lambda: describe(found), lambda: found)


def outliers_arguments(add: Callable[..., None]) -> None:
    """Add the options of `fit sensitivity outliers`."""
    add("table", help="table of `fit scores tabulate`")
    add("--threshold", help="JSON of `fit thresholds detect`")
    add("--counts", help="effective counts")
    add("--names", action=OptionalPath, help="captions per name of `fit captions count`, if any")
    for name, what in EVIDENCE.items():
        add(f"--{name}", nargs="+", metavar="PLACE", help=f"{what}: files or folders")
    optional = {"images": "embeddings of training images", "rescored": "tables of `fit sensitivity rescore`"}
    for name, what in optional.items():
        add(f"--{name}", nargs="*", default=[], metavar="PLACE", help=f"{what}, if any: files or folders")
    _add_match_threshold(add)
    add("--rows", type=Number(int, 0, 10**9), default=24, help="concepts in the figure, at most; half of either side")
    add("--title", default="", help="of the figure")
    add("--out", default=None, help="table to write (TSV)")
    add("--figure", default=None, help="picture to write: references beside generated pictures")


def outliers(args: Namespace) -> None:
    """Print the concepts that defy the threshold, and what may explain them."""
    from fit.io.concept_tables import ConceptTables
    from fit.io.files import atomic_write
    from fit.reports.contact_sheets import contact_sheet
    from fit.sensitivity import outliers
    from fit.sensitivity.causes import Measurements
    from fit.thresholds.scores import read_table

    table = read_table(args.table)
    measurements = Measurements(
        counts=args.counts,
        references=ConceptTables(args.references),
        reference_embeddings=ConceptTables(args.reference_embeddings),
        generated=ConceptTables(args.generated),
        generated_embeddings=ConceptTables(args.generated_embeddings),
        names=args.names,
        images=optional_tables(args.images),
        rescored=optional_tables(args.rescored),
        match_threshold=read_match_threshold(args.match_threshold)["match_threshold"] if args.match_threshold else None,
    )
    explained, medians = outliers.explain(table, read_threshold(args.threshold), measurements)
    if args.out:
        with atomic_write(args.out) as part:
            part.write_text(outliers.tabulate(table, explained, medians), encoding="utf-8")
    if args.figure:
        # The farthest of either side.
        of_side = [[one for one in explained if one.side == side] for side in ("below", "above")]
        shown = [one for side in of_side for one in side[: args.rows // 2]]
        rows = [
            (
                outliers.label(table, one),
                one.concept,
                measurements.references.path(one.concept),
                measurements.generated.path(one.concept),
            )
            for one in shown
        ]
        with atomic_write(args.figure) as part:
            contact_sheet(rows, part, args.title or "concepts that defy the threshold")
    show(
        args,
        lambda: outliers.describe(table, explained, medians),
        lambda: outliers.rows_of(table, explained, medians),
    )


COMMANDS = (
    Command(
        "rescore",
        "scores of concepts at every top-k, around the match threshold, and as in the paper's code",
        rescore_arguments,
        rescore,
    ),
    Command(
        "measure",
        "thresholds over penalties, concepts, prompts, top-k and match thresholds",
        measure_arguments,
        measure,
        prints=True,
    ),
    Command(
        "outliers",
        "concepts below with a high score, and above with a low one",
        outliers_arguments,
        outliers,
        prints=True,
    ),
)
