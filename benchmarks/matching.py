"""Measures the matching of one concept with 100,000 training vectors and prints a table.

    python benchmarks/matching.py

Each way runs in a process of its own: `fit matches find` as the workflow calls it, and the floor, which reads the file
with pyarrow and multiplies the two matrices at once.
"""

import argparse
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from fit.embeddings import files
from fit.embeddings.base import Embedding
from fit.images.table import REFERENCES
from fit.io.concept_tables import write_concepts

CHUNK, CONCEPT = 4096, "concept"


def _unit(rng: np.random.Generator, count: int, dimension: int) -> np.ndarray:
    vectors = rng.normal(size=(count, dimension)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def write_concept(folder: Path, vectors: int, references: int, dimension: int) -> None:
    """Write the files that one concept's matching reads.

    Args:
        folder: to write to.
        vectors: how many training images.
        references: how many references.
        dimension: numbers of a vector.
    """
    rng = np.random.default_rng(0)
    with files.writer(folder / "images.parquet", dimension, [CONCEPT]) as writer:
        for start in range(0, vectors, CHUNK):
            count = min(CHUNK, vectors - start)
            found = [[Embedding(vector)] for vector in _unit(rng, count, dimension)]
            writer.write_table(files.rows([f"{start + i:08d}" for i in range(count)], found, dimension, CONCEPT))
    names = [f"reference-{i}" for i in range(references)]
    found = [[Embedding(vector)] for vector in _unit(rng, references, dimension)]
    with files.writer(folder / "reference-embeddings.parquet", dimension, [CONCEPT]) as writer:
        writer.write_table(files.rows(names, found, dimension, CONCEPT))
    rows = [{"image_id": name, "kept": True, "decision": "kept", "bytes": b""} for name in names]
    table = pa.Table.from_pylist(rows, schema=REFERENCES.remove(0))
    write_concepts([(CONCEPT, table)], folder / "references.parquet", REFERENCES)
    (folder / "threshold.json").write_text(json.dumps({"match_threshold": 0.3}))


def floor(folder: Path) -> None:
    """Read and multiply, nothing else."""
    images = pq.read_table(folder / "images.parquet", columns=["image_id", "embedding"])
    flat = [
        table.column("embedding").combine_chunks().values.to_numpy()
        for table in (images, pq.read_table(folder / "reference-embeddings.parquet"))
    ]
    vectors, references = flat[0].reshape(len(images), -1), flat[1].reshape(-1, flat[0].size // len(images))
    print((vectors @ references.T).max(axis=1).mean())


def ours(folder: Path) -> None:
    """Run `fit matches find` in this process."""
    from fit.cli.main import main

    names = ("images", "references", "reference-embeddings")
    words = [word for name in names for word in (f"--{name}", f"{folder / name}.parquet")]
    words += ["--match-threshold", str(folder / "threshold.json"), "--out", str(folder / "matches.parquet")]
    status = main(["matches", "find", "--concepts", CONCEPT, *words])
    if status:
        sys.exit(status)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--vectors", type=int, default=100_000)
    parser.add_argument("--references", type=int, default=50)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--way", choices=("floor", "ours"), help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.way:
        started = time.perf_counter()
        {"floor": floor, "ours": ours}[args.way](args.folder)
        seconds = time.perf_counter() - started
        print(json.dumps([seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024]))
        return
    print("| vectors x numbers | way | seconds | memory, MB |\n| --- | --- | --- | --- |")
    for dimension in (512, 768, 1024):
        with tempfile.TemporaryDirectory() as folder:
            write_concept(Path(folder), args.vectors, args.references, dimension)
            for way, label in (("floor", "read and multiply"), ("ours", "`fit matches find`")):
                command = [sys.executable, __file__, "--way", way, "--folder", folder]
                runs = [
                    json.loads(
                        subprocess.run(command, check=True, capture_output=True, text=True).stdout.split("\n")[-2]
                    )
                    for _ in range(args.repeats)
                ]
                seconds, memory = (statistics.median(values) for values in zip(*runs, strict=True))
                print(f"| {args.vectors:,} x {dimension} | {label} | {seconds:.2f} | {memory:,.0f} |", flush=True)


if __name__ == "__main__":
    main()
