"""Generates the pictures of concepts into one image table.

The model makes a batch while threads encode and write the one before. What is finished is in parts beside the table
until the table is whole, so a job that is stopped, for whatever reason, goes on where it was.
"""

import json
import os
import signal
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from hashlib import blake2b
from io import BytesIO
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any

import numpy as np
from PIL import Image
from tqdm import tqdm

from fit.concepts.sheet import Concept
from fit.errors import ModelError, StoppedError
from fit.generated.base import GeneratedImage, Generator
from fit.generated.conditioning import Prompt, Prompts
from fit.generated.parts import ResumableTable, assemble, work_folder
from fit.generated.settings import GenerationSettings
from fit.images.table import GENERATED, encode_png
from fit.io.shown import number_of

_PART_PICTURES, _PART_S = 64, 60.0
"""A part is written after so many pictures or seconds, whichever comes first."""
Row = dict[str, Any]
"""A row of GENERATED: column -> value."""


def _encode_webp(picture: Image.Image) -> bytes:
    buffer = BytesIO()
    # More effort makes files smaller by a hundredth, in four times the time.
    picture.save(buffer, format="WEBP", lossless=True, method=1, quality=20)
    return buffer.getvalue()


_FORMATS: dict[str, Callable[[Image.Image], bytes]] = {"png": encode_png, "webp": _encode_webp}


def image_seed(study_seed: int, concept: str, prompt: str, index: int) -> int:
    """Return the seed of one picture, in 0..2^63-1: it depends on nothing but these four."""
    key = f"{study_seed}\0{concept}\0{prompt}\0{index}".encode()
    return int.from_bytes(blake2b(key, digest_size=8).digest(), "big") >> 1


def plan(concept: Concept, prompts: Sequence[Prompt], images_per_prompt: int, study_seed: int) -> list[Row]:
    """Return the pictures to make of a concept: rows without status and bytes, prompts filled in.

    Texts are templates with {name}; what a table of prompts asks for is taken as it is.
    """
    return [
        {
            "concept": concept.slug,
            "image_id": f"{concept.slug}-{i}-{index:04d}",
            "prompt": prompt.format(name=concept.name) if isinstance(prompt, str) else prompt.label,
            "index": index,
            "seed": image_seed(
                study_seed, concept.slug, prompt if isinstance(prompt, str) else prompt.seeded_by, index
            ),
        }
        for i, prompt in enumerate(prompts)
        for index in range(images_per_prompt)
    ]


def _asked(generator: Generator, concepts: Sequence[Concept], prompts: Prompts) -> dict[str, Prompt]:
    """Return what stands in the column `prompt` -> what the generator is asked for, where this is another.

    Raises:
        ModelError: a prompt has a negative prompt, a composition or a prefix, which the generator does not take.
    """
    if not isinstance(prompts, Mapping):
        return {}
    special = {one.label: one for c in concepts for one in prompts[c.slug] if not one.is_plain}
    if special and not generator.takes_conditionings:
        raise ModelError(
            f"the generator {type(generator).__name__} takes prompts alone, and the table of prompts has "
            f"{next(iter(special))!r}; leave out rows with a negative prompt, a composition or a prefix, or name a "
            "model with `backend: diffusers`"
        )
    return dict(special)


class _Termination:
    """A context manager that notes SIGTERM, which a scheduler sends before it kills; the process goes on."""

    def __init__(self) -> None:
        self.asked = False

    def _ask(self, signal_number: int, frame: FrameType | None) -> None:
        self.asked = True

    def __enter__(self) -> "_Termination":
        self._is_main = threading.current_thread() is threading.main_thread()
        if self._is_main:
            self._before = signal.signal(signal.SIGTERM, self._ask)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._is_main:
            signal.signal(signal.SIGTERM, self._before)


class _Saver:
    """A context manager that encodes batches and writes them to parts, in order, in threads, all before it ends."""

    def __init__(self, image_format: str, provenance: Callable[[], dict[str, Any]]):
        """`provenance` returns what made the pictures."""
        self._encode_one, self._provenance = _FORMATS[image_format], provenance
        # Pillow imports its formats at the first save: in threads, beside imports of the generator, it may never end.
        Image.init()
        self._encoders = ThreadPoolExecutor(min(4, len(os.sched_getaffinity(0))))
        self._writer = ThreadPoolExecutor(1)
        self._pending: deque[Future] = deque()
        self._rows: list[Row] = []
        self._since = time.monotonic()

    def take(self, parts: ResumableTable, rows: Sequence[Row], images: Sequence[GeneratedImage]) -> None:
        """Save a batch: rows of `plan`, and an image for each. While two batches wait already, wait."""
        self._submit(2, self._save, parts, rows, images)

    def finish(self, parts: ResumableTable) -> None:
        """Write what has been taken, and wait until it is written."""
        self._submit(0, self._flush, parts)

    def _submit(self, waiting: int, work: Callable[..., None], *arguments: Any) -> None:
        self._pending.append(self._writer.submit(work, *arguments))
        while len(self._pending) > waiting:
            self._pending.popleft().result()

    def _save(self, parts: ResumableTable, rows: Sequence[Row], images: Sequence[GeneratedImage]) -> None:
        self._rows += list(self._encoders.map(self._encode, rows, images))
        if len(self._rows) >= _PART_PICTURES or time.monotonic() - self._since > _PART_S:
            self._flush(parts)

    def _encode(self, row: Row, image: GeneratedImage) -> Row:
        data = None if image.pixels is None else self._encode_one(Image.fromarray(image.pixels))
        return row | {"status": image.status, "bytes": data}

    def _flush(self, parts: ResumableTable) -> None:
        if self._rows:
            parts.add(self._rows, self._provenance())
        self._rows, self._since = [], time.monotonic()

    def __enter__(self) -> "_Saver":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._writer.shutdown()
        self._encoders.shutdown()


def _parts_of(
    generator: Generator, work: Path, plans: dict[str, list[Row]], image_format: str
) -> dict[str, ResumableTable]:
    """Return the parts of each concept, in folders that are named by all that their pictures depend on."""
    identity, found = generator.identity, {}
    for concept, rows in plans.items():
        depends = [identity, image_format, GENERATED.names, rows]
        key = blake2b(json.dumps(depends, sort_keys=True).encode(), digest_size=8).hexdigest()
        found[concept] = ResumableTable(Path(work, concept, key), [row["image_id"] for row in rows])
    return found


def generate_table(
    generator: Generator,
    concepts: Sequence[Concept],
    out: str | Path,
    *,
    settings: GenerationSettings,
    prompts: Prompts,
    study_seed: int,
    work: str | Path | None = None,
) -> dict[str, Counter[str]]:
    """Generate the pictures of `concepts` into the image table `out`, concept after concept.

    The table's metadata say what made its pictures. What an earlier run with the same settings finished is not made
    again; where that is all, the model is not loaded.

    Args:
        generator: of the pictures.
        concepts: in the order that their rows are to have.
        out: path of the table.
        settings: how many pictures, and how they are stored.
        prompts: templates with {name}; or what each concept's pictures are asked for.
        study_seed: of the study, from which each picture's seed is made.
        work: folder for what a stop must not lose; None: one beside `out`.

    Returns:
        Concept (slug) -> how many of its pictures have which status.

    Raises:
        ModelError: the model can't be loaded, or one picture is too much for the memory, or it fails otherwise, as
            where it can't do what a table of prompts asks for.
        SpaceError: the disk is full.
        PlaceError: `work` holds files that are not FIT's.
        StoppedError: SIGTERM came; the batch under way was finished.
    """
    place = work_folder(work or Path(out).parent / ".generated")
    plans = {
        c.slug: plan(
            c, prompts[c.slug] if isinstance(prompts, Mapping) else prompts, settings.images_per_prompt, study_seed
        )
        for c in concepts
    }
    asked = _asked(generator, concepts, prompts)
    with place.held(*plans):
        parts = _parts_of(generator, place.path, plans, settings.image_format)

        def count_done() -> int:
            return sum(of_concept.done for of_concept in parts.values())

        total, kept = sum(map(len, plans.values())), count_done()
        if kept:
            print(f"fit: {kept} of {number_of(total, 'picture')} are there from an earlier run")
        with (
            _Termination() as termination,
            tqdm(total=total, initial=kept, desc="generating", unit="image", mininterval=2) as progress,
        ):
            if kept < total:
                generator.load()
            for concept, of_concept in parts.items():
                todo = plans[concept][of_concept.done :]
                _generate(generator, of_concept, todo, asked, settings, termination, progress)
            if termination.asked and count_done() < total:
                raise StoppedError(
                    f"stopped by SIGTERM after {count_done()} of {number_of(total, 'picture')}; "
                    "they are kept: run again to go on"
                )
            statuses = {concept: Counter(found) for concept, found in assemble(parts, out).items()}
        for slug in plans:
            place.remove(slug)
        return statuses


def _check_images(images: Sequence[GeneratedImage], asked: int, name: str) -> None:
    """Check what a generator returns, which may be of another package, before it is written beside its prompts.

    Raises:
        ModelError: it is not a picture for each prompt, or a picture is not of the kind that is stored.
    """
    remedy = "get another version of the package that brings it"
    if len(images) != asked:
        raise ModelError(
            f"the generator {name} returned {number_of(len(images), 'picture')} for "
            f"{number_of(asked, 'prompt')}; its `generate` has to return one for each: {remedy}"
        )
    for image in images:
        pixels: Any = image.pixels
        is_array = isinstance(pixels, np.ndarray)
        is_picture = is_array and pixels.dtype == np.uint8 and pixels.shape[2:] == (3,)
        if (image.status == "ok") != is_picture or (pixels is not None and not is_picture):
            found = f"{pixels.dtype} of the shape {list(pixels.shape)}" if is_array else repr(pixels)
            raise ModelError(
                f"the generator {name} returned a picture with the status {image.status!r} whose pixels are {found}; "
                f"those of an 'ok' picture have to be uint8 of the shape [H, W, 3], others have none: {remedy}"
            )


def _generate(
    generator: Generator,
    parts: ResumableTable,
    todo: Sequence[Row],
    asked: Mapping[str, Prompt],
    settings: GenerationSettings,
    termination: _Termination,
    progress: tqdm,
) -> None:
    """Make the rows `todo` of a concept into its parts, until SIGTERM. What was made is saved in any case.

    `asked`: as _asked returns it.
    """
    with _Saver(settings.image_format, lambda: generator.provenance) as saver:
        try:
            for start in range(0, len(todo), settings.batch_size):
                if termination.asked:
                    return
                rows = todo[start : start + settings.batch_size]
                prompts: list[Any] = [asked.get(row["prompt"], row["prompt"]) for row in rows]
                images = generator.generate(prompts, [row["seed"] for row in rows])
                _check_images(images, len(rows), type(generator).__name__)
                saver.take(parts, rows, images)
                progress.update(len(rows))
        finally:
            saver.finish(parts)
