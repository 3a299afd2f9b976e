"""Where the bytes behind links come from: the corpus's own files, local files, or the web."""

import asyncio
import sys
from abc import ABC, abstractmethod
from bisect import bisect_left
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa

from fit.captions.sources import open_captions
from fit.captions.sources.base import shard_name
from fit.errors import DataError
from fit.images.settings import FetchSettings
from fit.images.table import OF_CAPTIONS, bytes_of, find_pictures
from fit.io.names import by_key
from fit.io.shown import number_of

if TYPE_CHECKING:
    from fit.images.fetch import Fetched
    from fit.images.manners import FetchTuning


@dataclass(frozen=True)
class Link:
    """A row that is asked for."""

    image_id: str
    url: str | None
    shard: str
    row: int
    """Where it is in the corpus; of a local file, `shard` tells this version of it from others."""


@dataclass(frozen=True)
class Response:
    """What a source brought for a link: bytes, or the reason why there are none."""

    status: str
    data: bytes | None = None
    http_status: int | None = None


Handle = Callable[[Link, Response], None]


class ImageSource(ABC):
    """Brings the bytes behind links."""

    @abstractmethod
    def bring(self, links: Sequence[Link], handle: Handle) -> None:
        """Bring every link's bytes, in any order.

        Args:
            links: what to bring.
            handle: called once for each link; it may be called from several threads at once.
        """


class Embedded(ImageSource):
    """Bytes in a column of the corpus's own files (or a tar, or a folder); null for an image that is gone."""

    def __init__(self, files: Iterable[str | Path], settings: FetchSettings | None = None):
        """Take the paths of the corpus; `settings` is not used."""
        self._path_of = by_key(map(str, files), shard_name, "the shard")

    def bring(self, links: Sequence[Link], handle: Handle) -> None:
        """See ImageSource.bring. A DataError, if the corpus lacks a shard."""
        with ThreadPoolExecutor(4) as pool:
            for shard in sorted({link.shard for link in links}):
                if shard not in self._path_of:
                    raise DataError(
                        f"{shard}: matched captions name this shard, but the corpus's files lack it; count the "
                        "captions again"
                    )
                self._bring_of(shard, links, handle, pool)

    def _bring_of(self, shard: str, links: Sequence[Link], handle: Handle, pool: ThreadPoolExecutor) -> None:
        wanted = sorted((link.row, i) for i, link in enumerate(links) if link.shard == shard)
        captions = open_captions(self._path_of[shard])
        column = find_pictures(captions.schema, captions.path, OF_CAPTIONS)
        first = done = elsewhere = 0
        for batch in captions.batches([column]):
            here = wanted[done : bisect_left(wanted, (first + len(batch),))]
            taken = batch.column(0).take(pa.array([row - first for row, _ in here], pa.int64()))
            images, paths = bytes_of(taken)
            responses = [
                Response("ok", data) if data is not None else Response("path_only" if path else "gone")
                for data, path in zip(images, paths, strict=True)
            ]
            elsewhere += sum(one.status == "path_only" for one in responses)
            list(pool.map(handle, [links[i] for _, i in here], responses))
            first, done = first + len(batch), done + len(here)
        if elsewhere:
            print(
                f"fit: {captions.path}: {number_of(elsewhere, 'picture', 'has')} only a path in "
                f"column {column!r}, no bytes "
                "(status path_only); write their bytes into the file",
                file=sys.stderr,
            )


class LocalImages(ImageSource):
    """Bytes of this machine."""

    def __init__(self, read_bytes: Callable[[Link], bytes | None]):
        """Take a function that returns the bytes of a link, or None where there are too many."""
        self._read_bytes = read_bytes

    def bring(self, links: Sequence[Link], handle: Handle) -> None:
        """See ImageSource.bring."""

        def read_and_handle(link: Link) -> None:
            data = self._read_bytes(link)
            handle(link, Response("too_large" if data is None else "ok", data))

        with ThreadPoolExecutor(4) as pool:
            list(pool.map(read_and_handle, links))


class Http(ImageSource):
    """What http(s) links lead to."""

    def __init__(self, settings: FetchSettings, files: Iterable[str | Path] = (), tuning: "FetchTuning | None" = None):
        """Take the settings of the fetching; `files` is not used."""
        self._settings, self._tuning = settings, tuning

    def bring(self, links: Sequence[Link], handle: Handle) -> None:
        """See ImageSource.bring."""
        from fit.images.fetch import fetch_all

        async def handle_fetched(link: Link, fetched: "Fetched") -> None:
            await asyncio.to_thread(handle, link, Response(fetched.status, fetched.data, fetched.http_status))

        # Neighbours in a corpus are often of one host; spread by a hash, hosts are mixed.
        mixed = sorted(links, key=lambda link: blake2b(link.image_id.encode(), digest_size=8).digest())
        of_links = ((link, link.url or "") for link in mixed)
        asyncio.run(fetch_all(of_links, self._settings, handle_fetched, self._tuning))


SOURCES = {"embedded": "fit.images.sources:Embedded", "http": "fit.images.sources:Http"}
"""Name in config.yaml -> class of ImageSource, made with `files` and `settings`."""
