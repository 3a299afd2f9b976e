"""Samples of the captions that mention concepts, without holding them in memory.

A matched caption is a concept and a row of a shard. Its key is a hash of both and a seed; a concept's sample is its matched captions of
smallest keys. So a sample is uniform, the same in whatever order and in however many jobs the shards are read, and the
sample of a whole is that of its parts' samples together.
"""

from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from fit.errors import DataError
from fit.io.files import atomic_write, discard

FIXED = [
    ("concept", pa.string()),
    ("shard", pa.string()),
    ("row", pa.int64()),
    ("url", pa.string()),
    ("caption", pa.string()),
]
"""Columns of every table of matched captions; those that the configuration names besides follow."""

ROW_GROUP = 4096
_SPILL = 32 << 20  # bytes of matched captions that a thread holds before it writes them down
_BINS = 40


def _number(text):
    return int.from_bytes(blake2b(text.encode(), digest_size=8).digest(), "little")


def sampling_keys(bases, shard, rows):
    """The keys of matched captions.

    Args:
        bases: [N] uint64, each matched caption's concept as `concept_base` has it.
        shard: name of the shard, or [N] uint64 of `_number` of each matched caption's.
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


def concept_base(seed, concept):
    """What a concept's keys derive from, an integer."""
    return _number(f"{seed}\0{concept}")


class Bounds:
    """Tells which matched captions can't be in a sample any more, in memory that does not grow with the matched captions.

    It counts a concept's keys by their size in bits. Once those up to some size are enough for a sample, larger ones
    are not needed; so at most about twice a sample is kept.
    """

    def __init__(self, concepts, max_matched_captions):
        """For `concepts` concepts."""
        self._largest = max_matched_captions
        self._counts = np.zeros((concepts, _BINS), np.int32)
        self._limit = np.full(concepts, _BINS - 1)

    @staticmethod
    def _bins(keys):
        # The largest keys round up to 2**64, which has one bit more.
        return np.clip(np.frexp(keys.astype(np.float64))[1] - (65 - _BINS), 0, _BINS - 1)

    def add(self, concepts, keys):
        """Take matched captions into account, [N] indices of concepts and [N] keys."""
        bins = self._bins(keys)
        np.add.at(self._counts, (concepts, bins), 1)
        touched = np.unique(concepts)
        enough = np.cumsum(self._counts[touched], axis=1) >= self._largest
        self._limit[touched] = np.where(enough.any(axis=1), enough.argmax(axis=1), _BINS - 1)

    def may_be_in(self, concepts, keys):
        """[N] bool: which of these matched captions may be in a sample."""
        return self._bins(keys) <= self._limit[concepts]


class MatchedWriter:
    """Takes matched captions shard by shard, holds some megabytes of them, and writes the others to files sorted by concept."""

    def __init__(self, folder, schema):
        """Files go to `folder`; `schema` is that of matched captions."""
        self._folder, self._schema = Path(folder), schema
        self._held, self._size, self._written = [], 0, []
        self._held_whole, self._size_whole, self.files = [], 0, []

    def add(self, table):
        """Take matched captions of the present shard."""
        self._held.append(table)
        self._size += table.nbytes
        if self._size > _SPILL:
            self._written.append(self._spill(self._held))
            self._held, self._size = [], 0

    def commit(self):
        """The present shard is whole."""
        self.files += self._written
        self._held_whole += self._held
        self._size_whole += self._size
        self._held, self._size, self._written = [], 0, []
        if self._size_whole > _SPILL:
            self.flush()

    def discard(self):
        """The present shard is broken: forget its matched captions."""
        for path in self._written:
            discard(path)
        self._held, self._size, self._written = [], 0, []

    def flush(self):
        """Write down the matched captions of whole shards; `files` then has all of them."""
        if self._held_whole:
            self.files.append(self._spill(self._held_whole))
        self._held_whole, self._size_whole = [], 0

    def _spill(self, tables):
        path = self._folder / f"{id(self)}-{len(self.files)}-{len(self._written)}.parquet"
        table = pa.concat_tables(tables).cast(self._schema)
        pq.write_table(_sorted(table), path, row_group_size=ROW_GROUP, compression="lz4")
        return path


def _sorted(table):
    return table.sort_by([("concept", "ascending"), ("shard", "ascending"), ("row", "ascending")])


def _coded(table, seed):
    """The concepts of a table of matched captions as (slugs, [N] index into them), and [N] the keys."""
    concepts, shards = (table.column(name).combine_chunks().dictionary_encode() for name in ("concept", "shard"))
    slugs = concepts.dictionary.to_pylist()
    bases = np.array([concept_base(seed, slug) for slug in slugs], np.uint64)
    places = np.array([_number(shard) for shard in shards.dictionary.to_pylist()], np.uint64)
    index = concepts.indices.to_numpy()
    return slugs, index, sampling_keys(bases[index], places[shards.indices.to_numpy()], table.column("row").to_numpy())


class _SortedHits:
    """A file of matched captions, read concept by concept."""

    def __init__(self, path, concepts, wanted):
        self._groups = self._read(pq.ParquetFile(path, pre_buffer=False), concepts, wanted)
        self.table: Any = None
        self.ended = False
        self.more()

    @staticmethod
    def _read(file, concepts, wanted):
        for group in range(file.num_row_groups):
            if len(table := wanted(file.read_row_group(group, use_threads=False), concepts)):
                yield table

    def more(self):
        """Hold a row group more."""
        table = next(self._groups, None)
        self.ended = table is None
        if table is not None:
            self.table = pa.concat_tables([self.table, table]) if self.table is not None else table

    @property
    def last(self):
        """The last concept of those held."""
        return self.table.column("concept")[-1].as_py()

    def take_before(self, concept):
        """Give away the matched captions of concepts before `concept`, or all where it is None."""
        table = self.table
        count = len(table) if concept is None else pc.sum(pc.less(table.column("concept"), concept)).as_py()
        self.table = table.slice(count) if count < len(table) else None
        return table.slice(0, count)


def _sample(table, max_matched_captions, seed):
    """The samples of the concepts of `table`, sorted."""
    _, concepts, keys = _coded(table, seed)
    order = np.lexsort((keys, concepts))
    starts = np.searchsorted(concepts[order], concepts[order])
    return _sorted(table.take(order[np.arange(len(order)) - starts < max_matched_captions]))


def merge_matched(files, target, *, schema, max_matched_captions, seed, only=None):
    """Merge files of matched captions, each sorted by concept, into one that holds a sample of each concept.

    Memory does not grow with the matched captions: each file is read a row group at a time.

    Args:
        files: paths of Parquet files with the columns of `schema`.
        target: path of the file to write, sorted by concept, shard and row, so that a concept's rows read without the
            rest.
        max_matched_captions: largest sample of a concept; seed: of the keys.
        only: for each file the concepts to take from it; None for all.

    Raises:
        DataError: a file has other columns.
    """
    for path in files:
        if (found := pq.read_schema(path).names) != schema.names:
            raise DataError(f"{path}: its columns are {', '.join(found)}, not {', '.join(schema.names)}; count it anew")
    only = only or [None] * len(files)
    index_of: dict[str, int] = {}
    total = sum(pq.read_metadata(path).num_rows for path in files)
    bounds = None
    if total > max_matched_captions:
        slugs = {slug for path in files for slug in _concepts_of(path)}
        index_of = {slug: index for index, slug in enumerate(sorted(slugs))}
        bounds = Bounds(len(index_of), max_matched_captions)

    def coded(table):
        slugs, concepts, keys = _coded(table, seed)
        return np.array([index_of[slug] for slug in slugs])[concepts], keys

    def wanted(table, concepts):
        if concepts is not None:
            table = table.filter(pc.is_in(table.column("concept"), pa.array(sorted(concepts), pa.string())))
        return table.filter(pa.array(bounds.may_be_in(*coded(table)))) if bounds and len(table) else table

    if bounds:
        for path in files:
            file = pq.ParquetFile(path, pre_buffer=False)
            for batch in file.iter_batches(65536, columns=["concept", "shard", "row"]):
                bounds.add(*coded(pa.Table.from_batches([batch])))
    with atomic_write(target) as part, pq.ParquetWriter(part, schema, compression="zstd") as writer:
        held, rows = [], 0
        sources = [
            s for s in (_SortedHits(*one, wanted) for one in zip(files, only, strict=True)) if s.table is not None
        ]
        while sources:
            # Of the concepts before this one, every matched caption is held.
            first_open = min((source.last for source in sources if not source.ended), default=None)
            taken = pa.concat_tables([source.take_before(first_open) for source in sources])
            for source in sources:
                if not source.ended and (source.table is None or source.last == first_open):
                    source.more()
            sources = [source for source in sources if source.table is not None]
            if len(taken):
                held.append(_sample(taken, max_matched_captions, seed))
                rows += len(held[-1])
            if rows >= ROW_GROUP:
                writer.write_table(pa.concat_tables(held), row_group_size=ROW_GROUP)
                held, rows = [], 0
        if held:
            writer.write_table(pa.concat_tables(held), row_group_size=ROW_GROUP)


def _concepts_of(path):
    file = pq.ParquetFile(path, pre_buffer=False)
    for batch in file.iter_batches(65536, columns=["concept"]):
        yield from batch.column(0).unique().to_pylist()
