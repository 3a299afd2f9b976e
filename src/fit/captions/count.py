"""Counts the captions that mention each concept, in one pass over the files of a corpus, and merges such counts."""

import json
import re
import sys
import tempfile
from collections import Counter, deque
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from threading import Lock, local

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from tqdm import tqdm

from fit.captions import matched_captions
from fit.captions.analyzer import Analyzer
from fit.captions.matcher import Matcher, as_text, carried
from fit.captions.phrases import Phrases
from fit.captions.sources import open_captions
from fit.captions.sources.base import shard_name
from fit.errors import CorpusError, DataError, ImageTableError
from fit.io.files import WorkFolder, atomic_write
from fit.io.folders import kind_of
from fit.io.parquet import open_parquet, read, write

_NEW = ".new-"
"""How the name of a folder begins whose counts are not kept yet."""
_KEY = re.compile(r"\.?[0-9a-f]{16}(\.[0-9a-f]{12})?")
_KEPT = (
    rf"({_KEY.pattern}/)?(\.new-[^/]+/)?(\.matched-[^/]+/)?((counts|names|hits|shards)|[0-9]+-[0-9]+-[0-9]+)\.parquet"
)
"""What is in a folder of counts that are kept, in that of an earlier version too."""

COUNTS = pa.schema(
    [
        ("concept", pa.string()),
        ("captions", pa.int64()),
        ("corpus_rows", pa.int64()),
        ("skipped_rows", pa.int64()),
        ("skipped_shards", pa.int64()),
    ]
)
"""Captions that mention the concept; rows of the corpus that were read, and that were skipped (those known of)."""
NAMES = pa.schema(
    [
        ("concept", pa.string()),
        ("name", pa.string()),
        ("captions", pa.int64()),
        ("capitalising", pa.int64()),
        ("in_lower_case", pa.int64()),
        ("same_as", pa.list_(pa.string())),
        ("contains", pa.list_(pa.string())),
    ]
)
"""Captions that mention this name. Of a name that is one word: how many of them use capitals somewhere, and in how many
of those the name itself has none. Concepts that have the same name, and those whose name is a part of it."""
SHARDS = pa.schema(
    [
        ("shard", pa.string()),
        ("status", pa.string()),
        ("rows", pa.int64()),
        ("null_captions", pa.int64()),
        ("malformed_captions", pa.int64()),
        ("reason", pa.string()),
    ]
)
"""status: "ok", or "skipped" for the reason given; rows: read, or skipped (null where nobody knows)."""

COMMON_SHARE, COMMON_LEAST = 0.2, 20
NULL_SHARE = 0.1
"""Share of null captions from which on it is said."""


@dataclass(frozen=True)
class Columns:
    """Which columns of a corpus hold what."""

    caption: str = "caption"
    url: str = "url"
    others: tuple[str, ...] = ()
    """Carried into the matched captions as text."""
    encoding: str = "utf-8"
    """Of text files; a byte order mark tells another one."""

    @property
    def schema(self):
        """Schema of matched captions."""
        return pa.schema([*matched_captions.FIXED, *((name, pa.string()) for name in self.others)])

    def to_read(self, max_matched_captions):
        """The columns to read: the caption, and the others where there is a sample."""
        return [self.caption, self.url, *self.others] if max_matched_captions else [self.caption]


@dataclass(frozen=True)
class Sampling:
    """How captions are read and sampled."""

    tokens: str = "standard"
    """See fit.captions.analyzer."""
    fold_accents: bool = False
    max_matched_captions: int = 100_000
    """Largest sample of matched captions per concept; 0 for none, which reads captions only."""
    seed: int = 0


@dataclass(frozen=True)
class Outputs:
    """The files of one count. All are Parquet."""

    counts: Path
    """Schema COUNTS, in the order of the sheet."""
    names: Path
    """Schema NAMES."""
    matched_captions: Path
    """Columns.schema, sorted by concept, shard and row."""
    shards: Path
    """Schema SHARDS."""

    @classmethod
    def in_folder(cls, folder):
        """counts.parquet and so on, in `folder`."""
        return cls(*(Path(folder, f"{name}.parquet") for name in ("counts", "names", "matched_captions", "shards")))

    @classmethod
    def of_counts(cls, counts):
        """The files that belong to `counts`: OUT.names.parquet and so on beside OUT.parquet, or as in_folder.

        Raises:
            DataError: neither are all there.
        """
        beside = Path(counts).with_suffix("")
        kinds = ("names", "matched_captions", "shards")
        named = cls(Path(counts), *(Path(f"{beside}.{kind}.parquet") for kind in kinds))
        plain = cls.in_folder(Path(counts).parent)
        choices = [plain, named] if Path(counts).name == "counts.parquet" else [named]
        for outputs in choices:
            if all(path.is_file() for path in (outputs.names, outputs.matched_captions, outputs.shards)):
                return outputs
        missing = [str(path) for path in (named.names, named.matched_captions, named.shards) if not path.is_file()]
        raise DataError(
            f"{counts}: no {', '.join(missing)} beside it; name the file that `fit captions count --counts` wrote, "
            "with the others where that command put them"
        )


_BROKEN = (pa.ArrowException, ValueError, TypeError, AttributeError, RecursionError)
"""What libraries raise on a file that is not what its name promises. Errors of the disk are not among them."""


def _broken(path, problem):
    why = str(problem).partition("\n")[0] or type(problem).__name__
    return CorpusError(
        f"{path}: not a readable file of captions ({why}); fetch or make it again, or go on without it: "
        "`on_bad_shard: skip`"
    )


def _check_understood(path, tally):
    """Raise CorpusError where pictures have no caption at all: what lies there is something else."""
    is_folder = "://" not in str(path) and Path(path).is_dir()
    if tally.rows == tally.null_captions and (is_folder or kind_of(str(path)) == ".tar"):
        raise CorpusError(
            f"{path}: taken for {'a folder' if is_folder else 'a tar'} of pictures with captions, but of "
            f"its {tally.rows:,} pictures none has a caption; put NAME.txt or NAME.json beside NAME.jpg, or "
            "name the files of captions"
        )


class _Tally:
    """What one shard adds up to."""

    def __init__(self, shard, phrases, sampling):
        self.shard = shard
        self.of_names = np.zeros(len(phrases.names), np.int64)
        self.of_concepts = np.zeros(len(phrases.concepts), np.int64)
        self.capitalising = np.zeros_like(self.of_names)
        self.in_lower_case = np.zeros_like(self.of_names)
        self.rows = self.null_captions = self.malformed_captions = 0
        self.bounds = (
            matched_captions.Bounds(len(phrases.concepts), sampling.max_matched_captions)
            if sampling.max_matched_captions
            else None
        )


class _Pass:
    """One pass over shards, in several threads."""

    def __init__(self, concepts, columns, sampling, on_bad_shard, folder, progress):
        self.matcher = Matcher(concepts, sampling.tokens, sampling.fold_accents)
        self.phrases = self.matcher.phrases
        self.columns, self.sampling, self.on_bad_shard = columns, sampling, on_bad_shard
        self._folder, self._progress, self._lock, self._local = folder, progress, Lock(), local()
        self.writers = []
        self.stopped = False
        self._to_read = columns.to_read(sampling.max_matched_captions)
        self._bases = np.array(
            [matched_captions.concept_base(sampling.seed, c) for c in self.phrases.concepts], np.uint64
        )
        self._slugs = pa.array(self.phrases.concepts, pa.string())
        self._one_word = {
            index: name.lower()
            for index, name in enumerate(self.phrases.names)
            if len(self.phrases.analyzer.tokens(name)) == 1
        }

    def _writer(self):
        if not hasattr(self._local, "writer"):
            self._local.writer = matched_captions.MatchedWriter(self._folder, self.columns.schema)
            with self._lock:
                self.writers.append(self._local.writer)
        return self._local.writer

    def count(self, path):
        """Count one shard; returns its _Tally and its row of SHARDS."""
        writer, tally, known_rows = self._writer(), None, None
        try:
            shard = open_captions(path, self.columns.encoding)
            known_rows = shard.rows
            shard.check(self._to_read, [self.columns.caption])
            tally = _Tally(shard.name, self.phrases, self.sampling)
            for batch in shard.batches(self._to_read):
                if self.stopped:
                    raise CorpusError(f"{path}: not read to its end, since another file failed")
                self._count_batch(tally, batch, writer)
                with self._lock:
                    self._progress.update(len(batch))
            _check_understood(path, tally)
        except (CorpusError, *_BROKEN) as problem:
            error = problem if isinstance(problem, CorpusError) else _broken(path, problem)
            writer.discard()
            if self.on_bad_shard == "fail":
                raise error from None
            name = shard_name(str(path))
            return None, dict(zip(SHARDS.names, (name, "skipped", known_rows, None, None, str(error)), strict=True))
        writer.commit()
        tally.bounds = None
        row = (tally.shard, "ok", tally.rows, tally.null_captions, tally.malformed_captions, None)
        return tally, dict(zip(SHARDS.names, row, strict=True))

    def _count_batch(self, tally, batch, writer):
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
        keys = matched_captions.sampling_keys(self._bases[concepts], tally.shard, first_row + rows_of_concepts)
        tally.bounds.add(concepts, keys)
        kept = tally.bounds.may_be_in(concepts, keys)
        concepts, rows_of_concepts = concepts[kept], rows_of_concepts[kept]
        where = pa.array(rows_of_concepts)
        url, *others = [carried(batch.column(i).take(where)) for i in range(1, batch.num_columns)]
        fixed = [self._slugs.take(pa.array(concepts)), pa.array([tally.shard] * len(concepts), pa.string())]
        fixed += [pa.array(first_row + rows_of_concepts), url, captions.take(where)]
        arrays = [*fixed, *others]
        writer.add(pa.Table.from_arrays(arrays, names=self.columns.schema.names).cast(self.columns.schema))

    def _look_at_capitals(self, tally, captions, rows, names):
        """Whether names of one word are written like names, where a caption uses capitals at all."""
        if not self._one_word:
            return
        mine = np.isin(names, np.fromiter(self._one_word, np.int64))
        texts = captions.take(pa.array(rows[mine])).to_pylist()
        for text, name in zip(texts, names[mine].tolist(), strict=True):
            if text != text.lower():
                tally.capitalising[name] += 1
                tally.in_lower_case[name] += self._one_word[name] in text


def _names_table(phrases, of_names, capitalising, in_lower_case):
    """The table NAMES; which names overlap depends on all of the phrases, the numbers are [names] each."""
    same_as, contains = phrases.overlaps()

    def slugs(of_name):
        return [
            sorted({phrases.concepts[phrases.concept_of[other]] for other in of_name.get(name, ())})
            for name in range(len(phrases.names))
        ]

    columns = [[phrases.concepts[c] for c in phrases.concept_of], phrases.names, of_names, capitalising, in_lower_case]
    return pa.Table.from_arrays(
        [pa.array(c, t) for c, t in zip([*columns, slugs(same_as), slugs(contains)], NAMES.types, strict=True)],
        schema=NAMES,
    )


def _counts_table(concepts, of_concepts, shards):
    ok = pc.equal(shards.column("status"), "ok")
    read_rows = pc.sum(shards.filter(ok).column("rows")).as_py() or 0
    skipped = shards.filter(pc.invert(ok))
    constants = [read_rows, pc.sum(skipped.column("rows")).as_py() or 0, len(skipped)]
    columns = [concepts, of_concepts, *([value] * len(concepts) for value in constants)]
    return pa.Table.from_arrays([pa.array(c, t) for c, t in zip(columns, COUNTS.types, strict=True)], schema=COUNTS)


def _shards_table(rows):
    return pa.Table.from_pylist(sorted(rows, key=lambda row: row["shard"]), schema=SHARDS)


def _check_some_row(rows, part):
    """Raise CorpusError where files of captions (rows of SHARDS) could be read, and none of them has a row."""
    read_ones = [row["shard"] for row in rows if row["status"] == "ok"]
    if read_ones and not part and not any(row["rows"] for row in rows):
        some = ", ".join(read_ones[:3]) + (f" and {len(read_ones) - 3} more files" if len(read_ones) > 3 else "")
        raise CorpusError(f"{some}: no caption was read, since there is no row; check that these are the right files")


def _check_files(files, columns, on_bad_shard, encoding):
    """Look at every file before the first is read: a bad one should not be found after an hour of good ones.

    Returns:
        (rows, fingerprints): how many rows there are, estimated where a format does not say; a list that changes when a
            file does.
    """
    for name, times in Counter(shard_name(str(file)) for file in files).items():
        if times > 1:
            raise CorpusError(
                f"{name}: two files of the corpus have this name; rename one, since rows are told apart by it"
            )
    rows, prints = 0, []
    for file in files:
        try:
            shard = open_captions(file, encoding)
            shard.check(columns, columns[:1])
        except (CorpusError, *_BROKEN) as problem:
            error = problem if isinstance(problem, CorpusError) else _broken(file, problem)
            if on_bad_shard == "fail":
                raise error from None
            prints.append(str(error))
            continue
        rows += shard.rows if shard.rows is not None else shard.size // 200
        prints.append(shard.fingerprint)
    return rows, prints


def _scan_files(concepts, files, outputs, columns, sampling, on_bad_shard, threads, rows, part):
    with (
        tempfile.TemporaryDirectory(prefix=".matched-", dir=outputs.matched_captions.parent) as folder,
        tqdm(total=rows, desc="captions", unit="row", unit_scale=True, mininterval=2) as progress,
        ThreadPoolExecutor(threads) as pool,
    ):
        one_pass = _Pass(concepts, columns, sampling, on_bad_shard, folder, progress)
        phrases = one_pass.phrases
        total = _Tally("", phrases, Sampling(max_matched_captions=0))
        shard_rows = []
        jobs = deque(pool.submit(one_pass.count, file) for file in files)
        try:
            while jobs:
                tally, row = jobs.popleft().result()
                shard_rows.append(row)
                if tally:
                    for counted in ("of_names", "of_concepts", "capitalising", "in_lower_case"):
                        getattr(total, counted)[:] += getattr(tally, counted)
        except BaseException:
            one_pass.stopped = True
            pool.shutdown(cancel_futures=True)
            raise
        _check_some_row(shard_rows, part)
        for writer in one_pass.writers:
            writer.flush()
        matched_files = [path for writer in one_pass.writers for path in writer.files]
        merge_settings = {
            "schema": columns.schema,
            "max_matched_captions": sampling.max_matched_captions,
            "seed": sampling.seed,
        }
        matched_captions.merge_matched(matched_files, outputs.matched_captions, **merge_settings)
    shards = _shards_table(shard_rows)
    write(shards, outputs.shards)
    write(_names_table(phrases, total.of_names, total.capitalising, total.in_lower_case), outputs.names, 65536)
    write(_counts_table(phrases.concepts, total.of_concepts, shards), outputs.counts, 65536)


def count_captions(
    concepts, files, outputs, *, columns=None, sampling=None, on_bad_shard="fail", threads=1, reuse=None, part=False
):
    """Count the captions that mention each concept, and sample the rows behind them.

    Args:
        concepts: list of fit.concepts.sheet.Concept.
        files: paths of files of captions, as fit.captions.sources.open_captions takes them; their names differ.
        outputs: Outputs to write.
        columns: Columns; sampling: Sampling.
        on_bad_shard: "fail", or "skip" a broken file: nothing of it counts, and the outputs say so.
        threads: how many files are read at once.
        reuse: a folder that keeps what was counted, so that a concept more later is counted alone; None for none.
        part: whether the files are a part of a corpus, which may have no row.

    Raises:
        CorpusError: a file is not usable, two have the same name, or there is no row.
        SheetError: a name has no token.
        PlaceError: `reuse` holds files that are not FIT's.
    """
    columns, sampling = columns or Columns(), sampling or Sampling()
    place = reuse and WorkFolder(reuse, "counts that are kept (--reuse)", _KEPT, "--reuse")
    if place:
        place.claim()  # before every file is looked at
    rows, fingerprint = _check_files(
        files, columns.to_read(sampling.max_matched_captions), on_bad_shard, columns.encoding
    )
    for path in (outputs.counts, outputs.names, outputs.matched_captions, outputs.shards):
        Path(path).parent.mkdir(parents=True, exist_ok=True)
    if not place:
        _scan_files(concepts, files, outputs, columns, sampling, on_bad_shard, threads, rows, part)
        return
    settings = json.dumps([repr(columns), repr(sampling), on_bad_shard, fingerprint])
    key = blake2b(settings.encode(), digest_size=8).hexdigest()
    kept = Outputs.in_folder(Path(place.path, key))
    phrases = Phrases.of(concepts, Analyzer(sampling.tokens, sampling.fold_accents))
    with place.held("counts"):
        known, asked = _names_by_concept(_kept_names(kept)), _names_by_concept(phrases)
        new = [concept for concept in concepts if known.get(concept.slug) != asked[concept.slug]]
        if new:
            if known:
                print(f"{len(concepts) - len(new)} concepts were counted before; counting {len(new)} more")
            with tempfile.TemporaryDirectory(prefix=_NEW, dir=place.path) as folder:
                fresh = Outputs.in_folder(folder)
                _scan_files(new, files, fresh, columns, sampling, on_bad_shard, threads, rows, part)
                others = set(known) - {concept.slug for concept in new}
                parts = [(fresh, None), (kept, others)] if others else [(fresh, None)]
                with place.atomic_write(key) as unfinished:
                    _unite_concepts(parts, Outputs.in_folder(unfinished), columns, sampling)
        else:
            print(f"every concept was counted before; their counts are kept in {kept.counts.parent}")
        for other in list(place.path.iterdir()):  # counts of other files or settings, and what a kill left
            if other.is_dir() and other.name != key and (_KEY.fullmatch(other.name) or other.name.startswith(_NEW)):
                place.remove(other.name)
        _unite_concepts([(kept, set(phrases.concepts))], outputs, columns, sampling, phrases)


def _kept_names(kept):
    """The table NAMES of counts that were kept, or None where there are none, or they are damaged."""
    if not kept.names.exists():
        return None
    try:
        names, counts = read(kept.names, NAMES.names, schema=NAMES), read(kept.counts, COUNTS.names, schema=COUNTS)
        open_parquet(kept.matched_captions)
        read(kept.shards, SHARDS.names, schema=SHARDS)
        if set(names.column("concept").to_pylist()) != set(counts.column("concept").to_pylist()):
            raise DataError(f"{kept.counts}: its concepts are not those of {kept.names}")
    except (ImageTableError, DataError) as error:
        print(f"fit: what was counted before is damaged, so it is counted again ({error})", file=sys.stderr)
        return None
    return names


def count_index(concepts, index, outputs, *, columns=None, sampling=None):
    """As count_captions, in an index of an Elasticsearch server, whose own analyzer decides what a mention is.

    Its one shard is the index. Raises what fit.captions.elasticsearch raises.
    """
    from fit.captions import elasticsearch

    columns, sampling = columns or Columns(), sampling or Sampling()
    phrases = Phrases.of(concepts, Analyzer(sampling.tokens))
    of_names, of_concepts, documents, found = elasticsearch.count_index(
        phrases,
        index,
        caption_field=columns.caption,
        url_field=columns.url,
        other_fields=columns.others,
        max_matched_captions=sampling.max_matched_captions,
        seed=sampling.seed,
        client=elasticsearch.connect(),
    )
    with (
        atomic_write(outputs.matched_captions) as part,
        pq.ParquetWriter(part, columns.schema, compression="zstd") as writer,
    ):
        for table in found:
            writer.write_table(table.cast(columns.schema), row_group_size=matched_captions.ROW_GROUP)
    shards = _shards_table([dict(zip(SHARDS.names, (index, "ok", documents, None, None, None), strict=True))])
    write(shards, outputs.shards)
    unknown = np.zeros(len(of_names), np.int64)
    write(_names_table(phrases, of_names, unknown, unknown), outputs.names, 65536)
    write(_counts_table(phrases.concepts, of_concepts, shards), outputs.counts, 65536)


def _names_by_concept(source):
    """Concept -> its names, from a table NAMES, from Phrases, or from nothing."""
    if source is None:
        return {}
    if isinstance(source, Phrases):
        pairs = zip([source.concepts[index] for index in source.concept_of], source.names, strict=True)
    else:
        pairs = zip(*(source.column(name).to_pylist() for name in ("concept", "name")), strict=True)
    names: dict[str, list[str]] = {}
    for concept, name in pairs:
        names.setdefault(concept, []).append(name)
    return names


def _unite_concepts(parts, outputs, columns, sampling, phrases=None):
    """Bring counts of different concepts of the same files together.

    Args:
        parts: list of (Outputs, the concepts to take from it, or None for all).
        outputs: Outputs to write.
        phrases: Phrases of a sheet, whose order the outputs then have.
    """

    def united(schema, kind):
        tables = []
        for part, concepts in parts:
            table = read(getattr(part, kind), schema.names)
            if concepts is not None:
                table = table.filter(pc.is_in(table.column("concept"), pa.array(sorted(concepts), pa.string())))
            tables.append(table)
        return pa.concat_tables(tables)

    counts, names = united(COUNTS, "counts"), united(NAMES, "names")
    shards = read(parts[0][0].shards)
    if phrases:
        place = {concept: at for at, concept in enumerate(counts.column("concept").to_pylist())}
        counts = counts.take([place[concept] for concept in phrases.concepts])
        pairs = zip(*(names.column(c).to_pylist() for c in ("concept", "name")), strict=True)
        place = {pair: at for at, pair in enumerate(pairs)}
        order = [place[phrases.concepts[c], n] for c, n in zip(phrases.concept_of, phrases.names, strict=True)]
        numbers = [names.column(name).take(order).to_numpy() for name in ("captions", "capitalising", "in_lower_case")]
        names = _names_table(phrases, *numbers)
    merge_settings = {
        "schema": columns.schema,
        "max_matched_captions": sampling.max_matched_captions,
        "seed": sampling.seed,
    }
    only = [concepts for _, concepts in parts]
    matched_captions.merge_matched(
        [part.matched_captions for part, _ in parts], outputs.matched_captions, only=only, **merge_settings
    )
    write(shards, outputs.shards)
    write(names, outputs.names, 65536)
    write(counts, outputs.counts, 65536)  # last: whoever finds it finds the others


def merge_counts(parts, outputs, *, columns=None, sampling=None):
    """Merge counts of the same concepts in different files into what one pass over all of them gives.

    Args:
        parts: list of Outputs; outputs: Outputs to write.
        columns: Columns; sampling: Sampling; as the parts were counted with.

    Raises:
        DataError: the parts are not of the same concepts and names, or two are of one file.
        CorpusError: none has a row.
    """
    columns, sampling = columns or Columns(), sampling or Sampling()
    rows = [(part, row) for part in parts for row in read(part.shards, SHARDS.names, schema=SHARDS).to_pylist()]
    first: dict[str, Outputs] = {}
    for part, row in rows:
        if row["shard"] in first:
            raise DataError(
                f"{part.shards}: {row['shard']} is counted in {first[row['shard']].shards} too; merge counts of "
                "different files, and name each part once"
            )
        first[row["shard"]] = part
    _check_some_row([row for _, row in rows], part=False)
    shards = _shards_table([row for _, row in rows])
    tables = {kind: [read(getattr(part, kind)) for part in parts] for kind in ("counts", "names")}
    for kind, keys in (("counts", ["concept"]), ("names", ["concept", "name"])):
        for part, table in zip(parts, tables[kind], strict=True):
            if not table.select(keys).equals(tables[kind][0].select(keys)):
                raise DataError(
                    f"{getattr(part, kind)}: its concepts or names are not those of {getattr(parts[0], kind)}; "
                    "count both with the same sheet"
                )

    def total(kind, column):
        return np.sum([table.column(column).to_numpy() for table in tables[kind]], axis=0)

    concepts = tables["counts"][0].column("concept").to_pylist()
    names = tables["names"][0]
    for column in ("captions", "capitalising", "in_lower_case"):
        names = names.set_column(names.schema.get_field_index(column), column, pa.array(total("names", column)))
    merge_settings = {
        "schema": columns.schema,
        "max_matched_captions": sampling.max_matched_captions,
        "seed": sampling.seed,
    }
    matched_captions.merge_matched(
        [part.matched_captions for part in parts], outputs.matched_captions, **merge_settings
    )
    write(shards, outputs.shards)
    write(names.cast(NAMES), outputs.names, 65536)
    write(_counts_table(concepts, total("counts", "captions"), shards), outputs.counts, 65536)


def remarks(names):
    """What is doubtful about the names of a table NAMES: a list of sentences."""
    found = []
    for row in names.to_pylist():
        said = f"{row['concept']}: {row['name']!r}"
        share = row["in_lower_case"] / max(1, row["capitalising"])
        if row["capitalising"] >= COMMON_LEAST and share >= COMMON_SHARE:
            found.append(f"{said} looks like a common word: {share:.0%} of the captions with capitals write it without")
        if row["same_as"]:
            found.append(f"{said} is also a name of {', '.join(row['same_as'])}; its captions count for each")
        if row["contains"]:
            found.append(f"{said} contains a name of {', '.join(row['contains'])}; its captions count for them too")
    return found


def losses(shards):
    """What of the captions of a table SHARDS could not be used: a list of sentences, the worst files named."""
    rows = [row for row in shards.to_pylist() if row["status"] == "ok"]
    total = sum(row["rows"] or 0 for row in rows)
    said = []
    for key, what, least, remedy in (
        (
            "malformed_captions",
            "are not text in UTF-8, or not in the encoding that was given, so names in them may be missed",
            0.0,
            "say what they are, with `captions.encoding` in config.yaml or --encoding (windows-1252 is usual)",
        ),
        ("null_captions", "are empty (null)", NULL_SHARE, "check that the caption column is the right one"),
    ):
        bad = sorted((row for row in rows if row[key]), key=lambda row: (-row[key], row["shard"]))
        lost = sum(row[key] for row in bad)
        if lost and lost >= least * total:
            most = ", ".join(f"{row['shard']} ({row[key]:,} of {row['rows']:,})" for row in bad[:3])
            more = f" and {len(bad) - 3} more files" if len(bad) > 3 else ""
            said.append(f"{lost:,} of {total:,} captions ({lost / total:.1%}) {what}: {most}{more}; {remedy}")
    if rows and not total:
        said.append("no caption was read: this part of the corpus has no row")
    return said


def unmentioned(counts):
    """Which concepts of a table COUNTS no caption mentions: a list of one sentence, or none."""
    none = [row["concept"] for row in counts.to_pylist() if not row["captions"]]
    if not none:
        return []
    some = ", ".join(none[:5]) + (" ..." if len(none) > 5 else "")
    return [f"concepts that no caption mentions: {len(none)} ({some}); `fit captions explain NAME CAPTION` says why"]
