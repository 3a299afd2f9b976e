"""What both searches do: answers are kept, and errors say what came."""

import json
import os
import subprocess
import sys

import pytest
from searching import KEY, PICASSO, SETTINGS, always, files, pages, results, work

from fit.concepts.sheet import Concept
from fit.errors import ConfigError, DataError
from fit.images.fetch import Fetched, Fetcher
from fit.images.settings import FetchSettings
from fit.references import SOURCES
from fit.references.search.base import ReferenceSearch
from fit.references.search.serpapi import Serpapi
from fit.references.search.wikiart import Wikiart, wikiart_slug
from fit.registry import find

pytest_plugins = ("searching_fixtures",)
SEARCHES = ("serpapi", "wikiart")

NASTY_NAMES = [
    "Édouard Manet",
    'Ed "the Dead" O\'Neill',
    "AC/DC & Friends; 50% + a=b?c#d",
    "🎨 Painter 👩‍🎨",
    "\u202eevil\u202c name\u200f",
    "../../x",
    "/etc/passwd",
    '"; rm -rf ~',
    "name\nwith\tcontrol\x00characters",
    "%2e%2e%2f&api_key=other",
    "{name} {0}",
    "x" * 2_000,
]


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"<html>Just a moment...</html>",
        b"\xff\xfe\x00",
        b"[" * 100_000,
        b"[" * 970 + b"]" * 970,
        b"1" * 10_000,
        3,
        "a text",
        {},
        {"images_results": None, "results": []},
        {"images_results": {"original": "https://a/1"}},
        {"images_results": ["https://a/1"]},
        {"images_results": [{"link": "https://a/1"}]},
        {"error": {"code": 1}},
        {"error": "We couldn't get valid results for this search."},
        ["https://a/1"],
        [{"url": "https://a/1"}],
        [{"image": {"large": "https://a/1"}}],
        (400, {"error": "Missing query `q` parameter."}),
        (503, {"search_metadata": {"status": "Error"}, "error": "timeout"}),
        (204, b""),
    ],
    ids=lambda answer: repr(answer)[:40],
)
@pytest.mark.parametrize("name", SEARCHES)
def test_an_answer_that_is_not_understood_is_an_error_and_not_kept(service, tmp_path, name, answer):
    service.answer = always(answer)
    searcher = find(SOURCES, name, "search")(cache=tmp_path / "cache", settings=SETTINGS, images=5)
    with pytest.raises(DataError) as caught:
        searcher.links(PICASSO)
    message = str(caught.value)
    assert message.startswith(f"{searcher.service}, concept 'pablo-picasso': ")
    assert searcher.address_variable in message and "folder" in message
    assert len(message) < 600
    assert KEY not in message
    assert not files(tmp_path)


@pytest.mark.parametrize(("status", "shown"), [(500, "http_500"), (403, "http_403")])
def test_an_error_says_what_came(service, wikiart, status, shown):
    service.answer = always((status, b"no"))
    with pytest.raises(DataError, match=shown):
        wikiart().links(PICASSO)


@pytest.mark.parametrize(
    ("name", "good"), [("serpapi", results("https://a/1.jpg")), ("wikiart", [work("https://a/1.jpg!Large.jpg")])]
)
def test_a_service_that_fails_once_is_asked_again(service, tmp_path, name, good):
    service.answer = lambda path, query: (500, b"oops") if len(service.requests) == 1 else good
    searcher = find(SOURCES, name, "search")(cache=tmp_path / "cache", settings=SETTINGS, images=1)
    assert searcher.links(PICASSO) == ["https://a/1.jpg"]
    assert len(service.requests) == 2


def test_requests_go_where_fetch_settings_let_them(service, tmp_path):
    searcher = Serpapi(tmp_path, FetchSettings(retries=0), 5)
    with pytest.raises(DataError, match="blocked_address"):
        searcher.links(PICASSO)
    assert not service.requests


@pytest.mark.parametrize(
    ("name", "start"),
    [
        ("serpapi", "https://serpapi.com/search.json?"),
        ("wikiart", "https://www.wikiart.org/en/App/Painting/PaintingsByArtist?"),
    ],
)
@pytest.mark.parametrize("address", [None, ""])
def test_the_addresses_where_the_environment_names_none(monkeypatch, tmp_path, name, start, address):
    asked = []

    async def fetch(self, url):
        asked.append(url)
        return Fetched("timeout", None, None, 1)

    monkeypatch.setattr(Fetcher, "fetch", fetch)
    monkeypatch.setenv("SERPAPI_API_KEY", KEY)
    for variable in ("SERPAPI_ADDRESS", "WIKIART_ADDRESS"):
        if address is None:
            monkeypatch.delenv(variable, raising=False)
        else:
            monkeypatch.setenv(variable, address)
    with pytest.raises(DataError, match="timeout"):
        find(SOURCES, name, "search")(cache=tmp_path, settings=SETTINGS, images=1).links(PICASSO)
    assert [url.startswith(start) for url in asked] == [True]


@pytest.mark.slow
def test_another_process_without_a_key_asks_nothing_twice(service, serpapi, wikiart, tmp_path):
    answers = {"/search.json": results("https://a/1", "https://a/é")}
    service.answer = lambda path, query: answers.get(path, [work("https://a/w.jpg!Large.jpg")])
    found = [serpapi().links(PICASSO), wikiart().links(PICASSO)]
    assert found == [["https://a/1", "https://a/é"], ["https://a/w.jpg"]]
    asked = len(service.requests)
    program = """
import json, sys
from fit.concepts.sheet import Concept
from fit.images.settings import FetchSettings
from fit.references.search.serpapi import Serpapi
from fit.references.search.wikiart import Wikiart
searchers = [kind(sys.argv[1], FetchSettings(allow_loopback=True), 5) for kind in (Serpapi, Wikiart)]
print(json.dumps([searcher.links(Concept("pablo-picasso", "Pablo Picasso")) for searcher in searchers]))
"""
    environment = {name: value for name, value in os.environ.items() if name != "SERPAPI_API_KEY"}
    done = subprocess.run(
        [sys.executable, "-c", program, tmp_path / "cache"],
        env=environment,
        capture_output=True,
        check=True,
        timeout=60,
    )
    assert json.loads(done.stdout) == found
    assert len(service.requests) == asked


def test_more_images_cost_only_the_pages_that_are_new(service, serpapi):
    service.answer = pages(["https://a/1", "https://a/2"], ["https://a/3", "https://a/4"])
    serpapi(images=2).links(PICASSO)
    assert serpapi(images=4).links(PICASSO) == ["https://a/1", "https://a/2", "https://a/3", "https://a/4"]
    assert [query["ijn"] for _, query in service.requests] == ["0", "1"]
    assert serpapi(images=1).links(PICASSO) == ["https://a/1"]
    assert len(service.requests) == 2


def test_questions_do_not_answer_each_other(service, serpapi, wikiart):
    service.answer = lambda path, query: results(f"https://a/{query['q']}") if "q" in query else []
    assert serpapi(images=1).links(PICASSO) == ["https://a/Pablo Picasso"]
    assert serpapi(images=1).links(Concept("pablo-picasso", "Picasso")) == ["https://a/Picasso"]
    assert serpapi(images=1, query="{name}!").links(PICASSO) == ["https://a/Pablo Picasso!"]
    assert wikiart(images=1).links(PICASSO) == []


def test_refresh_asks_again_and_keeps_the_new_answer(service, wikiart):
    service.answer = always([work("https://a/old.jpg")])
    wikiart().links(PICASSO)
    service.answer = always([work("https://a/new.jpg")])
    assert wikiart().links(PICASSO) == ["https://a/old.jpg"]
    assert wikiart(refresh=True).links(PICASSO) == ["https://a/new.jpg"]
    assert wikiart().links(PICASSO) == ["https://a/new.jpg"]
    assert len(service.requests) == 2


def test_a_failed_refresh_leaves_what_was_known(service, wikiart):
    service.answer = always([work("https://a/old.jpg")])
    wikiart().links(PICASSO)
    service.answer = always((500, b""))
    with pytest.raises(DataError):
        wikiart(refresh=True).links(PICASSO)
    assert wikiart().links(PICASSO) == ["https://a/old.jpg"]


@pytest.mark.parametrize(
    "damaged", [b"", b'{"links": ["htt', b"[]", b"{}", b'{"links": [1]}', b'{"links": "x"}', b"\xff"]
)
def test_a_damaged_cache_file_is_replaced(service, wikiart, tmp_path, damaged):
    service.answer = always([work("https://a/1.jpg")])
    wikiart().links(PICASSO)
    (cached,) = files(tmp_path)
    whole = cached.read_bytes()
    cached.write_bytes(damaged)
    assert wikiart().links(PICASSO) == ["https://a/1.jpg"]
    assert cached.read_bytes() == whole
    assert len(service.requests) == 2


@pytest.mark.parametrize("name", NASTY_NAMES, ids=ascii)
def test_nasty_names_do_no_harm(service, serpapi, wikiart, tmp_path, name):
    service.answer = lambda path, query: results("https://a/1") if "q" in query else [work("https://a/2.jpg")]
    concept = Concept("nasty", name)
    assert serpapi(images=1).links(concept) == ["https://a/1"]
    assert service.requests == [("/search.json", {"engine": "google_images", "q": name, "ijn": "0", "api_key": KEY})]
    wikiart().links(concept)
    assert all(query["artistUrl"] == wikiart_slug(name) for _, query in service.requests[1:])
    cached = files(tmp_path)
    assert len(cached) == len(service.requests)
    assert {path.parent for path in cached} == {tmp_path / "cache"}
    assert all(path.stem.isalnum() and path.suffix == ".json" for path in cached)


def test_nothing_to_ask_for_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="too few"):
        Wikiart(tmp_path, SETTINGS, 0)


def test_the_registry_names_searches():
    assert [issubclass(find(SOURCES, name, "search"), ReferenceSearch) for name in SEARCHES] == [True, True]
    with pytest.raises(ConfigError, match="did you mean 'wikiart'"):
        find(SOURCES, "wikiarts", "search")
