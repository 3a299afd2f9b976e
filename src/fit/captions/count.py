"""Counts mentions in Parquet files of captions, and samples the rows behind them."""

import heapq
from hashlib import blake2b
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from tqdm import tqdm

from fit.captions.matcher import Matcher
from fit.errors import CorpusError

COUNTS = pa.schema([("concept", pa.string()), ("captions", pa.int64())])
HITS = pa.schema(
    [
        ("concept", pa.string()),
        ("shard", pa.string()),
        ("row", pa.int64()),
        ("url", pa.string()),
        ("caption", pa.string()),
    ]
)


def open_shard(path, columns):
    """Open a Parquet file of a corpus and check that it has `columns`.

    Raises:
        CorpusError: the file is missing, is no Parquet, or lacks a column.
    """
    try:
        shard = pq.ParquetFile(path)
    except FileNotFoundError:
        raise CorpusError(f"{path}: there is no such file; mend `captions.files` in config.yaml") from None
    except (pa.ArrowInvalid, OSError) as error:
        raise CorpusError(f"{path}: not a readable Parquet file ({error}); fetch or make it anew") from None
    for column in columns:
        if column not in shard.schema_arrow.names:
            raise CorpusError(
                f"{path}: no column {column!r}; it has {', '.join(shard.schema_arrow.names)}; "
                "say which holds what under `captions` in config.yaml"
            )
    return shard


def _key(seed, concept, shard, row):
    return blake2b(f"{seed}\0{concept}\0{shard}\0{row}".encode(), digest_size=8).digest()


def count_captions(concepts, files, *, caption_column, url_column, max_hits, seed):
    """Count the captions that mention each concept, and sample such rows.

    A row's place in the sample depends only on the seed, the concept, the shard's file name and the row, so the sample
    is uniform, and the same in whatever order the shards are read.

    Args:
        concepts: list of fit.concepts.Concept.
        files: paths of Parquet files with text columns `caption_column` and `url_column`; their names differ.
        max_hits: largest sample per concept.
        seed: int.

    Returns:
        (counts, hits): Arrow tables of the schemas COUNTS, in the order of `concepts`, and HITS, sorted by concept,
        shard and row.

    Raises:
        CorpusError: a file is not usable, or two have the same name.
    """
    matcher = Matcher(concepts)
    counts = {concept.concept: 0 for concept in concepts}
    samples: dict[str, list[tuple]] = {concept.concept: [] for concept in concepts}
    names = [Path(file).name for file in files]
    for name in names:
        if names.count(name) > 1:
            raise CorpusError(
                f"{name}: two files of the corpus have this name; rename one, since rows are told apart by it"
            )
    # All are looked at before the first is read: a bad file should not be found after an hour of good ones.
    shards = [open_shard(file, [caption_column, url_column]) for file in files]
    for shard, file in zip(shards, files, strict=True):
        kind = shard.schema_arrow.field(caption_column).type
        if not (pa.types.is_string(kind) or pa.types.is_large_string(kind)):
            raise CorpusError(
                f"{file}: column {caption_column!r} is {kind}, not text; name the column that holds captions"
            )
    rows = sum(shard.metadata.num_rows for shard in shards)
    with tqdm(total=rows, desc="captions", unit="row", unit_scale=True, mininterval=2) as progress:
        for name, shard in zip(names, shards, strict=True):
            row = 0
            for batch in shard.iter_batches(columns=[caption_column, url_column]):
                captions, urls = (batch.column(column).to_pylist() for column in (caption_column, url_column))
                for caption, url in zip(captions, urls, strict=True):
                    for concept in matcher.mentioned(caption) if caption else ():
                        counts[concept] += 1
                        # A heap of the smallest keys: heapq keeps its smallest on top, so keys are inverted.
                        key = bytes(255 - byte for byte in _key(seed, concept, name, row))
                        push = heapq.heappush if len(samples[concept]) < max_hits else heapq.heappushpop
                        push(samples[concept], (key, name, row, url, caption))
                    row += 1
                progress.update(len(captions))
    hits = [
        {"concept": concept, "shard": shard, "row": row, "url": url, "caption": caption}
        for concept in sorted(samples)
        for shard, row, url, caption in sorted(hit[1:] for hit in samples[concept])
    ]
    return (
        pa.Table.from_pydict({"concept": list(counts), "captions": list(counts.values())}, schema=COUNTS),
        pa.Table.from_pylist(hits, schema=HITS),
    )
