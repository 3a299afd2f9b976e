"""`fit artist`."""

import sys
from argparse import ArgumentTypeError, Namespace
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from fit.artist.settings import ArtistSettings
from fit.captions.settings import ReadingSettings, SamplingSettings
from fit.cli.command import Command
from fit.cli.flags import add_settings, read_settings
from fit.cli.output import show
from fit.cli.parser import Number
from fit.errors import FitError
from fit.published import MATCH_THRESHOLDS

if TYPE_CHECKING:
    from fit.artist.find import Recogniser

NOT_ASKED = ("max_matched_captions", "columns")
"""Settings of samples that follow from how much is looked at."""
OF_EMBEDDER = {"arcface": "paper-faces", "csd": "paper-classical"}
"""Embedder -> the published match threshold, which was found with it."""


def _threshold_of_matches(text: str) -> str:
    if text in MATCH_THRESHOLDS or text.endswith(".json"):
        return text
    try:
        if -1 <= float(text) <= 1:
            return text
    except ValueError:
        pass
    raise ArgumentTypeError(
        f"{text!r} is neither a cosine, nor JSON of `fit matches threshold`, nor one of {', '.join(MATCH_THRESHOLDS)}"
    )


def artist_arguments(add: Callable[..., None]) -> None:
    """Add the arguments of `fit artist`."""
    add("name", help="of a person or artist, as captions have it")
    add("--alias", action="append", default=[], metavar="NAME", help="another spelling, which counts too; repeatable")
    add("--of", choices=("people", "styles"), default="styles", help="which published thresholds it is compared with")
    add("--captions", nargs="*", default=[], metavar="FILE", help="files of captions, patterns, folders, lists (.txt)")
    add(
        "--images",
        default=None,
        metavar="PLACE",
        help="training images: embedded (in the files of captions), http (behind their links), or a folder of its own",
    )
    add("--references", default=None, metavar="FOLDER", help="verified pictures of it, or with a folder of its slug")
    add("--generated", default=None, metavar="FOLDER", help="pictures of it that the model made, likewise")
    add("--model", default=None, metavar="MODEL", help="the model itself, to make such pictures with: folder or hub id")
    add("--prompts", nargs="+", default=None, metavar="TEXT", help="what the model is asked for, with {name}")
    add("--steps", type=Number(int, 1, 10_000), default=30, metavar="N", help="denoising steps of the model")
    add(
        "--embedder",
        nargs="+",
        default=None,
        metavar="NAME",
        help="what recognises it: arcface, facenet, csd ..., or a backend and what it loads",
    )
    add(
        "--match-threshold",
        type=_threshold_of_matches,
        default=None,
        metavar="COSINE",
        help="above which two pictures show the same: a cosine, JSON of a study, or a published one (default: that "
        "published for arcface and csd)",
    )
    add(
        "--threshold",
        default=None,
        metavar="JSON",
        help="of a study (results/thresholds/MODEL/DOMAIN.json), or a number of images (default: published ones)",
    )
    add_settings(add, ArtistSettings)
    add_settings(add, SamplingSettings, ReadingSettings, without=NOT_ASKED)
    add("--out", metavar="FOLDER", help="folder to write: index.html, answer.json, and tables")


def _recogniser(args: Namespace) -> "Recogniser | None":
    """Return what the options name; None without --embedder.

    Raises:
        FitError: the embedder is not known, or there is no match threshold.
    """
    if not args.embedder:
        return None
    from fit.artist.find import Recogniser
    from fit.cli.common import read_match_threshold
    from fit.config.defaults import EMBEDDERS
    from fit.embeddings.settings import EmbedderSettings

    if len(args.embedder) == 1 and args.embedder[0] in EMBEDDERS:
        known = EMBEDDERS[args.embedder[0]]
        backend, model, download = known["backend"], known["model"], known.get("download", False)
    elif len(args.embedder) == 2:
        (backend, model), download = args.embedder, False
    else:
        raise FitError(
            f"--embedder {' '.join(args.embedder)}: give one of {', '.join(EMBEDDERS)}, or a backend and what it loads"
        )
    given = args.match_threshold or OF_EMBEDDER.get(backend)
    if given is None:
        raise FitError(
            f"--embedder {args.embedder[0]}: give --match-threshold too, the JSON of a study with this embedder "
            "(results/matches/DOMAIN.threshold.json) or a cosine: one name alone can't show where others begin"
        )
    if given in MATCH_THRESHOLDS:
        cosine = MATCH_THRESHOLDS[given]
    else:
        cosine = read_match_threshold(given)["match_threshold"] if given.endswith(".json") else float(given)
    return Recogniser(
        backend=backend, settings=EmbedderSettings(model=model, download=download), match_threshold=cosine
    )


def _generate(args: Namespace, settings: ArtistSettings, work: Path) -> str:
    """Make pictures with the model; return the table."""
    from fit import generated
    from fit.artist.find import FROM_MODEL, concept_of
    from fit.generated.run import generate_table
    from fit.generated.settings import GenerationSettings, PipelineSettings
    from fit.studies.new import PROMPTS

    table = work / FROM_MODEL
    generate_table(
        generated.prepare(PipelineSettings(pipeline=args.model, steps=args.steps)),
        [concept_of(args.name, args.alias)],
        table,
        settings=GenerationSettings(images_per_prompt=settings.generated_per_prompt),
        prompts=args.prompts or PROMPTS[args.of],
        study_seed=0,
    )
    return str(table)


def artist(args: Namespace) -> None:
    """Write the page of one name, and print its answer.

    Raises:
        FitError: options lack what they need, or a file is not what it should be.
    """
    from datetime import UTC, datetime

    from fit.artist.answer import answer, given, lines, published
    from fit.artist.find import OF_CAPTIONS, Sources, find, forget
    from fit.artist.page import page, write_page
    from fit.io.files import make_folder
    from fit.io.json_files import write_json

    if not (args.captions or args.images or args.generated or args.model):
        raise FitError("artist: say where to look: --captions FILE ..., --images FOLDER, --generated FOLDER or --model")
    if args.images in OF_CAPTIONS and not args.captions:
        raise FitError(f"--images {args.images}: these are images behind captions; name their files with --captions")
    if args.generated and args.model:
        raise FitError("artist: --generated are pictures in place of --model; give one of them")
    if args.embedder and not args.references:
        raise FitError("--embedder: it compares pictures with references; name a folder of them with --references")
    out, settings = Path(args.out), read_settings(ArtistSettings, args)
    others = {path.name for path in out.iterdir()} - {"tables", "index.html"} if out.is_dir() else set()
    if others and "answer.json" not in others:
        raise FitError(f"{out}: not empty, and not of an earlier `fit artist`; name a new folder with --out")
    compared, recogniser = given(args.threshold) if args.threshold else published(args.of), _recogniser(args)
    work = make_folder(out / "tables")
    forget(work)  # else pictures of another name would stand beside the new page
    sources = Sources(
        name=args.name,
        aliases=tuple(args.alias),
        captions=tuple(args.captions),
        images=args.images,
        references=args.references,
        generated=_generate(args, settings, work) if args.model else args.generated,
        recogniser=recogniser,
    )
    sampling = SamplingSettings(**vars(read_settings(SamplingSettings, args, without=NOT_ASKED)))
    found = find(sources, work, settings, sampling, read_settings(ReadingSettings, args))
    said = answer(found, compared)
    write_page(out / "index.html", page(found, said, compared, settings, datetime.now(UTC).date().isoformat()))
    data = {
        "name": found.concept.name,
        "aliases": list(found.concept.aliases),
        **asdict(said),
        "captions": found.captions,
        "rows": found.rows,
        "names": {row["name"]: row["captions"] for row in found.names},
        "doubtful": found.doubtful,
        "counts": found.count,
        "threshold": compared.source,
        "threshold_images": {
            "images": compared.threshold.images,
            "low": compared.threshold.low if compared.threshold.has_interval else None,
            "high": compared.threshold.high if compared.threshold.has_interval else None,
        },
    }
    write_json(data, out / "answer.json")
    place = str(out / "index.html")
    show(args, lambda: lines(said, f"page: {place}"), lambda: data | {"page": place})
    sys.stdout.flush()


COMMAND = Command(
    "artist",
    "one name: its captions, pictures and count, and whether it is above a threshold",
    artist_arguments,
    artist,
    prints=True,
)
