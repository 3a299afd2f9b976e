"""A uniform sample of the captions of a corpus that name no concept of a sheet."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
from tqdm import tqdm

from fit.captions.matched_captions import concept_base, sampling_keys
from fit.captions.matcher import Matcher, as_text, carried
from fit.captions.settings import ReadingSettings, SamplingSettings
from fit.captions.sources import usable_captions
from fit.captions.tables import MATCHED
from fit.concepts.sheet import Concept
from fit.errors import CorpusError, DataError
from fit.io.concept_tables import with_concepts
from fit.io.parquet import open_parquet, write

UNNAMED = "unnamed"
"""What stands for a concept in the tables of the sample."""
_KEY = b"unnamed"
_KEYS = 2.0**64


@dataclass(frozen=True)
class Population:
    """The captions that the sample was drawn from."""

    rows: int
    """Rows of the corpus that were read."""
    captions: int
    """How many of them name no concept; rows without a caption are among them."""
    is_exact: bool
    """Whether they were counted, because the sample has them all; else estimated, with a standard error of one part in
    the root of the sample's size."""


class _Smallest:
    """Keeps the rows of the smallest keys."""

    def __init__(self, size: int):
        self._size = size
        self._keys: list[np.ndarray] = []
        self._tables: list[pa.Table] = []
        self.cutoff = np.uint64(2**64 - 1)
        """The largest key that may still be kept."""
        self.is_cut = False

    def add(self, keys: np.ndarray, table: pa.Table) -> None:
        """Take rows of `table` with their keys [N]."""
        self._keys.append(keys)
        self._tables.append(table)
        if sum(map(len, self._keys)) > 2 * self._size:
            self._cut()

    def _cut(self) -> None:
        keys, table = np.concatenate(self._keys), pa.concat_tables(self._tables)
        if len(keys) > self._size:
            kept = np.argsort(keys, kind="stable")[: self._size]
            keys, table = keys[kept], table.take(pa.array(kept))
            self.cutoff, self.is_cut = keys[-1], True
        self._keys, self._tables = [keys], [table.combine_chunks()]

    def kept(self) -> tuple[np.ndarray, pa.Table]:
        """Return (keys, rows) that are kept."""
        if self._keys:
            self._cut()
            return self._keys[0], self._tables[0]
        return np.zeros(0, np.uint64), MATCHED.empty_table()


def _unnamed_of(
    batch: pa.RecordBatch, first_row: int, shard: str, base: int, matcher: Matcher, smallest: _Smallest
) -> None:
    """Take into account the rows of a batch: captions and addresses."""
    rows = np.arange(first_row, first_row + len(batch))
    keys = sampling_keys(np.full(len(rows), base, np.uint64), shard, rows)
    # Captions whose key is too large are not looked at, so that matching costs little beside reading.
    here = np.flatnonzero(keys <= smallest.cutoff)
    if not len(here):
        return
    column, url = (batch.column(i).take(pa.array(here)) for i in range(2))
    captions, named, _, _ = matcher.mentions(as_text(column))
    unnamed = np.setdiff1d(np.arange(len(here)), named)
    where = pa.array(unnamed)
    arrays = [
        pa.array([UNNAMED] * len(unnamed), pa.string()),
        pa.array([shard] * len(unnamed), pa.string()),
        pa.array(rows[here][unnamed]),
        carried(url.take(where)),
        carried(captions.take(where)),
    ]
    smallest.add(keys[here][unnamed], pa.Table.from_arrays(arrays, schema=MATCHED))


def sample_unnamed(
    concepts: Sequence[Concept],
    files: Sequence[str],
    size: int,
    sampling: SamplingSettings,
    reading: ReadingSettings,
    seed: int,
) -> tuple[pa.Table, Population]:
    """Draw a uniform sample of the captions that name no concept, in one pass over the files of a corpus.

    A row's key is a hash of its place and the seed, as for matched captions. The sample has the smallest keys, so it
    does not depend on the order of files.

    Args:
        concepts: of the sheet.
        files: as fit.captions.sources.open_captions takes them.
        size: of the sample; all such captions, if there are fewer.
        sampling: which columns hold what, and what a mention is.
        reading: how files are read; one that cannot be read is left out if they say so, and that is said.
        seed: of the sample.

    Returns:
        (table of the schema MATCHED, sorted by shard and row, in which each row is of UNNAMED; Population). The number
        of captions is (n - 1) / u, where the n-th smallest of keys that are uniform in 0 to 1 is u (Bar-Yossef et al.
        2002, doi 10.1007/3-540-45726-7_1).

    Raises:
        CorpusError: a file is not usable, or there is no row.
        SheetError: a name has no token.
    """
    matcher = Matcher(concepts, sampling.tokens, sampling.fold_accents)
    base, columns = concept_base(seed, UNNAMED), [sampling.caption_column, sampling.url_column]
    smallest, total = _Smallest(size), 0
    with tqdm(desc="captions", unit="row", unit_scale=True, mininterval=2) as progress:
        for shard in usable_captions(files, columns, columns[:1], reading):
            rows = 0
            for batch in shard.batches(columns):
                _unnamed_of(batch, rows, shard.name, base, matcher, smallest)
                rows += len(batch)
                progress.update(len(batch))
            total += rows
    if not total:
        raise CorpusError(
            f"{', '.join(map(str, files[:3]))}: no caption was read; check that these are the right files"
        )
    keys, table = smallest.kept()
    count = round((len(keys) - 1) / (float(keys.max()) / _KEYS)) if smallest.is_cut and len(keys) > 1 else len(keys)
    population = Population(total, min(count, total), not smallest.is_cut)
    return table.sort_by([("shard", "ascending"), ("row", "ascending")]), population


def write_sample(table: pa.Table, population: Population, path: str | Path) -> None:
    """Write a sample as a table of matched captions, whose metadata say what it was drawn from."""
    schema = with_concepts(MATCHED, [UNNAMED])
    told = {**(schema.metadata or {}), _KEY: json.dumps(vars(population)).encode()}
    write(table.replace_schema_metadata(told), path, row_group=4096)


def read_population(path: str | Path) -> Population:
    """Return what a sample was drawn from.

    Raises:
        ImageTableError: it is missing, or not Parquet.
        DataError: another command wrote it.
    """
    told = (open_parquet(path).schema_arrow.metadata or {}).get(_KEY)
    if told is None:
        raise DataError(f"{path}: it does not say what it was drawn from; name the file that `fit missed sample` wrote")
    return Population(**json.loads(told))
