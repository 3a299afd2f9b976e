"""Fetches many links from the open web, politely, and survives what it finds there.

A link is a stranger's: it may be dead, endless, a bomb, or aimed at this machine's own network. So every address is
checked before a connection goes to it, every wait and every size has a limit, and whatever a server does becomes a
status, never an exception.
"""

import asyncio
import contextlib
import errno
import ipaddress
import logging
import random
import re
import socket
import ssl
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from importlib.metadata import version
from typing import Any

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from fit.errors import ConfigError

USER_AGENT = f"fit-imitation-threshold/{version('fit')} (+https://arxiv.org/abs/2410.15002)"

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
"""Statuses that another attempt may mend; so may every http_5xx, and a name server that asks to be asked again."""

OPT_OUTS = {"noai", "noimageai"}

VALUED_DIRECTIVES = {"max-snippet", "max-image-preview", "max-video-preview", "unavailable_after"}
"""Directives of X-Robots-Tag that have a value after a colon, where other tags have a bot's name before it."""

BOT = re.compile(r"\*|[a-z][\w.*-]*")

HOST_NAME = re.compile(r"[a-z0-9_-]+(\.[a-z0-9_-]+)*\.?")

NOT_UTF8 = re.compile("[\udc80-\udcff]")

NUMBER_LABEL = re.compile(r"[0-9]+|0x[0-9a-f]*")

# What `ipaddress` of Python 3.11 takes for public, but is not, or is not a host that anyone publishes images on.
BLOCKED_IPV4 = [
    ipaddress.IPv4Network(network)
    for network in (
        "168.63.129.16/32",  # Azure's virtual machines reach their host's services here
        "192.0.0.0/24",  # protocol assignments; 192.0.0.192 is Oracle Cloud's metadata
        "192.88.99.0/24",  # 6to4 relays
        "224.0.0.0/4",  # multicast
    )
]
PUBLIC_IPV6 = ipaddress.IPv6Network("2000::/3")  # all that is assigned for unicast
BLOCKED_IPV6 = [
    ipaddress.IPv6Network(network)
    for network in (
        "2001::/23",  # protocol assignments, and Teredo, which leads to any IPv4 address
        "2001:db8::/32",  # documentation
        "3fff::/20",  # documentation
    )
]
NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
LOOPBACK_IPV4 = ipaddress.IPv4Network("127.0.0.0/8")
LOOPBACK_IPV6 = ipaddress.IPv6Address("::1")

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class FetchSettings:
    """How links are fetched.

    Attributes:
        connections: requests under way at once, in all.
        connections_per_host: requests under way at once to one host name, whatever its port and scheme.
        connect_timeout_s: seconds for name lookup, TCP and TLS together.
        total_timeout_s: seconds for one attempt, its redirects and body included; waiting for a turn does not count.
        max_bytes: largest body in bytes, both as sent and decoded.
        max_held_bytes: bytes of all bodies in memory at once, until they are handled; at least twice max_bytes.
        max_redirects: redirects followed in one attempt.
        retries: further attempts after a failure that another attempt may mend.
        backoff_s: seconds before the first retry, doubled for each further one; times 0.5 to 1.5, by url and attempt.
        max_retry_after_s: a server that asks (Retry-After) for a longer wait than these seconds is not asked again.
        user_agent: what this program calls itself; up to the first "/" it is its name in X-Robots-Tag.
        honour_opt_out: leave images whose X-Robots-Tag says noai or noimageai.
        allow_loopback: let links lead to 127.0.0.0/8 and ::1, for tests.

    Raises:
        ConfigError: a number is too small for anything to be fetched.
    """

    connections: int = 64
    connections_per_host: int = 4
    connect_timeout_s: float = 10.0
    total_timeout_s: float = 60.0
    max_bytes: int = 25_000_000
    max_held_bytes: int = 128_000_000
    max_redirects: int = 5
    retries: int = 2
    backoff_s: float = 1.0
    max_retry_after_s: float = 30.0
    user_agent: str = USER_AGENT
    honour_opt_out: bool = True
    allow_loopback: bool = False

    def __post_init__(self):
        may_be_zero = {"max_redirects", "retries", "backoff_s", "max_retry_after_s"}
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(value, bool | str):
                continue
            if value < 0 or (value == 0 and field.name not in may_be_zero):
                least = "0 or more" if field.name in may_be_zero else "more than 0"
                raise ConfigError(f"{field.name}: {value} is too small; it must be {least}")
        if not self.user_agent.isprintable() or not self.user_agent.strip():
            raise ConfigError(f"user_agent: {self.user_agent!r} must be one line of text, with a way to reach you")


@dataclass(frozen=True)
class Fetched:
    """What became of a link.

    Attributes:
        status: "ok", or why there is no data: "http_404" and the like; "timeout"; "dns"; "connection" (refused, reset,
            or no HTTP spoken); "tls"; "bad_url"; "blocked_address"; "too_large"; "truncated"; "too_many_redirects";
            "opted_out"; "decoding" (content encoded in a way that can't be undone).
        data: the body, its Content-Encoding undone; None unless status is "ok".
        http_status: code of the last answer, a redirect's too; None if the last attempt got none.
        attempts: how often the link was tried, 1 or more. Within each aiohttp repeats a request once by itself if its
            connection ends without an answer, as kept connections may.
    """

    status: str
    data: bytes | None
    http_status: int | None
    attempts: int


class AddressBlockedError(OSError):
    """A connection would go to an address that is not on the public internet."""


class BadUrlError(ValueError):
    """A link that is no http or https link to a host."""


@dataclass(frozen=True)
class Answer:
    """What one request, or one attempt with its redirects, came to; location is where a redirect leads."""

    status: str
    data: bytes | None = None
    http_status: int | None = None
    location: str | None = None
    retry_after_s: float | None = None
    worth_retrying: bool = False
    held: int = 0
    """Bytes of the Budget that `data` holds."""


# Which addresses are open


def is_open(address: str, allow_loopback: bool) -> bool:
    """Whether a connection may go to `address`, an IPv4 or IPv6 address as text: it is public, or allowed loopback.

    IPv6 addresses that stand for an IPv4 address (mapped, NAT64, 6to4) are as open as that one.
    """
    return _is_open(ipaddress.ip_address(address), allow_loopback)


def _is_open(address: ipaddress.IPv4Address | ipaddress.IPv6Address, allow_loopback: bool) -> bool:
    if isinstance(address, ipaddress.IPv4Address):
        if address in LOOPBACK_IPV4:
            return allow_loopback
        return address.is_global and not address.is_reserved and not any(address in n for n in BLOCKED_IPV4)
    if address.scope_id is not None:  # a zone names an interface of this machine
        return False
    if address == LOOPBACK_IPV6:
        return allow_loopback
    # Loopback is never open by way of a tunnel, so that allow_loopback opens its two ranges and nothing else.
    if address.ipv4_mapped is not None:
        return _is_open(address.ipv4_mapped, False)
    if address in NAT64:
        return _is_open(ipaddress.IPv4Address(int(address) & 0xFFFFFFFF), False)
    if address.sixtofour is not None:
        return _is_open(address.sixtofour, False)
    return address in PUBLIC_IPV6 and address.is_global and not any(address in n for n in BLOCKED_IPV6)


def checked_url(link: Any, allow_loopback: bool, base: URL | None = None) -> URL:
    """The URL to ask for `link`, relative to `base` if that is given, without its user, password and fragment.

    A host that is an address in any spelling (0x7f.1, 2130706433, [::ffff:7f00:1]) is checked here and then spelled the
    usual way, as no name will be looked up for it. Names are checked where they are looked up.

    Raises:
        BadUrlError: not a string, not http or https, no host, or not to be parsed.
        AddressBlockedError: the host is an address that is not open.
    """
    if not isinstance(link, str):
        raise BadUrlError(f"{link!r} is not a string")
    try:
        url = URL(link.strip())
        if base is not None:
            url = base.join(url)
        has_host = url.scheme in ("http", "https") and bool(url.host)
    except ValueError as error:
        raise BadUrlError(f"{link}: {error}") from error
    if not has_host:
        raise BadUrlError(f"{link}: not http or https, or no host")
    url = url.with_user(None).with_fragment(None)
    host = url.raw_host or ""
    if ":" in host:
        literal = host
    elif not HOST_NAME.fullmatch(host):
        # Spaces, percent signs and the like are read in different ways by different programs.
        raise BadUrlError(f"{link}: {host} is not the name of a host")
    elif NUMBER_LABEL.fullmatch(host.rstrip(".").rpartition(".")[2]):
        # No top-level domain is a number: it is an address in one of the spellings that the C library reads.
        try:
            literal = socket.inet_ntoa(socket.inet_aton(host.rstrip(".")))
        except OSError as error:
            raise BadUrlError(f"{link}: {host} is not an address") from error
        url = url.with_host(literal)
    else:
        return url
    try:
        allowed = is_open(literal, allow_loopback)
    except ValueError as error:
        raise BadUrlError(f"{link}: {host} is not an address") from error
    if not allowed:
        raise AddressBlockedError(f"{link}: {literal} is not public")
    return url


def look_up(host: str) -> list[str]:
    """Addresses of a host name, from the system's resolver; blocks.

    Raises:
        OSError: it has none, or the name servers can't tell.
    """
    # As bytes: Python would encode a str by rules of its own, with errors of its own; `host` is ASCII already.
    found = socket.getaddrinfo(host.encode("ascii"), None, type=socket.SOCK_STREAM, flags=socket.AI_ADDRCONFIG)
    return [str(address[0]) for *_, address in found]


class CheckedResolver(AbstractResolver):
    """Looks names up and lets only those through of which every address is open.

    aiohttp connects to the very addresses that this returns, so a name that means something else a moment later
    (DNS rebinding) gains nothing by it.
    """

    def __init__(self, allow_loopback: bool, threads: int):
        self._allow_loopback = allow_loopback
        # The loop's own threads are few, and one dead name server can hold a thread for half a minute.
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="dns")

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """Addresses of `host`, all open. Raises OSError if there are none, AddressBlockedError if one is not open."""
        addresses = await asyncio.get_running_loop().run_in_executor(self._threads, look_up, host)
        for address in addresses:
            if not is_open(address, self._allow_loopback):
                raise AddressBlockedError(f"{host} is {address}, which is not public")
        return [
            ResolveResult(
                hostname=host,
                host=address,
                port=port,
                family=socket.AF_INET6 if ":" in address else socket.AF_INET,
                proto=0,
                flags=socket.AI_NUMERICHOST,
            )
            for address in addresses
        ]

    async def close(self) -> None:
        """Ends the threads, without waiting for lookups under way."""
        self._threads.shutdown(wait=False, cancel_futures=True)


# What servers say


def opted_out(tags: Iterable[str], bot: str) -> bool:
    """Whether X-Robots-Tag headers ask `bot`, or every bot, to keep an image from AI.

    Args:
        tags: values of the headers, such as "noai", "noindex, noimageai", "otherbot: noai, noindex".
        bot: our name in lower case.
    """
    for tag in tags:
        addressee = "*"
        for part in tag.lower().split(","):
            before, colon, after = part.strip().partition(":")
            before = before.strip()
            if colon and before in VALUED_DIRECTIVES:
                continue
            # A name holds for the rest of the header. What can't be a bot's name (the "25-jun-2030 15" of a date) is
            # none: better to leave an image than to take one because its tag is odd.
            if colon and BOT.fullmatch(before):
                addressee = before
            if (after if colon else before).strip() in OPT_OUTS and addressee in ("*", bot):
                return True
    return False


def retry_after_s(value: str | None, now: datetime) -> float | None:
    """Seconds to wait by a Retry-After header, which is seconds or an HTTP date; None if it says nothing sensible.

    Args:
        value: the header; now: with a time zone.
    """
    text = (value or "").strip()
    if text.isascii() and text.isdigit():
        return float(text)
    try:
        date = parsedate_to_datetime(text)
    except (ValueError, TypeError, OverflowError):
        return None
    if date.tzinfo is None:  # the zone "-0000", which a date in HTTP never has
        date = date.replace(tzinfo=UTC)
    return max((date - now).total_seconds(), 0.0)


def retry_wait_s(settings: FetchSettings, link: str, attempt: int, asked_s: float | None) -> float | None:
    """Seconds to wait after failed attempt number `attempt` (the first is 1), or None to leave the server alone.

    Args:
        asked_s: seconds that the server asked for, or None.
    """
    if asked_s is not None and asked_s > settings.max_retry_after_s:
        return None
    # Jitter keeps links that failed together from coming back together; from the link, so that runs are alike.
    jitter = 0.5 + random.Random(f"{attempt} {link}").random()
    return max(settings.backoff_s * 2 ** (attempt - 1) * jitter, asked_s or 0.0)


class Decoder:
    """Undoes a Content-Encoding, never by more bytes at once than it is told to.

    aiohttp could do it, but how much its decoder puts out for one piece of input depends on its version.

    Raises:
        zlib.error: there is no undoing this encoding; from `decode` too.
    """

    def __init__(self, encoding: str):
        self._encoding = encoding.strip().lower().removeprefix("x-")
        if self._encoding in ("br", "zstd", "compress", "dcb", "dcz") or "," in self._encoding:
            raise zlib.error(f"{encoding} was not asked for")
        # Names that are no encoding ("none", "utf-8") are ignored, as browsers do.
        self._is_plain = self._encoding not in ("gzip", "deflate")
        self._inflate: Any = None

    @property
    def is_done(self) -> bool:
        """Whether the data so far is all there is, as far as the encoding tells."""
        return self._is_plain or (self._inflate is not None and self._inflate.eof)

    @property
    def ignores_more(self) -> bool:
        """Whether the encoded data has ended, so that what follows is none of it."""
        return not self._is_plain and self.is_done

    def decode(self, block: bytes, most: int) -> bytes:
        """Bytes behind the next `block`, of which the first `most` (1 or more) may be all."""
        if self._is_plain:
            return block[:most]
        if self._inflate is None:
            if self._encoding == "gzip":
                bits = 16 + zlib.MAX_WBITS
            else:  # "deflate" means zlib's format, but some servers send it without zlib's header
                bits = zlib.MAX_WBITS if block[0] & 0xF == 8 else -zlib.MAX_WBITS
            self._inflate = zlib.decompressobj(bits)
        return self._inflate.decompress(block, most)


def failure(error: BaseException) -> Answer:
    """The answer that an exception from aiohttp amounts to.

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


class Budget:
    """Bytes that may be held at once. Whoever asks for more than is left waits, in the order of asking."""

    def __init__(self, total: int):
        self._free = total
        self._turn = asyncio.Lock()
        self._returned = asyncio.Event()

    async def take(self, size: int) -> None:
        """Waits until `size` bytes, at most the total, are free, and holds them."""
        async with self._turn:
            while self._free < size:
                self._returned.clear()
                await self._returned.wait()
            self._free -= size

    def give_back(self, size: int) -> None:
        """Frees bytes that were taken."""
        self._free += size
        self._returned.set()


class Lease:
    """Bytes of a Budget that one body holds."""

    def __init__(self, budget: Budget, timer: asyncio.Timeout):
        self._budget, self._timer = budget, timer
        self.size = 0

    async def grow(self, size: int) -> None:
        """Waits until `size` bytes in all are held. What is waited for is our memory, so it does not count as time."""
        if size <= self.size:
            return
        loop = asyncio.get_running_loop()
        end, began = self._timer.when(), loop.time()
        self._timer.reschedule(None)
        await self._budget.take(size - self.size)
        self.size = size
        if end is not None:
            self._timer.reschedule(end + loop.time() - began)

    def shrink(self, size: int) -> None:
        """Gives back all but `size` bytes."""
        self._budget.give_back(self.size - size)
        self.size = size


class Fetcher:
    """Fetches links, one call each, as many at once as its settings allow; used with `async with`."""

    def __init__(self, settings: FetchSettings):
        self._settings = settings
        self._bot = settings.user_agent.partition("/")[0].strip().lower()
        self._turns = asyncio.Semaphore(settings.connections)
        total = max(settings.max_held_bytes, 2 * settings.max_bytes)
        self._bodies = Budget(total)
        # What bodies of unknown length hold at first. All connections together hold a quarter, so that the rest, which
        # is more than one body, is there for one of them to grow.
        self._first_bytes = max(1, min(1 << 20, settings.max_bytes, total // 4 // settings.connections))
        self._hosts: dict[str, HostTurns] = {}
        self._session: aiohttp.ClientSession | None = None
        self._resolver: CheckedResolver | None = None

    async def __aenter__(self) -> "Fetcher":
        settings = self._settings
        # Twice as many as can wait for an answer: a lookup given up on keeps its thread until the system gives up too.
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
            headers={"User-Agent": settings.user_agent, "Accept": "image/*,*/*;q=0.8", "Accept-Encoding": "identity"},
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
        """Fetches `url`, again if that may help. Whatever the link or its servers do ends up in the status.

        Raises:
            ConfigError: this machine ran out of open files.
            RuntimeError: not within `async with`.
        """
        async with self.fetched(url) as found:
            return found

    @contextlib.asynccontextmanager
    async def fetched(self, url: str) -> AsyncIterator[Fetched]:
        """As `fetch`; within the block, the data counts as held (FetchSettings.max_held_bytes)."""
        found, held = await self._fetch(url)
        try:
            yield found
        finally:
            self._bodies.give_back(held)

    async def _fetch(self, url: str) -> tuple[Fetched, int]:
        """What became of `url`, and how many bytes of the budget its data holds."""
        if self._session is None:
            raise RuntimeError("a Fetcher fetches within `async with Fetcher(settings) as fetcher`")
        attempt = 1
        while True:
            answer = await self._attempt(url)
            wait_s = None
            if answer.worth_retrying and attempt <= self._settings.retries:
                wait_s = retry_wait_s(self._settings, url, attempt, answer.retry_after_s)
            if wait_s is None:
                return Fetched(answer.status, answer.data, answer.http_status, attempt), answer.held
            await asyncio.sleep(wait_s)  # without a turn, which others may use meanwhile
            attempt += 1

    async def _attempt(self, link: str) -> Answer:
        """Follows `link` through its redirects, within the time that one attempt has."""
        left_s = self._settings.total_timeout_s
        loop = asyncio.get_running_loop()
        url: URL | None = None
        http_status = None
        for _ in range(self._settings.max_redirects + 1):
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
    async def _turn(self, host: str):
        """Waits until one more request to `host` is within both limits, and holds a place in them."""
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
        """One request, without redirects; its body is read before this returns."""
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
        """What a response, of which the headers have come, amounts to; reads its body if that is wanted."""
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
            answer = await self._read_body(response, Decoder(encoding), lease)
            return answer
        finally:
            lease.shrink(answer.held if answer else 0)

    async def _read_body(self, response: aiohttp.ClientResponse, decoder: Decoder, lease: Lease) -> Answer:
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
        """The body as it comes."""
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

    def _open_socket(self, address_info: tuple) -> socket.socket:
        """Makes the socket of every connection: a last look at where it goes, by whatever way aiohttp came there."""
        family, kind, protocol, _, address = address_info
        if not is_open(address[0], self._settings.allow_loopback):
            raise AddressBlockedError(f"{address[0]} is not public")
        return socket.socket(family, kind, protocol)


async def fetch_all(
    links: Iterable[tuple[Any, str]], settings: FetchSettings, handle: Callable[[Any, Fetched], Awaitable[object]]
) -> None:
    """Fetches every link and hands over what became of it, in whatever order that comes.

    However many links there are, only so many are under way at once (WORKERS_PER_CONNECTION for each connection), and
    the next is taken from `links` when one is handled. Links of one host in a row wait for each other: mix the hosts.

    Args:
        links: pairs (key, url); iterated over once, in this thread.
        settings: of the fetching.
        handle: awaited as handle(key, fetched) once a link; several calls may be under way at once. While one waits,
            the link's data counts as held (FetchSettings.max_held_bytes), and no other link takes its place.

    Raises:
        ConfigError: this machine ran out of open files. Besides, whatever `links` or `handle` raises: the first such
            exception, and cancellation, end all fetching before they get here.
    """
    waiting = iter(links)

    async def bring(fetcher: Fetcher, key: Any, url: str):
        # A function of its own: in the loop, the data would stay until the next link's.
        async with fetcher.fetched(url) as found:
            await handle(key, found)

    async def work(fetcher: Fetcher):
        for key, url in waiting:  # shared: each worker's loop takes links that no other has taken
            await bring(fetcher, key, url)

    async with Fetcher(settings) as fetcher:
        workers = [asyncio.create_task(work(fetcher)) for _ in range(WORKERS_PER_CONNECTION * settings.connections)]
        try:
            await asyncio.gather(*workers)
        finally:
            for worker in workers:
                worker.cancel()
            await asyncio.gather(*workers, return_exceptions=True)
