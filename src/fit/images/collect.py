"""Collects the images behind sampled captions."""

from bisect import bisect_left
from hashlib import sha256
from io import BytesIO
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
from PIL import Image

from fit.captions.sources import open_captions
from fit.errors import DataError
from fit.images.table import COLLECTED, read
from fit.registry import find


def embedded_images(files, hits, column="image"):
    """Bytes behind hits whose images stand in the corpus's own files.

    Args:
        files: paths of the corpus's Parquet files.
        hits: Arrow table with the columns shard and row.
        column: where the bytes are; null for an image that is gone.

    Returns:
        A list of bytes or None, one a hit.
    """
    found = [None] * len(hits)
    shards = hits.column("shard").to_pylist()
    rows = hits.column("row").to_pylist()
    path_of = {Path(file).name: file for file in files}
    for name in sorted(set(shards)):
        if name not in path_of:
            raise DataError(f"{name}: hits name this shard, but the corpus's files lack it; count the captions anew")
        wanted = sorted((row, i) for i, (shard, row) in enumerate(zip(shards, rows, strict=True)) if shard == name)
        captions = open_captions(str(path_of[name]))
        captions.check([column], [])
        first = done = 0
        for batch in captions.batches([column]):
            here = wanted[done : bisect_left(wanted, (first + len(batch),))]
            images = batch.column(0).take(pa.array([row - first for row, _ in here], pa.int64()))
            for (_, i), data in zip(here, images.to_pylist(), strict=True):
                found[i] = data
            first, done = first + len(batch), done + len(here)
    return found


def describe(data):
    """(status, width, height) of what was fetched: "ok", "gone" for None, "not_an_image" or "truncated"."""
    if data is None:
        return "gone", None, None
    try:
        picture = Image.open(BytesIO(data))
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError):
        return "not_an_image", None, None
    try:
        picture.load()
    except (OSError, SyntaxError, ValueError):
        return "truncated", picture.width, picture.height
    return "ok", picture.width, picture.height


SOURCES = {"embedded": "fit.images.collect:embedded_images"}
"""Name in config.yaml -> function of (files of the corpus, hits) that returns bytes or None, one a hit."""


def collect(source, hits_file, files, concepts):
    """The images of `concepts` (slugs), one table of the schema COLLECTED each, in which every hit is a row.

    Args:
        source: a key of SOURCES.
        hits_file: Parquet file of hits; files: paths of the corpus.

    Yields:
        (concept, Arrow table).

    Raises:
        ConfigError: there is no such source.
    """
    fetch = find(SOURCES, source, "image source")
    # Sorted by concept, the file is read only where these concepts are.
    hits = read(hits_file, ["concept", "shard", "row", "url"], only={"concept": concepts})
    images = fetch(files, hits)
    described = [describe(data) for data in images]
    table = pa.Table.from_pydict(
        {
            "image_id": [
                f"{Path(s).stem}-{r}"
                for s, r in zip(*(hits.column(c).to_pylist() for c in ("shard", "row")), strict=True)
            ],
            "url": hits.column("url"),
            "status": [status for status, _, _ in described],
            "width": [width for _, width, _ in described],
            "height": [height for _, _, height in described],
            "sha256": [
                sha256(data).hexdigest() if d[0] == "ok" else None for data, d in zip(images, described, strict=True)
            ],
            "bytes": [data if d[0] == "ok" else None for data, d in zip(images, described, strict=True)],
        },
        schema=COLLECTED,
    )
    for concept in concepts:
        yield concept, table.filter(pc.equal(hits.column("concept"), concept))
