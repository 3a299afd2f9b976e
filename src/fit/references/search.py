"""Finds links to reference images of a concept at a service; other code fetches the pictures behind the links.

Every answer is kept in a file: a search may cost money, and the same search finds other pictures next month. An error
is no answer, and is not kept.
"""

import asyncio
import json
import logging
import os
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from hashlib import blake2b
from itertools import count
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from fit.captions.analyzer import fold, lower
from fit.concepts.sheet import Concept
from fit.errors import ConfigError, DataError
from fit.images.fetch import Fetched, Fetcher, FetchSettings
from fit.images.fetch import log as fetch_log
from fit.io.files import atomic_write

SEARCHES = {"serpapi": "fit.references.search:Serpapi", "wikiart": "fit.references.search:Wikiart"}
"""Name in config.yaml -> class of ReferenceSearch."""

SERPAPI_KEY = "SERPAPI_API_KEY"  # environment variable

_EXCERPT = 100  # characters of an unexpected answer that its error shows

_OTHER_WAYS = "bring pictures of your own (`references: {folder: ...}` or `references: {table: ...}` in config.yaml)"

_KEY = re.compile(r"[A-Za-z0-9._~-]+")
"""What a key is made of: what a URL holds unchanged, so that a key looks the same wherever it must be hidden."""

_NO_RESULTS = re.compile(r"has(n.t| not) returned any results", re.IGNORECASE)
_ABOUT_THE_ACCOUNT = re.compile(r"\bAPI key\b|run out of searches|\baccount\b|throughput", re.IGNORECASE)

_WIKIART_SIZE = re.compile(r"(\.(?:jpe?g|png|gif|webp|bmp))![a-z0-9]+\.[a-z]+$", re.IGNORECASE)
"""The end of a link to a smaller copy, as in "guernica-1937.jpg!Large.jpg"."""

_WIKIART_PLACEHOLDER = "FRAME-600x480"
"""In the link of the empty frame that stands for works under copyright where the visitor is."""

log = logging.getLogger(__name__)

Question = dict[str, str | int]
"""Parameters of a request that decide what is found; the key is not among them."""


class ReferenceSearch(ABC):
    """Finds links to images of concepts, and keeps what a service answered.

    Args:
        cache: folder for the answers, a JSON file each; made when the first is written.
        settings: of the requests to the service, its addresses and retries.
        images: most links for a concept, 1 or more.
        refresh: ask the service anew, whatever is in `cache`.

    Raises:
        ConfigError: `images` is below 1.
    """

    service: str
    """The service's name, for errors."""

    address: str
    """Where the service is, unless the environment says otherwise."""

    address_variable: str
    """The environment variable that says so, for mirrors and tests."""

    def __init__(self, cache: str | Path, settings: FetchSettings, images: int, refresh: bool = False):
        if images < 1:
            raise ConfigError(f"references.candidates: {images} is too few; search for 1 image or more")
        self._cache = Path(cache)
        self._settings = settings
        self._images = images
        self._refresh = refresh

    @abstractmethod
    def links(self, concept: Concept) -> list[str]:
        """Links to images of `concept`, at most `images` and none twice, in the service's order; [] if it knows none.

        It runs an event loop of its own, so it can't be called from within one.

        Raises:
            ConfigError: the service wants a key, or another one.
            DataError: the service can't be reached, or answers something that is not understood.
        """

    def _answer(self, question: Question, ask: Callable[[], list[str]]) -> list[str]:
        """The links that answer `question`: from the cache, or else what `ask` returns, which is cached."""
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
        """What the service answers to a GET of `path` with `query`."""
        address = os.environ.get(self.address_variable, "").strip().rstrip("/") or self.address
        url = f"{address}{path}?{urlencode(query)}"

        async def fetch() -> Fetched:
            async with Fetcher(self._settings) as fetcher:
                return await fetcher.fetch(url)

        return asyncio.run(fetch())

    def _parse(self, fetched: Fetched, concept: Concept, hide: Callable[[str], str] = str) -> Any:
        """The JSON that was fetched; `hide` takes out of a text what an error must not show.

        Raises:
            DataError: nothing was fetched, or no JSON.
        """
        if fetched.data is None:
            tries = "once" if fetched.attempts == 1 else f"{fetched.attempts} times"
            raise self._error(concept, f"asked {tries}, there came no answer but {fetched.status!r}")
        try:
            return json.loads(fetched.data)
        except (ValueError, RecursionError):
            text = hide(fetched.data.decode(errors="replace"))[:_EXCERPT]
        raise self._error(concept, f"what came is no JSON: {text!r}")

    def _error(self, concept: Concept, came: str) -> DataError:
        """The error that `came`, instead of an answer that is understood."""
        return DataError(
            f"{self.service}, concept {concept.slug!r}: {came}; see whether the service works and can be reached "
            f"from here (the environment variable {self.address_variable} names another address) and run again, or "
            f"{_OTHER_WAYS}"
        )

    def _odd(self, concept: Concept, fetched: Fetched, answer: Any, hide: Callable[[str], str] = str) -> DataError:
        """The error for an `answer` that is JSON, but not of the shape that is known."""
        if isinstance(answer, dict):
            shown = f"an object with the keys {', '.join(answer)}"
        else:
            shown = (fetched.data or b"").decode(errors="replace")
        return self._error(concept, f"the JSON that came is not of the shape that is known: {hide(shown)[:_EXCERPT]!r}")


def _read_links(path: Path) -> list[str] | None:
    """The links in a file of the cache; None if there is no file, or not a good one."""
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


def _find_links(entries: Any, key: str) -> list[str] | None:
    """The web links that `entries`, a list of objects, have under `key`; None if it is something else.

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


class _Hider(logging.Filter):
    """Changes what is logged by a function of its text."""

    def __init__(self, hide: Callable[[str], str]):
        super().__init__()
        self._hide = hide

    def filter(self, record: logging.LogRecord) -> bool:
        record.msg, record.args = self._hide(record.getMessage()), ()
        if record.exc_info:
            record.exc_text = self._hide(logging.Formatter().formatException(record.exc_info))
            record.exc_info = None
        return True


@contextmanager
def _hidden_in_log(hide: Callable[[str], str]) -> Iterator[None]:
    """Within it, `hide` changes what Fetcher logs: the link, when something unforeseen happens."""
    hider = _Hider(hide)
    fetch_log.addFilter(hider)
    try:
        yield
    finally:
        fetch_log.removeFilter(hider)


class Serpapi(ReferenceSearch):
    """Google's image search through serpapi.com, as the paper did it; every page of some hundred links is paid for.

    The key is in the environment variable SERPAPI_API_KEY, and needed only for what is not cached.

    Args:
        query: what is searched for, with {name} for the concept's name.
        others: see ReferenceSearch.

    Raises:
        ConfigError: also if `query` is not such a text.
    """

    service = "serpapi.com"
    address = "https://serpapi.com"
    address_variable = "SERPAPI_ADDRESS"

    def __init__(
        self, cache: str | Path, settings: FetchSettings, images: int, refresh: bool = False, query: str = "{name}"
    ):
        super().__init__(cache, settings, images, refresh)
        try:
            differs = query.format(name="one") != query.format(name="another")
        except (LookupError, ValueError, AttributeError, TypeError):
            differs = False
        if not differs:
            raise ConfigError(
                f"references.serpapi: {query!r} can't be filled in; write {{name}} where the concept's name goes, "
                'and no other braces, such as "{name} portrait"'
            )
        self._query = query

    def links(self, concept: Concept) -> list[str]:
        """Links to images; see ReferenceSearch.links."""
        found: dict[str, None] = {}
        for page in count():
            question: Question = {
                "engine": "google_images",
                "q": self._query.format(name=concept.name),
                "ijn": page,
            }
            before = len(found)
            found.update(dict.fromkeys(self._answer(question, partial(self._ask, question, concept))))
            # A page that brings nothing new is the last one, or it would be asked for without end.
            if len(found) >= self._images or len(found) == before:
                break
        return list(found)[: self._images]

    def _ask(self, question: Question, concept: Concept) -> list[str]:
        key = _serpapi_key()

        def hide(text: str) -> str:
            return text.replace(key, "***")

        with _hidden_in_log(hide):
            fetched = self._get("/search.json", question | {"api_key": key})
        # The text that comes with these is not read; see serpapi.com/api-status-and-error-codes.
        if fetched.status in ("http_401", "http_403"):
            raise _refused(f"the key is refused ({fetched.status})")
        if fetched.status == "http_429":
            raise _refused("the searches of the account, or those of this hour, are used up (http_429)")
        answer = self._parse(fetched, concept, hide)
        if not isinstance(answer, dict):
            raise self._odd(concept, fetched, answer, hide)
        error = answer.get("error")
        if isinstance(error, str):
            if _NO_RESULTS.search(error):
                return []
            text = hide(error)[: 2 * _EXCERPT]
            if _ABOUT_THE_ACCOUNT.search(error):
                raise _refused(f"it says {text!r}")
            raise self._error(concept, f"it says {text!r}")
        links = _find_links(answer.get("images_results"), "original")
        if links is None:
            raise self._odd(concept, fetched, answer, hide)
        # No link of Google's has it, but one that a mirror makes up might, and links are cached.
        return [link for link in links if f"={key}" not in link]


def _serpapi_key() -> str:
    """The key in the environment.

    Raises:
        ConfigError: there is none, or what is there can't be one.
    """
    key = os.environ.get(SERPAPI_KEY, "").strip()
    if not key:
        raise ConfigError(
            f"references: searching at serpapi.com needs a key, and the environment variable {SERPAPI_KEY} is not "
            f"set; set it to yours (https://serpapi.com/manage-api-key), or {_OTHER_WAYS}"
        )
    if not _KEY.fullmatch(key):
        raise ConfigError(
            f"references: what the environment variable {SERPAPI_KEY} holds is no key, as keys are letters and "
            "digits; copy it anew from https://serpapi.com/manage-api-key"
        )
    return key


def _refused(came: str) -> ConfigError:
    """The error for a key, or an account, that is not served."""
    return ConfigError(
        f"references, serpapi.com: {came}; look at the account (https://serpapi.com/dashboard), set the environment "
        f"variable {SERPAPI_KEY} to a key that has searches left, or {_OTHER_WAYS}; what was found so far is kept"
    )


class Wikiart(ReferenceSearch):
    """The works of an artist at wikiart.org, which needs no key."""

    service = "wikiart.org"
    address = "https://www.wikiart.org"
    address_variable = "WIKIART_ADDRESS"

    def links(self, concept: Concept) -> list[str]:
        """Links to the full pictures of an artist's works; see ReferenceSearch.links."""
        artist = wikiart_slug(concept.name)
        if not artist:
            return []
        question: Question = {"artistUrl": artist, "json": 2}
        links = self._answer(question, partial(self._ask, question, concept))
        return list(dict.fromkeys(links))[: self._images]

    def _ask(self, question: Question, concept: Concept) -> list[str]:
        fetched = self._get("/en/App/Painting/PaintingsByArtist", question)
        if fetched.status == "http_404":
            return []
        works = self._parse(fetched, concept)
        if works is None:
            return []
        links = _find_links(works, "image")
        if links is None:
            raise self._odd(concept, fetched, works)
        shown = [_WIKIART_SIZE.sub(r"\1", link) for link in links if _WIKIART_PLACEHOLDER not in link]
        if works and not shown:
            log.warning("wikiart.org, concept %r: it shows none of the works where you are", concept.slug)
        return shown


def wikiart_slug(name: str) -> str:
    """How wikiart.org writes an artist's name in its addresses: "Georgia O'Keeffe" is georgia-o-keeffe.

    Returns:
        Words of a-z and 0-9, joined by hyphens; "" if the name has no such letters.
    """
    return "-".join(re.findall("[a-z0-9]+", fold(lower(name))))
