"""Embeds whole image tables.

Pictures stream: processes read, decode and prepare them a few at a time, this one runs the model on batches and writes
vectors as they come. So the memory does not grow with the number of images, and a batch may span several tables.
"""

import os
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import chain, groupby
from operator import itemgetter
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import torch
from torch.utils.data import DataLoader, Dataset
from tqdm import tqdm

from fit import embeddings as embedders
from fit.embeddings import files
from fit.embeddings.base import Embedding
from fit.errors import FitError, ModelError
from fit.images import table as images
from fit.io import parquet
from fit.io.files import atomic_write
from fit.memory import AdaptiveBatch

SLICE = 16
"""Images that a process prepares at a time, at most."""
SLICE_BYTES = 4 << 20
"""Encoded bytes that it does, about: pictures take some ten times as much once decoded, and prepared ones wait."""
ROWS_AT_ONCE = 1024
"""Vectors that are written at a time."""


class _Prepared(Dataset):
    """Slices of image tables. An item is (number of the table, rows, names, prepared pictures), or a FitError.

    Errors are returned, as raising would hand them on with a traceback for a message.
    """

    def __init__(self, paths, prepare):
        self._paths, self._prepare = paths, prepare
        self._slices = []  # (number of the table, row group, first row, end)
        self._read: tuple[Any, Any] = None, None  # the row group that was read last, which the next slice may be of
        self.images = 0
        for number, path in enumerate(paths):
            file = images.open_table(path)
            self.images += file.metadata.num_rows
            self._slices.append((number, 0, 0, 0))  # even an empty table has a slice
            for group in range(file.metadata.num_row_groups):
                of_group = file.metadata.row_group(group)
                count = of_group.num_rows
                parts = max(1, -(-count // SLICE), -(-of_group.total_byte_size // SLICE_BYTES))
                step = max(1, -(-count // parts))
                self._slices += [(number, group, start, min(start + step, count)) for start in range(0, count, step)]

    def __len__(self):
        return len(self._slices)

    def __getitem__(self, index):
        number, group, start, end = self._slices[index]
        if start == end:
            return number, 0, [], []
        if self._read[0] != (number, group):
            file = pq.ParquetFile(self._paths[number])
            self._read = (number, group), file.read_row_group(group, ["image_id", "bytes"], use_threads=False)
        part = self._read[1].slice(start, end - start)
        pictures, _ = images.bytes_of(part.column("bytes"))
        named = [(name, data) for name, data in zip(part.column("image_id").to_pylist(), pictures, strict=True) if data]
        try:
            prepared = [
                self._prepare(images.decode(data, f"{self._paths[number]}, image {name}")) for name, data in named
            ]
        except FitError as error:
            return error
        return number, end - start, [name for name, _ in named], _stack(prepared)


def _stack(prepared):
    """Tensors of one shape as one, which takes one piece of shared memory between processes; others as they are."""
    shapes = {item.shape if isinstance(item, torch.Tensor) else None for item in prepared}
    return torch.stack(prepared) if len(shapes) == 1 and None not in shapes else prepared


def _as_it_is(item):
    return item


def _yield_to_the_model(_):
    os.nice(10)  # prepared pictures are of no use to a model that waits for a processor


def _slices(dataset, decoders):
    """The items of `dataset` in order, prepared by `decoders` processes (0: by this one). Raises what they hold."""
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


def _batches(slices, adaptive, progress):
    """Lists of (number of the table, name, prepared picture), as long as `halving` allows at the time.

    Between the pictures stand entries whose name is None: one per table at least, where it begins.
    """
    batch, pictures = [], 0
    for number, count, names, prepared in slices:
        progress.update(count - len(names))
        if not names:
            batch.append((number, None, None))
        for name, picture in zip(names, prepared, strict=True):
            batch.append((number, name, picture))
            pictures += 1
            if pictures >= adaptive.size:
                yield batch
                batch, pictures = [], 0
    yield batch


def _in_order(function, batches, threads):
    """function(batch) of every batch, in order, with as many under way at once as there are `threads`."""
    if threads == 1:
        yield from map(function, batches)
        return
    with ThreadPoolExecutor(threads) as pool:
        under_way: deque[Future] = deque()
        for batch in batches:
            under_way.append(pool.submit(function, batch))
            if len(under_way) == threads:
                yield under_way.popleft().result()
        while under_way:
            yield under_way.popleft().result()


def _write(part, entries):
    """Write what was found in a table's images, some rows at a time. `entries`: (number, name, list of Found)."""
    writer = None
    for table in _tables(entries):
        writer = writer or files.writer(part, table.schema.field("embedding").type.list_size)
        writer.write_table(table)
    if writer:
        writer.close()
    else:
        pq.write_table(files.rows([], [], 1), part)


def _tables(entries):
    """What was found in a table's images, as Arrow tables of about ROWS_AT_ONCE rows, none of them empty."""
    waiting: list[tuple] = []
    count = 0
    for _, name, found in chain(entries, [(None, None, None)]):
        if found:
            waiting.append((name, found))
            count += len(found)
        if count >= ROWS_AT_ONCE or (found is None and waiting):
            names, of_images = zip(*waiting, strict=True)
            yield files.rows(names, of_images, len(of_images[0][0].vector))
            waiting, count = [], 0


def _checked(found, backend, weights, what):
    """`found`, a list of Found in `what` (a picture or text, in words).

    Raises:
        ModelError: a vector is not finite, or not of length 1.
    """
    problem = files.first_not_unit(np.stack([one.vector for one in found])) if found else None
    if problem:
        raise ModelError(
            f"{what}: the vector that the embedder {backend} ({weights.model}) makes of it {problem[1]}; set `dtype: "
            "float32` or `bfloat16` for this embedder (arcface: get the file again), and if it has that already, its "
            "weights are damaged: get them again"
        )
    return found


def embed_tables(backend, weights, inputs, outputs, batch_size, decoders=None):
    """Embed every picture of the image tables `inputs` into the files `outputs`, the model loaded once.

    An output has a row per face (or per image, for embedders of whole images) with the schema of fit.embeddings.files,
    in the order of its table. Pictures without a face have no row.

    Args:
        backend: name of the embedder; weights: fit.embeddings.base.Weights.
        inputs, outputs: as many paths.
        batch_size: images that the model gets at once, at most; fewer where its memory does not suffice.
        decoders: processes that read and prepare pictures, beside this one; None: one per thread of torch's, but this
            process alone does it where there is one thread only.

    Raises:
        FitError: the model can't be loaded, a file is no image table, bytes in it are no picture, or the model makes a
            vector of a picture that is not finite.
    """
    if decoders is None:
        decoders = torch.get_num_threads() if torch.get_num_threads() > 1 else 0
    embedder = embedders.load(backend, weights)
    dataset = _Prepared(inputs, embedder.prepare)

    def infer(prepared):
        with torch.inference_mode():
            return embedder.embed(prepared)

    adaptive = AdaptiveBatch(infer, batch_size)

    def embed(batch):
        try:
            found = iter(adaptive([picture for _, name, picture in batch if name is not None]))
        except MemoryError as error:
            raise ModelError(
                f"{weights.model}: one picture is too much for the memory ({error}); free it of other programs, choose "
                "a smaller number format (`dtype`), or run where there is more"
            ) from error
        return [
            (number, name, [])
            if name is None
            else (number, name, _checked(next(found), backend, weights, f"{inputs[number]}, image {name}"))
            for number, name, _ in batch
        ]

    with tqdm(total=dataset.images, desc="embedding", unit="image", mininterval=2) as progress:

        def entries():
            batches = _batches(_slices(dataset, decoders), adaptive, progress)
            # While a GPU computes, another batch is put together and sent. On a CPU there is nothing to gain.
            for of_batch in _in_order(embed, batches, threads=2 if torch.cuda.is_available() else 1):
                yield from of_batch
                progress.update(sum(name is not None for _, name, _ in of_batch))

        for number, of_table in groupby(entries(), key=itemgetter(0)):
            with atomic_write(outputs[number]) as part:
                _write(part, of_table)


def embed_texts(backend, weights, texts, target):
    """Write the unit vectors of `texts` to `target`, in the layout of embed_tables; image_id is the text."""
    with torch.inference_mode():
        vectors = embedders.load(backend, weights).embed_texts(texts)
    found = [
        _checked([Embedding(vector)], backend, weights, f"text {text!r}")
        for text, vector in zip(texts, vectors, strict=True)
    ]
    parquet.write(files.rows(texts, found, vectors.shape[1]), target)
