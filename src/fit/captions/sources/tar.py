"""Captions in a tar of pictures, in webdataset's layout."""

import tarfile
from collections import deque
from collections.abc import Iterator
from functools import partial
from typing import IO, Any, ClassVar, NamedTuple

from fit.captions.sources.pictures import PicturesWithCaptions, Sidecars, check_sidecar, is_sidecar, is_small_enough
from fit.io.folders import has_picture_suffix, is_data, printable

_MOST_WAITING = 256  # pictures that wait for their captions
_WAITING_BYTES = 64 << 20


class _Waiting(NamedTuple):
    """A picture that waits for its caption."""

    name: str
    size: int
    """Bytes of the picture in the tar."""
    data: bytes | None
    """None where it is not read."""


class TarCaptions(PicturesWithCaptions):
    """A tar, compressed or not, read from its beginning to its end."""

    called: ClassVar[str] = "a tar"

    def _open(self) -> None:
        try:
            with self.open_stream() as stream, tarfile.open(fileobj=stream, mode="r|") as archive:
                archive.next()
        except (tarfile.TarError, OSError, EOFError) as error:
            raise self.broken(error) from None

    def _rows(self, with_images: bool) -> Iterator[dict[str, Any]]:
        sidecars, size = Sidecars(self.encoding), 0
        waiting: deque[_Waiting] = deque()

        def first() -> dict[str, Any]:
            picture = waiting.popleft()
            caption, url = sidecars.of(picture.name)
            return {"caption": caption, "url": url or printable(picture.name), "image": picture.data}

        with self.open_stream() as stream, tarfile.open(fileobj=stream, mode="r|") as archive:
            for member in archive:
                content = self._content(archive, member)
                if content is None:
                    continue
                if has_picture_suffix(member.name):
                    read = with_images and is_small_enough(f"{self.path}, {member.name}", member.size)
                    waiting.append(_Waiting(member.name, member.size, content.read() if read else None))
                    size += member.size
                elif is_sidecar(member.name):
                    check_sidecar(member.name, member.size)
                    if sidecars.take(member.name, partial(bytes, content.read())):
                        raise ValueError(
                            f"{member.name} comes long after its picture; put them next to each other (tar --sort=name)"
                        )
                while len(waiting) > _MOST_WAITING or (size > _WAITING_BYTES and len(waiting) > 1):
                    size -= waiting[0].size
                    yield first()
        while waiting:
            yield first()

    @staticmethod
    def _content(archive: tarfile.TarFile, member: tarfile.TarInfo) -> IO[bytes] | None:
        """Return the bytes of a member that is a user's file, as a stream; None for any other.

        Raises:
            ValueError: it is a link.
        """
        if not all(is_data(part) for part in member.name.split("/") if part not in ("", ".", "..")):
            return None
        if (member.issym() or member.islnk()) and (has_picture_suffix(member.name) or is_sidecar(member.name)):
            raise ValueError(
                f"{member.name} is a link to {member.linkname}, which can't be followed in a tar; pack the "
                "files themselves (tar --dereference --hard-dereference)"
            )
        return archive.extractfile(member) if member.isfile() else None  # not a folder or device
