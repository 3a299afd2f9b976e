"""A file to which one process at a time adds, and of which a crash leaves no half of what was added."""

import os
from pathlib import Path

from fit.errors import DataError


class AppendedFile:
    """A file that is open for adding. What `append` was given is on disk when it returns."""

    def __init__(self, path: str | Path):
        """Open `path`, or begin it.

        Raises:
            DataError: it can't be written, or another process adds to it.
        """
        self.path = Path(path)
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._file = os.open(self.path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o644)
        except OSError as error:
            raise DataError(f"{path}: can't be written ({error.strerror}); name another file") from None
        try:
            self._lock()
        except BaseException:
            self.close()
            raise

    def _lock(self) -> None:
        import fcntl  # which Windows lacks, where reading such a file works all the same

        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise DataError(f"{self.path}: another process adds to it; stop that, or name another file") from None
        except OSError:  # a file system without locks
            pass

    def truncate(self, size: int) -> None:
        """Keep the first `size` bytes."""
        os.ftruncate(self._file, size)

    def append(self, data: bytes) -> None:
        """Add `data`, all or nothing.

        Raises:
            DataError: it can't be written.
        """
        size = os.fstat(self._file).st_size
        try:
            if os.write(self._file, data) < len(data):
                raise OSError(None, "the disk is full")
            os.fsync(self._file)
        except OSError as error:
            os.ftruncate(self._file, size)
            raise DataError(f"{self.path}: can't be written ({error.strerror}); make room") from None

    def close(self) -> None:
        """Close it, so that another process may add."""
        os.close(self._file)
