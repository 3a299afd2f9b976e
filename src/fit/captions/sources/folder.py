"""Captions in a folder of pictures."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

from fit.captions.sources.pictures import (
    PicturesWithCaptions,
    Sidecars,
    check_sidecar,
    is_sidecar,
    is_small_enough,
    stem,
)
from fit.errors import CorpusError, DataError, say_once
from fit.io.folders import Walk, has_picture_suffix, printable, walk_folder


class FolderCaptions(PicturesWithCaptions):
    """A folder, with what is in its folders, in order of names. Links are followed (fit.io.folders.walk_folder)."""

    called: ClassVar[str] = "a folder"

    def _open(self) -> None:
        try:
            walked = walk_folder(self.path)
        except DataError as error:
            raise self.broken(error) from None
        if walked.broken:
            # A picture or its caption is lost, as with any file of captions that is not there.
            raise CorpusError(walked.say_broken().replace(" are left out", ""))
        walked.say()
        self._names = self._once(walked)
        self.rows = sum(map(has_picture_suffix, self._names))
        newest = max((entry.stat().st_mtime_ns for entry in walked.files), default=0)
        self.fingerprint = f"{self.name} {len(walked.names)} {newest}"

    def _once(self, walked: Walk) -> list[str]:
        """Return the files' names, without links (Walk.beside) that have no caption of their own."""
        pictures, sidecars = list(filter(has_picture_suffix, walked.names)), list(filter(is_sidecar, walked.names))
        twice = walked.beside(pictures)
        if not twice:
            return walked.names
        captioned = {stem(name) for name in set(sidecars) - set(walked.beside(sidecars))}
        twice = [name for name in twice if name not in captioned and stem(name) not in captioned]
        if twice:
            say_once(
                f"{self.path}: links to pictures beside them, without a caption of their own, are not read again: "
                f"{printable(', '.join(twice[:3]))}, {len(twice)} in all"
            )
        return [name for name in walked.names if name not in set(twice)]

    def _rows(self, with_images: bool) -> Iterator[dict[str, Any]]:
        sidecars = Sidecars(self.encoding)
        pictures = []
        for name in self._names:
            if has_picture_suffix(name):
                pictures.append(name)
            elif is_sidecar(name):
                check_sidecar(name, Path(self.path, name).stat().st_size)
                sidecars.take(name, Path(self.path, name).read_bytes)
        for name in pictures:
            caption, url = sidecars.of(name)
            place = Path(self.path, name)
            read = with_images and is_small_enough(str(place), place.stat().st_size)
            image = place.read_bytes() if read else None
            yield {"caption": caption, "url": url or printable(name), "image": image}
