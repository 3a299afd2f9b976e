"""What data a study rests on: where each is from, its licence as its publisher states it, and what sites refused."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from fit.images.statuses import OPTED_OUT, read_statuses
from fit.io.shown import noun_of, plain

Kind = Literal["model", "corpus", "references", "photographs", "embedder"]
KINDS: tuple[Kind, ...] = get_args(Kind)
NOT_STATED = "not stated"
MOST_PLACES = 6
"""Files, folders and ids of one entry that are named; of more, how many."""


@dataclass(frozen=True, kw_only=True)
class DataSource:
    """Something that a study rests on, as its configuration has it."""

    kind: Kind
    name: str
    """As the configuration calls it; of references and photographs, their domain."""
    places: tuple[str, ...]
    """Files, folders, hub ids, or what a search asks for."""
    origin: str = ""
    """Who made or published it; empty if the configuration does not state it."""
    licence: str = ""
    """As its publisher states it; empty if the configuration does not state it."""
    fetched: tuple[str, ...] = ()
    """The domains whose images of it were fetched from the web; empty if none were."""

    @property
    def key(self) -> str:
        """Kind and name, as an option of a command names it."""
        return f"{self.kind}/{self.name}"

    @property
    def statuses(self) -> list[str]:
        """Where the workflow puts the tables of how fetching ended, below results/."""
        return [statuses_place(self.kind, self.name, domain) for domain in self.fetched]


def statuses_place(kind: str, name: str, domain: str) -> str:
    """Return where the workflow puts the table of how fetching a domain's images ended, below results/."""
    of_corpus = f"images/{name}/{domain}/statuses.tsv"
    return of_corpus if kind == "corpus" else f"references/{domain}/candidates/statuses.tsv"


@dataclass(frozen=True, kw_only=True)
class OptOuts:
    """What became of images whose site refuses their use for machine learning."""

    words: str
    """In a sentence; empty where it is not a question, as of a model."""
    refused: int | None = None
    """Images that were left out for that; None if unknown."""
    links: int | None = None
    """Links that were asked for; None if unknown."""


def opt_outs(source: DataSource, is_honoured: bool, tables: Mapping[str, str | Path]) -> OptOuts:
    """Return what became of refused images of a source.

    Args:
        source: of a study.
        is_honoured: the setting `honour_opt_out` of the collection.
        tables: place of a table of statuses below results/ (DataSource.statuses) -> its path.

    Raises:
        DataError: a table cannot be read.
    """
    if source.kind in ("model", "embedder"):
        return OptOuts(words="")
    if not source.fetched:
        return OptOuts(words="no image was fetched from a link")
    if not is_honoured:
        return OptOuts(words="not honoured (`honour_opt_out: false`): refused images were taken too")
    there = [tables[place] for place in source.statuses if place in tables]
    if len(there) < len(source.fetched):
        return OptOuts(words="honoured; how many images were refused was not counted")
    counts = [read_statuses(path) for path in there]
    refused = sum(of.get(OPTED_OUT, 0) for of in counts)
    links = sum(sum(of.values()) for of in counts)
    said = f"honoured: {refused:,} of {links:,} {noun_of(links, 'link', 'was')} refused, and left out"
    return OptOuts(words=said, refused=refused, links=links)


def places_of(places: Sequence[str]) -> str:
    """Return files, folders and ids in a line; of many, the first and how many more."""
    return plain(places, MOST_PLACES)


DATA_NOTE = (
    "Whoever runs the study states origin and licence in its configuration, as the publisher does; FIT quotes both and "
    f'does not check them. "{NOT_STATED.capitalize()}" means that nobody stated it, not that there are no terms. A '
    "corpus of links holds addresses: who made an image, and on what terms it is shown, is not in it."
)
"""What is said below a table of what a study rests on."""
