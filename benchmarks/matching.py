"""Measures the matching of one concept with 100,000 training vectors and prints a table.

    python benchmarks/matching.py

Each way runs in a process of its own: `fit matches find` as the workflow calls it, and the floor, which reads the file with
pyarrow and multiplies the two matrices at once.
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

CHUNK = 4096


def _unit(rng, count, dimension):
    vectors = rng.normal(size=(count, dimension)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def write_concept(folder, vectors, references, dimension):
    """Write the files that one concept's matching reads."""
    rng = np.random.default_rng(0)
    with files.writer(folder / "images.parquet", dimension) as writer:
        for start in range(0, vectors, CHUNK):
            count = min(CHUNK, vectors - start)
            found = [[Embedding(vector)] for vector in _unit(rng, count, dimension)]
            writer.write_table(files.rows([f"{start + i:08d}" for i in range(count)], found, dimension))
    names = [f"reference-{i}" for i in range(references)]
    found = [[Embedding(vector)] for vector in _unit(rng, references, dimension)]
    pq.write_table(files.rows(names, found, dimension), folder / "reference-embeddings.parquet")
    table = [{"image_id": name, "kept": True, "decision": "kept", "bytes": b""} for name in names]
    pq.write_table(pa.Table.from_pylist(table, schema=REFERENCES), folder / "references.parquet")
    (folder / "cut.json").write_text(json.dumps({"match_threshold": 0.3}))


def floor(folder):
    """Read and multiply, nothing else."""
    images = pq.read_table(folder / "images.parquet", columns=["image_id", "embedding"])
    flat = [
        table.column("embedding").combine_chunks().values.to_numpy()
        for table in (images, pq.read_table(folder / "reference-embeddings.parquet"))
    ]
    vectors, references = flat[0].reshape(len(images), -1), flat[1].reshape(-1, flat[0].size // len(images))
    print((vectors @ references.T).max(axis=1).mean())


def ours(folder):
    """`fit matches find`, in this process."""
    from fit.cli.main import main

    names = {"images": "images", "references": "references", "reference-embeddings": "reference-embeddings"}
    arguments = [part for name, file in names.items() for part in (f"--{name}", f"{folder / file}.parquet")]
    main(
        [
            "matches",
            "find",
            *arguments,
            "--match-threshold",
            str(folder / "cut.json"),
            "--out",
            str(folder / "matches.parquet"),
        ]
    )


def main():
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
