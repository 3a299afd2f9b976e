"""`fit missed`."""

from argparse import Namespace
from collections.abc import Callable
from dataclasses import asdict

from fit.captions.settings import ReadingSettings, SamplingSettings
from fit.cli.command import Command
from fit.cli.common import read_match_threshold
from fit.cli.flags import add_settings, read_settings
from fit.cli.output import rows_of, show
from fit.cli.parser import SEED, OptionalPath
from fit.io.shown import number_of
from fit.missed.settings import MissedSettings
from fit.thresholds.settings import ThresholdSettings


def sample_arguments(add: Callable[..., None]) -> None:
    """Add the options of `fit missed sample`."""
    add("--concepts", metavar="SHEET", help="concept sheet; a caption that names none of its concepts may be drawn")
    add("--captions", nargs="+", metavar="FILE", help="files of captions, as `fit captions count` takes them")
    add_settings(add, MissedSettings, SamplingSettings, ReadingSettings)
    add("--seed", type=SEED, default=0, metavar="N", help="of the sample")
    add("--out", metavar="FILE", help="table of captions to write, whose images `fit images collect` collects")


def sample(args: Namespace) -> None:
    """Draw captions that name no concept."""
    from fit.captions.sources import find_files
    from fit.concepts.sheet import read_sheet
    from fit.missed.sample import sample_unnamed, write_sample

    sampling, reading = read_settings(SamplingSettings, args), read_settings(ReadingSettings, args)
    concepts, files = read_sheet(args.concepts), find_files(args.captions)
    table, population = sample_unnamed(concepts, files, args.unnamed_sample, sampling, reading, args.seed)
    write_sample(table, population, args.out)
    about = "" if population.is_exact else "about "
    show(
        args,
        lambda: (
            f"{len(table):,} of {about}{number_of(population.captions, 'caption')} that name no concept: {args.out}"
        ),
        lambda: {"sampled": len(table), "population": population, "out": args.out},
    )


def measure_arguments(add: Callable[..., None]) -> None:
    """Add the options of `fit missed measure`."""
    add("--sample", metavar="FILE", help="table of `fit missed sample`")
    add("--images", metavar="FILE", help="its images, as `fit images collect` wrote them")
    add("--embeddings", metavar="FILE", help="embeddings of these images")
    add("--references", nargs="+", metavar="PLACE", help="image tables of references: files or folders")
    add("--reference-embeddings", nargs="+", metavar="PLACE", help="embeddings of the references: files or folders")
    add("--match-threshold", metavar="FILE", help="JSON of `fit matches threshold`")
    add("--art-embeddings", action=OptionalPath, help="embeddings of the images by the art filter, if there is one")
    add("--art-texts", action=OptionalPath, help="embeddings of the texts, if there is an art filter")
    add("--art-threshold", action=OptionalPath, help="JSON of `fit matches art-threshold`, if there is an art filter")
    add("--counts", action=OptionalPath, help="effective counts, to which what was missed is added")
    add("--out", metavar="FILE", help="table to write, a row per concept")


def measure(args: Namespace) -> None:
    """Write how many images of each concept captions miss."""
    from fit.counts.corrected import read_image_errors
    from fit.counts.estimate import read_counts_of
    from fit.embeddings.files import read_embeddings
    from fit.errors import FitError
    from fit.io.concept_tables import ConceptTables
    from fit.io.parquet import write
    from fit.matches.threshold import reference_vectors
    from fit.missed.measure import SampleFiles, describe, measure_missed
    from fit.missed.sample import read_population

    of_art = (args.art_embeddings, args.art_texts, args.art_threshold)
    if any(of_art) and not all(of_art):
        raise FitError(
            "--art-embeddings, --art-texts and --art-threshold belong to one art filter; give all three or none"
        )
    art = {}
    if all(of_art):
        art_threshold = read_match_threshold(args.art_threshold)["match_threshold"]
        art = {"texts": read_embeddings(args.art_texts)[1], "art_threshold": art_threshold}
    known = read_counts_of(args.counts, ("effective_count",)) if args.counts else {}
    table = measure_missed(
        SampleFiles(args.images, args.embeddings, args.art_embeddings),
        read_population(args.sample),
        reference_vectors(ConceptTables(args.references), ConceptTables(args.reference_embeddings)),
        read_match_threshold(args.match_threshold)["match_threshold"],
        errors=read_image_errors(args.match_threshold, args.art_threshold),
        effective_counts={concept: row["effective_count"] or 0 for concept, row in known.items()},
        **art,
    )
    write(table, args.out, row_group=4096)
    show(args, lambda: describe(table), lambda: rows_of(table))


def threshold_arguments(add: Callable[..., None]) -> None:
    """Add the options of `fit missed threshold`."""
    add("table", help="counts and scores, as `fit thresholds detect` reads it")
    add("--missed", metavar="FILE", help="table of `fit missed measure`")
    add_settings(add, ThresholdSettings)
    add("--seed", type=SEED, default=0, metavar="N", help="of the resamples")
    add("--out", metavar="FILE", help="JSON to write")


def threshold(args: Namespace) -> None:
    """Write the threshold with the images that captions miss."""
    from fit.io.json_files import write_json
    from fit.io.parquet import read
    from fit.missed.effect import describe_effect, measure_effect
    from fit.missed.measure import MISSED
    from fit.thresholds.report import measure
    from fit.thresholds.scores import read_table

    settings = read_settings(ThresholdSettings, args)
    missed = {row["concept"]: row for row in read(args.missed, MISSED.names, schema=MISSED).to_pylist()}
    found = measure_effect(
        read_table(args.table), missed, lambda table: measure(table, **asdict(settings), seed=args.seed)
    )
    write_json(found, args.out)
    show(args, lambda: describe_effect(found), lambda: found)


COMMANDS = (
    Command("sample", "draw captions that name no concept", sample_arguments, sample, prints=True),
    Command("measure", "how many images of each concept captions miss", measure_arguments, measure, prints=True),
    Command(
        "threshold", "the threshold with the images that captions miss", threshold_arguments, threshold, prints=True
    ),
)
