"""What a source of references is."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from fit.concepts.sheet import Concept
from fit.images.settings import FetchSettings
from fit.images.sources import ImageSource, Link
from fit.references.settings import SearchSettings


@dataclass(frozen=True, kw_only=True)
class SourceOptions:
    """What sources are made from; each takes what it needs."""

    place: str
    """The table or folder, or what a search asks for; empty where the configuration says nothing."""
    sheet: Sequence[str] | None
    """Slugs of the whole sheet, by which rows of no concept are named; None if unknown."""
    search: SearchSettings
    cache: str | Path
    """Folder that keeps the answers of searches."""
    fetching: FetchSettings
    work: str | Path
    """Folder for what a kill must not lose, which is not to lie among the pictures."""


class ReferenceSource(ABC):
    """Where candidates for references come from."""

    @classmethod
    @abstractmethod
    def make(cls, options: SourceOptions) -> Self:
        """Return the source that `options` describe.

        Raises:
            ConfigError: an option is not valid for it.
        """

    @abstractmethod
    def find(self, concepts: Sequence[Concept]) -> tuple[ImageSource, Mapping[str, Sequence[Link]]]:
        """Find the candidates of concepts.

        Returns:
            (source, links): what brings the pictures, and slug -> links to them.

        Raises:
            ConfigError: a service wants a key, or another one.
            DataError: a table or folder is missing, or a search fails.
        """
