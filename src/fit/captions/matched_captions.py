"""Samples of the captions that mention concepts, without holding them in memory.

A matched caption is a concept and a row of a shard. Its key is a hash of both and a seed; a concept's sample is its
matched captions of smallest keys. So a sample is uniform, and the same in whatever order and in however many jobs the
shards are read. The sample of a whole is that of its parts' samples together.
"""

import itertools
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path
from threading import Lock

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from fit.errors import DataError
from fit.io.files import atomic_write, discard

ROW_GROUP = 4096
_SPILL = 32 << 20  # bytes of matched captions that a thread holds before it writes them to a file
_BINS = 40
_REPEATED = ["concept", "shard"]
"""Columns whose values repeat. A dictionary of the others would be made in vain."""


def _number(text: str) -> int:
    return int.from_bytes(blake2b(text.encode(), digest_size=8).digest(), "little")


def sampling_keys(bases: np.ndarray, shard: str | np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Return the keys of matched captions.

    Args:
        bases: [N] uint64, `concept_base` of each matched caption's concept.
        shard: name of the shard, or [N] uint64, `_number` of each matched caption's shard.
        rows: [N] int64.

    Returns:
        [N] uint64, uniform. The mixing is that of splitmix64 (Steele, Lea, Flood 2014, doi 10.1145/2660193.2660195).
    """
    place = np.uint64(_number(shard)) if isinstance(shard, str) else shard
    with np.errstate(over="ignore"):
        key = (bases ^ place) + rows.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)
        for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
            key = (key ^ (key >> np.uint64(shift))) * np.uint64(factor)
    return key ^ (key >> np.uint64(31))


def concept_base(seed: int, concept: str) -> int:
    """Return the number that the keys of a concept derive from."""
    return _number(f"{seed}\0{concept}")


class Bounds:
    """Tells which matched captions can't be in a sample any more, in memory that does not grow with their number.

    It counts a concept's keys by their size in bits. Once the keys up to some size are enough for a sample, larger keys
    are not needed; so at most about twice a sample is kept.
    """

    def __init__(self, concepts: int, max_matched_captions: int):
        """Begin without any matched caption; `concepts` is how many concepts there are."""
        self._largest = max_matched_captions
        self._counts = np.zeros((concepts, _BINS), np.int32)
        self._limit = np.full(concepts, _BINS - 1)

    @staticmethod
    def _bins(keys: np.ndarray) -> np.ndarray:
        # The largest keys round up to 2**64, which has one bit more.
        return np.clip(np.frexp(keys.astype(np.float64))[1] - (65 - _BINS), 0, _BINS - 1)

    def add(self, concepts: np.ndarray, keys: np.ndarray) -> None:
        """Take matched captions into account, [N] indices of concepts and [N] keys."""
        bins = self._bins(keys)
        np.add.at(self._counts, (concepts, bins), 1)
        touched = np.unique(concepts)
        enough = np.cumsum(self._counts[touched], axis=1) >= self._largest
        self._limit[touched] = np.where(enough.any(axis=1), enough.argmax(axis=1), _BINS - 1)

    def may_be_in(self, concepts: np.ndarray, keys: np.ndarray) -> np.ndarray:
        """Return which of these matched captions may be in a sample, [N] bool."""
        return self._bins(keys) <= self._limit[concepts]


@dataclass
class _Held:
    """Matched captions that are not all in files yet."""

    tables: list[pa.Table] = field(default_factory=list)
    size: int = 0
    """Bytes of `tables`."""
    files: list[Path] = field(default_factory=list)
    """What was written before."""

    def add(self, tables: list[pa.Table]) -> list[pa.Table]:
        """Hold tables; return what is too much to hold, all of them or none."""
        self.tables += tables
        self.size += sum(table.nbytes for table in tables)
        return self.give_away() if self.size > _SPILL else []

    def give_away(self) -> list[pa.Table]:
        """Return the tables, and hold none any more."""
        tables, self.tables, self.size = self.tables, [], 0
        return tables


class MatchedWriter:
    """Takes matched captions from the threads of a pass, holds some megabytes, and writes files sorted by concept.

    Those of a shard may come from several threads. They are kept or forgotten together, once the shard has been read.
    """

    def __init__(self, folder: str | Path, schema: pa.Schema):
        """Write the files to `folder`; `schema` is that of matched captions."""
        self._folder, self._schema = Path(folder), schema
        self._lock, self._numbers = Lock(), itertools.count()
        self._whole = _Held()
        self._unfinished: dict[str, _Held] = {}

    @property
    def files(self) -> list[Path]:
        """What was written of whole shards."""
        return self._whole.files

    def add(self, shard: str, table: pa.Table) -> None:
        """Take matched captions of a shard that is being read."""
        with self._lock:
            held = self._unfinished.setdefault(shard, _Held())
            tables = held.add([table])
        self._write(tables, held)

    def commit(self, shard: str) -> None:
        """Keep the matched captions of a shard, which is whole: no thread adds to it any more."""
        with self._lock:
            held = self._unfinished.pop(shard, _Held())
            self._whole.files += held.files
            tables = self._whole.add(held.tables)
        self._write(tables, self._whole)

    def discard(self, shard: str) -> None:
        """Forget the matched captions of a shard, which is broken: no thread adds to it any more."""
        with self._lock:
            held = self._unfinished.pop(shard, _Held())
        for path in held.files:
            discard(path)

    def flush(self) -> None:
        """Write the matched captions of whole shards that are held; `files` then has all of them."""
        self._write(self._whole.give_away(), self._whole)

    def _write(self, tables: list[pa.Table], held: _Held) -> None:
        """Write a file of tables, if there are any, outside the lock: other threads go on meanwhile."""
        if not tables:
            return
        path = self._folder / f"{next(self._numbers)}.parquet"
        table = pa.concat_tables(tables).cast(self._schema)
        with atomic_write(path) as part:
            pq.write_table(_sorted(table), part, row_group_size=ROW_GROUP, compression="lz4", use_dictionary=_REPEATED)
        with self._lock:
            held.files.append(path)


def _sorted(table: pa.Table) -> pa.Table:
    return table.sort_by([("concept", "ascending"), ("shard", "ascending"), ("row", "ascending")])


def _coded(table: pa.Table, seed: int) -> tuple[list[str], np.ndarray, np.ndarray]:
    """Return the slugs in a table of matched captions, [N] each row's index into them, and [N] the keys."""
    concepts, shards = (table.column(name).combine_chunks().dictionary_encode() for name in ("concept", "shard"))
    slugs = concepts.dictionary.to_pylist()
    bases = np.array([concept_base(seed, slug) for slug in slugs], np.uint64)
    places = np.array([_number(shard) for shard in shards.dictionary.to_pylist()], np.uint64)
    index = concepts.indices.to_numpy()
    return slugs, index, sampling_keys(bases[index], places[shards.indices.to_numpy()], table.column("row").to_numpy())


class _SortedFile:
    """A file of matched captions, read concept by concept."""

    def __init__(self, path: Path, select: Callable[[pa.Table], pa.Table]):
        """Open the file at `path`; `select` picks the rows of a row group that may be in a sample."""
        file = pq.ParquetFile(path, pre_buffer=False)
        self._groups = self._read(file, select)
        self.table: pa.Table = file.schema_arrow.empty_table()
        """The rows that are held."""
        self.is_ended = False
        self.more()

    @staticmethod
    def _read(file: pq.ParquetFile, select: Callable[[pa.Table], pa.Table]) -> Iterator[pa.Table]:
        for group in range(file.num_row_groups):
            if len(table := select(file.read_row_group(group, use_threads=False))):
                yield table

    def more(self) -> None:
        """Hold one more row group."""
        table = next(self._groups, None)
        self.is_ended = table is None
        if table is not None:
            self.table = pa.concat_tables([self.table, table]) if len(self.table) else table

    @property
    def last(self) -> str:
        """The last concept of the rows that are held."""
        return self.table.column("concept")[-1].as_py()

    def take_before(self, concept: str | None) -> pa.Table:
        """Give away the matched captions of concepts before `concept`, or all where it is None."""
        table = self.table
        count = len(table) if concept is None else pc.sum(pc.less(table.column("concept"), concept)).as_py()
        self.table = table.slice(count)
        return table.slice(0, count)


def _sample(table: pa.Table, max_matched_captions: int, seed: int) -> pa.Table:
    """Return the samples of the concepts of `table`, sorted."""
    if len(table) <= max_matched_captions:
        return _sorted(table)
    _, concepts, keys = _coded(table, seed)
    order = np.lexsort((keys, concepts))
    starts = np.searchsorted(concepts[order], concepts[order])
    return _sorted(table.take(order[np.arange(len(order)) - starts < max_matched_captions]))


class _Selection:
    """Which rows of some files may be in a sample: what is known before the files are merged."""

    def __init__(self, files: Sequence[Path], max_matched_captions: int, seed: int):
        self._seed = seed
        self._bounds: Bounds | None = None
        if sum(pq.read_metadata(path).num_rows for path in files) <= max_matched_captions:
            return
        slugs = sorted({slug for path in files for slug in _concepts_of(path)})
        self._index_of = {slug: index for index, slug in enumerate(slugs)}
        self._bounds = Bounds(len(slugs), max_matched_captions)
        for path in files:
            file = pq.ParquetFile(path, pre_buffer=False)
            for batch in file.iter_batches(65536, columns=["concept", "shard", "row"]):
                self._bounds.add(*self._indexed(pa.Table.from_batches([batch])))

    def _indexed(self, table: pa.Table) -> tuple[np.ndarray, np.ndarray]:
        slugs, concepts, keys = _coded(table, self._seed)
        return np.array([self._index_of[slug] for slug in slugs])[concepts], keys

    def of(self, concepts: Collection[str] | None) -> Callable[[pa.Table], pa.Table]:
        """Return what picks the rows of a table that are of `concepts` (None: all) and within the bounds."""

        def select(table: pa.Table) -> pa.Table:
            if concepts is not None:
                table = table.filter(pc.is_in(table.column("concept"), pa.array(sorted(concepts), pa.string())))
            if self._bounds is None or not len(table):
                return table
            return table.filter(pa.array(self._bounds.may_be_in(*self._indexed(table))))

        return select


def _samples(sources: list[_SortedFile], max_matched_captions: int, seed: int) -> Iterator[pa.Table]:
    """Yield the samples of some concepts at a time, in order of slug."""
    sources = [source for source in sources if len(source.table)]
    while sources:
        # Of the concepts before this one, every matched caption is held.
        first_open = min((source.last for source in sources if not source.is_ended), default=None)
        taken = pa.concat_tables([source.take_before(first_open) for source in sources])
        for source in sources:
            if not source.is_ended and (not len(source.table) or source.last == first_open):
                source.more()
        sources = [source for source in sources if len(source.table)]
        if len(taken):
            yield _sample(taken, max_matched_captions, seed)


# This merge is ours and not duckdb's (no dependency, not timed): the scan samples by the same keys and bounds,
# and one pass merges files that are already sorted, where a window function would sort them again.
def merge_matched(
    files: Sequence[Path],
    target: str | Path,
    *,
    schema: pa.Schema,
    max_matched_captions: int,
    seed: int,
    only: Sequence[Collection[str] | None] | None = None,
    threads: int = 1,
) -> None:
    """Merge files of matched captions, each sorted by concept, into one that holds a sample of each concept.

    Memory does not grow with the number of matched captions: each file is read a row group at a time.

    Args:
        files: paths of Parquet files with the columns of `schema`.
        target: path of the file to write, sorted by concept, shard and row, so that a concept's rows read without the
            rest.
        schema: of the file, with its metadata.
        max_matched_captions: largest sample of a concept.
        seed: of the keys.
        only: for each file the concepts to take from it; None for all.
        threads: with more than one, a thread of its own writes what the other has merged.

    Raises:
        DataError: a file has other columns.
    """
    for path in files:
        if (found := pq.read_schema(path).names) != schema.names:
            raise DataError(
                f"{path}: its columns are {', '.join(found)}, not {', '.join(schema.names)}; count it again"
            )
    selection = _Selection(files, max_matched_captions, seed)
    sources = [
        _SortedFile(path, selection.of(concepts))
        for path, concepts in zip(files, only or [None] * len(files), strict=True)
    ]
    with (
        atomic_write(target) as part,
        pq.ParquetWriter(part, schema, compression="zstd", use_dictionary=_REPEATED) as writer,
        ThreadPoolExecutor(1) as pool,
    ):
        written: Future[None] | None = None
        for table in _of_row_groups(_samples(sources, max_matched_captions, seed)):
            if threads == 1:
                writer.write_table(table, row_group_size=ROW_GROUP)
                continue
            if written:
                written.result()  # so that no more than one table waits
            written = pool.submit(writer.write_table, table, row_group_size=ROW_GROUP)
        if written:
            written.result()


def _of_row_groups(tables: Iterable[pa.Table]) -> Iterator[pa.Table]:
    """Yield the rows of `tables` in tables that fill a row group each, but for the last."""
    held: list[pa.Table] = []
    for table in tables:
        held.append(table)
        if sum(map(len, held)) >= ROW_GROUP:
            yield pa.concat_tables(held)
            held = []
    if held:
        yield pa.concat_tables(held)


def _concepts_of(path: Path) -> Iterator[str]:
    file = pq.ParquetFile(path, pre_buffer=False)
    for batch in file.iter_batches(65536, columns=["concept"]):
        yield from batch.column(0).unique().to_pylist()
