"""Fetching in tests: settings for which this machine is the web."""

import asyncio

from fit.images.fetch import Fetcher, fetch_all
from fit.images.manners import FetchTuning
from fit.images.settings import FetchSettings


def settings_of(changed):
    """(FetchSettings, FetchTuning) for which 127.0.0.1 is the web.

    They are impatient only where a test says so, as a busy machine is slow.
    """
    here = {"connect_timeout_s": 5.0, "total_timeout_s": 10.0, "backoff_s": 0.01, "retries": 0, "allow_loopback": True}
    here |= changed
    tuned = {name: here.pop(name) for name in list(here) if name in FetchTuning.__dataclass_fields__}
    return FetchSettings(**here), FetchTuning(**tuned)


def fetcher_of(**changed):
    """A Fetcher with such settings."""
    return Fetcher(*settings_of(changed))


def fetch_all_of(links, handle, **changed):
    """fetch_all with such settings."""
    settings, tuning = settings_of(changed)
    return fetch_all(links, settings, handle, tuning)


def fetch(*urls, **changed):
    """What became of each link, fetched one after the other by one Fetcher; a single one not as a list."""

    async def run():
        async with fetcher_of(**changed) as fetcher:
            return [await fetcher.fetch(url) for url in urls]

    fetched = asyncio.run(run())
    return fetched[0] if len(urls) == 1 else fetched
