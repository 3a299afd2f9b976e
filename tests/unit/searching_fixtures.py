"""Fixtures of tests that search for references."""

import pytest
from searching import KEY, SETTINGS, Service

from fit.images.manners import FetchTuning
from fit.references.search.base import ReferenceSearch
from fit.references.search.serpapi import Serpapi
from fit.references.search.wikiart import Wikiart


@pytest.fixture
def service(monkeypatch):
    monkeypatch.setattr(ReferenceSearch, "tuning", FetchTuning(backoff_s=0.01, max_retry_after_s=0.0))
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
