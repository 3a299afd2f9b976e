"""Downloads a list of concepts and checks that it is the one that was asked for."""

import hashlib
import re
from pathlib import Path

import fsspec
from aiohttp import ClientError

from fit.errors import SheetError
from fit.io.files import atomic_write

CHUNK = 1 << 20  # bytes


def _why(error: BaseException, url: str) -> str:
    """Return why an address can't be read: the first of an error and its causes that says more than the address."""
    cause: BaseException | None = error
    while cause is not None:
        said = str(cause)
        if said and url not in said:
            return said
        cause = cause.__cause__ or cause.__context__
    return "there is no such file" if isinstance(error, FileNotFoundError) else type(error).__name__


def fetch(url: str, sha256: str, out: str | Path, remedy: str = "") -> int:
    """Download a file from `url` to `out`; it is only kept if its checksum is `sha256`.

    Args:
        url: file://, http:// or https://.
        sha256: 64 hexadecimal digits.
        out: path to write.
        remedy: what to do if it can't be read or is another file, for the error.

    Returns:
        The file's size in bytes.

    Raises:
        SheetError: `url` is of another kind or can't be read, `sha256` is not a checksum, or not that of the file.
    """
    if not re.fullmatch(r"[0-9a-f]{64}", sha256.lower()):
        raise SheetError(f"{url}: {sha256!r} is not a SHA-256 checksum; give its 64 hexadecimal digits")
    if not url.lower().startswith(("file://", "http://", "https://")):
        raise SheetError(f"{url}: not an address of a list; it begins with file://, http:// or https://")
    digest, size = hashlib.sha256(), 0
    with atomic_write(out) as part:
        try:
            with fsspec.open(url, "rb") as source, part.open("wb") as file:
                while block := source.read(CHUNK):
                    digest.update(block)
                    size += file.write(block)
        except (OSError, ValueError, ClientError) as error:
            raise SheetError(f"{url}: can't be read ({_why(error, url)}); {remedy or 'check the address'}") from None
        if digest.hexdigest() != sha256.lower():
            raise SheetError(
                f"{url}: its SHA-256 is {digest.hexdigest()}, not {sha256.lower()}; it is not the file that was "
                f"asked for, so {remedy or f'{out} was not written; look at it before you ask for that checksum'}"
            )
    return size
