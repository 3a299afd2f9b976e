"""Collects candidates for references: verified pictures of each concept."""

from collections.abc import Sequence
from pathlib import Path

from fit.concepts.sheet import Concept
from fit.images.collect import gather
from fit.images.settings import DecodeSettings, FetchSettings, of_results
from fit.references import SOURCES
from fit.references.base import SourceOptions
from fit.references.settings import SearchSettings
from fit.registry import find


def collect_references(
    kind: str,
    place: str,
    concepts: Sequence[Concept],
    out: str | Path,
    *,
    search: SearchSettings,
    cache: str | Path,
    work: str | Path,
    fetching: FetchSettings,
    decoding: DecodeSettings,
    decoders: int,
    sheet: Sequence[str] | None = None,
) -> None:
    """Collect the reference candidates of concepts into an image table of the schema COLLECTED.

    Args:
        kind: a key of fit.references.SOURCES.
        place: the table or folder, or what the search asks for.
        concepts: in the order of the table.
        out: path of the table to write.
        search: how many candidates to search for.
        cache: folder that keeps the answers of a search.
        work, fetching, decoding, decoders: as fit.images.collect.collect takes them.
        sheet: slugs of the whole sheet, of which `concepts` are some; None where nothing else is looked at.

    Raises:
        ConfigError: there is no such kind, or a search lacks its key.
        DataError: there is no such table or folder, or a search fails.
    """
    options = SourceOptions(place=place, sheet=sheet, search=search, cache=cache, fetching=fetching, work=work)
    source, links = find(SOURCES, kind, "source of references").make(options).find(concepts)
    gather(
        source,
        [concept.slug for concept in concepts],
        lambda concept: links[concept or ""],
        out,
        work=work,
        identity=[kind, place, of_results(fetching)],
        decoding=decoding,
        decoders=decoders,
    )
