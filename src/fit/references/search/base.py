"""Finds links to reference images of a concept at a service; other code fetches the pictures behind the links.

Every answer is kept in a file: a search may cost money, and the same search finds other pictures next month. An error
is not an answer, and is not kept.
"""

import asyncio
import json
import logging
import os
import re
from abc import abstractmethod
from collections.abc import Callable, Sequence
from hashlib import blake2b
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlencode

from fit.concepts.sheet import Concept
from fit.errors import ConfigError, DataError
from fit.images.fetch import Fetched, Fetcher
from fit.images.manners import FetchTuning
from fit.images.settings import FetchSettings
from fit.images.sources import Http, ImageSource, Link
from fit.io.files import atomic_write
from fit.references.base import ReferenceSource, SourceOptions

EXCERPT = 100
"""Characters of an unexpected answer that its error shows."""

OTHER_WAYS = "bring pictures of your own (`references: {folder: ...}` or `references: {table: ...}` in config.yaml)"

log = logging.getLogger(__name__)

Question = dict[str, str | int]
"""Parameters of a request that decide what is found; the key is not among them."""


class ReferenceSearch(ReferenceSource):
    """Finds links to images of concepts, and keeps what a service answered.

    Args:
        cache: folder for the answers, a JSON file each; made when the first is written.
        settings: of the requests to the service, its addresses and retries.
        images: most links for a concept, 1 or more.
        refresh: ask the service again, whatever is in `cache`.

    Raises:
        ConfigError: `images` is below 1.
    """

    service: str
    """The service's name, for errors."""

    address: str
    """Where the service is, unless the environment says otherwise."""

    tuning = FetchTuning()
    """How requests to the service wait and are repeated."""

    address_variable: str
    """The environment variable that says so, for mirrors and tests."""

    def __init__(self, cache: str | Path, settings: FetchSettings, images: int, refresh: bool = False):
        if images < 1:
            raise ConfigError(f"references.candidates: {images} is too few; search for 1 image or more")
        self._cache = Path(cache)
        self._settings = settings
        self._images = images
        self._refresh = refresh

    @classmethod
    def make(cls, options: SourceOptions) -> Self:
        """See ReferenceSource.make."""
        return cls(options.cache, options.fetching, options.search.candidates)

    def find(self, concepts: Sequence[Concept]) -> tuple[ImageSource, dict[str, list[Link]]]:
        """See ReferenceSource.find."""
        return Http(self._settings), {
            concept.slug: [Link(f"{concept.slug}-{i:03d}", url, "", 0) for i, url in enumerate(self.links(concept))]
            for concept in concepts
        }

    @abstractmethod
    def links(self, concept: Concept) -> list[str]:
        """Return links to images of `concept`: at most `images`, none twice, in the service's order.

        It runs an event loop of its own, so it can't be called from within one.

        Raises:
            ConfigError: the service wants a key, or another one.
            DataError: the service can't be reached, or answers something that is not understood.
        """

    def _answer(self, question: Question, ask: Callable[[], list[str]]) -> list[str]:
        """Return the links that answer `question`: from the cache, or else what `ask` returns, which is cached."""
        # The address is left out: a mirror answers the same question.
        key = json.dumps([self.service, question], sort_keys=True)
        path = self._cache / f"{blake2b(key.encode(), digest_size=16).hexdigest()}.json"
        links = None if self._refresh else _read_links(path)
        if links is None:
            links = ask()
            with atomic_write(path) as part:
                part.write_text(json.dumps({"service": self.service, "question": question, "links": links}, indent=1))
        return links

    def _get(self, path: str, query: Question) -> Fetched:
        """Return what the service answers to a GET of `path` with `query`."""
        address = os.environ.get(self.address_variable, "").strip().rstrip("/") or self.address
        url = f"{address}{path}?{urlencode(query)}"

        async def fetch() -> Fetched:
            async with Fetcher(self._settings, self.tuning) as fetcher:
                return await fetcher.fetch(url)

        return asyncio.run(fetch())

    def _parse(self, fetched: Fetched, concept: Concept, hide: Callable[[str], str] = str) -> Any:
        """Return the JSON that was fetched; `hide` takes out of a text what an error must not show.

        Raises:
            DataError: nothing was fetched, or no JSON.
        """
        if fetched.data is None:
            tries = "once" if fetched.attempts == 1 else f"{fetched.attempts} times"
            raise self._error(concept, f"asked {tries}, there came no answer but {fetched.status!r}")
        try:
            return json.loads(fetched.data)
        except (ValueError, RecursionError):
            text = hide(fetched.data.decode(errors="replace"))[:EXCERPT]
        raise self._error(concept, f"what came is not JSON: {text!r}")

    def _error(self, concept: Concept, came: str) -> DataError:
        """Return the error for what came instead of an answer that is understood."""
        return DataError(
            f"{self.service}, concept {concept.slug!r}: {came}; see whether the service works and can be reached "
            f"from here (the environment variable {self.address_variable} names another address) and run again, or "
            f"{OTHER_WAYS}"
        )

    def _odd(self, concept: Concept, fetched: Fetched, answer: Any, hide: Callable[[str], str] = str) -> DataError:
        """Return the error for an `answer` that is JSON, but not of the known shape."""
        if isinstance(answer, dict):
            shown = f"an object with the keys {', '.join(answer)}"
        else:
            shown = (fetched.data or b"").decode(errors="replace")
        return self._error(concept, f"the JSON that came is not of the shape that is known: {hide(shown)[:EXCERPT]!r}")


def _read_links(path: Path) -> list[str] | None:
    """Return the links in a file of the cache; None if it is missing or damaged."""
    try:
        links = json.loads(path.read_bytes())["links"]
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError):
        links = None
    if not isinstance(links, list) or not all(isinstance(link, str) for link in links):
        log.warning("%s: damaged; the service is asked again", path)
        return None
    return links


def find_links(entries: Any, key: str) -> list[str] | None:
    """Return the web links that `entries`, a list of objects, have under `key`; None if it is something else.

    Entries without a link are passed over, as long as others have one; so are links of other schemes, such as
    "x-raw-image:///4c0f", a picture within a PDF, which only Google can open.
    """
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        return None
    links = [entry[key].strip() for entry in entries if isinstance(entry.get(key), str)]
    if entries and not links:
        return None
    # What can't be printed can't be written everywhere either: JSON may hold halves of characters.
    return [link for link in links if re.match("https?://", link, re.IGNORECASE) and link.isprintable()]
