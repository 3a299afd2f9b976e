import asyncio
import errno
import ipaddress
import socket
import threading
from collections import Counter
from datetime import UTC, datetime
from urllib.parse import quote

import aiohttp
import pytest
from misbehaving_server import BODY, BOMB_BYTES, MisbehavingServer, image_bytes

from fit.errors import ConfigError
from fit.images import fetch as module
from fit.images.fetch import (
    USER_AGENT,
    WORKERS_PER_CONNECTION,
    AddressBlockedError,
    BadUrlError,
    Fetched,
    Fetcher,
    FetchSettings,
    checked_url,
    fetch_all,
    is_open,
    opted_out,
    retry_after_s,
    retry_wait_s,
)

NOW = datetime(2030, 1, 1, tzinfo=UTC)


@pytest.fixture(autouse=True)
def loopback_only(monkeypatch):
    """Whatever else is broken, no test connects to anything but this machine."""
    open_socket = Fetcher._open_socket

    def guarded(self, address_info):
        opened = open_socket(self, address_info)
        if not ipaddress.ip_address(address_info[-1][0]).is_loopback:
            opened.close()
            raise AssertionError(f"a test would have connected to {address_info[-1]}")
        return opened

    monkeypatch.setattr(Fetcher, "_open_socket", guarded)


@pytest.fixture
def server():
    with MisbehavingServer() as running:
        yield running


def settings(**changed):
    """Settings for which 127.0.0.1 is the web; impatient only where a test says so, as a busy machine is slow."""
    here = {"connect_timeout_s": 5.0, "total_timeout_s": 10.0, "backoff_s": 0.01, "retries": 0, "allow_loopback": True}
    return FetchSettings(**(here | changed))


def fetch(*urls, **changed):
    """What became of each link, fetched one after the other by one Fetcher; a single one not as a list."""

    async def run():
        async with Fetcher(settings(**changed)) as fetcher:
            return [await fetcher.fetch(url) for url in urls]

    fetched = asyncio.run(run())
    return fetched[0] if len(urls) == 1 else fetched


@pytest.fixture
def names(monkeypatch):
    """Addresses by host name, in place of DNS; every name that was looked up is in `names.asked`."""

    class Names(dict):
        def __init__(self):
            self.asked = []

        def __call__(self, host):
            self.asked.append(host)
            found = self.get(host, socket.gaierror(socket.EAI_NONAME, "Name or service not known"))
            if isinstance(found, Exception):
                raise found
            return found

    names = Names()
    monkeypatch.setattr(module, "look_up", names)
    return names


@pytest.fixture
def silent_port():
    """A port where connections are taken and nothing is ever said."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield listening.getsockname()[1]


@pytest.fixture
def closed_port():
    """A port where nobody listens, and nobody else may while the test runs."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield bound.getsockname()[1]


# One link, one status


@pytest.mark.parametrize(
    ("path", "status", "http_status"),
    [
        ("/image", "ok", 200),
        ("/html", "ok", 200),  # whether it is an image is not this room's business
        ("/size/0", "ok", 200),
        ("/slow-headers", "timeout", None),
        ("/trickle", "timeout", 200),
        ("/interim", "timeout", None),
        ("/endless", "too_large", 200),
        ("/endless-chunks", "too_large", 200),
        ("/claims/101", "truncated", 200),
        ("/claims/100000000000", "too_large", 200),
        ("/claims/99999999999999999999999999", "connection", None),  # more than 64 bits
        ("/claims/-1", "connection", None),
        ("/broken-chunks", "truncated", 200),
        ("/bad-chunks", "truncated", 200),
        ("/reset", "connection", None),
        ("/reset-in-body", "truncated", 200),
        ("/hang-up", "connection", None),
        ("/not-http", "connection", None),
        ("/huge-headers", "connection", None),
        ("/many-headers", "connection", None),
        ("/status/204", "http_204", 204),
        ("/status/300", "http_300", 300),
        ("/status/302", "http_302", 302),  # a redirect to nowhere
        ("/status/404", "http_404", 404),
        ("/status/410", "http_410", 410),
        ("/status/429", "http_429", 429),
        ("/status/500", "http_500", 500),
        ("/redirects/5", "ok", 200),
        ("/redirects/6", "too_many_redirects", 301),
        ("/loop", "too_many_redirects", 307),
        ("/redirect/" + quote("http://169.254.169.254/latest/meta-data/", ""), "blocked_address", 302),
        ("/redirect/" + quote("//10.0.0.1/", ""), "blocked_address", 302),
        ("/redirect/" + quote("http://[fd00:ec2::254]/", ""), "blocked_address", 302),
        ("/redirect/" + quote("http://0xa9fea9fe/", ""), "blocked_address", 302),
        ("/redirect/" + quote("file:///etc/passwd", ""), "bad_url", 302),
        ("/redirect/" + quote("javascript:alert(1)", ""), "bad_url", 302),
        ("/redirect/" + quote("http://[::1", ""), "bad_url", 302),
        ("/redirect/" + quote("http://\xe9\xff/", "", "latin-1"), "bad_url", 302),
        ("/redirect/" + quote("https://", ""), "bad_url", 302),
        ("/image?X-Robots-Tag=noai", "opted_out", 200),
        ("/redirect/" + quote("/image", "") + "?X-Robots-Tag=noimageai", "opted_out", 302),
        ("/status/404?X-Robots-Tag=noai", "http_404", 404),
        ("/gzipped", "ok", 200),
        ("/gzipped?encoding=X-GZIP", "ok", 200),
        ("/gzipped?encoding=deflate", "decoding", 200),
        ("/gzipped?encoding=br", "decoding", 200),
        ("/gzipped?encoding=gzip,gzip", "decoding", 200),
        ("/deflated/zlib", "ok", 200),
        ("/deflated/raw", "ok", 200),
        ("/gzip-cut", "truncated", 200),
        ("/gzip-garbage", "decoding", 200),
        ("/gzip-bomb", "too_large", 200),
        ("/gzip-nothing", "too_large", 200),
    ],
)
def test_whatever_a_server_does_becomes_a_status(server, caplog, path, status, http_status):
    fetched = fetch(server.url(path), max_bytes=1_000_000, total_timeout_s=0.5 if status == "timeout" else 10.0)
    assert (fetched.status, fetched.http_status, fetched.attempts) == (status, http_status, 1)
    assert (fetched.data is not None) == (status == "ok")
    if status == "ok" and "html" not in path and "size" not in path:
        assert fetched.data == image_bytes()
    assert not caplog.records, "an exception that was not foreseen"


def test_a_body_longer_than_its_content_length_is_read_that_far(server):
    assert fetch(server.url("/surplus")) == Fetched("ok", BODY, 200, 1)
    # If all of it comes at once, aiohttp 3.14 takes what is left for another answer, a broken one.
    assert fetch(server.url("/claims/60")) in (Fetched("ok", BODY[:60], 200, 1), Fetched("connection", None, None, 1))


def test_unknown_encodings_are_ignored(server):
    assert fetch(server.url("/image?Content-Encoding=utf-8")).data == image_bytes()


def test_the_largest_body_is_still_fetched_and_one_byte_more_is_not(server):
    largest, larger = fetch(server.url("/size/5000"), server.url("/size/5001"), max_bytes=5000)
    assert (len(largest.data), larger.status) == (5000, "too_large")
    zipped = len(image_bytes())
    assert fetch(server.url("/gzipped"), max_bytes=max(zipped, 2000)).status == "ok"


@pytest.mark.parametrize("path", ["/endless", "/endless-chunks", "/gzip-nothing", "/huge-headers", "/many-headers"])
def test_what_has_no_end_is_not_read_to_it(server, path):
    fetch(server.url(path), max_bytes=100_000)
    # The system's own buffers hold some megabytes; a reader without limits would take hundreds each second.
    assert server.sent[path] < 20_000_000


def test_a_bomb_stays_folded(server, monkeypatch):
    blown_up = []
    decode = module.Decoder.decode

    def counted(self, block, most):
        data = decode(self, block, most)
        blown_up.append(len(data))
        return data

    monkeypatch.setattr(module.Decoder, "decode", counted)
    fetch(server.url("/gzip-bomb"), max_bytes=1_000_000)
    assert 1_000_000 < sum(blown_up) <= 1_000_001 < BOMB_BYTES


def test_nobody_there(closed_port):
    assert fetch(f"http://127.0.0.1:{closed_port}/").status == "connection"


def test_nothing_is_said(silent_port):
    assert fetch(f"http://127.0.0.1:{silent_port}/", total_timeout_s=0.2).status == "timeout"
    assert fetch(f"https://127.0.0.1:{silent_port}/", connect_timeout_s=0.2).status == "timeout"


def test_tls_that_is_none(server):
    assert fetch(server.url("/image", scheme="https")).status == "tls"


def test_certificates_are_verified(server):
    async def run():
        async with Fetcher(settings()) as fetcher:
            context = fetcher._session.connector._get_ssl_context(FakeRequest)
            return context.verify_mode, context.check_hostname

    class FakeRequest:
        ssl = True

        @staticmethod
        def is_ssl():
            return True

    assert asyncio.run(run()) == (module.ssl.CERT_REQUIRED, True)


def test_one_timeout_covers_all_redirects(server):
    # No hop takes that long, all of them do.
    assert fetch(server.url("/slow-redirects/5"), total_timeout_s=0.5).status == "timeout"


def test_redirects_that_are_not_utf_8_are_followed_byte_for_byte(server):
    there = server.url("/redirect/" + quote("/image?caf\xe9\xff", "", "latin-1"))
    assert fetch(there).status == "ok"
    assert server.requests[-1].target == "/image?caf%E9%FF"


def test_an_exception_that_nobody_foresaw_is_a_status_and_is_logged(server, monkeypatch, caplog):
    def fail(self, block, most):
        raise LookupError("as if aiohttp had a bug")

    monkeypatch.setattr(module.Decoder, "decode", fail)
    assert fetch(server.url("/image")).status == "connection"
    assert "as if aiohttp had a bug" in caplog.text


def test_running_out_of_open_files_is_not_the_links_fault(server, monkeypatch):
    def fail(self, address_info):
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr(Fetcher, "_open_socket", fail)
    with pytest.raises(ConfigError, match="ulimit"):
        fetch(server.url("/image"))


# Links and addresses


@pytest.mark.parametrize(
    "link",
    [
        None,
        b"http://example.org/",
        "",
        "   ",
        "example.org/a.jpg",
        "//example.org/a.jpg",
        "/a.jpg",
        "ftp://example.org/a.jpg",
        "file:///etc/passwd",
        "data:image/png;base64,AAAA",
        "http:",
        "http://",
        "http:///a.jpg",
        "http://:80/",
        "http://user@/",
        "http://[::1",
        "http://[::1]x/",
        "http://[1.2.3.4]/",
        "http://[fe80::zz]/",
        "http://example.org:port/",
        "http://example.org:99999/",
        "http://example.org\\@127.0.0.1/",
        "http://127.0.0.1\\@example.org/",
        "http://exa mple.org/",
        "http://example.org%00.evil/",
        "http://%31%32%37.0.0.1/",
        "http://example..org/",
        "http://./",
        "http://xn--a/",
        "http://\udcff/",
        "http://1.2.3.256/",
        "http://1.2.3.4.5/",
        "http://0x/",
        "http://09.1.1.1/",
        "http://4294967296/",
        "http://name.0x7f/",
    ],
)
def test_links_that_are_none(link):
    with pytest.raises(BadUrlError):
        checked_url(link, allow_loopback=True)
    assert fetch(link) == Fetched("bad_url", None, None, 1)


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "127.0.0.1.",
        "127.1",
        "2130706433",
        "0x7f000001",
        "0x7f.1",
        "0X7F.0.0.1",
        "017700000001",
        "0177.0.0.01",
        "127.0.1",
        "１２７.０.０.１",
        "127。0。0。1",
        "user:password@127.0.0.1",
        "example.org@127.0.0.1",
        "0",
        "0.0.0.0",
        "10.1.2.3",
        "172.16.0.1",
        "192.168.1.1",
        "100.64.0.1",
        "100.100.100.200",
        "169.254.169.254",
        "168.63.129.16",
        "192.0.0.192",
        "192.0.2.1",
        "192.88.99.1",
        "198.18.0.1",
        "224.0.0.1",
        "240.0.0.1",
        "255.255.255.255",
        "[::1]",
        "[0:0:0:0:0:0:0:1]",
        "[::]",
        "[::127.0.0.1]",
        "[::ffff:127.0.0.1]",
        "[::ffff:a9fe:a9fe]",
        "[::ffff:0:127.0.0.1]",
        "[fe80::1]",
        "[fe80::1%25eth0]",
        "[fe80::1%eth0]",
        "[2606:4700::1111%25eth0]",
        "[fec0::1]",
        "[fc00::1]",
        "[fd00:ec2::254]",
        "[ff02::1]",
        "[64:ff9b::7f00:1]",
        "[64:ff9b::a9fe:a9fe]",
        "[64:ff9b:1::a00:1]",
        "[2002:7f00:1::]",
        "[2002:a9fe:a9fe::1]",
        "[2001:0:7f00:1::]",
        "[2001:0:4136:e378:8000:63bf:f5ff:fffe]",  # Teredo, its client 10.0.0.1
        "[2001:db8::1]",
        "[2001:2::1]",
        "[3fff::1]",
        "[100::1]",
        "[5f00::1]",
    ],
)
def test_hosts_that_are_addresses_of_no_public_network(host):
    with pytest.raises(AddressBlockedError):
        checked_url(f"http://{host}/", allow_loopback=False)
    assert fetch(f"http://{host}:9/", allow_loopback=False) == Fetched("blocked_address", None, None, 1)


@pytest.mark.parametrize(
    ("link", "asked"),
    [
        ("http://93.184.216.34/", "http://93.184.216.34/"),
        ("http://1572395042/a.jpg", "http://93.184.216.34/a.jpg"),
        ("HTTP://0x5d.0xb8.0xd822:8080", "http://93.184.216.34:8080/"),
        ("http://[2606:4700::1111]/", "http://[2606:4700::1111]/"),
        ("http://[::ffff:93.184.216.34]/", "http://[::ffff:5db8:d822]/"),
        ("http://[64:ff9b::5db8:d822]/", "http://[64:ff9b::5db8:d822]/"),
        ("http://[2002:5db8:d822::1]/", "http://[2002:5db8:d822::1]/"),
        (" https://user:secret@Example.org:443/a b.jpg#part ", "https://example.org/a%20b.jpg"),
        ("http://bücher.example/ü.jpg", "http://xn--bcher-kva.example/%C3%BC.jpg"),
        ("http://my_blog.example./x?y=%2B+%20", "http://my_blog.example./x?y=%2B+%20"),
        ("http://127.0.0.1.example.org/", "http://127.0.0.1.example.org/"),
    ],
)
def test_links_that_are_good(link, asked):
    url = checked_url(link, allow_loopback=False)
    assert str(url).rstrip("/") == asked.rstrip("/")


def test_allowed_loopback_opens_nothing_else():
    opened = ["127.0.0.1", "127.255.255.254", "::1"]
    others = ["::ffff:127.0.0.1", "64:ff9b::7f00:1", "2002:7f00:1::", "0.0.0.0", "::", "10.0.0.1", "169.254.169.254"]
    assert all(is_open(a, allow_loopback=True) and not is_open(a, allow_loopback=False) for a in opened)
    assert not any(is_open(a, allow_loopback=True) for a in others)


def test_special_ranges_are_closed_to_their_ends():
    # The registries' special ranges, whatever this version of Python knows of them: first, middle and last address.
    special = "0/8 10/8 100.64/10 127/8 169.254/16 172.16/12 192.0.0/24 192.0.2/24 192.168/16 198.18/15 198.51.100/24"
    special += " 203.0.113/24 224/4 240/4"
    for short in special.split():
        address, bits = short.split("/")
        network = ipaddress.ip_network(f"{address}{'.0' * (3 - address.count('.'))}/{bits}")
        for at in (0, network.num_addresses // 2, -1):
            assert not is_open(str(network[at]), allow_loopback=False), network[at]


def test_redirects_home_are_blocked(server, names, monkeypatch):
    # With loopback open no redirect to it would be blocked, so only the first hop's name is let through.
    names.update({"web.example": ["127.0.0.1"], "home.example": ["127.0.0.1"]})
    checked = module._is_open

    def first_is_public(address, allow_loopback):
        return not server.requests or checked(address, allow_loopback)

    monkeypatch.setattr(module, "_is_open", first_is_public)
    for home in (server.url("/image"), server.url("/image", host="[::1]"), server.url("/image", host="home.example")):
        server.requests.clear()
        fetched = fetch(server.url("/redirect/" + quote(home, ""), host="web.example"), allow_loopback=False)
        assert (fetched.status, fetched.http_status) == ("blocked_address", 302)
        assert len(server.requests) == 1


@pytest.mark.parametrize(
    "addresses",
    [
        ["10.0.0.1"],
        ["93.184.216.34", "192.168.0.1"],
        ["127.0.0.1", "169.254.169.254"],
        ["127.0.0.1", "fd00:ec2::254"],
        ["fe80::1%eth0"],
    ],
)
def test_a_name_with_any_blocked_address_is_blocked(server, names, addresses):
    names["web.example"] = addresses
    fetched = fetch(server.url("/image", host="web.example"), retries=2)
    assert fetched == Fetched("blocked_address", None, None, 1)
    assert not server.requests


def test_localhost_is_loopback(server):
    assert fetch(server.url("/image", host="localhost"), allow_loopback=False).status == "blocked_address"
    assert not server.requests


def test_the_address_that_was_checked_is_the_one_connected_to(server, monkeypatch):
    lookups = []

    def rebinding(host):
        lookups.append(host)
        return ["127.0.0.1"] if len(lookups) == 1 else ["169.254.169.254"]

    monkeypatch.setattr(module, "look_up", rebinding)
    monkeypatch.setattr(socket, "getaddrinfo", None)  # whoever looks the name up again fails
    assert fetch(server.url("/image", host="rebind.example")).status == "ok"
    assert lookups == ["rebind.example"]
    assert server.requests[0].header("Host") == [f"rebind.example:{server.port}"]


def test_no_socket_opens_to_an_address_that_was_not_checked(server, monkeypatch):
    # As if a later aiohttp came by addresses in a way of its own.
    async def unchecked(self, host, port=0, family=socket.AF_INET):
        address = {"hostname": host, "host": "127.0.0.1", "port": port, "family": family, "proto": 0, "flags": 0}
        return [address, address | {"host": "127.0.0.2"}]

    monkeypatch.setattr(module.CheckedResolver, "resolve", unchecked)
    assert fetch(server.url("/image", host="web.example"), allow_loopback=False).status == "blocked_address"
    assert not server.requests


def test_names_that_are_not_there_are_asked_for_once(names):
    assert fetch("http://gone.example/", retries=2) == Fetched("dns", None, None, 1)
    assert names.asked == ["gone.example"]


def test_name_servers_in_trouble_are_asked_again(names):
    names["web.example"] = socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")
    assert fetch("http://web.example/", retries=2) == Fetched("dns", None, None, 3)


def test_names_that_no_name_server_takes():
    # Only the C library is asked, which refuses these before it asks anyone.
    assert fetch(f"http://{'a' * 64}.invalid/").status == "dns"
    assert fetch(f"http://{'a.' * 200}invalid/").status == "dns"


def test_a_name_server_that_takes_too_long(monkeypatch, closed_port):
    done = threading.Event()
    monkeypatch.setattr(module, "look_up", lambda host: done.wait(3) or ["127.0.0.1"])
    try:
        slow = fetch(f"http://web.example:{closed_port}/", connect_timeout_s=0.2, total_timeout_s=30)
        assert slow.status == "timeout"
    finally:
        done.set()


def test_proxies_of_the_environment_are_not_used(server, closed_port, monkeypatch):
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{closed_port}")
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    assert fetch(server.url("/image")).status == "ok"


# Manners


def test_what_servers_get_to_know(server, names):
    names["web.example"] = ["127.0.0.1"]  # cookies of bare addresses would not be kept anyway
    cookies, image = (server.url(path, host="web.example") for path in ("/cookies", "/image"))
    login = cookies.replace("http://", "http://user:secret@")
    away = server.url("/redirect/" + quote(image.replace("http://", "http://user:secret@"), ""))
    assert [f.status for f in fetch(login, cookies, away)] == ["ok", "ok", "ok"]
    assert len(server.requests) == 6
    for request in server.requests:
        assert request.header("User-Agent") == [USER_AGENT]
        assert sorted(name for name, _ in request.headers) == ["accept", "accept-encoding", "host", "user-agent"]
    assert USER_AGENT.startswith("fit-imitation-threshold/") and "https://" in USER_AGENT


@pytest.mark.parametrize(
    ("tags", "left"),
    [
        ([], False),
        (["noai"], True),
        (["NoAI"], True),
        (["noimageai"], True),
        (["noindex, noimageai"], True),
        (["noindex", "noai"], True),
        (["noimageindex, noindex, none"], False),
        (["noaifoo"], False),
        (["otherbot: noai"], False),
        (["otherbot: noindex, noai"], False),
        (["otherbot: noindex", "noai"], True),
        (["otherbot: noindex, *: noai"], True),
        (["*: noai"], True),
        (["our-bot: noai"], True),
        (["Our-Bot : NOAI"], True),
        (["our-bot-2: noai"], False),
        (["max-snippet: -1, noai"], True),
        (["max-image-preview:large, noai"], True),
        (["unavailable_after: 25 Jun 2030 15:00:00 PST, noai"], True),
        (["unavailable_after: Tuesday, 25-Jun-30 15:00:00 PST, noai"], True),
        (["otherbot: unavailable_after: 25 Jun 2030 15:00:00 PST, noai"], False),
        (["some other bot/1.0: noai"], True),  # no bot has such a name: in doubt, the image is left
        ([",,:, :noai"], True),
    ],
)
def test_who_opted_out(tags, left):
    assert opted_out(tags, "our-bot") == left


def test_our_own_name_is_that_of_the_user_agent(server):
    ours, other = server.url("/image?X-Robots-Tag=painter:noai"), server.url("/image?X-Robots-Tag=otherbot:noai")
    assert [f.status for f in fetch(ours, other, user_agent="Painter/2.0 (x)")] == ["opted_out", "ok"]


def test_an_opted_out_body_is_not_read_unless_opt_outs_are_not_honoured(server, monkeypatch):
    monkeypatch.setattr(module.Decoder, "decode", lambda *_: pytest.fail("read"))
    assert fetch(server.url("/image?X-Robots-Tag=noai")).data is None
    monkeypatch.undo()
    assert fetch(server.url("/image?X-Robots-Tag=noai"), honour_opt_out=False).data == image_bytes()


@pytest.mark.parametrize("path", ["/then-image/500", "/then-image/503?Retry-After=0", "/then-image/429?Retry-After=0"])
def test_servers_in_trouble_are_asked_again(server, path):
    assert fetch(server.url(path), retries=2) == Fetched("ok", image_bytes(), 200, 2)


@pytest.mark.parametrize(
    ("path", "attempts"),
    [
        ("/status/500", 3),
        ("/status/429", 3),
        ("/reset", 3),
        ("/slow-headers", 3),
        ("/claims/200", 3),
        ("/status/404", 1),
        ("/status/403", 1),
        ("/gzip-bomb", 1),
        ("/gzip-garbage", 1),
        ("/loop", 1),
        ("/image?X-Robots-Tag=noai", 1),
        ("/status/429?Retry-After=31", 1),  # longer than we are ready to wait: leave it, and do not come back early
    ],
)
def test_only_what_may_change_is_tried_again(server, path, attempts):
    patience_s = 0.2 if path == "/slow-headers" else 10.0
    fetched = fetch(server.url(path), retries=2, total_timeout_s=patience_s, max_bytes=1_000_000)
    assert (fetched.attempts, fetched.status == "ok") == (attempts, False)
    if path == "/loop":
        assert server.asked(path) == 6
    elif path == "/reset":
        assert server.asked(path) <= 2 * attempts  # aiohttp repeats a request that got no answer by itself, once
    else:
        assert server.asked(path) == attempts


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (None, None),
        ("", None),
        ("0", 0),
        (" 120 ", 120),
        ("-5", None),
        ("1.5", None),
        ("٣", None),
        ("9" * 5000, float("inf")),
        ("soon", None),
        ("Tue, 01 Jan 2030 00:01:30 GMT", 90),
        ("Tuesday, 01-Jan-30 00:01:30 GMT", 90),
        ("Tue Jan  1 00:01:30 2030", 90),
        ("Mon, 31 Dec 2029 23:59:00 GMT", 0),
        ("Tue, 01 Jan 99999999999 00:00:00 GMT", None),
        ("Tue, 99 Jan 2030 00:00:00 GMT", None),
    ],
)
def test_retry_after(value, seconds):
    assert retry_after_s(value, NOW) == seconds


def test_waits_double_differ_by_link_and_repeat():
    patient = FetchSettings(backoff_s=1.0, max_retry_after_s=30)
    waits = [retry_wait_s(patient, f"http://{i}.example/", 1, None) for i in range(200)]
    assert 0.5 <= min(waits) < 0.6 and 1.4 < max(waits) <= 1.5
    assert waits == [retry_wait_s(patient, f"http://{i}.example/", 1, None) for i in range(200)]
    assert 2 <= retry_wait_s(patient, "a", 3, None) <= 6
    assert retry_wait_s(patient, "a", 1, 20) == 20
    assert retry_wait_s(patient, "a", 1, 0) == retry_wait_s(patient, "a", 1, None)
    assert retry_wait_s(patient, "a", 1, 30) == 30 and retry_wait_s(patient, "a", 1, 31) is None


def test_waiting_for_a_retry_takes_its_time_and_holds_no_place(server):
    async def run():
        done = []
        async with Fetcher(settings(connections=1, connections_per_host=1, retries=1, backoff_s=1.0)) as fetcher:

            async def each(*paths):
                for path in paths:
                    done.append((path, (await fetcher.fetch(server.url(path))).status))

            await asyncio.gather(each("/then-image/500"), each("/held", "/held", "/held"))
        return done

    assert asyncio.run(run()) == [("/held", "ok")] * 3 + [("/then-image/500", "ok")]
    assert server.most_at_once == 1


def test_a_busy_host_does_not_keep_others_from_idle_ones(server, names):
    names.update({"busy.example": ["127.0.0.1"], "idle.example": ["127.0.0.1"]})

    async def run():
        done = []
        async with Fetcher(settings(connections=2, connections_per_host=1, total_timeout_s=0.4)) as fetcher:

            async def one(path, host):
                await fetcher.fetch(server.url(path, host=f"{host}.example"))
                done.append(host)

            await asyncio.gather(one("/slow-headers", "busy"), one("/slow-headers", "busy"), one("/image", "idle"))
        return done

    assert asyncio.run(run()) == ["idle", "busy", "busy"]


@pytest.mark.parametrize("path", ["/size/1000", "/sized-as-it-comes/1000"])
def test_bodies_are_held_within_one_budget_until_they_are_handled(server, path):
    held, most = 0, []

    async def handle(_, fetched):
        nonlocal held
        held += len(fetched.data)
        most.append(held)
        await asyncio.sleep(0.01)
        held -= len(fetched.data)

    limits = {"max_bytes": 1200, "max_held_bytes": 3000, "connections": 8, "connections_per_host": 8}
    links = [(i, server.url(path)) for i in range(24)]
    asyncio.run(fetch_all(links, settings(total_timeout_s=0.5, **limits), handle))
    assert len(most) == 24 and 1000 < max(most) <= 3000


def test_a_body_that_grows_past_the_budget_of_others_waits_and_is_not_timed_out(server):
    async def run():
        limits = settings(max_bytes=1000, max_held_bytes=2000, total_timeout_s=1.0)
        async with Fetcher(limits) as fetcher:
            async with fetcher.fetched(server.url("/size/1000")) as first, fetcher.fetched(server.url("/size/900")):
                assert len(first.data) == 1000
                waiting = asyncio.create_task(fetcher.fetch(server.url("/sized-as-it-comes/900")))
                await asyncio.sleep(1.5)
                assert not waiting.done()
            return await waiting, await fetcher.fetch(server.url("/endless")), await fetcher.fetch(server.url("/html"))

    waited, endless, after = asyncio.run(run())
    assert (waited.status, len(waited.data)) == ("ok", 900)
    assert (endless.status, after.status) == ("too_large", "ok")


def test_a_response_that_fails_as_it_is_closed_gives_its_bytes_back(server, monkeypatch):
    async def fail(self):
        raise OSError("gone")

    monkeypatch.setattr(aiohttp.ClientResponse, "wait_for_close", fail)

    async def run():
        async with Fetcher(settings(max_bytes=1000, max_held_bytes=2000)) as fetcher:
            return [(await asyncio.wait_for(fetcher.fetch(server.url("/size/900")), 5)).status for _ in range(4)]

    assert asyncio.run(run()) == ["connection"] * 4


def test_limits_in_all_and_per_host_hold(server, names):
    names.update({"a.example": ["127.0.0.1"], "b.example": ["127.0.0.1"], "c.example": ["127.0.0.1"]})
    links = [(i, server.url("/held", host=f"{'abc'[i % 3]}.example")) for i in range(60)]
    statuses = Counter()

    async def handle(_, fetched):
        statuses[fetched.status] += 1

    asyncio.run(fetch_all(links, settings(connections=5, connections_per_host=2), handle))
    assert statuses == {"ok": 60}
    assert server.most_at_once == 5
    assert set(server.most_at_once_by_host.values()) == {2}


def test_waiting_for_a_turn_does_not_count_as_waiting_for_the_server(server):
    links = [(i, server.url("/held")) for i in range(100)]
    statuses = Counter()

    async def handle(_, fetched):
        statuses[fetched.status] += 1

    # One after the other they take longer than any single one may.
    asyncio.run(fetch_all(links, settings(connections_per_host=1, total_timeout_s=1.0), handle))
    assert statuses == {"ok": 100}


def test_redirects_between_busy_hosts_do_not_wait_for_each_other(server, names):
    names.update({"a.example": ["127.0.0.1"], "b.example": ["127.0.0.1"]})
    to = {host: quote(server.url("/held", host=f"{host}.example"), "") for host in "ab"}
    links = [(i, server.url(f"/redirect/{to['ab'[i % 2]]}", host=f"{'ba'[i % 2]}.example")) for i in range(40)]
    statuses = Counter()

    async def handle(_, fetched):
        statuses[fetched.status] += 1

    asyncio.run(fetch_all(links, settings(connections=2, connections_per_host=1), handle))
    assert statuses == {"ok": 40}


def test_hosts_are_forgotten(server, names):
    names.update({f"{i}.example": ["127.0.0.1"] for i in range(20)})

    async def run():
        async with Fetcher(settings()) as fetcher:
            await asyncio.gather(*(fetcher.fetch(server.url("/image", host=f"{i}.example")) for i in range(20)))
            return len(fetcher._hosts)

    assert asyncio.run(run()) == 0


# Many links


def test_every_link_is_handled_once(server, names, closed_port):
    names["web.example"] = ["127.0.0.1"]
    kinds = {
        "ok": server.url("/image", host="web.example"),
        "http_404": server.url("/status/404"),
        "connection": f"http://127.0.0.1:{closed_port}/",
        "dns": "http://gone.example/",
        "blocked_address": "http://169.254.169.254/",
        "bad_url": "no link",
    }
    expected = [list(kinds)[i % len(kinds)] for i in range(3000)]
    found = {}

    async def handle(key, fetched):
        assert key not in found
        found[key] = fetched.status

    links = ((i, kinds[status]) for i, status in enumerate(expected))
    asyncio.run(fetch_all(links, settings(connections=16, connections_per_host=8), handle))
    assert [found[i] for i in range(3000)] == expected


def test_links_are_taken_as_they_are_needed(server):
    taken = handled = most = 0

    def links():
        nonlocal taken, most
        for i in range(500):
            taken += 1
            most = max(most, taken - handled)
            yield i, server.url("/image")

    async def handle(_, fetched):
        nonlocal handled
        await asyncio.sleep(0)
        handled += 1

    asyncio.run(fetch_all(links(), settings(connections=3), handle))
    assert handled == 500
    assert most <= WORKERS_PER_CONNECTION * 3


def test_cancelling_stops_everything(server):
    handled = []
    taken = []

    def links():
        for i in range(100_000):
            taken.append(i)
            yield i, server.url("/slow-headers" if i % 2 else "/image")

    async def run():
        enough = asyncio.Event()

        async def handle(key, _):
            handled.append(key)
            if len(handled) == 5:
                enough.set()

        fetching = asyncio.create_task(fetch_all(links(), settings(connections=8, connections_per_host=8), handle))
        await enough.wait()
        fetching.cancel()
        with pytest.raises(asyncio.CancelledError):
            await fetching
        assert asyncio.all_tasks() == {asyncio.current_task()}
        before = len(handled), len(taken)
        await asyncio.sleep(0.1)
        assert before == (len(handled), len(taken))

    asyncio.run(run())
    assert len(taken) < 1000


@pytest.mark.parametrize("culprit", ["links", "handle"])
def test_what_the_caller_raises_ends_the_fetching_and_arrives(server, culprit):
    def links():
        for i in range(10_000):
            if culprit == "links" and i == 50:
                raise ConfigError("no more links")
            yield i, server.url("/image")

    async def handle(key, _):
        if culprit == "handle" and key == 50:
            raise ConfigError("no more space")

    with pytest.raises(ConfigError, match="no more"):
        asyncio.run(fetch_all(links(), settings(), handle))
    assert len(server.requests) < 1000


def test_no_links(server):
    asyncio.run(fetch_all([], settings(), None))


def test_a_cancelled_fetch_gives_its_place_back(server):
    async def run():
        async with Fetcher(settings(connections=1, connections_per_host=1)) as fetcher:
            for _ in range(3):
                stuck = asyncio.create_task(fetcher.fetch(server.url("/slow-headers")))
                waiting = asyncio.create_task(fetcher.fetch(server.url("/slow-headers")))
                await asyncio.sleep(0.05)
                for task in (waiting, stuck):
                    task.cancel()
                    with pytest.raises(asyncio.CancelledError):
                        await task
            return await fetcher.fetch(server.url("/image"))

    assert asyncio.run(run()).status == "ok"


def test_a_fetcher_is_used_within_its_context(server):
    with pytest.raises(RuntimeError, match="async with"):
        asyncio.run(Fetcher(settings()).fetch(server.url("/image")))


@pytest.mark.parametrize(
    "wrong",
    [
        {"connections": 0},
        {"connections_per_host": 0},
        {"total_timeout_s": 0},
        {"max_bytes": -1},
        {"retries": -1},
        {"backoff_s": -0.1},
        {"user_agent": ""},
        {"user_agent": "fit\r\nCookie: x"},
    ],
)
def test_settings_that_could_fetch_nothing(wrong):
    with pytest.raises(ConfigError, match=next(iter(wrong))):
        FetchSettings(**wrong)
