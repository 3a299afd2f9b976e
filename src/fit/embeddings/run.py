"""Embeds image tables.

Pictures stream: processes read, decode and prepare them a few at a time, this one runs the model on batches and writes
vectors as they come. So the memory does not grow with the number of images, and a batch may span several concepts.
"""

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence, Sized
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import groupby
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from PIL import Image
from torch.utils.data import DataLoader, Dataset
from tqdm import tqdm

from fit import embeddings as embedders
from fit.embeddings import files
from fit.embeddings.base import Embedder, Embedding
from fit.embeddings.settings import EmbedderSettings, FaceSettings
from fit.errors import FitError, ModelError
from fit.images import table as images
from fit.io import parquet
from fit.io.concept_tables import CONCEPT, concepts_in
from fit.io.files import atomic_write
from fit.memory import AdaptiveBatch

SLICE = 16
"""Images that a process prepares at a time, at most."""
SLICE_BYTES = 4 << 20
"""Encoded bytes that it prepares, about: pictures take some ten times as much once decoded, and prepared ones wait."""
ROWS_AT_ONCE = 1024
"""Vectors that are written at a time."""
Key = tuple[str | None, str]
"""(concept, image_id) of an image; the concept is None where the table does not name it."""
Slice = tuple[int, list[Key], Sequence[Any]]
"""(rows of the image table, the images among them that have a picture, these pictures prepared)."""
A = TypeVar("A")
B = TypeVar("B")


class _Prepared(Dataset):
    """Slices of image tables. An item is a Slice, or a FitError.

    Errors are returned, because a raised one would reach the reader with a traceback for a message.
    """

    def __init__(self, paths: Sequence[str | Path], prepare: Callable[[Image.Image], Any]):
        self._prepare, self.images = prepare, 0
        self._slices: list[tuple[str | Path, int, int, int]] = []  # (path, row group, first row, end)
        # The last row group, as the next slice may be of it: ((path, row group), its rows).
        self._read: tuple[tuple[str | Path, int] | None, pa.Table | None] = None, None
        self._columns: dict[str | Path, list[str]] = {}
        for path in paths:
            file = images.open_table(path)
            self.images += file.metadata.num_rows
            self._columns[path] = ["image_id", "bytes"]
            if CONCEPT.name in file.schema_arrow.names:
                parquet.check_columns(file.schema_arrow, path, [CONCEPT.name], pa.schema([CONCEPT]))
                self._columns[path].append(CONCEPT.name)
            for group in range(file.metadata.num_row_groups):
                of_group = file.metadata.row_group(group)
                count = of_group.num_rows
                parts = max(1, -(-count // SLICE), -(-of_group.total_byte_size // SLICE_BYTES))
                step = max(1, -(-count // parts))
                self._slices += [(path, group, start, min(start + step, count)) for start in range(0, count, step)]

    def __len__(self) -> int:
        return len(self._slices)

    def __getitem__(self, index: int) -> Slice | FitError:
        path, group, start, end = self._slices[index]
        if self._read[0] != (path, group):
            rows = pq.ParquetFile(path).read_row_group(group, self._columns[path], use_threads=False)
            self._read = (path, group), rows
        assert self._read[1] is not None
        part = self._read[1].slice(start, end - start)
        pictures, _ = images.bytes_of(part.column("bytes"))
        names = part.column("image_id").to_pylist()
        concepts = part.column(CONCEPT.name).to_pylist() if CONCEPT.name in self._columns[path] else [None] * len(names)
        there = [(concept, name, data) for concept, name, data in zip(concepts, names, pictures, strict=True) if data]
        try:
            prepared = [self._prepare(images.decode(data, f"{path}, image {name}")) for _, name, data in there]
        except FitError as error:
            return error
        return end - start, [(concept, name) for concept, name, _ in there], _stack(prepared)


def _stack(prepared: list[Any]) -> Sequence[Any]:
    """Tensors of one shape as one, which takes one piece of shared memory between processes; others as they are."""
    shapes = {item.shape if isinstance(item, torch.Tensor) else None for item in prepared}
    return torch.stack(prepared) if len(shapes) == 1 and None not in shapes else prepared


def _as_it_is(item: A) -> A:
    return item


def _yield_to_the_model(_: int) -> None:
    os.nice(10)  # prepared pictures are of no use to a model that waits for a processor


def _slices(dataset: _Prepared, decoders: int) -> Iterator[Slice]:
    """Yield the items of `dataset` in order, prepared by `decoders` processes (0: by this one).

    Raises:
        FitError: an item is one, or a process died.
    """
    loader = DataLoader(
        dataset,
        batch_size=None,
        collate_fn=_as_it_is,
        num_workers=decoders,
        worker_init_fn=_yield_to_the_model if decoders else None,
    )
    items = iter(loader)
    while True:
        try:
            item = next(items)
        except StopIteration:
            return
        except RuntimeError as error:
            if "DataLoader worker" not in str(error):
                raise
            raise FitError(
                f"a process that decodes pictures died ({error}); most often memory ran out: give the job more "
                "(mem_mb), or fewer decoders"
            ) from error
        if isinstance(item, FitError):
            raise item
        yield item


def _batches(slices: Iterable[Slice], adaptive: AdaptiveBatch, progress: tqdm) -> Iterator[list[tuple[Key, Any]]]:
    """Yield lists of (key, prepared picture), as long as `adaptive` allows at the time."""
    batch: list[tuple[Key, Any]] = []
    for count, keys, prepared in slices:
        progress.update(count - len(keys))
        for key, picture in zip(keys, prepared, strict=True):
            batch.append((key, picture))
            if len(batch) >= adaptive.size:
                yield batch
                batch = []
    if batch:
        yield batch


def _in_order(function: Callable[[A], B], batches: Iterable[A], threads: int) -> Iterator[B]:
    """Yield function(batch) of every batch, in order; as many are under way at once as there are `threads`."""
    if threads == 1:
        yield from map(function, batches)
        return
    with ThreadPoolExecutor(threads) as pool:
        under_way: deque[Future[B]] = deque()
        for batch in batches:
            under_way.append(pool.submit(function, batch))
            if len(under_way) == threads:
                yield under_way.popleft().result()
        while under_way:
            yield under_way.popleft().result()


def _write(part: Path, entries: Iterable[tuple[Key, list[Embedding]]], concepts: list[str] | None) -> None:
    """Write what was found in a table's images, some rows at a time; `concepts` are those of the table, if known."""
    writer = None
    for table in _tables(entries):
        writer = writer or files.writer(part, files.dimension_of(table), concepts)
        writer.write_table(table)
    if writer is None:
        writer = files.writer(part, 1, concepts)
        writer.write_table(files.rows([], [], 1))
    writer.close()


def _tables(entries: Iterable[tuple[Key, list[Embedding]]]) -> Iterator[pa.Table]:
    """Yield what was found in a table's images, as Arrow tables of one concept and about ROWS_AT_ONCE rows.

    None of them is empty.
    """
    for concept, of_concept in groupby(entries, key=lambda entry: entry[0][0]):
        names: list[str] = []
        found: list[list[Embedding]] = []
        count = 0
        for (_, name), embeddings in of_concept:
            if not embeddings:
                continue
            names.append(name)
            found.append(embeddings)
            count += len(embeddings)
            if count >= ROWS_AT_ONCE:
                yield files.rows(names, found, len(found[0][0].vector), concept)
                names, found, count = [], [], 0
        if found:
            yield files.rows(names, found, len(found[0][0].vector), concept)


def _check_as_many(found: Sized, asked: int, backend: str, what: str) -> None:
    """Check that an embedder, which may be of another package, answers for each picture or text.

    Raises:
        ModelError: it does not.
    """
    if len(found) != asked:
        raise ModelError(
            f"the embedder {backend} returned {len(found)} results for {asked} {what}; it has to return one for each: "
            "get another version of the package that brings it"
        )


def _checked(found: list[Embedding], backend: str, settings: EmbedderSettings, what: str) -> list[Embedding]:
    """Return `found` in `what` (a picture or text, in words).

    Raises:
        ModelError: a vector is not finite, or not of length 1.
    """
    problem = files.first_not_unit(np.stack([one.vector for one in found])) if found else None
    if problem:
        raise ModelError(
            f"{what}: the vector that the embedder {backend} ({settings.model}) makes of it {problem[1]}; set `dtype: "
            "float32` or `bfloat16` for this embedder (arcface: get the file again), and if it has that already, its "
            "weights are damaged: get them again"
        )
    return found


def _concepts_of(path: str | Path) -> list[str] | None:
    """The concepts that an image table is of, also those without a row; None where it does not name them."""
    found = images.open_table(path).schema_arrow
    if CONCEPT.name not in found.names:
        return None
    return [concept for concept in concepts_in(path) if concept is not None]


def embed_table(
    backend: str,
    settings: EmbedderSettings,
    faces: FaceSettings,
    image_tables: Sequence[str | Path],
    out: str | Path,
    batch_size: int,
    decoders: int | None = None,
) -> None:
    """Embed every picture of image tables into the file `out`.

    `out` has a row per face (or per image, for embedders of whole images) with the schema of fit.embeddings.files, in
    the order of the image tables, and its metadata name the same concepts. Pictures without a face have no row.

    Args:
        backend: name of the embedder.
        settings: what it loads.
        faces: how faces are found.
        image_tables: paths of the image tables; their column `concept`, if they have one, is copied.
        out: path of the file to write.
        batch_size: images that the model gets at once, at most; fewer where its memory is not enough.
        decoders: processes that read and prepare pictures, beside this one; 0: this process does it. None: one per
            thread of torch's, but 0 with one thread.

    Raises:
        FitError: the model can't be loaded, the file is not an image table, bytes in it are not a picture, or the model
            makes a vector of a picture that is not finite.
    """
    if decoders is None:
        decoders = torch.get_num_threads() if torch.get_num_threads() > 1 else 0
    concepts_of = {path: _concepts_of(path) for path in image_tables}
    table_of: dict[str | None, str | Path] = {
        concept: path for path, of_path in concepts_of.items() for concept in of_path or ()
    }
    embedder = embedders.load(backend, settings, faces)
    dataset = _Prepared(image_tables, embedder.prepare)
    adaptive = AdaptiveBatch(_inference(embedder, backend), batch_size)

    def embed(batch: list[tuple[Key, Any]]) -> list[tuple[Key, list[Embedding]]]:
        try:
            found = adaptive([picture for _, picture in batch])
        except MemoryError as error:
            raise ModelError(
                f"{settings.model}: one picture is too much for the memory ({error}); free it of other programs, "
                "choose a smaller number format (`dtype`), or run where there is more"
            ) from error
        return [
            (key, _checked(of_image, backend, settings, f"{table_of.get(key[0], image_tables[0])}, image {key[1]}"))
            for (key, _), of_image in zip(batch, found, strict=True)
        ]

    with tqdm(total=dataset.images, desc="embedding", unit="image", mininterval=2) as progress:

        def entries() -> Iterator[tuple[Key, list[Embedding]]]:
            batches = _batches(_slices(dataset, decoders), adaptive, progress)
            # While a GPU computes, another batch is put together and sent. On a CPU there is nothing to gain.
            for of_batch in _in_order(embed, batches, threads=2 if torch.cuda.is_available() else 1):
                yield from of_batch
                progress.update(len(of_batch))

        with atomic_write(out) as part:
            named = [concept for of_path in concepts_of.values() for concept in of_path or ()]
            _write(part, entries(), None if None in concepts_of.values() else named)


def _inference(embedder: Embedder, backend: str) -> Callable[[list[Any]], list[list[Embedding]]]:
    """`embedder.embed`, in inference mode, which has to answer for each picture."""

    def infer(prepared: list[Any]) -> list[list[Embedding]]:
        with torch.inference_mode():
            found = embedder.embed(prepared)
        _check_as_many(found, len(prepared), backend, "pictures")
        return found

    return infer


def embed_texts(
    backend: str, settings: EmbedderSettings, faces: FaceSettings, texts: Sequence[str], target: str | Path
) -> None:
    """Write the unit vectors of `texts` to `target`, in the layout of embed_table; image_id is the text."""
    with torch.inference_mode():
        vectors = embedders.load(backend, settings, faces).embed_texts(texts)
    _check_as_many(vectors, len(texts), backend, "texts")
    found = [
        _checked([Embedding(vector)], backend, settings, f"text {text!r}")
        for text, vector in zip(texts, vectors, strict=True)
    ]
    parquet.write(files.rows(texts, found, vectors.shape[1]), target)
