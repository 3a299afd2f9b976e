"""A link becomes a picture's bytes or a status, whatever a server does; and so do many links."""

import asyncio
import errno
import ssl
from urllib.parse import quote

import pytest
from fetching import fetch, fetch_all_of, fetcher_of
from misbehaving_server import BODY, BOMB_BYTES, image_bytes

from fit.errors import ConfigError
from fit.images.bodies import BodyDecoder
from fit.images.fetch import WORKERS_PER_CONNECTION, Fetched, Fetcher

pytest_plugins = ("fetching_fixtures",)
pytestmark = pytest.mark.usefixtures("loopback_only")


@pytest.mark.slow
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
    decode = BodyDecoder.decode

    def counted(self, block, most):
        data = decode(self, block, most)
        blown_up.append(len(data))
        return data

    monkeypatch.setattr(BodyDecoder, "decode", counted)
    fetch(server.url("/gzip-bomb"), max_bytes=1_000_000)
    assert 1_000_000 < sum(blown_up) <= 1_000_001 < BOMB_BYTES


def test_nobody_there(closed_port):
    assert fetch(f"http://127.0.0.1:{closed_port}/").status == "connection"


@pytest.mark.slow
def test_nothing_is_said(silent_port):
    assert fetch(f"http://127.0.0.1:{silent_port}/", total_timeout_s=0.2).status == "timeout"
    assert fetch(f"https://127.0.0.1:{silent_port}/", connect_timeout_s=0.2).status == "timeout"


def test_tls_that_is_not_spoken(server):
    assert fetch(server.url("/image", scheme="https")).status == "tls"


def test_certificates_are_verified(server):
    async def run():
        async with fetcher_of() as fetcher:
            context = fetcher._session.connector._get_ssl_context(FakeRequest)
            return context.verify_mode, context.check_hostname

    class FakeRequest:
        ssl = True

        @staticmethod
        def is_ssl():
            return True

    assert asyncio.run(run()) == (ssl.CERT_REQUIRED, True)


@pytest.mark.slow
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

    monkeypatch.setattr(BodyDecoder, "decode", fail)
    assert fetch(server.url("/image")).status == "connection"
    assert "as if aiohttp had a bug" in caplog.text


def test_running_out_of_open_files_is_not_the_links_fault(server, monkeypatch):
    def fail(self, address_info):
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr(Fetcher, "_open_socket", fail)
    with pytest.raises(ConfigError, match="ulimit"):
        fetch(server.url("/image"))


# Many links


@pytest.mark.slow
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
    asyncio.run(fetch_all_of(links, handle, connections=16, connections_per_host=8))
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

    asyncio.run(fetch_all_of(links(), handle, connections=3))
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

        fetching = asyncio.create_task(fetch_all_of(links(), handle, connections=8, connections_per_host=8))
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
        asyncio.run(fetch_all_of(links(), handle))
    assert len(server.requests) < 1000


def test_without_links_nothing_is_asked_for_and_nothing_is_handled(server):
    def handle(*arguments):
        raise AssertionError(arguments)

    asyncio.run(fetch_all_of([], handle))
    assert not server.requests


def test_a_cancelled_fetch_gives_its_place_back(server):
    async def run():
        async with fetcher_of(connections=1, connections_per_host=1) as fetcher:
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
        asyncio.run(fetcher_of().fetch(server.url("/image")))
