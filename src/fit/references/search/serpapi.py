"""Google's image search, through serpapi.com."""

import logging
import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from itertools import count
from pathlib import Path
from typing import Self

from fit.concepts.sheet import Concept
from fit.errors import ConfigError
from fit.images.fetch import log as fetch_log
from fit.images.settings import FetchSettings
from fit.references.base import SourceOptions
from fit.references.search.base import EXCERPT, OTHER_WAYS, Question, ReferenceSearch, find_links

SERPAPI_KEY = "SERPAPI_API_KEY"  # environment variable

_KEY = re.compile(r"[A-Za-z0-9._~-]+")
"""What a key is made of: what a URL holds unchanged, so that a key looks the same wherever it must be hidden."""

_NO_RESULTS = re.compile(r"has(n.t| not) returned any results", re.IGNORECASE)
_ABOUT_THE_ACCOUNT = re.compile(r"\bAPI key\b|run out of searches|\baccount\b|throughput", re.IGNORECASE)


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
    """Change by `hide`, within the block, what Fetcher logs: the link, when something unforeseen happens."""
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

    @classmethod
    def make(cls, options: SourceOptions) -> Self:
        """See ReferenceSource.make; `place` is what is searched for."""
        images = options.search.candidates
        return cls(options.cache, options.fetching, images, query=options.place or "{name}")

    def links(self, concept: Concept) -> list[str]:
        """Return links to images; see ReferenceSearch.links."""
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
            text = hide(error)[: 2 * EXCERPT]
            if _ABOUT_THE_ACCOUNT.search(error):
                raise _refused(f"it says {text!r}")
            raise self._error(concept, f"it says {text!r}")
        links = find_links(answer.get("images_results"), "original")
        if links is None:
            raise self._odd(concept, fetched, answer, hide)
        # No link of Google's has it, but one that a mirror makes up might, and links are cached.
        return [link for link in links if f"={key}" not in link]


def _serpapi_key() -> str:
    """Return the key in the environment.

    Raises:
        ConfigError: there is none, or what is there can't be one.
    """
    key = os.environ.get(SERPAPI_KEY, "").strip()
    if not key:
        raise ConfigError(
            f"references: searching at serpapi.com needs a key, and the environment variable {SERPAPI_KEY} is not "
            f"set; set it to yours (https://serpapi.com/manage-api-key), or {OTHER_WAYS}"
        )
    if not _KEY.fullmatch(key):
        raise ConfigError(
            f"references: what the environment variable {SERPAPI_KEY} holds is not a key, as keys are letters and "
            "digits; copy it again from https://serpapi.com/manage-api-key"
        )
    return key


def _refused(came: str) -> ConfigError:
    """Return the error for a key, or an account, that is not served."""
    return ConfigError(
        f"references, serpapi.com: {came}; look at the account (https://serpapi.com/dashboard), set the environment "
        f"variable {SERPAPI_KEY} to a key that has searches left, or {OTHER_WAYS}; what was found so far is kept"
    )
