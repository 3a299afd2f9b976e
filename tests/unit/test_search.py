import json
import logging
import os
import subprocess
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from urllib.parse import parse_qsl, urlsplit

import pytest

from fit.concepts.sheet import Concept, read_sheet
from fit.errors import ConfigError, DataError
from fit.images.fetch import Fetched, Fetcher, FetchSettings
from fit.references import search as module
from fit.references.search import SEARCHES, ReferenceSearch, Serpapi, Wikiart, wikiart_slug
from fit.registry import find

KEY = "0123456789abcdef0123456789abcdef"
SETTINGS = FetchSettings(
    connect_timeout_s=2.0, total_timeout_s=5.0, backoff_s=0.01, retries=1, max_retry_after_s=0.0, allow_loopback=True
)
PICASSO = Concept("pablo-picasso", "Pablo Picasso")

NO_RESULTS = {
    "search_metadata": {"status": "Success"},
    "search_information": {"images_results_state": "Fully empty"},
    "error": "Google hasn't returned any results for this query.",
}

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


class Service:
    """A web service on 127.0.0.1 within `with`.

    Attributes:
        answer: called with (path, query dict) for each request; returns what is sent: bytes, or something that becomes
            JSON, or (HTTP status, one of these).
        requests: (path, query dict) of each, as they came.
    """

    def __init__(self):
        self.answer = lambda path, query: (404, b"")
        self.requests = []

    def __enter__(self):
        service = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                parts = urlsplit(self.path)
                pairs = parse_qsl(parts.query, keep_blank_values=True)
                service.requests.append((parts.path, dict(pairs)))
                assert len(pairs) == len(dict(pairs)), "a parameter came twice"
                answer = service.answer(*service.requests[-1])
                status, body = answer if isinstance(answer, tuple) else (200, answer)
                data = body if isinstance(body, bytes) else json.dumps(body).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *_):
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(10)


@pytest.fixture
def service(monkeypatch):
    with Service() as running:
        monkeypatch.setenv("SERPAPI_ADDRESS", running.address)
        monkeypatch.setenv("WIKIART_ADDRESS", running.address + "/")
        monkeypatch.setenv("SERPAPI_API_KEY", KEY)
        yield running


@pytest.fixture
def serpapi(tmp_path):
    """Makes a Serpapi whose cache is a folder of tmp_path."""
    return lambda images=5, **rest: Serpapi(tmp_path / "cache", SETTINGS, images, **rest)


@pytest.fixture
def wikiart(tmp_path):
    """Makes a Wikiart whose cache is a folder of tmp_path."""
    return lambda images=5, **rest: Wikiart(tmp_path / "cache", SETTINGS, images, **rest)


def results(*links):
    """A page of serpapi.com."""
    return {
        "search_metadata": {"status": "Success", "id": "1"},
        "images_results": [
            {"position": i, "thumbnail": "https://t/", "original": link} for i, link in enumerate(links)
        ],
    }


def pages(*of_links):
    """An `answer` of serpapi.com that has these pages and no more."""
    return lambda path, query: (
        results(*of_links[int(query["ijn"])]) if int(query["ijn"]) < len(of_links) else NO_RESULTS
    )


def work(image):
    """A work as wikiart.org lists it."""
    return {
        "title": "Picador",
        "contentId": 224238,
        "artistName": "Picasso Pablo",
        "completitionYear": 1900,
        "yearAsString": "1900",
        "width": 810,
        "image": image,
        "height": 1280,
    }


def always(answer):
    return lambda path, query: answer


def files(folder):
    return [path for path in folder.rglob("*") if path.is_file()]


# serpapi.com


def test_asks_page_after_page_until_there_are_enough_links(service, serpapi):
    service.answer = pages(
        ["https://a/1", "https://a/2", "https://a/1"], ["https://a/2", "https://a/3"], ["https://a/4"]
    )
    assert serpapi(images=3).links(PICASSO) == ["https://a/1", "https://a/2", "https://a/3"]
    question = {"engine": "google_images", "q": "Pablo Picasso", "api_key": KEY}
    assert service.requests == [("/search.json", question | {"ijn": str(page)}) for page in (0, 1)]


def test_no_more_links_than_asked_for(service, serpapi):
    service.answer = pages([f"https://a/{i}" for i in range(100)])
    assert serpapi(images=2).links(PICASSO) == ["https://a/0", "https://a/1"]
    assert len(service.requests) == 1


def test_fewer_links_than_asked_for(service, serpapi):
    service.answer = pages(["https://a/1"], ["https://a/2"])
    assert serpapi(images=50).links(PICASSO) == ["https://a/1", "https://a/2"]


def test_a_service_that_repeats_itself_is_not_asked_without_end(service, serpapi):
    service.answer = always(results("https://a/1", "https://a/2"))
    assert serpapi(images=50).links(PICASSO) == ["https://a/1", "https://a/2"]
    assert len(service.requests) == 2


@pytest.mark.parametrize("answer", [NO_RESULTS, {"images_results": []}])
def test_no_results_are_no_links(service, serpapi, answer):
    service.answer = always(answer)
    assert serpapi().links(PICASSO) == []
    assert serpapi().links(PICASSO) == []
    assert len(service.requests) == 1


def test_results_without_a_web_link_are_passed_over(service, serpapi):
    links = ["x-raw-image:///4c0f", "data:image/png;base64,AA", "https://a/\ud800", " HTTPS://a/1 ", "http://a/é b.jpg"]
    answer = results(*links)
    answer["images_results"] += [{"position": 9}, {"original": None}, {"original": ["https://a/2"]}]
    service.answer = always(answer)
    assert serpapi().links(PICASSO) == ["HTTPS://a/1", "http://a/é b.jpg"]


def test_the_query_is_what_the_configuration_says(service, serpapi):
    service.answer = pages(["https://a/1"])
    serpapi(images=1, query="{name}, portrait").links(PICASSO)
    assert service.requests[0][1]["q"] == "Pablo Picasso, portrait"


@pytest.mark.parametrize(
    "query", ["a portrait", "", "{nam}", "{}", "{name", "{name.x}", "{name[x]}", "{name:d}", "{name!z}", "{{name}}"]
)
def test_a_query_without_the_name_is_refused(serpapi, query):
    with pytest.raises(ConfigError, match="can't be filled in"):
        serpapi(query=query)


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ((401, {"error": "Invalid API key."}), "http_401"),
        ((403, {"error": "Forbidden"}), "http_403"),
        ((429, {"error": "Your account has run out of searches."}), "used up"),
        (
            {"error": f"Invalid API key {KEY}. Your API key should be here: https://serpapi.com/manage-api-key"},
            "Invalid",
        ),
        ({"error": "Your account has run out of searches."}, "run out of searches"),
    ],
)
def test_an_account_that_is_not_served_is_a_matter_of_configuration(service, serpapi, tmp_path, answer, said):
    service.answer = always(answer)
    with pytest.raises(ConfigError, match=said) as caught:
        serpapi().links(PICASSO)
    assert "SERPAPI_API_KEY" in str(caught.value)
    assert KEY not in str(caught.value)
    assert not files(tmp_path)


@pytest.mark.parametrize("key", [None, "", "  "])
def test_a_missing_key_is_named_with_the_other_ways(service, serpapi, monkeypatch, key):
    if key is None:
        monkeypatch.delenv("SERPAPI_API_KEY")
    else:
        monkeypatch.setenv("SERPAPI_API_KEY", key)
    with pytest.raises(ConfigError) as caught:
        serpapi().links(PICASSO)
    for part in ("SERPAPI_API_KEY", "https://serpapi.com/manage-api-key", "folder", "table"):
        assert part in str(caught.value)
    assert not service.requests


@pytest.mark.parametrize("key", ["two words", "a&b=c", "schlüssel", "line\nbreak"])
def test_what_can_be_no_key_is_not_sent_and_not_shown(service, serpapi, monkeypatch, key):
    monkeypatch.setenv("SERPAPI_API_KEY", key)
    with pytest.raises(ConfigError, match="SERPAPI_API_KEY") as caught:
        serpapi().links(PICASSO)
    assert key not in str(caught.value)
    assert not service.requests


def test_the_key_is_in_no_cache_file(service, serpapi, tmp_path):
    answer = results("https://a/1", f"https://a/2?api_key={KEY}")
    answer["search_parameters"] = {"q": "Pablo Picasso", "api_key": KEY}
    service.answer = always(answer)
    assert serpapi(images=1).links(PICASSO) == ["https://a/1"]
    cached = files(tmp_path)
    assert len(cached) == 1
    assert KEY.encode() not in cached[0].read_bytes()
    assert KEY not in cached[0].name


def test_the_key_is_not_logged_whatever_happens_while_fetching(service, serpapi, monkeypatch, caplog):
    async def fail(self, response, timer):
        raise RuntimeError(f"no luck with {response.url}")

    monkeypatch.setattr(Fetcher, "_read", fail)
    with caplog.at_level(logging.DEBUG), pytest.raises(DataError) as caught:
        serpapi().links(PICASSO)
    assert "no luck with" in caplog.text
    assert "Traceback" in caplog.text
    assert KEY not in caplog.text
    assert KEY not in str(caught.value)
    assert not module.fetch_log.filters


@pytest.mark.parametrize("lead", range(60, 130, 7))
def test_no_part_of_the_key_is_shown_where_an_answer_is_cut(service, serpapi, lead):
    service.answer = always(b"<" + b"x" * lead + KEY.encode())
    with pytest.raises(DataError, match="is no JSON") as caught:
        serpapi().links(PICASSO)
    assert KEY[:4] not in str(caught.value)


# wikiart.org


def test_the_works_of_an_artist(service, wikiart):
    service.answer = always(
        [
            work("https://uploads6.wikiart.org/images/pablo-picasso/picador-1900.jpg!Large.jpg"),
            work("https://uploads6.wikiart.org/00129/images/pablo-picasso/b(1).JPG!PinterestSmall.JPG"),
            work("https://uploads6.wikiart.org/images/pablo-picasso/picador-1900.jpg"),
            work(None),
            work("https://uploads.wikiart.org/Content/images/FRAME-600x480.jpg"),
            work("https://uploads6.wikiart.org/images/pablo-picasso/what!a-day.png!Large.png"),
            work("https://uploads6.wikiart.org/images/pablo-picasso/oh!no.jpg"),
            work("https://uploads6.wikiart.org/images/pablo-picasso/one-too-many.jpg!Large.jpg"),
        ]
    )
    assert wikiart(images=4).links(PICASSO) == [
        "https://uploads6.wikiart.org/images/pablo-picasso/picador-1900.jpg",
        "https://uploads6.wikiart.org/00129/images/pablo-picasso/b(1).JPG",
        "https://uploads6.wikiart.org/images/pablo-picasso/what!a-day.png",
        "https://uploads6.wikiart.org/images/pablo-picasso/oh!no.jpg",
    ]
    assert service.requests == [("/en/App/Painting/PaintingsByArtist", {"artistUrl": "pablo-picasso", "json": "2"})]


@pytest.mark.parametrize("answer", [(404, b"<html>no such artist</html>"), [], None])
def test_an_unknown_artist_has_no_links(service, wikiart, answer):
    service.answer = always(answer)
    assert wikiart().links(PICASSO) == []
    assert wikiart().links(PICASSO) == []
    assert len(service.requests) == 1


def test_works_that_are_shown_elsewhere_only_are_no_links(service, wikiart, caplog):
    service.answer = always([work("https://uploads.wikiart.org/Content/images/FRAME-600x480.jpg")] * 3)
    assert wikiart().links(PICASSO) == []
    assert "pablo-picasso" in caplog.text


def test_needs_no_key(service, wikiart, monkeypatch):
    monkeypatch.delenv("SERPAPI_API_KEY")
    service.answer = always([work("https://a/1.jpg!Large.jpg")])
    assert wikiart().links(PICASSO) == ["https://a/1.jpg"]


@pytest.mark.parametrize(
    ("name", "slug"),
    [
        ("Georgia O'Keeffe", "georgia-o-keeffe"),
        ("Georgia O\u2019Keeffe", "georgia-o-keeffe"),
        ("M. C. Escher", "m-c-escher"),
        ("Édouard Manet", "edouard-manet"),
        ("E\u0301douard Manet", "edouard-manet"),
        ("Jean-Honoré Fragonard", "jean-honore-fragonard"),
        ("Vilhelm Hammershøi", "vilhelm-hammershoi"),
        ("Władysław Strzemiński", "wladyslaw-strzeminski"),
        ("../../x", "x"),
        ('"; rm -rf ~', "rm-rf"),
        ("\u202eManet\u202c", "manet"),
        ("🎨", ""),
        ("齐白石", ""),
        ("/", ""),
    ],
)
def test_slugs(name, slug):
    assert wikiart_slug(name) == slug


@pytest.mark.parametrize("sheet", ["classical_artists", "modern_artists"])
def test_slugs_of_the_sheets(request, sheet):
    """The sheets' slugs are made by the same rule, by hand."""
    for concept in read_sheet(request.config.rootpath / "concepts" / f"{sheet}.tsv"):
        assert wikiart_slug(concept.name) == concept.slug


def test_a_name_without_latin_letters_is_not_asked_for(service, wikiart):
    assert wikiart().links(Concept("qi-baishi", "齐白石")) == []
    assert not service.requests


# Both


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
    searcher = find(SEARCHES, name, "search")(cache=tmp_path / "cache", settings=SETTINGS, images=5)
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
    searcher = find(SEARCHES, name, "search")(cache=tmp_path / "cache", settings=SETTINGS, images=1)
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
        find(SEARCHES, name, "search")(cache=tmp_path, settings=SETTINGS, images=1).links(PICASSO)
    assert [url.startswith(start) for url in asked] == [True]


def test_another_process_without_a_key_asks_nothing_twice(service, serpapi, wikiart, tmp_path):
    answers = {"/search.json": results("https://a/1", "https://a/é")}
    service.answer = lambda path, query: answers.get(path, [work("https://a/w.jpg!Large.jpg")])
    found = [serpapi().links(PICASSO), wikiart().links(PICASSO)]
    assert found == [["https://a/1", "https://a/é"], ["https://a/w.jpg"]]
    asked = len(service.requests)
    program = """
import json, sys
from fit.concepts import Concept
from fit.images.fetch import FetchSettings
from fit.images.search import Serpapi, Wikiart
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


def test_refresh_asks_anew_and_keeps_the_new_answer(service, wikiart):
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
    assert [issubclass(find(SEARCHES, name, "search"), ReferenceSearch) for name in SEARCHES] == [True, True]
    with pytest.raises(ConfigError, match="did you mean 'wikiart'"):
        find(SEARCHES, "wikiarts", "search")
