"""Counts captions in files that tests make."""

import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa
import pyarrow.parquet as pq

from fit.captions.count import count_captions
from fit.captions.scan import CountJob
from fit.captions.settings import ReadingSettings, SamplingSettings
from fit.captions.tables import CountFiles
from fit.concepts.sheet import Concept
from fit.io.parquet import read

CONCEPTS = [
    Concept("ann-lee", "Ann Lee", ("A. Lee",)),
    Concept("mary-ann-lee", "Mary Ann Lee"),
    Concept("okeeffe", "Georgia O'Keeffe"),
    Concept("durer", "Albrecht Dürer", ("Dürer",)),
    Concept("kusama", "草間彌生"),
]


def shard(path: Path, captions: Sequence[str | None], kind: pa.DataType | None = None, **columns: Any) -> str:
    """Write a Parquet file of captions, in row groups of 64, and return its path."""
    table = pa.table(
        {"url": [f"u{i}" for i in range(len(captions))], "caption": pa.array(captions, kind or pa.string()), **columns}
    )
    pq.write_table(table, path, row_group_size=64)
    return str(path)


def count(
    folder: Path,
    files: list[str],
    concepts: list[Concept] = CONCEPTS[:3],
    *,
    seed: int = 7,
    threads: int = 1,
    on_bad_shard: Literal["fail", "skip"] = "fail",
    is_part: bool = False,
    reuse: Path | None = None,
    **sampling: Any,
) -> CountFiles:
    """Count captions into `folder`; the samples have 100 rows unless `sampling` says otherwise."""
    outputs = CountFiles.in_folder(folder)
    settings = SamplingSettings(**{"max_matched_captions": 100} | sampling)
    job = CountJob(files, settings, ReadingSettings(on_bad_shard=on_bad_shard), seed, threads, is_part)
    count_captions(concepts, job, outputs, reuse)
    return outputs


def tables(outputs: CountFiles) -> dict[str, list[dict[str, Any]]]:
    """Return the rows of the four tables of a count."""
    return {
        kind: read(getattr(outputs, kind)).to_pylist() for kind in ("counts", "names", "matched_captions", "shards")
    }


def corpus_of(folder: Path) -> list[str]:
    """Write a corpus of five files with 300 captions each, and return their paths."""
    rng = random.Random(0)
    files = []
    for number in range(5):
        captions = [
            rng.choice(["Ann Lee", "Mary Ann Lee", "x", "O'Keeffe, Georgia", "georgia o'keeffe"]) for _ in range(300)
        ]
        files.append(shard(folder / f"{number}.parquet", captions, width=list(range(300))))
    return files
