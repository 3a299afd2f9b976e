"""Collects the images behind sampled captions: every row that was asked for ends as an image or as a reason.

What comes is decoded in processes of its own and written to parts beside the table that it becomes, some hundred rows
at a time; so a job that is killed goes on where it was, and ends with the same table.
"""

import json
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from ctypes import CDLL
from hashlib import blake2b, sha256
from itertools import groupby
from pathlib import Path
from threading import Lock
from typing import Any, Protocol

import pyarrow as pa
import pyarrow.parquet as pq
from tqdm import tqdm

from fit.errors import DataError
from fit.images import VERSIONS
from fit.images.decode import Decoder
from fit.images.fitting import fitting
from fit.images.picture import Picture
from fit.images.resumable import ResumableTable, work_folder
from fit.images.settings import DecodeSettings, FetchSettings, of_results
from fit.images.sources import SOURCES, Http, ImageSource, Link, Response
from fit.images.table import COLLECTED
from fit.io.concept_tables import with_concepts
from fit.io.files import atomic_write
from fit.io.folders import printable
from fit.io.parquet import read, write_groups
from fit.registry import find

_M_MMAP_THRESHOLD = -3  # of mallopt(3): blocks from so many bytes on are given back to the system when freed
_MATCHED = pa.schema([("shard", pa.string()), ("row", pa.int64()), ("url", pa.string())])
_NO_CONCEPT = "_"  # a folder's name; no slug has this character
_OF_PARTS = (COLLECTED.names, VERSIONS["collect_images"])
"""What tells parts of this version from those of others."""

Convert = Callable[[str | None, Iterator[pa.Table]], Iterator[pa.Table]]
"""Makes rows of another schema of the rows of a concept, tables of one row."""


class PictureDecoder(Protocol):
    """What make_row decodes with, such as fit.images.decode.Decoder."""

    def decode(self, data: bytes) -> Picture:
        """Return the Picture of `data`."""


def links_of(matched_captions: pa.Table) -> list[Link]:
    """Return the links of a table of matched captions; their ids tell rows of all shards apart."""
    columns = (matched_captions.column(name).to_pylist() for name in ("shard", "row", "url"))
    return [
        Link(f"{shard.removesuffix('.parquet').replace('/', '_')}-{row}", url, shard, row)
        for shard, row, url in zip(*columns, strict=True)
    ]


def make_row(concept: str | None, link: Link, response: Response, decoder: PictureDecoder) -> dict[str, Any]:
    """Return a row of COLLECTED: the picture that came, made clean, or the reason why there is none."""
    data = response.data if response.status == "ok" else None
    picture = Picture(response.status) if data is None else decoder.decode(data)
    row = {
        "concept": concept,
        "image_id": link.image_id,
        "url": link.url and printable(link.url),
        "status": picture.status,
        "http_status": response.http_status,
        "width": picture.width,
        "height": picture.height,
        "sha256": sha256(data).hexdigest() if data is not None and picture.status == "ok" else None,
        "perceptual_hash": picture.perceptual_hash,
        "bytes": picture.data,
    }
    return fitting(row)


class _Gathering:
    """Decodes what a source brings, writes it to parts and shows progress; a context manager over many concepts."""

    def __init__(self, decoding: DecodeSettings, decoders: int):
        self._decoder = Decoder(decoding, decoders)
        self._progress = tqdm(total=0, desc="collecting", unit="image", mininterval=2)
        self._lock = Lock()
        self._failed = 0

    def __enter__(self) -> "_Gathering":
        self._decoder.__enter__()
        # Arrow's usual allocator keeps what was freed, and glibc's does once it has seen large blocks: of pictures of
        # 20 MB, hundreds of megabytes.
        self._pool = pa.default_memory_pool()
        pa.set_memory_pool(pa.system_memory_pool())
        if sys.platform == "linux" and hasattr(libc := CDLL(None), "mallopt"):
            libc.mallopt(_M_MMAP_THRESHOLD, 1 << 20)
        return self

    def __exit__(self, *error: object) -> None:
        pa.set_memory_pool(self._pool)
        self._progress.close()
        self._decoder.__exit__(*error)

    def bring(self, concept: str | None, source: ImageSource, links: Sequence[Link], parts: ResumableTable) -> None:
        """Bring what is missing of the links of a concept into `parts`."""
        missing = [link for link in links if link.image_id not in parts.place]
        self._progress.total = (self._progress.total or 0) + len(links)
        self._progress.update(len(links) - len(missing))

        def handle(link: Link, response: Response) -> None:
            row = make_row(concept, link, response, self._decoder)
            parts.add(row)
            with self._lock:
                self._failed += row["status"] != "ok"
                self._progress.set_postfix(failed=self._failed, refresh=False)
                self._progress.update()

        if missing:
            source.bring(missing, handle)
        parts.finish()


def collect(
    kind: str,
    matched_captions: str | Path,
    files: Iterable[str | Path],
    concepts: Iterable[str],
    out: str | Path,
    *,
    work: str | Path,
    fetching: FetchSettings,
    decoding: DecodeSettings,
    decoders: int,
) -> None:
    """Collect the images of concepts into an image table of the schema COLLECTED. Every matched caption is a row.

    Args:
        kind: a key of fit.images.sources.SOURCES.
        matched_captions: Parquet file of matched captions.
        files: paths of the corpus.
        concepts: slugs, in the order of the table; rows of a concept are in the order of its matched captions.
        out: path of the table to write.
        work: folder for what a kill must not lose.
        fetching: how links are fetched.
        decoding: which pictures are decoded.
        decoders: how many processes decode.

    Raises:
        ConfigError: there is no such source.
        DataError: the corpus lacks a shard that matched captions name.
    """
    source = find(SOURCES, kind, "image source")(files=files, settings=fetching)

    def links(concept: str | None) -> list[Link]:
        return links_of(read(matched_captions, _MATCHED.names, only={"concept": [concept]}, schema=_MATCHED))

    identity = [kind, of_results(fetching)]
    gather(source, concepts, links, out, work=work, identity=identity, decoding=decoding, decoders=decoders)


def gather(
    source: ImageSource,
    concepts: Iterable[str | None],
    links: Callable[[str | None], Sequence[Link]],
    out: str | Path,
    *,
    work: str | Path,
    identity: Sequence[object],
    decoding: DecodeSettings,
    decoders: int,
    schema: pa.Schema = COLLECTED,
    convert: Convert | None = None,
) -> None:
    """Bring links and write an image table. Only one concept's links are in memory at once.

    Args:
        source: what brings them.
        concepts: slugs, in the order of the table; None for pictures of no concept.
        links: returns a concept's links, their ids different; it is called twice for each.
        out: path to write; a concept's rows are in the order of its links.
        work: folder for what a kill must not lose; one that FIT made, or that is new or empty.
        identity: JSON value; what was brought under another is not taken for these.
        decoding: which pictures are decoded.
        decoders: how many processes decode.
        schema: of the table, where `convert` makes rows of another one than COLLECTED.
        convert: makes them.

    Raises:
        PlaceError: `work` holds files that are not FIT's.
        DataError: two links of a concept have the same id.
    """
    place, concepts = work_folder(work), list(dict.fromkeys(concepts))
    folders = [concept or _NO_CONCEPT for concept in concepts]

    def parts_of(concept: str | None, links: Sequence[Link]) -> ResumableTable:
        rows = [[link.image_id, link.url, link.shard, link.row] for link in links]
        known_by = [identity, of_results(decoding), *_OF_PARTS, concept, rows]
        key = blake2b(json.dumps(known_by).encode(), digest_size=8).hexdigest()
        return ResumableTable(Path(place.path, concept or _NO_CONCEPT, key))

    with place.held(*folders), _Gathering(decoding, decoders) as gathering:
        for concept in concepts:
            of_concept = links(concept)
            _check_ids(concept, of_concept)
            gathering.bring(concept, source, of_concept, parts_of(concept, of_concept))
        # All are written in the end: a kill in the hours before leaves no half of a table.
        with_metadata = with_concepts(schema, [concept for concept in concepts if concept is not None])
        of_table = with_metadata if None not in concepts else schema
        with atomic_write(out) as part, pq.ParquetWriter(part, of_table, compression="zstd") as writer:
            for concept in concepts:
                of_concept = links(concept)
                rows = parts_of(concept, of_concept).in_order([link.image_id for link in of_concept])
                write_groups(writer, convert(concept, rows) if convert else rows)
        for folder in folders:
            place.remove(folder)


def _check_ids(concept: str | None, links: Sequence[Link]) -> None:
    """Raise a DataError where two links have the same id."""
    for image_id, times in Counter(link.image_id for link in links).items():
        if times > 1:
            named = f"{concept}: " if concept else ""
            raise DataError(f"{named}{times} images have the id {image_id!r}; give each a name of its own")


MAY_PASS = ("timeout", "connection", "truncated", "http_429", "http_500", "http_502", "http_503", "http_504")
"""Statuses of failures that another day may end well."""


def retry(
    table: str | Path, statuses: Iterable[str], *, fetching: FetchSettings, decoding: DecodeSettings, decoders: int
) -> tuple[int, int]:
    """Fetch the failures of an image table again, and write the table again if a row of it is another one now.

    Args:
        table: path of an image table with the columns of COLLECTED.
        statuses: which failures: "timeout", "connection", "http_503" ...
        fetching, decoding, decoders: as collect takes them.

    Returns:
        (tried, fixed): how many rows were fetched again, and how many became images. Where none did, the file is left
        as it is, so that nothing that was made of it is out of date.
    """
    among = set(statuses)
    rows = read(table, ["concept", "image_id", "url", "status"], schema=COLLECTED).to_pylist()
    links: dict[str | None, list[Link]] = {}
    for row in rows:
        if row["status"] in among:
            links.setdefault(row["concept"], []).append(Link(row["image_id"], row["url"], "", 0))
    if not links:
        return 0, 0
    place = work_folder(Path(table).with_name(f".{Path(table).stem}.retried"))
    known_by = [of_results(fetching), of_results(decoding), *_OF_PARTS]
    key = blake2b(json.dumps(known_by).encode(), digest_size=8).hexdigest()
    with place.held("retried"):
        fresh: dict[str | None, ResumableTable] = {}
        with _Gathering(decoding, decoders) as gathering:
            for concept, of_concept in links.items():
                fresh[concept] = ResumableTable(Path(place.path, concept or _NO_CONCEPT, key))
                gathering.bring(concept, Http(fetching), of_concept, fresh[concept])
        tried = [
            fresh[concept].row(link.image_id).column("status")[0].as_py()
            for concept, of_concept in links.items()
            for link in of_concept
        ]
        if "ok" in tried:
            _write_again(table, fresh)
        place.remove(".")
    return len(tried), tried.count("ok")


def _write_again(table: str | Path, fresh: dict[str | None, ResumableTable]) -> None:
    """Write an image table again; rows that `fresh` (concept -> rows) has too are taken from there."""
    file = pq.ParquetFile(table)

    def rows() -> Iterator[pa.Table]:
        for group in range(file.num_row_groups):
            for row in file.read_row_group(group, COLLECTED.names).to_pylist():
                of_concept = fresh.get(row["concept"])
                if of_concept is not None and row["image_id"] in of_concept.place:
                    yield of_concept.row(row["image_id"])
                else:
                    yield pa.Table.from_pylist([row], schema=COLLECTED)

    schema = COLLECTED.with_metadata(file.schema_arrow.metadata)
    with atomic_write(table) as part, pq.ParquetWriter(part, schema, compression="zstd") as writer:
        for _, of_concept in groupby(rows(), key=lambda row: row.column("concept")[0].as_py()):
            write_groups(writer, of_concept)
