"""The works of an artist at wikiart.org."""

import logging
import re
from functools import partial

from fit.concepts.analyzer import fold, lower
from fit.concepts.sheet import Concept
from fit.references.search.base import Question, ReferenceSearch, find_links

_SIZE = re.compile(r"(\.(?:jpe?g|png|gif|webp|bmp))![a-z0-9]+\.[a-z]+$", re.IGNORECASE)
"""The end of a link to a smaller copy, as in "guernica-1937.jpg!Large.jpg"."""

_PLACEHOLDER = "FRAME-600x480"
"""In the link of the empty frame that is shown for works under copyright where the visitor is."""

log = logging.getLogger(__name__)


class Wikiart(ReferenceSearch):
    """The works of an artist at wikiart.org, which needs no key."""

    service = "wikiart.org"
    address = "https://www.wikiart.org"
    address_variable = "WIKIART_ADDRESS"

    def links(self, concept: Concept) -> list[str]:
        """Return links to the full pictures of an artist's works; see ReferenceSearch.links."""
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
        links = find_links(works, "image")
        if links is None:
            raise self._odd(concept, fetched, works)
        shown = [_SIZE.sub(r"\1", link) for link in links if _PLACEHOLDER not in link]
        if works and not shown:
            log.warning("wikiart.org, concept %r: it shows none of the works where you are", concept.slug)
        return shown


def wikiart_slug(name: str) -> str:
    """Return how wikiart.org writes an artist's name in its addresses: "Georgia O'Keeffe" is georgia-o-keeffe.

    Returns:
        Words of a-z and 0-9, joined by hyphens; "" if the name has no such letters.
    """
    return "-".join(re.findall("[a-z0-9]+", fold(lower(name))))
