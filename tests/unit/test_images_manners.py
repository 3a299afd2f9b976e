"""What servers ask for is honoured: opt-outs, waits, and few requests at once."""

import asyncio
from collections import Counter
from datetime import UTC, datetime
from urllib.parse import quote

import aiohttp
import pytest
from fetching import fetch, fetch_all_of, fetcher_of
from misbehaving_server import image_bytes

from fit.images.bodies import BodyDecoder
from fit.images.fetch import Fetched
from fit.images.manners import USER_AGENT, FetchTuning, opted_out, retry_after_s, retry_wait_s

NOW = datetime(2030, 1, 1, tzinfo=UTC)

pytest_plugins = ("fetching_fixtures",)
pytestmark = pytest.mark.usefixtures("loopback_only")


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
    monkeypatch.setattr(BodyDecoder, "decode", lambda *_: pytest.fail("read"))
    assert fetch(server.url("/image?X-Robots-Tag=noai")).data is None
    monkeypatch.undo()
    assert fetch(server.url("/image?X-Robots-Tag=noai"), honour_opt_out=False).data == image_bytes()


@pytest.mark.parametrize("path", ["/then-image/500", "/then-image/503?Retry-After=0", "/then-image/429?Retry-After=0"])
def test_servers_in_trouble_are_asked_again(server, path):
    assert fetch(server.url(path), retries=2) == Fetched("ok", image_bytes(), 200, 2)


@pytest.mark.slow
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
    patient = FetchTuning(backoff_s=1.0, max_retry_after_s=30)
    waits = [retry_wait_s(patient, f"http://{i}.example/", 1, None) for i in range(200)]
    assert 0.5 <= min(waits) < 0.6 and 1.4 < max(waits) <= 1.5
    assert waits == [retry_wait_s(patient, f"http://{i}.example/", 1, None) for i in range(200)]
    assert 2 <= retry_wait_s(patient, "a", 3, None) <= 6
    assert retry_wait_s(patient, "a", 1, 20) == 20
    assert retry_wait_s(patient, "a", 1, 0) == retry_wait_s(patient, "a", 1, None)
    assert retry_wait_s(patient, "a", 1, 30) == 30 and retry_wait_s(patient, "a", 1, 31) is None


@pytest.mark.slow
def test_waiting_for_a_retry_takes_its_time_and_holds_no_place(server):
    async def run():
        done = []
        async with fetcher_of(connections=1, connections_per_host=1, retries=1, backoff_s=1.0) as fetcher:

            async def each(*paths):
                for path in paths:
                    done.append((path, (await fetcher.fetch(server.url(path))).status))

            await asyncio.gather(each("/then-image/500"), each("/held", "/held", "/held"))
        return done

    assert asyncio.run(run()) == [("/held", "ok")] * 3 + [("/then-image/500", "ok")]
    assert server.most_at_once == 1


@pytest.mark.slow
def test_a_busy_host_does_not_keep_others_from_idle_ones(server, names):
    names.update({"busy.example": ["127.0.0.1"], "idle.example": ["127.0.0.1"]})

    async def run():
        done = []
        async with fetcher_of(connections=2, connections_per_host=1, total_timeout_s=0.4) as fetcher:

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
    asyncio.run(fetch_all_of(links, handle, total_timeout_s=0.5, **limits))
    assert len(most) == 24 and 1000 < max(most) <= 3000


@pytest.mark.slow
def test_a_body_that_grows_past_the_budget_of_others_waits_and_is_not_timed_out(server):
    async def run():
        limits = {"max_bytes": 1000, "max_held_bytes": 2000, "total_timeout_s": 1.0}
        async with fetcher_of(**limits) as fetcher:
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
        async with fetcher_of(max_bytes=1000, max_held_bytes=2000) as fetcher:
            return [(await asyncio.wait_for(fetcher.fetch(server.url("/size/900")), 5)).status for _ in range(4)]

    assert asyncio.run(run()) == ["connection"] * 4


@pytest.mark.slow
def test_limits_in_all_and_per_host_hold(server, names):
    names.update({"a.example": ["127.0.0.1"], "b.example": ["127.0.0.1"], "c.example": ["127.0.0.1"]})
    links = [(i, server.url("/held", host=f"{'abc'[i % 3]}.example")) for i in range(60)]
    statuses = Counter()

    async def handle(_, fetched):
        statuses[fetched.status] += 1

    asyncio.run(fetch_all_of(links, handle, connections=5, connections_per_host=2))
    assert statuses == {"ok": 60}
    assert server.most_at_once == 5
    assert set(server.most_at_once_by_host.values()) == {2}


@pytest.mark.slow
def test_waiting_for_a_turn_does_not_count_as_waiting_for_the_server(server):
    links = [(i, server.url("/held")) for i in range(100)]
    statuses = Counter()

    async def handle(_, fetched):
        statuses[fetched.status] += 1

    # One after the other they take longer than any single one may.
    asyncio.run(fetch_all_of(links, handle, connections_per_host=1, total_timeout_s=1.0))
    assert statuses == {"ok": 100}


@pytest.mark.slow
def test_redirects_between_busy_hosts_do_not_wait_for_each_other(server, names):
    names.update({"a.example": ["127.0.0.1"], "b.example": ["127.0.0.1"]})
    to = {host: quote(server.url("/held", host=f"{host}.example"), "") for host in "ab"}
    links = [(i, server.url(f"/redirect/{to['ab'[i % 2]]}", host=f"{'ba'[i % 2]}.example")) for i in range(40)]
    statuses = Counter()

    async def handle(_, fetched):
        statuses[fetched.status] += 1

    asyncio.run(fetch_all_of(links, handle, connections=2, connections_per_host=1))
    assert statuses == {"ok": 40}


def test_hosts_are_forgotten(server, names):
    names.update({f"{i}.example": ["127.0.0.1"] for i in range(20)})

    async def run():
        async with fetcher_of() as fetcher:
            await asyncio.gather(*(fetcher.fetch(server.url("/image", host=f"{i}.example")) for i in range(20)))
            return len(fetcher._hosts)

    assert asyncio.run(run()) == 0
