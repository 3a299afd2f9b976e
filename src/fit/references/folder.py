"""Reference pictures in a folder."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Self

from fit.concepts.sheet import Concept
from fit.images.local import links_at
from fit.images.sources import ImageSource, Link
from fit.io.files import outside
from fit.references.base import ReferenceSource, SourceOptions


class Folder(ReferenceSource):
    """A folder with a folder of pictures per slug (fit.images.local.links_at)."""

    def __init__(self, options: SourceOptions):
        """Take place, sheet and work of `options`."""
        self._options = options

    @classmethod
    def make(cls, options: SourceOptions) -> Self:
        """See ReferenceSource.make."""
        return cls(options)

    def find(self, concepts: Sequence[Concept]) -> tuple[ImageSource, Mapping[str, Sequence[Link]]]:
        """See ReferenceSource.find. A PlaceError, if the folder of work lies among the pictures."""
        slugs = [concept.slug for concept in concepts]
        outside(self._options.work, [Path(self._options.place, slug) for slug in slugs])
        return links_at(self._options.place, slugs, "reference images", self._options.sheet)
