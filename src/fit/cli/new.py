"""`fit new`."""

import shlex
import sys
from argparse import Namespace
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from fit.cli.command import Command
from fit.cli.output import show
from fit.errors import FitError

if TYPE_CHECKING:
    from fit.studies.new import Made

NEXT = {"fit check": "what is missing still", "fit run": "the study, to its answer and page"}
"""Commands that come next, and what they say or make."""


def new_arguments(add: Callable[..., None]) -> None:
    """Add the arguments of `fit new`."""
    add("folder", metavar="FOLDER", help="folder to make; nothing that is in it is overwritten")
    add("--of", choices=("people", "styles"), default=None, help="what the concepts are (default: it asks, or styles)")
    add("--names", default=None, metavar="FILE", help="their names, one a line, aliases between |; or a sheet")
    add(
        "--name-column",
        default="",
        metavar="NAME",
        help="column of the file of names that holds them, if it is a table",
    )
    add("--references", default=None, metavar="PLACE", help="verified pictures: a folder with a folder per concept")
    add("--generated", default=None, metavar="PLACE", help="pictures that the model made: a folder per concept")
    add("--model", default=None, metavar="MODEL", help="instead: the model itself, a folder or hub id (diffusers)")
    add("--counts", default=None, metavar="FILE", help="effective counts: CSV with concept and effective_count")
    add("--captions", nargs="+", default=None, metavar="FILE", help="instead: files of captions of the training set")
    add("--images", choices=("embedded", "http"), default="http", help="where the images of these captions are")
    add("--caption-column", default="caption", metavar="NAME", help="column with the caption")
    add("--url-column", default="url", metavar="NAME", help="column with the image's address")
    add("--training", default=None, metavar="PLACE", help="instead: training images, a folder per concept")
    add(
        "--evidence",
        choices=("counts", "captions", "pictures"),
        default=None,
        help="what will say how often the model saw each, if it is not there yet (default: it asks, or counts)",
    )
    add(
        "--embedder",
        nargs="+",
        default=None,
        metavar="NAME",
        help="what tells the concepts apart: dlib, facenet, arcface, csd ..., or a backend and what it loads (default: "
        "csd; for people dlib, or facenet where dlib is not installed)",
    )
    add("--cpu", action="store_true", help="this machine has no GPU (default: looked for)")


def _ask(question: str, answers: Sequence[tuple[str, str]], default: str) -> str:
    """Ask for one of several answers, (word, what it means), until one is given."""
    print(question)
    for number, (word, says) in enumerate(answers, 1):
        print(f"  {number}  {says}{' (Enter)' if word == default else ''}")
    words = [word for word, _ in answers]
    while True:
        said = input("> ").strip().lower()
        if not said:
            return default
        if said in words:
            return said
        if said.isdigit() and 1 <= int(said) <= len(words):
            return words[int(said) - 1]
        print(f"please answer with a number from 1 to {len(words)}")


def _ask_path(question: str) -> str | None:
    """Ask for a path that exists, or nothing."""
    while True:
        said = input(f"{question}\n> ").strip().strip("'\"")
        if not said:
            return None
        if Path(said).expanduser().exists():
            return str(Path(said).expanduser())
        print(f"{said}: there is no such file or folder; press Enter if you have none yet")


def _asked(args: Namespace) -> dict[str, Any]:
    """Ask for what the command line leaves open, and return it all."""
    given = dict(vars(args))
    if given["of"] is None:
        kinds = [("people", "people, by their faces"), ("styles", "styles, such as painters'")]
        given["of"] = _ask("What are the concepts?", kinds, "styles")
    if given["names"] is None and given["references"] is None:
        given["names"] = _ask_path("A file with their names, one a line? (Enter: I write them into the sheet later)")
    if given["references"] is None:
        given["references"] = _ask_path("A folder with verified pictures, a folder per concept? (Enter: a new one)")
    if given["generated"] is None and given["model"] is None:
        own = [("pictures", "I have pictures that it made"), ("model", "I have the model, to make pictures with")]
        if _ask("What is there of the model?", own, "pictures") == "model":
            given["model"] = input("Its folder, or its id on the Hugging Face hub\n> ").strip() or None
        else:
            given["generated"] = _ask_path("The folder of its pictures, a folder per concept? (Enter: a new one)")
    if not any(given[name] for name in ("counts", "captions", "training", "evidence")):
        kinds = [
            ("counts", "I know how many training images show each (a table)"),
            ("captions", "I have the captions of the training set"),
            ("pictures", "I have the training images of each concept"),
        ]
        given["evidence"] = _ask("How is it known how often the model saw each concept?", kinds, "counts")
        key = {"counts": "counts", "captions": "captions", "pictures": "training"}[given["evidence"]]
        place = _ask_path("Where is it? (Enter: I put it there later)")
        given[key] = [place] if place and key == "captions" else place
    if given["embedder"] is None:
        given["embedder"] = _ask_embedder(given["of"])
    return given


def _ask_embedder(of: str) -> list[str]:
    """Ask what tells the concepts apart: the name of a known embedder, or a backend and what it loads."""
    from fit.config.defaults import EMBEDDERS
    from fit.studies.new import usual_embedder

    print(f"What tells the concepts apart? One of {', '.join(EMBEDDERS)};")
    print(f"or a backend and what it loads, such as: openclip local-dir:FOLDER (Enter: {usual_embedder(of)})")
    while True:
        said = input("> ").strip()
        if not said:
            return [usual_embedder(of)]
        words = said.split(maxsplit=1)
        if len(words) == 2 or said in EMBEDDERS:
            return words
        print(f"{said}: not known by this name; give one of those above, or a backend and what it loads")


def _has_gpu() -> bool:
    """Whether this machine has a GPU of NVIDIA, by its device; torch takes seconds to import."""
    return Path("/dev/nvidiactl").exists() or Path("/dev/nvidia0").exists()


def new(args: Namespace) -> None:
    """Make the folder of a study, and say what comes next.

    Raises:
        FitError: options contradict each other, or the answers at a terminal end too early.
    """
    from fit.studies.new import Evidence, NewStudy, make_study

    try:
        given = _asked(args) if sys.stdin.isatty() and sys.stdout.isatty() and not args.json else dict(vars(args))
    except EOFError:
        print(file=sys.stderr)
        raise FitError(
            "new: the answers ended before the last question, so nothing was made; run it again, or give options "
            "(`fit new --help`)"
        ) from None
    if not given["folder"].strip():
        raise FitError("new: the name of the folder is empty; name a new folder")
    kinds = {"counts": "counts", "captions": "captions", "training": "pictures"}
    said = [f"--{name}" for name in kinds if given[name]]
    if len(said) > 1:
        raise FitError(f"new: {' and '.join(said)} both say how often the model saw each concept; give one")
    if given["generated"] and given["model"]:
        raise FitError("new: --generated are pictures in place of --model; give one of them")
    if given["embedder"] and len(given["embedder"]) > 2:
        raise FitError("new: --embedder takes a name, or a backend and what it loads")
    if given["name_column"] and not given["names"]:
        raise FitError("new: --name-column is of the file that --names gives; give both")
    of_given = next((kind for name, kind in kinds.items() if given[name]), None)
    if of_given and given["evidence"] not in (None, of_given):
        raise FitError(f"new: {said[0]} contradicts --evidence {given['evidence']}; leave one out")

    def path(name: str) -> Path | None:
        return Path(given[name]) if given[name] else None

    made = make_study(
        NewStudy(
            folder=Path(given["folder"]),
            of=given["of"] or "styles",
            evidence=cast("Evidence", of_given or given["evidence"] or "counts"),
            names=path("names"),
            name_column=given["name_column"],
            references=path("references"),
            generated=path("generated"),
            model=given["model"],
            counts=path("counts"),
            captions=tuple(given["captions"] or ()),
            images=given["images"],
            caption_column=given["caption_column"],
            url_column=given["url_column"],
            training=path("training"),
            embedder=tuple(given["embedder"] or ()),
            gpus=not given["cpu"] and _has_gpu(),
        )
    )
    show(args, lambda: _lines(made), lambda: {"folder": made.folder, "places": dict(made.places), "next": list(NEXT)})


def _lines(made: "Made") -> Iterator[str]:
    width = max(len(place) for place, _ in made.places)
    yield f"{made.folder}: a new study"
    for place, says in made.places:
        yield f"  {place:<{width}}  {says}"
    yield "next:"
    if made.folder.resolve() != Path.cwd():
        yield f"  cd {shlex.quote(str(made.folder))}"
    for command, says in NEXT.items():
        yield f"  {command:<11} # {says}"


COMMAND = Command("new", "make a folder for a study of your own", new_arguments, new, writes=(), prints=True)
