"""Connections go to addresses of the public internet, and to no others."""

import ipaddress
import socket
import threading
from urllib.parse import quote

import pytest
from fetching import fetch

from fit.images import addresses
from fit.images.addresses import AddressBlockedError, BadUrlError, checked_url, is_open
from fit.images.fetch import Fetched

pytest_plugins = ("fetching_fixtures",)
pytestmark = pytest.mark.usefixtures("loopback_only")


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
def test_links_that_are_not_valid(link):
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
    checked = addresses._is_open

    def first_is_public(address, allow_loopback):
        return not server.requests or checked(address, allow_loopback)

    monkeypatch.setattr(addresses, "_is_open", first_is_public)
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

    monkeypatch.setattr(addresses, "look_up", rebinding)
    monkeypatch.setattr(socket, "getaddrinfo", None)  # whoever looks the name up again fails
    assert fetch(server.url("/image", host="rebind.example")).status == "ok"
    assert lookups == ["rebind.example"]
    assert server.requests[0].header("Host") == [f"rebind.example:{server.port}"]


def test_no_socket_opens_to_an_address_that_was_not_checked(server, monkeypatch):
    # As if a later aiohttp came by addresses in a way of its own.
    async def unchecked(self, host, port=0, family=socket.AF_INET):
        address = {"hostname": host, "host": "127.0.0.1", "port": port, "family": family, "proto": 0, "flags": 0}
        return [address, address | {"host": "127.0.0.2"}]

    monkeypatch.setattr(addresses.CheckedResolver, "resolve", unchecked)
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
    monkeypatch.setattr(addresses, "look_up", lambda host: done.wait(3) or ["127.0.0.1"])
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
