"""Fetches many links from the open web, politely, and survives what it finds there.

A link is a stranger's: it may be dead, endless, a bomb, or aimed at this machine's own network. So every address is
checked before a connection goes to it (fit.images.addresses), every wait and every size has a limit, and whatever a
server does becomes a status, never an exception.
"""

import asyncio
import contextlib
import errno
import logging
import re
import socket
import ssl
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TypeVar

import aiohttp
from yarl import URL

from fit.errors import ConfigError
from fit.images.addresses import AddressBlockedError, BadUrlError, CheckedResolver, checked_url, is_open
from fit.images.bodies import BodyDecoder, Budget, Lease
from fit.images.manners import FetchTuning, opted_out, retry_after_s, retry_wait_s
from fit.images.settings import FetchSettings

K = TypeVar("K")

WORKERS_PER_CONNECTION = 4
"""Links under way in `fetch_all` for each connection: some wait for their host's turn or in back-off, holding none."""

KEEPALIVE_S = 2.0
"""How long an idle connection is kept. Idle ones don't count as connections, and the web has many hosts: kept for
long, they would use up the open files a process may have."""

DNS_CACHE_S = 300
DNS_CACHE_HOSTS = 10_000

HEADER_BYTES = 65_536
"""Longest header line. Real sites send policies of more than the 8 kB that aiohttp allows by default."""

STALL_S = 0.5
"""How long a body may stand still before its connection is looked at."""

READ_BYTES = 65_536
"""How much of a body aiohttp buffers for each connection before it stops reading (it may hold twice this)."""

REDIRECTS = {301, 302, 303, 307, 308}

RETRIED = {"timeout", "connection", "truncated", "http_429"}
"""Statuses that another attempt may change; so may every http_5xx, and a name server that asks to be asked again."""

NOT_UTF8 = re.compile("[\udc80-\udcff]")

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Fetched:
    """What became of a link.

    Attributes:
        status: "ok", or why there is no data: "http_404" and the like; "timeout"; "dns"; "connection" (refused, reset,
            or no HTTP spoken); "tls"; "bad_url"; "blocked_address"; "too_large"; "truncated"; "too_many_redirects";
            "opted_out"; "decoding" (an unsupported or damaged Content-Encoding).
        data: the body, its Content-Encoding undone; None unless status is "ok".
        http_status: code of the last answer, a redirect's too; None if the last attempt got none.
        attempts: how often the link was tried, 1 or more. Within each aiohttp repeats a request once by itself if its
            connection ends without an answer, as kept connections may.
    """

    status: str
    data: bytes | None
    http_status: int | None
    attempts: int


@dataclass(frozen=True)
class Answer:
    """What one request, or one attempt with its redirects, led to; location is where a redirect leads."""

    status: str
    data: bytes | None = None
    http_status: int | None = None
    location: str | None = None
    retry_after_s: float | None = None
    worth_retrying: bool = False
    held: int = 0
    """Bytes of the Budget that `data` holds."""


def failure(error: BaseException) -> Answer:
    """Return the answer that an exception from aiohttp means.

    Raises:
        ConfigError: the exception is this machine's doing, not the link's.
    """
    cause = error.os_error if isinstance(error, aiohttp.ClientConnectorError) else error
    if isinstance(cause, OSError) and cause.errno in (errno.EMFILE, errno.ENFILE):
        # Taken for the link's fault, this would write off good links by the thousand.
        raise ConfigError("no more files can be opened: raise `ulimit -n`, or fetch over fewer connections") from error
    status = "connection"
    if isinstance(cause, AddressBlockedError):
        status = "blocked_address"
    elif isinstance(error, BadUrlError | aiohttp.InvalidURL):
        status = "bad_url"
    elif isinstance(cause, TimeoutError):
        status = "timeout"
    elif isinstance(error, aiohttp.ClientConnectorDNSError):
        # "Try again" is what a name server in trouble says; every other answer will stay the same.
        return Answer("dns", worth_retrying=error.os_error.errno == socket.EAI_AGAIN)
    elif isinstance(cause, ssl.SSLError):
        status = "tls"
    elif isinstance(error, aiohttp.ClientPayloadError):
        status = "truncated"
    elif isinstance(error, zlib.error):
        status = "decoding"
    return Answer(status, worth_retrying=status in RETRIED)


@dataclass
class HostTurns:
    """The turns of one host: taken or waited for by `users` requests."""

    turns: asyncio.Semaphore
    users: int = 0


class Fetcher:
    """Fetches links, one call each, as many at once as its settings allow; used with `async with`."""

    def __init__(self, settings: FetchSettings, tuning: FetchTuning | None = None):
        self._settings = settings
        self._tuning = tuning or FetchTuning()
        self._bot = self._tuning.user_agent.partition("/")[0].strip().lower()
        self._turns = asyncio.Semaphore(settings.connections)
        total = max(self._tuning.max_held_bytes, 2 * settings.max_bytes)
        self._bodies = Budget(total)
        # What bodies of unknown length hold at first. All connections together hold a quarter, so that the rest, which
        # is more than one body, is there for one of them to grow.
        self._first_bytes = max(1, min(1 << 20, settings.max_bytes, total // 4 // settings.connections))
        self._hosts: dict[str, HostTurns] = {}
        self._session: aiohttp.ClientSession | None = None
        self._resolver: CheckedResolver | None = None

    async def __aenter__(self) -> "Fetcher":
        settings = self._settings
        # Twice as many as can wait for an answer: an abandoned lookup keeps its thread until the system ends it.
        self._resolver = CheckedResolver(settings.allow_loopback, threads=2 * settings.connections)
        connector = aiohttp.TCPConnector(
            resolver=self._resolver,
            ttl_dns_cache=DNS_CACHE_S,  # of what the resolver let through
            dns_cache_max_size=DNS_CACHE_HOSTS,
            socket_factory=self._open_socket,
            keepalive_timeout=KEEPALIVE_S,
            limit=0,  # limits are kept by turns (see _turn), as waiting for one must not count as connecting
        )
        self._session = aiohttp.ClientSession(
            connector=connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            trust_env=False,  # a proxy would connect for us, to wherever it likes
            auto_decompress=False,
            # Images are compressed already; asking for more compression only invites bombs.
            headers={
                "User-Agent": self._tuning.user_agent,
                "Accept": "image/*,*/*;q=0.8",
                "Accept-Encoding": "identity",
            },
            timeout=aiohttp.ClientTimeout(total=None, connect=settings.connect_timeout_s),
            read_bufsize=READ_BYTES,
            max_line_size=HEADER_BYTES,
            max_field_size=HEADER_BYTES,
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._session is not None:
            await self._session.close()
        if self._resolver is not None:
            await self._resolver.close()
        self._session = self._resolver = None

    async def fetch(self, url: str) -> Fetched:
        """Fetch `url`, again if that may help. Whatever the link or its servers do ends up in the status.

        Raises:
            ConfigError: this machine ran out of open files.
            RuntimeError: not within `async with`.
        """
        async with self.fetched(url) as found:
            return found

    @contextlib.asynccontextmanager
    async def fetched(self, url: str) -> AsyncIterator[Fetched]:
        """Fetch as `fetch` does; within the block, the data counts as held (FetchTuning.max_held_bytes)."""
        found, held = await self._fetch(url)
        try:
            yield found
        finally:
            self._bodies.give_back(held)

    async def _fetch(self, url: str) -> tuple[Fetched, int]:
        """Return what became of `url`, and how many bytes of the budget its data holds."""
        if self._session is None:
            raise RuntimeError("a Fetcher fetches within `async with Fetcher(settings) as fetcher`")
        attempt = 1
        while True:
            answer = await self._attempt(url)
            wait_s = None
            if answer.worth_retrying and attempt <= self._settings.retries:
                wait_s = retry_wait_s(self._tuning, url, attempt, answer.retry_after_s)
            if wait_s is None:
                return Fetched(answer.status, answer.data, answer.http_status, attempt), answer.held
            await asyncio.sleep(wait_s)  # without a turn, which others may use meanwhile
            attempt += 1

    async def _attempt(self, link: str) -> Answer:
        """Follow `link` through its redirects, within the time that one attempt has."""
        left_s = self._settings.total_timeout_s
        loop = asyncio.get_running_loop()
        url: URL | None = None
        http_status = None
        for _ in range(self._tuning.max_redirects + 1):
            try:
                url = checked_url(link, self._settings.allow_loopback, base=url)
            except (BadUrlError, AddressBlockedError) as error:
                return Answer(failure(error).status, http_status=http_status)
            async with self._turn((url.raw_host or "").rstrip(".")):
                began = loop.time()
                answer = await self._request(url, left_s)
                left_s -= loop.time() - began
            http_status = answer.http_status or http_status
            if answer.location is None:
                return replace(answer, http_status=http_status)
            link = answer.location
        return Answer("too_many_redirects", http_status=http_status)

    @contextlib.asynccontextmanager
    async def _turn(self, host: str) -> AsyncIterator[None]:
        """Wait until one more request to `host` is within both limits, and hold a place in them."""
        mine = self._hosts.setdefault(host, HostTurns(asyncio.Semaphore(self._settings.connections_per_host)))
        mine.users += 1
        try:
            # The host's turn first: whoever waits for a busy host must not keep others from idle ones.
            async with mine.turns, self._turns:
                yield
        finally:
            mine.users -= 1
            if not mine.users:  # there are more hosts than should be remembered
                del self._hosts[host]

    async def _request(self, url: URL, timeout_s: float) -> Answer:
        """Make one request, without redirects; its body is read before this returns."""
        http_status, held = None, 0
        try:
            async with asyncio.timeout(timeout_s) as timer:
                assert self._session is not None
                async with self._session.get(url, allow_redirects=False) as response:
                    http_status = response.status
                    answer = await self._read(response, timer)
                    held = answer.held
            return answer
        except (aiohttp.ClientError, OSError, zlib.error) as error:
            found = failure(error)
        except Exception as error:
            # The boundary to the web: what a server can make aiohttp raise is not written down anywhere, and one odd
            # server must not end a run over millions of links. It is logged, as it may be a mistake of ours.
            log.warning("%s: unforeseen %r", url, error, exc_info=True)
            found = failure(error)
        self._bodies.give_back(held)  # of a body that was whole, when closing its response failed
        return Answer(found.status, http_status=http_status, worth_retrying=found.worth_retrying)

    async def _read(self, response: aiohttp.ClientResponse, timer: asyncio.Timeout) -> Answer:
        """Return what a response means, of which the headers have come; its body is read if that is wanted."""
        code = response.status
        is_redirect = code in REDIRECTS and "Location" in response.headers
        if code != 200 and not is_redirect:
            return Answer(
                f"http_{code}",
                http_status=code,
                retry_after_s=retry_after_s(response.headers.get("Retry-After"), datetime.now(UTC)),
                worth_retrying=code >= 500 or f"http_{code}" in RETRIED,
            )
        if self._settings.honour_opt_out and opted_out(response.headers.getall("X-Robots-Tag", []), self._bot):
            return Answer("opted_out", http_status=code)
        if is_redirect:
            # aiohttp hides bytes that are not UTF-8 in surrogates; yarl would drop them from the link.
            location = NOT_UTF8.sub(lambda byte: f"%{ord(byte[0]) - 0xDC00:02X}", response.headers["Location"])
            return Answer("redirect", http_status=code, location=location)
        most = self._settings.max_bytes
        if (response.content_length or 0) > most:
            return Answer("too_large", http_status=code)
        encoding, length = response.headers.get("Content-Encoding", ""), response.content_length
        lease = Lease(self._bodies, timer)
        answer = None
        try:
            # Of what is to be decoded, a block may become any number of bytes.
            await lease.grow(most if encoding else self._first_bytes if length is None else length)
            answer = await self._read_body(response, BodyDecoder(encoding), lease)
            return answer
        finally:
            lease.shrink(answer.held if answer else 0)

    async def _read_body(self, response: aiohttp.ClientResponse, decoder: BodyDecoder, lease: Lease) -> Answer:
        code, most = response.status, self._settings.max_bytes
        data = bytearray()
        received = 0
        async for block in self._blocks(response):
            received += len(block)
            if received > lease.size:
                await lease.grow(most)
            data += decoder.decode(block, most + 1 - len(data))
            # What is received counts too: an endless stream of encoded nothing decodes to no bytes at all.
            if len(data) > most or received > most:
                return Answer("too_large", http_status=code)
            if decoder.ignores_more:
                break
        if received and not decoder.is_done:
            return Answer("truncated", http_status=code, worth_retrying=True)
        return Answer("ok", data=bytes(data), http_status=code, held=len(data))

    async def _blocks(self, response: aiohttp.ClientResponse) -> AsyncIterator[bytes]:
        """Yield the body as it comes."""
        while not response.content.at_eof():
            try:
                async with asyncio.timeout(STALL_S):
                    block = await response.content.readany()
            except TimeoutError:
                # aiohttp 3.14 closes a connection over a malformed chunk, but leaves whoever reads the body waiting.
                transport = response.connection.transport if response.connection is not None else None
                if transport is None or transport.is_closing():
                    raise aiohttp.ClientPayloadError("the connection closed within the body") from None
            else:
                if block:
                    yield block

    def _open_socket(self, address_info: aiohttp.AddrInfoType) -> socket.socket:
        """Make the socket of every connection: a last look at where it goes, however aiohttp came to that address."""
        family, kind, protocol, _, address = address_info
        if not is_open(address[0], self._settings.allow_loopback):
            raise AddressBlockedError(f"{address[0]} is not public")
        return socket.socket(family, kind, protocol)


async def fetch_all(
    links: Iterable[tuple[K, str]],
    settings: FetchSettings,
    handle: Callable[[K, Fetched], Awaitable[object]],
    tuning: FetchTuning | None = None,
) -> None:
    """Fetch every link and hand over what became of it, in any order.

    However many links there are, only so many are under way at once (WORKERS_PER_CONNECTION for each connection), and
    the next is taken from `links` when one is handled. Links of one host in a row wait for each other: mix the hosts.

    Args:
        links: pairs (key, url); iterated over once, in this thread.
        settings, tuning: of the fetching.
        handle: awaited as handle(key, fetched) once a link; several calls may be under way at once. While one waits,
            the link's data counts as held (FetchTuning.max_held_bytes), and no other link takes its place.

    Raises:
        ConfigError: this machine ran out of open files. Besides, whatever `links` or `handle` raises: the first such
            exception, and cancellation, end all fetching before they get here.
    """
    waiting = iter(links)

    async def bring(fetcher: Fetcher, key: K, url: str) -> None:
        # A function of its own: in the loop, the data would stay until the next link's.
        async with fetcher.fetched(url) as found:
            await handle(key, found)

    async def work(fetcher: Fetcher) -> None:
        for key, url in waiting:  # shared: each worker's loop takes links that no other has taken
            await bring(fetcher, key, url)

    async with Fetcher(settings, tuning) as fetcher:
        workers = [asyncio.create_task(work(fetcher)) for _ in range(WORKERS_PER_CONNECTION * settings.connections)]
        try:
            await asyncio.gather(*workers)
        finally:
            for worker in workers:
                worker.cancel()
            await asyncio.gather(*workers, return_exceptions=True)
