"""Collects the images behind sampled captions: every row that was asked for ends as an image or as a reason.

What comes is decoded in processes of its own and written to parts beside the table that it becomes, some hundred rows
at a time; so a job that is killed goes on where it was, and ends with the same table.
"""

import asyncio
import json
import sys
from abc import ABC, abstractmethod
from bisect import bisect_left
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from ctypes import CDLL
from dataclasses import asdict, dataclass
from hashlib import blake2b, sha256
from pathlib import Path
from threading import Lock

import pyarrow as pa
import pyarrow.parquet as pq
from tqdm import tqdm

from fit.captions.sources import open_captions
from fit.captions.sources.base import shard_name
from fit.errors import DataError
from fit.images.decode import Decoder, Picture
from fit.images.fitting import fitting
from fit.images.table import COLLECTED, bytes_of, find_pictures
from fit.io.files import WorkFolder, atomic_write, by_key, discard
from fit.io.folders import printable
from fit.io.parquet import GROUP_BYTES, ROW_GROUP, read, write_groups
from fit.registry import find

_PART_ROWS, _PART_BYTES = 256, 8 << 20
_M_MMAP_THRESHOLD = -3  # of mallopt(3): blocks from so many bytes on are given back to the system when freed
_PARTS = r"([^/]+/[0-9a-f]{16}/)?[0-9]{6}\.arrow"


def work_folder(path):
    """The folder at `path` as one for parts of image tables."""
    return WorkFolder(path, "images that were collected already", _PARTS)


@dataclass(frozen=True)
class Link:
    """A row that is asked for."""

    image_id: str
    url: str | None
    shard: str
    row: int
    """Where it is in the corpus; of a file at hand, `shard` tells this version of it from others."""


@dataclass(frozen=True)
class Response:
    """What a source brought for a link: bytes, or the reason why there are none."""

    status: str
    data: bytes | None = None
    http_status: int | None = None


_MATCHED = pa.schema([("shard", pa.string()), ("row", pa.int64()), ("url", pa.string())])


class ImageSource(ABC):
    """Brings the bytes behind links."""

    @abstractmethod
    def bring(self, links, handle):
        """Bring every link's bytes, in any order.

        Args:
            links: list of Link.
            handle: called with (Link, Arrived) once for each; it may be called from several threads at once.
        """


class Embedded(ImageSource):
    """Bytes in a column of the corpus's own files (or a tar, or a folder); null for an image that is gone."""

    def __init__(self, files, **_):
        self._path_of = by_key(map(str, files), shard_name, "the shard")

    def bring(self, links, handle):
        with ThreadPoolExecutor(4) as pool:
            for shard in sorted({link.shard for link in links}):
                if shard not in self._path_of:
                    raise DataError(
                        f"{shard}: matched captions name this shard, but the corpus's files lack it; count the captions anew"
                    )
                wanted = sorted((link.row, i) for i, link in enumerate(links) if link.shard == shard)
                captions = open_captions(self._path_of[shard])
                column = find_pictures(captions.schema, captions.path, ("image", "bytes", "picture"))
                first = done = elsewhere = 0
                for batch in captions.batches([column]):
                    here = wanted[done : bisect_left(wanted, (first + len(batch),))]
                    taken = batch.column(0).take(pa.array([row - first for row, _ in here], pa.int64()))
                    images, paths = bytes_of(taken)
                    response = [
                        Response("ok", data) if data is not None else Response("path_only" if path else "gone")
                        for data, path in zip(images, paths, strict=True)
                    ]
                    elsewhere += sum(one.status == "path_only" for one in response)
                    list(pool.map(handle, [links[i] for _, i in here], response))
                    first, done = first + len(batch), done + len(here)
                if elsewhere:
                    print(
                        f"fit: {captions.path}: {elsewhere} pictures have only a path in column {column!r}, no bytes "
                        "(status path_only); write their bytes into the file",
                        file=sys.stderr,
                    )


class LocalImages(ImageSource):
    """Bytes at hand."""

    def __init__(self, read_bytes):
        """`read_bytes` gives the bytes of a link, or None where there are too many."""
        self._read_bytes = read_bytes

    def bring(self, links, handle):
        def read_and_handle(link):
            data = self._read_bytes(link)
            handle(link, Response("too_large" if data is None else "ok", data))

        with ThreadPoolExecutor(4) as pool:
            list(pool.map(read_and_handle, links))


class Http(ImageSource):
    """What http(s) links lead to."""

    def __init__(self, settings, **_):
        self._settings = settings

    def bring(self, links, handle):
        from fit.images.fetch import fetch_all

        async def handle_fetched(link, fetched):
            await asyncio.to_thread(handle, link, Response(fetched.status, fetched.data, fetched.http_status))

        # Neighbours in a corpus are often of one host; spread by a hash, hosts are mixed.
        mixed = sorted(links, key=lambda link: blake2b(link.image_id.encode(), digest_size=8).digest())
        asyncio.run(fetch_all(((link, link.url or "") for link in mixed), self._settings, handle_fetched))


SOURCES = {"embedded": "fit.images.collect:Embedded", "http": "fit.images.collect:Http"}
"""Name in config.yaml -> class of ImageSource."""


class ResumableTable:
    """Rows as they come, some hundred to a file, in a folder that outlives a kill."""

    def __init__(self, folder):
        """Go on with what `folder`, in a claimed work_folder, has, if it has anything. Damaged files are discarded."""
        self._folder, self._lock = Path(folder), Lock()
        self._folder.mkdir(parents=True, exist_ok=True)
        self._rows: list[dict] = []
        self._size = 0
        self._files: list[Path] = []
        self._next = 0
        self.place: dict[str, tuple[int, int]] = {}
        for path in sorted(self._folder.glob("[0-9]*.arrow")):
            self._next = int(path.stem) + 1
            try:
                table = self._open(path)
                if table.schema != COLLECTED:
                    raise pa.ArrowInvalid("its columns are those of another version")
                table.validate(full=True)
                self._note(path, table.column("image_id").to_pylist())
            except (pa.ArrowException, OSError) as error:
                discard(path, f"damaged ({error}), so it is discarded and its images are collected again")

    @staticmethod
    def _open(path):
        # Mapped, not read: however many images there are, few are in memory.
        return pa.ipc.open_file(pa.memory_map(str(path))).read_all()

    def _note(self, path, names):
        self.place |= {name: (len(self._files), row) for row, name in enumerate(names)}
        self._files.append(path)

    def add(self, row):
        """Take one row, a dict of COLLECTED's columns; any thread may call."""
        with self._lock:
            self._rows.append(row)
            self._size += len(row["bytes"] or b"")
            if len(self._rows) >= _PART_ROWS or self._size >= _PART_BYTES:
                self._flush()

    def _flush(self):
        if not self._rows:
            return
        path = self._folder / f"{self._next:06d}.arrow"
        self._next += 1
        with atomic_write(path) as part, pa.ipc.new_file(str(part), COLLECTED) as writer:
            writer.write_table(pa.Table.from_pylist(self._rows, schema=COLLECTED))
        self._note(path, [row["image_id"] for row in self._rows])
        self._rows, self._size = [], 0

    def rows(self):
        """Yield every row, a dict of COLLECTED's columns."""
        with self._lock:
            self._flush()
        for path in self._files:
            yield from self._open(path).to_pylist()

    def assemble(self, image_ids, target):
        """Write the rows of `image_ids`, in that order, to the image table `target`."""
        with self._lock:
            self._flush()
        with atomic_write(target) as part, pq.ParquetWriter(part, COLLECTED, compression="zstd") as writer:
            write_groups(writer, self._in_order(image_ids))

    def _in_order(self, image_ids):
        """Yield the rows of `image_ids`, tables of one row."""
        tables: dict[int, pa.Table] = {}
        size = 0
        for number, name in enumerate(image_ids):
            file, row = self.place[name]
            if file not in tables:
                tables[file] = self._open(self._files[file])
            one = tables[file].slice(row, 1)
            size += len(one.column("bytes")[0].as_buffer() or b"")
            yield one
            # What a mapped file has been read of stays in memory while it is open.
            if size > GROUP_BYTES or number % ROW_GROUP == ROW_GROUP - 1:
                tables, size = {}, 0


def links_of(matched_captions):
    """The links of a table of matched captions, a list of Link; their ids tell rows of all shards apart."""
    columns = (matched_captions.column(name).to_pylist() for name in ("shard", "row", "url"))
    return [
        Link(f"{shard.removesuffix('.parquet').replace('/', '_')}-{row}", url, shard, row)
        for shard, row, url in zip(*columns, strict=True)
    ]


def make_row(link, response, decoder):
    """A row of COLLECTED: the picture that arrived, made clean, or the reason why there is none."""
    data = response.data if response.status == "ok" else None
    picture = Picture(response.status) if data is None else decoder.decode(data)
    row = {
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

    def __init__(self, limits, total):
        self._decoder = Decoder(limits)
        self._progress = tqdm(total=total, desc="collecting", unit="image", mininterval=2)
        self._lock = Lock()
        self._failed = 0

    def __enter__(self):
        self._decoder.__enter__()
        # Arrow's usual allocator keeps what was freed, and glibc's does once it has seen large blocks: of pictures of
        # 20 MB, hundreds of megabytes.
        self._pool = pa.default_memory_pool()
        pa.set_memory_pool(pa.system_memory_pool())
        if sys.platform == "linux" and hasattr(libc := CDLL(None), "mallopt"):
            libc.mallopt(_M_MMAP_THRESHOLD, 1 << 20)
        return self

    def __exit__(self, *error):
        pa.set_memory_pool(self._pool)
        self._progress.close()
        self._decoder.__exit__(*error)

    def bring(self, source, links, parts):
        """Bring what is missing of `links` into `parts`."""
        missing = [link for link in links if link.image_id not in parts.place]
        self._progress.update(len(links) - len(missing))

        def handle(link, response):
            row = make_row(link, response, self._decoder)
            parts.add(row)
            with self._lock:
                self._failed += row["status"] != "ok"
                self._progress.set_postfix(failed=self._failed, refresh=False)
                self._progress.update()

        if missing:
            source.bring(missing, handle)


def collect(kind, matched_captions, files, targets, *, work, settings, limits):
    """Collect the images of concepts, an image table of the schema COLLECTED each, in which every matched caption is a row.

    Args:
        kind: a key of SOURCES.
        matched_captions: Parquet file of matched captions; files: paths of the corpus.
        targets: concept (slug) -> path of the image table to write, its rows in the order of the matched captions.
        work: folder for what a kill must not lose.
        settings: fit.images.fetch.FetchSettings; limits: fit.images.decode.Limits.

    Raises:
        ConfigError: there is no such source.
        DataError: the corpus lacks a shard that matched captions name.
    """
    source = find(SOURCES, kind, "image source")(files=files, settings=settings)
    links = {
        concept: links_of(read(matched_captions, _MATCHED.names, only={"concept": [concept]}, schema=_MATCHED))
        for concept in targets
    }
    gather(source, links, targets, work=work, identity=[kind, of_results(settings)], limits=limits)


def of_results(settings):
    """Of fit.images.fetch.FetchSettings, what decides which images there are. The rest (timeouts, connections,
    retries) decides only how they are brought, and what was brought under other ones is kept."""
    return {name: getattr(settings, name) for name in ("max_bytes", "honour_opt_out", "allow_loopback")}


def gather(source, links, targets, *, work, identity, limits):
    """Bring links and write an image table of the schema COLLECTED per concept.

    Args:
        source: ImageSource.
        links: concept (slug) -> list of Link, their ids different.
        targets: concept -> path to write, its rows in the order of the links.
        work: folder for what a kill must not lose; one that FIT made, or that is new or empty.
        identity: JSON value; what was brought under another is not taken for these. limits: fit.images.decode.Limits.

    Raises:
        PlaceError: `work` holds files that are not FIT's.
        DataError: two links of a concept have the same id.
    """
    place = work_folder(work)
    # What was decoded within another time is the same picture.
    limiting = {name: value for name, value in asdict(limits).items() if name not in ("timeout_s", "workers")}
    with place.held(*links), _Gathering(limits, sum(map(len, links.values()))) as gathering:
        for concept, of_concept in links.items():
            rows = [[link.image_id, link.url, link.shard, link.row] for link in of_concept]
            for image_id, times in Counter(link.image_id for link in of_concept).items():
                if times > 1:
                    raise DataError(f"{concept}: {times} images have the id {image_id!r}; give each a name of its own")
            key = blake2b(json.dumps([identity, limiting, rows]).encode(), digest_size=8).hexdigest()
            parts = ResumableTable(Path(place.path, concept, key))
            gathering.bring(source, of_concept, parts)
            parts.assemble([link.image_id for link in of_concept], targets[concept])
        # Not before: where a job of several concepts is stopped, Snakemake removes the tables of all.
        for concept in links:
            place.remove(concept)


MAY_PASS = ("timeout", "connection", "truncated", "http_429", "http_500", "http_502", "http_503", "http_504")
"""Statuses of failures that another day may end well."""


def _merged(table, fresh):
    """Yield the rows of an image table, tables of one row; of those that `fresh` (image id -> dict) has, its own."""
    file = pq.ParquetFile(table)
    for group in range(file.num_row_groups):
        for row in file.read_row_group(group).to_pylist():
            yield pa.Table.from_pylist([fresh.get(row["image_id"], row)], schema=COLLECTED)


def retry(table, statuses, *, settings, limits):
    """Fetch the failures of an image table again, and write the table again if a row of it is another one now.

    Args:
        table: path of an image table with the columns of COLLECTED.
        statuses: which failures: "timeout", "connection", "http_503" ...
        settings, limits: as collect takes them.

    Returns:
        (tried, fixed): how many rows were fetched again, and how many became images. Where none did, the file is left
        as it is, so that nothing that was made of it is out of date.
    """
    rows = read(table, ["image_id", "url", "status"], schema=COLLECTED).to_pylist()
    links = [Link(row["image_id"], row["url"], "", 0) for row in rows if row["status"] in statuses]
    if not links:
        return 0, 0
    place = work_folder(Path(table).with_name(f".{Path(table).stem}.retried"))
    settled = blake2b(json.dumps(of_results(settings)).encode(), digest_size=8).hexdigest()
    with place.held("retried"):
        with _Gathering(limits, len(links)) as gathering:
            parts = ResumableTable(Path(place.path, "retried", settled))
            gathering.bring(Http(settings), links, parts)
        fresh = {row["image_id"]: row for row in parts.rows()}
        fixed = sum(fresh[link.image_id]["status"] == "ok" for link in links)
        if fixed:
            with atomic_write(table) as part, pq.ParquetWriter(part, COLLECTED, compression="zstd") as writer:
                write_groups(writer, _merged(table, fresh))
        place.remove(".")
    return len(links), fixed
