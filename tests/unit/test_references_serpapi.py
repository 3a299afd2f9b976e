"""Google's image search through serpapi.com, at a stand-in on this machine."""

import logging

import pytest
from searching import KEY, NO_RESULTS, PICASSO, always, files, pages, results

from fit.errors import ConfigError, DataError
from fit.images.fetch import Fetcher
from fit.images.fetch import log as fetch_log

pytest_plugins = ("searching_fixtures",)


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
    assert not fetch_log.filters


@pytest.mark.parametrize("lead", range(60, 130, 7))
def test_no_part_of_the_key_is_shown_where_an_answer_is_cut(service, serpapi, lead):
    service.answer = always(b"<" + b"x" * lead + KEY.encode())
    with pytest.raises(DataError, match="is not JSON") as caught:
        serpapi().links(PICASSO)
    assert KEY[:4] not in str(caught.value)
