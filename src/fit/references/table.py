"""Reference pictures in a Parquet file."""

from collections.abc import Mapping, Sequence
from typing import Self

from fit.concepts.sheet import Concept
from fit.images.local import links_at
from fit.images.sources import ImageSource, Link
from fit.references.base import ReferenceSource, SourceOptions


class Table(ReferenceSource):
    """A Parquet file with the columns concept and bytes (fit.images.local.links_at)."""

    def __init__(self, options: SourceOptions):
        """Take the place, the sheet and the folder of work of `options`."""
        self._options = options

    @classmethod
    def make(cls, options: SourceOptions) -> Self:
        """See ReferenceSource.make."""
        return cls(options)

    def find(self, concepts: Sequence[Concept]) -> tuple[ImageSource, Mapping[str, Sequence[Link]]]:
        """See ReferenceSource.find."""
        slugs = [concept.slug for concept in concepts]
        return links_at(self._options.place, slugs, "reference images", self._options.sheet)
