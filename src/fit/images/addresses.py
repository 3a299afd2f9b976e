"""Which addresses a connection may go to: those of the public internet, and no others.

A link is a stranger's, and may be aimed at this machine's own network. So every address is checked before a connection
goes to it: one that a link spells out, and every one that a name leads to.
"""

import asyncio
import ipaddress
import re
import socket
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

HOST_NAME = re.compile(r"[a-z0-9_-]+(\.[a-z0-9_-]+)*\.?")

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


class AddressBlockedError(OSError):
    """A connection would go to an address that is not on the public internet."""


class BadUrlError(ValueError):
    """A link that is not an http or https link to a host."""


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
    """Return the URL to ask for `link`, relative to `base` if that is given, without its user, password and fragment.

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
    """Return the addresses of a host name, from the system's resolver; blocks.

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
        """Return the addresses of `host`, all open.

        Raises:
            OSError: there are none.
            AddressBlockedError: one is not open.
        """
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
        """End the threads, without waiting for lookups under way."""
        self._threads.shutdown(wait=False, cancel_futures=True)
