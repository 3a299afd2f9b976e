"""Counts the captions that mention each concept, in one pass over the files of a corpus."""

from collections import Counter, deque
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock, local
from typing import Any

import numpy as np
import pyarrow as pa
from tqdm import tqdm

from fit.captions import matched_captions
from fit.captions.matcher import Matcher, as_text, carried
from fit.captions.phrases import Phrases
from fit.captions.settings import ReadingSettings, SamplingSettings
from fit.captions.sources import open_captions
from fit.captions.sources.base import shard_name
from fit.captions.tables import (
    SHARDS,
    CountFiles,
    check_some_row,
    counts_table,
    matched_schema,
    names_table,
    shards_table,
)
from fit.concepts.sheet import Concept
from fit.errors import CorpusError
from fit.io.files import temporary_folder

_BROKEN = (pa.ArrowException, ValueError, TypeError, AttributeError, RecursionError)
"""What libraries raise on a file that is not what its name promises. Errors of the disk are not among them."""
_BYTES_PER_ROW = 200  # an estimate, of formats that do not say how many rows a file has


def _as_corpus_error(path: str, problem: Exception) -> CorpusError:
    if isinstance(problem, CorpusError):
        return problem
    why = str(problem).partition("\n")[0] or type(problem).__name__
    return CorpusError(
        f"{path}: not a readable file of captions ({why}); fetch or make it again, or go on without it: "
        "`on_bad_shard: skip`"
    )


@dataclass(frozen=True)
class CountJob:
    """Files of captions, and how they are read and sampled."""

    files: Sequence[str]
    """As fit.captions.sources.open_captions takes them; their names differ."""
    sampling: SamplingSettings
    reading: ReadingSettings
    seed: int = 0
    """Of the samples."""
    threads: int = 1
    """How many files are read at once."""
    is_part: bool = False
    """Whether the files are a part of a corpus, which may have no row."""
    is_silent: bool = False
    """Whether no progress is shown on stderr."""

    @property
    def columns(self) -> list[str]:
        """The columns to read: the caption, and the others where there is a sample."""
        sampling = self.sampling
        others = [sampling.url_column, *sampling.columns] if sampling.max_matched_captions else []
        return [sampling.caption_column, *others]

    def check(self) -> tuple[int, list[str]]:
        """Look at every file before the first is read: a bad one should not be found after an hour of good ones.

        Returns:
            (rows, fingerprints): how many rows there are, estimated where a format does not say; a list that changes
            when a file does.

        Raises:
            CorpusError: two files have the same name, or one is not usable and is not to be skipped.
        """
        for name, times in Counter(shard_name(str(file)) for file in self.files).items():
            if times > 1:
                raise CorpusError(
                    f"{name}: two files of the corpus have this name; rename one, since rows are told apart by it"
                )
        rows, fingerprints = 0, []
        for file in self.files:
            try:
                shard = open_captions(file, self.reading.encoding)
                shard.check(self.columns, self.columns[:1])
            except (CorpusError, *_BROKEN) as problem:
                error = _as_corpus_error(file, problem)
                if self.reading.on_bad_shard == "fail":
                    raise error from None
                fingerprints.append(str(error))
                continue
            rows += shard.rows if shard.rows is not None else shard.size // _BYTES_PER_ROW
            fingerprints.append(shard.fingerprint)
        return rows, fingerprints


@dataclass
class _Tally:
    """What shards add up to."""

    of_names: np.ndarray
    """[names] int64, captions that mention each; the next two are of the same shape, see fit.captions.tables.NAMES."""
    capitalising: np.ndarray
    in_lower_case: np.ndarray
    of_concepts: np.ndarray
    """[concepts] int64."""
    rows: int = 0
    null_captions: int = 0
    malformed_captions: int = 0
    bounds: matched_captions.Bounds | None = field(default=None, repr=False)
    """Of the samples of one shard; None without samples."""

    @classmethod
    def of(cls, phrases: Phrases, max_matched_captions: int = 0) -> "_Tally":
        """Begin with nothing."""
        names, concepts = len(phrases.names), len(phrases.concepts)
        of_names, capitalising, in_lower_case = (np.zeros(names, np.int64) for _ in range(3))
        found = cls(of_names, capitalising, in_lower_case, np.zeros(concepts, np.int64))
        if max_matched_captions:
            found.bounds = matched_captions.Bounds(concepts, max_matched_captions)
        return found

    def add(self, other: "_Tally") -> None:
        """Add the mentions of another shard."""
        for name in ("of_names", "capitalising", "in_lower_case", "of_concepts"):
            getattr(self, name)[:] += getattr(other, name)


class _Pass:
    """One pass over the files of a corpus, in several threads."""

    def __init__(self, concepts: Sequence[Concept], job: CountJob, folder: Path, progress: tqdm):
        self.job = job
        self.matcher = Matcher(concepts, job.sampling.tokens, job.sampling.fold_accents)
        self.phrases = self.matcher.phrases
        self.writers: list[matched_captions.MatchedWriter] = []
        self.is_stopped = False
        self._schema = matched_schema(job.sampling.columns)
        self._folder, self._progress, self._lock, self._local = folder, progress, Lock(), local()
        self._columns = job.columns
        self._bases = np.array([matched_captions.concept_base(job.seed, c) for c in self.phrases.concepts], np.uint64)
        self._slugs = pa.array(self.phrases.concepts, pa.string())
        self._one_word = {
            index: name.lower()
            for index, name in enumerate(self.phrases.names)
            if " " not in self.phrases.phrase_of[index]
        }

    def _writer(self) -> matched_captions.MatchedWriter:
        if not hasattr(self._local, "writer"):
            self._local.writer = matched_captions.MatchedWriter(self._folder, self._schema)
            with self._lock:
                self.writers.append(self._local.writer)
        return self._local.writer

    def count(self, path: str) -> tuple[_Tally | None, dict[str, Any]]:
        """Count one shard.

        Returns:
            (tally, row): its _Tally, None where it is skipped, and its row of SHARDS.

        Raises:
            CorpusError: it is broken, and is not to be skipped; or the pass was stopped meanwhile.
        """
        writer, known_rows = self._writer(), None
        try:
            shard = open_captions(path, self.job.reading.encoding)
            known_rows = shard.rows
            shard.check(self._columns, self._columns[:1])
            tally = _Tally.of(self.phrases, self.job.sampling.max_matched_captions)
            for batch in shard.batches(self._columns):
                if self.is_stopped:
                    raise CorpusError(f"{path}: not read to its end, since another file failed")
                self._count_batch(tally, shard.name, batch, writer)
                with self._lock:
                    self._progress.update(len(batch))
            shard.check_captions(tally.rows, tally.null_captions)
        except (CorpusError, *_BROKEN) as problem:
            error = _as_corpus_error(path, problem)
            writer.discard()
            if self.job.reading.on_bad_shard == "fail":
                raise error from None
            name = shard_name(str(path))
            return None, dict(zip(SHARDS.names, (name, "skipped", known_rows, None, None, str(error)), strict=True))
        writer.commit()
        tally.bounds = None
        row = (shard.name, "ok", tally.rows, tally.null_captions, tally.malformed_captions, None)
        return tally, dict(zip(SHARDS.names, row, strict=True))

    def _count_batch(
        self, tally: _Tally, shard: str, batch: pa.RecordBatch, writer: matched_captions.MatchedWriter
    ) -> None:
        captions, rows, names, malformed = self.matcher.mentions(as_text(batch.column(0)))
        first_row = tally.rows
        tally.rows += len(batch)
        tally.null_captions += captions.null_count
        tally.malformed_captions += malformed
        tally.of_names += np.bincount(names, minlength=len(tally.of_names))
        count = len(self.phrases.concepts)
        rows_of_concepts, concepts = np.divmod(np.unique(rows * count + self.phrases.concept_of[names]), count)
        tally.of_concepts += np.bincount(concepts, minlength=count)
        self._look_at_capitals(tally, captions, rows, names)
        if tally.bounds is None or not len(concepts):
            return
        keys = matched_captions.sampling_keys(self._bases[concepts], shard, first_row + rows_of_concepts)
        tally.bounds.add(concepts, keys)
        kept = tally.bounds.may_be_in(concepts, keys)
        concepts, rows_of_concepts = concepts[kept], rows_of_concepts[kept]
        where = pa.array(rows_of_concepts)
        url, *others = [carried(batch.column(i).take(where)) for i in range(1, batch.num_columns)]
        fixed = [self._slugs.take(pa.array(concepts)), pa.array([shard] * len(concepts), pa.string())]
        fixed += [pa.array(first_row + rows_of_concepts), url, captions.take(where)]
        arrays = [*fixed, *others]
        writer.add(pa.Table.from_arrays(arrays, names=self._schema.names).cast(self._schema))

    def _look_at_capitals(self, tally: _Tally, captions: pa.Array, rows: np.ndarray, names: np.ndarray) -> None:
        """Count whether names of one word are written like names, where a caption uses capitals at all."""
        if not self._one_word:
            return
        mine = np.isin(names, np.fromiter(self._one_word, np.int64))
        texts = captions.take(pa.array(rows[mine])).to_pylist()
        for text, name in zip(texts, names[mine].tolist(), strict=True):
            if text != text.lower():
                tally.capitalising[name] += 1
                tally.in_lower_case[name] += self._one_word[name] in text


def scan(concepts: Sequence[Concept], job: CountJob, outputs: CountFiles, expected_rows: int) -> None:
    """Count concepts in one pass over the files of a corpus; the folders of `outputs` exist.

    Args:
        concepts: of the sheet.
        job: its files have been checked.
        outputs: the files to write.
        expected_rows: as CountJob.check says, for the progress bar.

    Raises:
        CorpusError: a file is broken, or there is no row.
        SheetError: a name has no token.
    """
    with (
        temporary_folder(outputs.matched_captions.parent, ".matched-") as folder,
        tqdm(
            total=expected_rows, desc="captions", unit="row", unit_scale=True, mininterval=2, disable=job.is_silent
        ) as progress,
        ThreadPoolExecutor(job.threads) as pool,
    ):
        one_pass = _Pass(concepts, job, folder, progress)
        phrases = one_pass.phrases
        total = _Tally.of(phrases)
        shard_rows = []
        jobs = deque(pool.submit(one_pass.count, file) for file in job.files)
        try:
            while jobs:
                tally, row = jobs.popleft().result()
                shard_rows.append(row)
                if tally:
                    total.add(tally)
        except BaseException:
            one_pass.is_stopped = True
            pool.shutdown(cancel_futures=True)
            raise
        check_some_row(shard_rows, job.is_part)
        for writer in one_pass.writers:
            writer.flush()
        matched_captions.merge_matched(
            [path for writer in one_pass.writers for path in writer.files],
            outputs.matched_captions,
            schema=matched_schema(job.sampling.columns, phrases.concepts),
            max_matched_captions=job.sampling.max_matched_captions,
            seed=job.seed,
            threads=job.threads,
        )
    shards = shards_table(shard_rows)
    outputs.write(
        counts_table(phrases.concepts, total.of_concepts, shards),
        names_table(phrases, total.of_names, total.capitalising, total.in_lower_case),
        shards,
    )
