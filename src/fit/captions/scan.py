"""Counts the captions that mention each concept, in one pass over the files of a corpus."""

from collections import Counter, deque
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from threading import Lock

import numpy as np
import pyarrow as pa
from tqdm import tqdm

from fit.captions import matched_captions
from fit.captions.matcher import Matcher, as_text, carried
from fit.captions.settings import ReadingSettings, SamplingSettings
from fit.captions.shard import Shard, Tally
from fit.captions.sources import open_captions
from fit.captions.sources.base import shard_name
from fit.captions.tables import (
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
_PIECES_PER_THREAD = 4  # so that the last piece is short, and files that are many anyway are not split


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
    """How many files, or pieces of them, are read at once."""
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

    def pieces(self, rows: Sequence[int]) -> list[int]:
        """Return into how many pieces to split each file, so that no thread waits long for the others at the end.

        Args:
            rows: how many rows each file has, or 0.
        """
        if self.threads == 1:
            return [1] * len(rows)
        wanted, total = self.threads * _PIECES_PER_THREAD, max(1, sum(rows))
        return [max(1, round(wanted * count / total)) for count in rows]

    def check(self) -> tuple[list[int], list[str]]:
        """Look at every file before the first is read: a bad one should not be found after an hour of good ones.

        Returns:
            (rows, fingerprints): how many rows each file has, estimated where a format does not say, 0 if it is not
            usable; a list that changes when a file does.

        Raises:
            CorpusError: two files have the same name, or one is not usable and is not to be skipped.
        """
        for name, times in Counter(shard_name(str(file)) for file in self.files).items():
            if times > 1:
                raise CorpusError(
                    f"{name}: two files of the corpus have this name; rename one, since rows are told apart by it"
                )
        rows, fingerprints = [], []
        for file in self.files:
            try:
                shard = open_captions(file, self.reading.encoding)
                shard.check(self.columns, self.columns[:1])
            except (CorpusError, *_BROKEN) as problem:
                error = _as_corpus_error(file, problem)
                if self.reading.on_bad_shard == "fail":
                    raise error from None
                rows.append(0)
                fingerprints.append(str(error))
                continue
            rows.append(shard.rows if shard.rows is not None else shard.size // _BYTES_PER_ROW)
            fingerprints.append(shard.fingerprint)
        return rows, fingerprints


class _Pass:
    """One pass over the files of a corpus, in several threads."""

    def __init__(self, concepts: Sequence[Concept], job: CountJob, folder: Path, progress: tqdm):
        self.job = job
        self.matcher = Matcher(concepts, job.sampling.tokens, job.sampling.fold_accents)
        self.phrases = self.matcher.phrases
        self.is_stopped = False
        self._schema = matched_schema(job.sampling.columns)
        self.writer = matched_captions.MatchedWriter(folder, self._schema)
        self._progress, self._lock = progress, Lock()
        self._columns = job.columns
        self._bases = np.array([matched_captions.concept_base(job.seed, c) for c in self.phrases.concepts], np.uint64)
        self._slugs = pa.array(self.phrases.concepts, pa.string())
        self._one_word = {
            index: name.lower()
            for index, name in enumerate(self.phrases.names)
            if " " not in self.phrases.phrase_of[index]
        }

    def count(self, shard: Shard, number: int) -> None:
        """Count a piece of a file. Where it is the last to end, what was found in the file is kept or discarded.

        Raises:
            CorpusError: the piece, or the file as a whole, is broken, and is not to be skipped; or the pass was stopped
                meanwhile.
        """
        tally, error = Tally.of(self.phrases), None
        try:
            self._count_piece(shard, number, tally)
        except (CorpusError, *_BROKEN) as problem:
            error = _as_corpus_error(shard.path, problem)
            shard.fail(number, error)
        if shard.end_piece(tally):
            error = self._end(shard, number) or error
        if error and self.job.reading.on_bad_shard == "fail":
            raise error from None

    def _count_piece(self, shard: Shard, number: int, tally: Tally) -> None:
        first_row, batches = shard.piece(number, self._columns, self.job.reading.encoding)
        largest = self.job.sampling.max_matched_captions
        bounds = matched_captions.Bounds(len(self.phrases.concepts), largest) if largest else None
        for batch in batches:
            if self.is_stopped:
                raise CorpusError(f"{shard.path}: not read to its end, since another file failed")
            if shard.is_broken_before(number):
                return
            matched = self._count_batch(tally, bounds, shard.name, first_row + tally.rows, batch)
            if matched is not None:
                self.writer.add(shard.name, matched)
            tally.rows += len(batch)
            with self._lock:
                self._progress.update(len(batch))

    def _end(self, shard: Shard, number: int) -> CorpusError | None:
        """Keep or discard what was found in a file; return what is wrong with it as a whole, found by a piece."""
        error = None
        if not shard.is_broken:
            try:
                shard.check_captions()
            except CorpusError as problem:
                error = problem
                shard.fail(number, error)
        if shard.is_broken:
            self.writer.discard(shard.name)
        else:
            self.writer.commit(shard.name)
        shard.close()
        return error

    def _count_batch(
        self, tally: Tally, bounds: matched_captions.Bounds | None, shard: str, first_row: int, batch: pa.RecordBatch
    ) -> pa.Table | None:
        """Count a batch whose first row is `first_row` of its file; return its matched captions, if any."""
        captions, rows, names, malformed = self.matcher.mentions(as_text(batch.column(0)))
        tally.null_captions += captions.null_count
        tally.malformed_captions += malformed
        tally.of_names += np.bincount(names, minlength=len(tally.of_names))
        count = len(self.phrases.concepts)
        rows_of_concepts, concepts = np.divmod(np.unique(rows * count + self.phrases.concept_of[names]), count)
        tally.of_concepts += np.bincount(concepts, minlength=count)
        self._look_at_capitals(tally, captions, rows, names)
        if bounds is None or not len(concepts):
            return None
        keys = matched_captions.sampling_keys(self._bases[concepts], shard, first_row + rows_of_concepts)
        bounds.add(concepts, keys)
        kept = bounds.may_be_in(concepts, keys)
        concepts, rows_of_concepts = concepts[kept], rows_of_concepts[kept]
        where = pa.array(rows_of_concepts)
        url, *others = [carried(batch.column(i).take(where)) for i in range(1, batch.num_columns)]
        fixed = [self._slugs.take(pa.array(concepts)), pa.array([shard] * len(concepts), pa.string())]
        fixed += [pa.array(first_row + rows_of_concepts), url, captions.take(where)]
        arrays = [*fixed, *others]
        return pa.Table.from_arrays(arrays, names=self._schema.names).cast(self._schema)

    def _look_at_capitals(self, tally: Tally, captions: pa.Array, rows: np.ndarray, names: np.ndarray) -> None:
        """Count whether names of one word are written like names, where a caption uses capitals at all."""
        if not self._one_word:
            return
        mine = np.isin(names, np.fromiter(self._one_word, np.int64))
        texts = captions.take(pa.array(rows[mine])).to_pylist()
        for text, name in zip(texts, names[mine].tolist(), strict=True):
            if text != text.lower():
                tally.capitalising[name] += 1
                tally.in_lower_case[name] += self._one_word[name] in text


def scan(concepts: Sequence[Concept], job: CountJob, outputs: CountFiles, rows: Sequence[int]) -> None:
    """Count concepts in one pass over the files of a corpus; the folders of `outputs` exist.

    Args:
        concepts: of the sheet.
        job: its files have been checked.
        outputs: the files to write.
        rows: of each file, as CountJob.check says.

    Raises:
        CorpusError: a file is broken, or there is no row.
        SheetError: a name has no token.
    """
    with (
        temporary_folder(outputs.matched_captions.parent, ".matched-") as folder,
        tqdm(
            total=sum(rows), desc="captions", unit="row", unit_scale=True, mininterval=2, disable=job.is_silent
        ) as progress,
        ThreadPoolExecutor(job.threads) as pool,
    ):
        one_pass = _Pass(concepts, job, folder, progress)
        phrases = one_pass.phrases
        total = Tally.of(phrases)
        shard_rows = []
        jobs: deque[tuple[Shard, list[Future[None]]]] = deque()
        for path, count in zip(job.files, job.pieces(rows), strict=True):
            shard = Shard(path, count)
            jobs.append((shard, [pool.submit(one_pass.count, shard, number) for number in range(count)]))
        try:
            while jobs:
                shard, pieces = jobs.popleft()
                for piece in pieces:
                    piece.result()
                shard_rows.append(shard.row())
                if shard.tally and not shard.is_broken:
                    total.add(shard.tally)
        except BaseException:
            one_pass.is_stopped = True
            pool.shutdown(cancel_futures=True)
            raise
        check_some_row(shard_rows, job.is_part)
        one_pass.writer.flush()
        matched_captions.merge_matched(
            one_pass.writer.files,
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
