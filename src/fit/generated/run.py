"""Generates the pictures of concepts, an image table each.

The model makes a batch while threads encode and write the one before. What is finished lies in parts beside the tables
until all tables of the job are whole, so a job that is stopped, by whatever, goes on where it was.
"""

import json
import os
import signal
import threading
import time
from collections import Counter, deque
from concurrent.futures import ThreadPoolExecutor
from hashlib import blake2b
from io import BytesIO
from pathlib import Path

from PIL import Image
from tqdm import tqdm

from fit.errors import StoppedError
from fit.generated.parts import ResumableTable, work_folder
from fit.images.table import GENERATED, encode_png

_PART_PICTURES, _PART_S = 64, 60.0  # whichever comes first


def _encode_webp(picture):
    buffer = BytesIO()
    # More effort makes files smaller by a hundredth, in four times the time.
    picture.save(buffer, format="WEBP", lossless=True, method=1, quality=20)
    return buffer.getvalue()


_FORMATS = {"png": encode_png, "webp": _encode_webp}


def image_seed(study_seed, concept, prompt, index):
    """The seed of one picture, in 0..2^63-1: it depends on nothing but these four."""
    key = f"{study_seed}\0{concept}\0{prompt}\0{index}".encode()
    return int.from_bytes(blake2b(key, digest_size=8).digest(), "big") >> 1


def plan(concept, prompts, images_per_prompt, study_seed):
    """The pictures to make of a concept: rows of GENERATED without status and bytes, prompts filled in."""
    return [
        {
            "image_id": f"{concept.slug}-{i}-{index:04d}",
            "prompt": prompt.format(name=concept.name),
            "index": index,
            "seed": image_seed(study_seed, concept.slug, prompt, index),
        }
        for i, prompt in enumerate(prompts)
        for index in range(images_per_prompt)
    ]


class _Termination:
    """Notes SIGTERM, which a scheduler sends before it kills, instead of dying of it; a context manager."""

    def __init__(self):
        self.asked = False

    def _ask(self, *_):
        self.asked = True

    def __enter__(self):
        self._is_main = threading.current_thread() is threading.main_thread()
        if self._is_main:
            self._before = signal.signal(signal.SIGTERM, self._ask)
        return self

    def __exit__(self, *_):
        if self._is_main:
            signal.signal(signal.SIGTERM, self._before)


class _Saver:
    """Encodes batches and writes them to parts, in order, in threads; a context manager that ends with all written."""

    def __init__(self, image_format, provenance):
        """`provenance` gives what made the pictures."""
        self._encode_one, self._provenance = _FORMATS[image_format], provenance
        self._encoders = ThreadPoolExecutor(min(4, len(os.sched_getaffinity(0))))
        self._writer = ThreadPoolExecutor(1)
        self._pending: deque = deque()
        self._rows: list[dict] = []
        self._since = time.monotonic()

    def take(self, parts, rows, made):
        """Save a batch: rows of `plan`, and a Made for each. Waits while two batches wait already."""
        self._submit(2, self._save, parts, rows, made)

    def finish(self, parts):
        """Write what has been taken, and wait until it is there."""
        self._submit(0, self._flush, parts)

    def _submit(self, waiting, work, *arguments):
        self._pending.append(self._writer.submit(work, *arguments))
        while len(self._pending) > waiting:
            self._pending.popleft().result()

    def _save(self, parts, rows, made):
        self._rows += list(self._encoders.map(self._encode, rows, made))
        if len(self._rows) >= _PART_PICTURES or time.monotonic() - self._since > _PART_S:
            self._flush(parts)

    def _encode(self, row, made):
        data = None if made.pixels is None else self._encode_one(Image.fromarray(made.pixels))
        return row | {"status": made.status, "bytes": data}

    def _flush(self, parts):
        if self._rows:
            parts.add(self._rows, self._provenance())
        self._rows, self._since = [], time.monotonic()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._writer.shutdown()
        self._encoders.shutdown()


def _parts_of(generator, concepts, work, plans, image_format):
    """The parts of each concept, in folders named by all that their pictures depend on."""
    identity, of_concepts = generator.identity, []
    for concept in concepts:
        depends = [identity, image_format, GENERATED.names, plans[concept.slug]]
        key = blake2b(json.dumps(depends, sort_keys=True).encode(), digest_size=8).hexdigest()
        ids = [row["image_id"] for row in plans[concept.slug]]
        of_concepts.append(ResumableTable(Path(work, concept.slug, key), ids))
    return of_concepts


def generate_tables(
    generator,
    concepts,
    outputs,
    *,
    prompts,
    images_per_prompt,
    batch_size,
    study_seed,
    work=None,
    image_format="png",
):
    """Generate the pictures of `concepts` into the image tables `outputs`; the file's metadata says what made them.

    What an earlier run with the same settings finished is not made again; where that is all, the model is not loaded.

    Args:
        generator: fit.generated.base.Generator.
        concepts: list of fit.concepts.sheet.Concept; outputs: a path each.
        prompts: templates with {name}.
        images_per_prompt, batch_size, study_seed: integers.
        work: folder for what a stop must not lose; one beside the outputs, if left out.
        image_format: "png" or "webp", without loss both.

    Returns:
        Concept (slug) -> Counter of the statuses of its pictures.

    Raises:
        ModelError: the model can't be loaded, or one picture is too much for the memory, or it fails otherwise.
        SpaceError: the disk is full.
        PlaceError: `work` holds files that are not FIT's.
        StoppedError: SIGTERM came; the batch under way was finished.
    """
    place = work_folder(work or Path(outputs[0]).parent / ".generated")
    plans = {concept.slug: plan(concept, prompts, images_per_prompt, study_seed) for concept in concepts}
    with place.held(*plans):
        parts_of = _parts_of(generator, concepts, place.path, plans, image_format)
        total, kept = sum(map(len, plans.values())), sum(parts.done for parts in parts_of)
        if kept:
            print(f"fit: {kept} of {total} pictures are there from an earlier run")
        with (
            _Termination() as termination,
            tqdm(total=total, initial=kept, desc="generating", unit="image", mininterval=2) as progress,
        ):
            if kept < total:
                generator.load()
            for concept, parts in zip(concepts, parts_of, strict=True):
                todo = plans[concept.slug][parts.done :]
                _generate(generator, parts, todo, batch_size, image_format, termination, progress)
            if termination.asked and sum(parts.done for parts in parts_of) < total:
                done = sum(parts.done for parts in parts_of)
                raise StoppedError(
                    f"stopped by SIGTERM after {done} of {total} pictures; they are kept: run again to go on"
                )
            statuses = {
                concept.slug: Counter(parts.assemble(target))
                for concept, parts, target in zip(concepts, parts_of, outputs, strict=True)
            }
        # Not before: where one table of a job fails, Snakemake removes the others too.
        for concept in concepts:
            place.remove(concept.slug)
        return statuses


def _generate(generator, parts, todo, batch_size, image_format, termination, progress):
    """Make the rows `todo` of a concept into its parts, until SIGTERM. What was made is saved whatever comes."""
    with _Saver(image_format, lambda: generator.provenance) as saver:
        try:
            for start in range(0, len(todo), batch_size):
                if termination.asked:
                    return
                rows = todo[start : start + batch_size]
                made = generator.generate([row["prompt"] for row in rows], [row["seed"] for row in rows])
                saver.take(parts, rows, made)
                progress.update(len(rows))
        finally:
            saver.finish(parts)
