"""Digests of files, to say and to check which ones numbers were read from."""

from hashlib import file_digest
from pathlib import Path


def sha256_of(path: str | Path) -> str:
    """Return the SHA-256 of a file, as hex digits."""
    with Path(path).open("rb") as file:
        return file_digest(file, "sha256").hexdigest()
