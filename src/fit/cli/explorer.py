"""`fit explorer`."""

from argparse import Namespace
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from fit.cli.command import Command
from fit.cli.data import add_data, read_data
from fit.cli.flags import add_settings, read_settings
from fit.cli.output import show
from fit.cli.parser import SEED, Slugs
from fit.cli.scores import EVIDENCE, TRAINING, check_training, optional_tables
from fit.errors import FitError
from fit.explorer.settings import PageSettings, PictureSettings, ShownSettings
from fit.io.shown import number_of
from fit.scores.settings import ScoreSettings, TargetSettings
from fit.thresholds.settings import ThresholdSettings

if TYPE_CHECKING:
    from fit.explorer.part import PartOf

Add = Callable[..., None]
NOT_OF_TARGETS = ("fewest_targets", "empty_prompt")
"""Settings of targets that do not choose targets."""


def pictures_arguments(add: Add) -> None:
    """Add the options of `fit explorer pictures`."""
    add("--concepts", action=Slugs, required=True, help="concepts of this job, in the order of the output")
    for name, what in EVIDENCE.items():
        add(f"--{name}", nargs="+", metavar="PLACE", help=f"{what}: files or folders")
    for name, what in {"image-tables": "image tables of training images, if any", **TRAINING}.items():
        add(f"--{name}", nargs="*", default=[], metavar="PLACE", help=f"{what}: files or folders")
    add_settings(add, TargetSettings, without=NOT_OF_TARGETS)
    add_settings(add, PictureSettings)
    add("--excluded", help="table to write: what each step left out, and why")
    add("--out", help="table of thumbnails to write")


def pictures(args: Namespace) -> None:
    """Write the pictures of concepts that the explorer shows, and what each step left out."""
    from fit.explorer.excluded import write_excluded
    from fit.explorer.pictures import PicturePlaces, write_pictures
    from fit.io.concept_tables import ConceptTables

    check_training(args)
    if bool(args.images) != bool(args.image_tables):
        raise FitError("--image-tables and --images are of the same training images; give both or neither")
    places = PicturePlaces(
        generated=ConceptTables(args.generated),
        generated_embeddings=ConceptTables(args.generated_embeddings),
        references=ConceptTables(args.references),
        reference_embeddings=ConceptTables(args.reference_embeddings),
        image_tables=optional_tables(args.image_tables),
        images=optional_tables(args.images),
        matches=optional_tables(args.matches),
    )
    write_pictures(places, args.concepts, args.targets, read_settings(PictureSettings, args), args.out)
    write_excluded(places, args.concepts, args.excluded)


def gather_arguments(add: Add) -> None:
    """Add the options of `fit explorer gather`."""
    add("study", help="its name")
    add("--parts", nargs="*", default=[], metavar="MODEL/DOMAIN", help="what the study found thresholds of")
    add("--corpora", nargs="*", default=[], metavar="MODEL=CORPUS", help="that the models were trained on")
    add("--counts-from", nargs="*", default=[], metavar="CORPUS=CORPUS", help="whose counts were scaled from which")
    add("--sheets", nargs="*", default=[], metavar="DOMAIN=FILE", help="concept sheets")
    add("--embedders", nargs="*", default=[], metavar="DOMAIN=NAME", help="that tell the concepts apart")
    add("--people", nargs="*", default=[], metavar="DOMAIN", help="domains whose pictures show people")
    add("--missing", nargs="*", default=[], metavar="TEXT", help="MODEL/DOMAIN: what it lacks")
    add_data(add)
    add(
        "--results", default="results", metavar="FOLDER", help="that has the study's results, as the workflow lays them"
    )
    add_settings(add, ThresholdSettings, ScoreSettings, ShownSettings)
    add("--seed", type=SEED, default=0, metavar="N", help="of the study, and of the comparisons' resamples")
    add("--out", metavar="FILE.json", help="what is gathered")


def _by_name(option: str, texts: Iterable[str]) -> dict[str, str]:
    """Return name -> value of texts NAME=VALUE.

    Raises:
        FitError: a text is not of this form.
    """
    found = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not (name and equals and value):
            raise FitError(f"{option} {text!r}: write NAME=VALUE")
        found[name] = value
    return found


def _parts(args: Namespace) -> Iterator["PartOf"]:
    from fit.explorer.part import PartOf

    options = {name: _by_name(f"--{name}", getattr(args, name)) for name in ("corpora", "sheets", "embedders")}
    counts_from = _by_name("--counts-from", args.counts_from)
    for text in args.parts:
        model, slash, domain = text.partition("/")
        if not (model and slash and domain):
            raise FitError(f"--parts {text!r}: write MODEL/DOMAIN")
        for name, key in (("corpora", model), ("sheets", domain), ("embedders", domain)):
            if key not in options[name]:
                raise FitError(f"--{name}: nothing is said of {key}, which --parts names; add {key}=...")
        corpus = options["corpora"][model]
        yield PartOf(
            model=model,
            domain=domain,
            corpus=corpus,
            matched=counts_from.get(corpus, corpus),
            sheet=options["sheets"][domain],
            embedder=options["embedders"][domain],
            is_of_people=domain in args.people,
        )


def gather(args: Namespace) -> None:
    """Write what the explorer and the datasheet say of a study."""
    from fit.explorer.gather import gather as gathered
    from fit.explorer.gather import write_gathered
    from fit.reports.report import StudyFiles

    study = gathered(
        args.study,
        list(_parts(args)),
        Path(args.results),
        missing=StudyFiles.named([], [], [], [], args.missing).missing,
        thresholds=read_settings(ThresholdSettings, args),
        scores=read_settings(ScoreSettings, args),
        shown=read_settings(ShownSettings, args),
        seed=args.seed,
        data=read_data(args),
        is_opt_out_honoured=args.honour_opt_out,
    )
    write_gathered(study, args.out)
    parts, files, missing = len(study.parts), len(study.sources), len(study.missing)
    show(
        args,
        lambda: f"{args.out}: parts: {parts}, files: {files}, missing: {missing}",
        lambda: {"out": args.out, "parts": parts, "files": files, "missing": missing},
    )


def build_arguments(add: Add) -> None:
    """Add the options of `fit explorer build`."""
    add("study", metavar="STUDY.json", help="what `fit explorer gather` wrote")
    add(
        "--pictures",
        nargs="*",
        default=[],
        metavar="PLACE",
        help="folders of thumbnails that end in model/domain, or tables in such folders (default: no pictures)",
    )
    add_settings(add, PageSettings)
    add("--out", metavar="FILE.html", help="the page to write")


def build(args: Namespace) -> None:
    """Write the page, and say what it has."""
    from fit.explorer.page import MEGABYTE
    from fit.explorer.page import build as build_page

    made = build_page(args.study, args.pictures, args.out, read_settings(PageSettings, args))
    left_out = f", {made.left_out:,} left out (page_mb)" if made.left_out else ""
    show(
        args,
        lambda: f"{args.out}: {made.size / MEGABYTE:.1f} MB, {number_of(made.pictures, 'picture')}{left_out}",
        lambda: {"out": args.out, "bytes": made.size, "pictures": made.pictures, "left_out": made.left_out},
    )


COMMANDS = (
    Command(
        "pictures",
        "thumbnails of references, generated pictures and their nearest targets; what each step left out",
        pictures_arguments,
        pictures,
        writes=("out", "excluded"),
    ),
    Command("gather", "what is said of a study, from its files, as JSON", gather_arguments, gather, prints=True),
    Command("build", "the page of a study, as one HTML file", build_arguments, build, prints=True),
)
