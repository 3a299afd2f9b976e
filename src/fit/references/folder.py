"""Reference pictures in a folder."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from fit.concepts.sheet import Concept
from fit.images.sources import ImageSource, Link
from fit.io.files import outside
from fit.references.table import Table


class Folder(Table):
    """A folder with a folder of pictures per slug (fit.images.local.links_at)."""

    def find(self, concepts: Sequence[Concept]) -> tuple[ImageSource, Mapping[str, Sequence[Link]]]:
        """See ReferenceSource.find. A PlaceError, if the folder of work lies among the pictures."""
        outside(self._options.work, [Path(self._options.place, concept.slug) for concept in concepts])
        return super().find(concepts)
